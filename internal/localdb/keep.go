package localdb

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

const (
	// restartLimit restarts within restartWindow are taken for bad luck; one more
	// is a fault that restarting does not mend.
	restartLimit  = 5
	restartWindow = 10 * time.Minute
	// retryPause grows with the number of restarts.
	retryPause = 200 * time.Millisecond
	// ownerPause is the time between two looks at whether the owner still lives.
	ownerPause = 500 * time.Millisecond
)

// Keep keeps the server running until ctx ends or Stop is called, and returns nil
// then. The owner restarts a server that dies; a process that attached takes the
// directory over when its owner ends. The socket, and so the DSN, stays the same.
//
// It returns an error when the server cannot be kept running: it does not start
// again, or died too often.
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
			s.options.Log("%v", err) // it counts as one more death, and is tried again
			select {
			case <-ctx.Done():
			case <-time.After(time.Duration(len(restarts)) * retryPause):
			}
		}
	}
}

// errUnlessEnded is nil when ctx has ended: then the error is of no interest.
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

// revive starts a server that died again. One that Kill or Restart ended is theirs.
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
	s.options.Log("the database server died (%s); starting it again", s.child.state)
	s.unpublish()
	if err := s.run(ctx); err != nil {
		return fmt.Errorf("start the database server again: %w", err)
	}
	s.options.Log("the database server runs again")
	return nil
}

// takeOver becomes the owner if the directory has none any more.
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
	// On the owner's socket, whose place may depend on its environment: our
	// connections, and those of others who attached, lead there.
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
