// Package program builds mems and runs it as separate processes, for attack, bench and
// proof.
package program

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Build compiles mems into a directory, with additional flags of "go build", and returns
// the path of the binary.
func Build(ctx context.Context, dir string, flags ...string) (binary string, err error) {
	binary = filepath.Join(dir, "mems")
	args := append(append([]string{"build", "-o", binary}, flags...), "mems/cmd/mems")
	out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput() //nolint:gosec // G204: our own
	if err != nil {
		return "", fmt.Errorf("build mems: %w\n%s", err, out)
	}
	return binary, nil
}

// Environment returns this process's environment with the given settings of MEMS and no
// others: those of the caller's shell are for another server.
func Environment(settings ...string) []string {
	clean := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "MEMS_") })
	return append(clean, settings...)
}

// Server is a "mems serve" process, running or ended.
type Server struct {
	// URL is http://host:port.
	URL  string
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
}

// errEnded reports that the process ended before it served.
var errEnded = errors.New("the server ended without serving")

// Serve starts a server and returns once it serves. The server logs to log and is stopped
// when ctx ends.
func Serve(ctx context.Context, binary string, env []string, log io.Writer) (*Server, error) {
	cmd := exec.CommandContext(ctx, binary, "serve")
	cmd.Env, cmd.Stderr = env, log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &Server{cmd: cmd, done: make(chan struct{})}
	for lines := bufio.NewScanner(out); s.URL == "" && lines.Scan(); {
		if _, url, found := strings.Cut(lines.Text(), "MEMS is serving "); found {
			s.URL = strings.TrimSpace(url)
		}
	}
	go func() {
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait() // its status depends on how the caller stopped it
		close(s.done)
	}()
	if s.URL == "" {
		<-s.done
		return nil, errEnded
	}
	return s, nil
}

// Address returns the host and port of URL.
func (s *Server) Address() string { return strings.TrimPrefix(s.URL, "http://") }

// PID returns the process id.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Kill kills the process, like a crash, and waits until it has ended.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
}

// Stop terminates the process and waits until it has ended.
func (s *Server) Stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	<-s.done
}
