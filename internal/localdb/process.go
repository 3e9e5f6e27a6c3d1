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

// errLocked reports that another process owns the directory.
var errLocked = errors.New("another process owns the database directory")

// child is a running server process.
type child struct {
	process *os.Process
	done    chan struct{}    // closed when it has ended
	state   *os.ProcessState // exit state; read after done
}

// startChild starts the server in a separate process group, so that Ctrl-C in a terminal
// reaches only MEMS, which stops the server after the last request.
//
// onOurEnd is the signal that the kernel sends to it if we end without stopping it.
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
		// The kernel signals the child when the *thread* that started it ends, so this
		// goroutine keeps its thread while the child lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		c.process = cmd.Process
		started <- nil
		_ = cmd.Wait() // the state has the result
		c.state = cmd.ProcessState
		close(c.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

// stop signals the child and waits; if ctx ends first, the child is killed.
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
