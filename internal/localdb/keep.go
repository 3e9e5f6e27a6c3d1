package localdb

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

const (
	// restartLimit is the number of restarts within restartWindow after which the server is
	// considered broken.
	restartLimit  = 5
	restartWindow = 10 * time.Minute
	// retryPause is multiplied by the number of restarts.
	retryPause = 200 * time.Millisecond
	// ownerPause is the interval of checks whether the owner is alive.
	ownerPause = 500 * time.Millisecond
)

// Keep keeps the server running until ctx ends or Stop is called, and then returns nil. The
// owner restarts a server that dies; an attached process takes over the directory when its
// owner ends. The socket, and so the DSN, does not change.
//
// It returns an error if the server does not start again or died too often.
func (s *Server) Keep(ctx context.Context) error {
	var restarts []time.Time
	for {
		died, owned, stopped := s.watch()
		switch {
		case stopped:
			return nil
		case !owned:
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(ownerPause):
			}
			if err := s.takeOver(ctx); err != nil {
				return errUnlessEnded(ctx, err)
			}
		default:
			select {
			case <-ctx.Done():
				return nil
			case <-died:
			}
			restarts = append(restarts, time.Now())
			if n := len(restarts); n > restartLimit && restarts[n-1].Sub(restarts[n-1-restartLimit]) < restartWindow {
				return fmt.Errorf("the database server died %d times within %s\nThe last lines of %s:\n%s",
					restartLimit+1, restartWindow, s.logFile(), tail(s.logFile()))
			}
			err := s.revive(ctx)
			if err == nil {
				continue
			}
			if errUnlessEnded(ctx, err) == nil {
				return nil
			}
			s.options.Log("%v", err) // counts as another death, and is retried
			select {
			case <-ctx.Done():
			case <-time.After(time.Duration(len(restarts)) * retryPause):
			}
		}
	}
}

// errUnlessEnded returns nil if ctx has ended, in which case the error does not matter.
func errUnlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, errStopped) {
		return nil //nolint:nilerr // asked to end, which broke something off
	}
	return err
}

// watch returns what Keep waits for: a channel that is closed when our child ends.
func (s *Server) watch() (died <-chan struct{}, owned, stopped bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.owned {
		return nil, false, s.released
	}
	return s.child.done, true, s.lock == nil
}

// revive restarts a server that died, unless Kill or Restart ended it.
func (s *Server) revive(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.mayControl(); err != nil {
		return err
	}
	select {
	case <-s.child.done:
	default:
		return nil // restarted meanwhile
	}
	s.options.Log("the database server died (%s); restarting it", s.child.state)
	s.unpublish()
	if err := s.run(ctx); err != nil {
		return fmt.Errorf("restart the database server: %w", err)
	}
	s.options.Log("the database server is running again")
	return nil
}

// takeOver becomes the owner if the directory no longer has one.
func (s *Server) takeOver(ctx context.Context) error {
	lock, err := takeLock(filepath.Join(s.dir, "lock"))
	if errors.Is(err, errLocked) {
		return nil
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.released {
		return lock.Close()
	}
	s.options.Log("the process that ran the database in %s has ended; running it here from now on", s.dir)
	// Use the owner's socket, whose path may depend on its environment: our connections and
	// those of other attached processes use it.
	err = privateDir(filepath.Dir(s.socket))
	if err == nil {
		err = s.startOwned(ctx)
	}
	if err != nil {
		_ = lock.Close()
		return fmt.Errorf("take over the database in %s: %w", s.dir, err)
	}
	s.lock, s.owned = lock, true
	return nil
}
