//go:build unix

package localdb

import "syscall"

// Suspend makes the server stand still with all that it holds, as a machine that
// hangs would. Resume ends that.
func (s *Server) Suspend() error { return s.signal(syscall.SIGSTOP) }

// Resume makes a suspended server go on.
func (s *Server) Resume() error { return s.signal(syscall.SIGCONT) }

func (s *Server) signal(signal syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.mayControl(); err != nil {
		return err
	}
	return s.child.process.Signal(signal)
}
