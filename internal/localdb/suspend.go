//go:build unix

package localdb

import "syscall"

// Suspend freezes the server with all its locks, like a machine that hangs. Resume ends
// that.
func (s *Server) Suspend() error { return s.signal(syscall.SIGSTOP) }

// Resume continues a suspended server.
func (s *Server) Resume() error { return s.signal(syscall.SIGCONT) }

func (s *Server) signal(signal syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.mayControl(); err != nil {
		return err
	}
	return s.child.process.Signal(signal)
}
