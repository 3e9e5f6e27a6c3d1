package localdb

import (
	"context"
	"errors"
	"os"
	"syscall"
)

var (
	errNotOwner = errors.New("localdb: only the process that started the server may do this")
	errStopped  = errors.New("localdb: the server was stopped; start it again with Start")
)

// Stop shuts the server down and waits; if ctx ends first, or after half a minute, it is
// killed, which a durable server survives without loss. It does nothing to another
// process's server, or if called again.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lock == nil {
		s.released = true
		return nil
	}
	err := s.end(ctx, syscall.SIGTERM)
	_ = os.Remove(s.socket)
	_ = s.lock.Close()
	s.lock = nil
	return err
}

// Kill kills the server, like a crash. Restart starts it again.
func (s *Server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.mayControl(); err != nil {
		return err
	}
	return s.end(context.Background(), syscall.SIGKILL)
}

// Restart starts the server again on the same data, after Kill or after it died. A running
// server is stopped first.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.mayControl(); err != nil {
		return err
	}
	if err := s.end(ctx, syscall.SIGTERM); err != nil {
		return err
	}
	return s.run(ctx)
}

func (s *Server) mayControl() error {
	switch {
	case !s.owned:
		return errNotOwner
	case s.lock == nil:
		return errStopped
	default:
		return nil
	}
}

// end ends the child, if it is running, after withdrawing what attaching processes read.
func (s *Server) end(ctx context.Context, signal syscall.Signal) error {
	s.unpublish()
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	return s.child.stop(ctx, signal)
}
