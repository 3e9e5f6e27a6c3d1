package localdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// errLocked says that another process owns the directory.
var errLocked = errors.New("another process owns the database directory")

// takeLock takes the directory for this process until the file is closed or
// the process ends, however it ends.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // G304: our own file
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil { //nolint:gosec // G115: a descriptor fits
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errLocked
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

func ownedByUs(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// child is a running server process.
type child struct {
	process *os.Process
	done    chan struct{} // closed when it has ended
}

// startChild starts the server in a process group of its own, so that Ctrl-C in
// a terminal reaches MEMS, which stops it after the last request, and not the
// server itself.
func startChild(p program, args []string, logPath string) (*child, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600) //nolint:gosec // G304: our own file
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd := p.command(context.Background(), args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttributes()
	c := &child{done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The kernel ends the child when the *thread* that started it ends, so
		// this goroutine keeps its thread for as long as the child lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		c.process = cmd.Process
		started <- nil
		_ = cmd.Wait() // how it ended does not matter here
		close(c.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

// stop sends the signal and waits; when ctx ends first, the child is killed.
func (c *child) stop(ctx context.Context, signal syscall.Signal) error {
	if err := c.process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		_ = c.process.Kill()
		<-c.done
		return fmt.Errorf("the database server did not stop in time and was killed: %w", ctx.Err())
	}
}

func pidFile(dir string) string { return filepath.Join(dir, "server.pid") }

// endOrphan ends a server that outlived its owner. We hold the directory's
// lock, so a server that still works on it has no owner; most often it is
// already shutting down.
func endOrphan(dir string) error {
	text, err := os.ReadFile(pidFile(dir))
	if err != nil {
		return nil //nolint:nilerr // no file: it ended in order
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || !isOurServer(pid, dir) {
		return nil //nolint:nilerr // the number belongs to nobody of ours by now
	}
	for i := range 600 {
		if !isOurServer(pid, dir) {
			return nil
		}
		switch i {
		case 0:
			_ = syscall.Kill(pid, syscall.SIGTERM)
		case 400: // after 20 s
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("a database server without an owner (process %d) works on %s and cannot be ended", pid, dir)
}

// isOurServer reports whether the process is a server on dir's data: process
// numbers are used again, and a stranger must not be sent a signal.
func isOurServer(pid int, dir string) bool {
	line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline")) //nolint:gosec // G304: /proc
	if err != nil {
		// No /proc (macOS): ask ps.
		line, err = exec.CommandContext(context.Background(), "ps", "-p", strconv.Itoa(pid), "-o", "command=").Output() //nolint:gosec // G204: a number
		if err != nil {
			return false
		}
	}
	return strings.Contains(string(line), "--datadir="+filepath.Join(dir, "data"))
}
