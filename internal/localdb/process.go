package localdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// errLocked says that another process owns the directory.
var errLocked = errors.New("another process owns the database directory")

// child is a running server process.
type child struct {
	process *os.Process
	done    chan struct{}    // closed when it has ended
	state   *os.ProcessState // how it ended; read after done
}

// startChild starts the server in a process group of its own, so that Ctrl-C in
// a terminal reaches MEMS, which stops it after the last request, and not the
// server itself.
//
// onOurEnd is what the kernel sends it when we end without having stopped it.
func startChild(cmd *exec.Cmd, logPath string, onOurEnd syscall.Signal) (*child, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600) //nolint:gosec // G304: our own file
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttributes(onOurEnd)
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
		_ = cmd.Wait() // told by its state
		c.state = cmd.ProcessState
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
