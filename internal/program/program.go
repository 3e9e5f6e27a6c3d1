// Package program builds mems and runs it as processes of its own, for the programs
// that attack, measure and prove it from outside.
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

// Build compiles mems into a folder, with more flags of "go build", and returns the path
// of the binary.
func Build(ctx context.Context, dir string, flags ...string) (binary string, err error) {
	binary = filepath.Join(dir, "mems")
	args := append(append([]string{"build", "-o", binary}, flags...), "mems/cmd/mems")
	out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput() //nolint:gosec // G204: our own
	if err != nil {
		return "", fmt.Errorf("build mems: %w\n%s", err, out)
	}
	return binary, nil
}

// Environment is this process's with the given settings, and no others of MEMS: what
// the caller's shell has set is for another server.
func Environment(settings ...string) []string {
	clean := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "MEMS_") })
	return append(clean, settings...)
}

// Server is a "mems serve" that serves, or has ended.
type Server struct {
	// URL is http://host:port.
	URL  string
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
}

// errEnded is returned by Serve for a process that ends first.
var errEnded = errors.New("the server ended without serving")

// Serve starts a server and returns when it serves. The server writes its log to log. When
// ctx ends, the server is stopped.
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
		_ = cmd.Wait() // its status is the caller's doing
		close(s.done)
	}()
	if s.URL == "" {
		<-s.done
		return nil, errEnded
	}
	return s, nil
}

// Address is the host and port of URL.
func (s *Server) Address() string { return strings.TrimPrefix(s.URL, "http://") }

// PID is the process's number.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Kill ends the process as a crash would, and returns when it has ended.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
}

// Stop asks the process to end, and returns when it has ended.
func (s *Server) Stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	<-s.done
}
