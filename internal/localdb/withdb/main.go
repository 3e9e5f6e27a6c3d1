// Command withdb runs another command with a private database server:
//
//	go run ./internal/localdb/withdb [-engine mariadb|mysql] [-dir DIR] [-durable] -- go test ./...
//
// The command finds the server's DSN in MEMS_TEST_DATABASE_URL and its engine in
// MEMS_TEST_DATABASE_ENGINE. The server ends with the command, and its data are removed,
// unless -dir says where to keep them. If the variable is already set, that server is used
// and none is started.
//
// Signals are forwarded, and the exit code is the command's, or 128 plus the signal's
// number if a signal ended it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"mems/internal/localdb"
)

func main() {
	o := localdb.Options{Install: true, BufferPoolMB: 512, Log: sayf}
	engine := flag.String("engine", "", "mariadb or mysql; empty: whatever is found")
	flag.StringVar(&o.Dir, "dir", "", "keep the data in this directory; empty: a temporary one")
	flag.BoolVar(&o.Durable, "durable", false, "flush every commit to the disk")
	flag.Parse()
	o.Engine = localdb.Engine(*engine)
	code, err := run(o, flag.Args())
	if err != nil {
		sayf("withdb: %v", err)
	}
	os.Exit(code)
}

// sayf prints to stderr: stdout is the command's.
func sayf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func run(o localdb.Options, command []string) (int, error) {
	if len(command) == 0 {
		return 2, errors.New("no command: withdb [-engine mariadb|mysql] [-dir DIR] [-durable] -- COMMAND ARGUMENTS")
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	if os.Getenv("MEMS_TEST_DATABASE_URL") != "" {
		return runCommand(command, os.Environ(), signals)
	}
	if o.Dir == "" {
		dir, err := localdb.ScratchDir()
		if err != nil {
			return 1, err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		o.Dir = dir
	}
	s, err := start(o, signals)
	if err != nil {
		return 1, err
	}
	sayf("private database: %s %s", s.Engine(), s.Version())
	code, err := runCommand(command, append(os.Environ(),
		"MEMS_TEST_DATABASE_URL="+s.DSN(""), "MEMS_TEST_DATABASE_ENGINE="+string(s.Engine())), signals)
	limit, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return code, errors.Join(err, s.Stop(limit))
}

// start starts the server; a signal cancels the start.
func start(o localdb.Options, signals <-chan os.Signal) (*localdb.Server, error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	started := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case sig := <-signals:
			cancel(fmt.Errorf("stopped by a signal: %s", sig))
		case <-started:
		}
	}()
	s, err := localdb.Start(ctx, o)
	close(started)
	<-watched
	if stopped := context.Cause(ctx); stopped != nil {
		if err == nil {
			_ = s.Stop(ctx)
		}
		return nil, stopped
	}
	cancel(nil)
	return s, err
}

func runCommand(command, env []string, signals <-chan os.Signal) (int, error) {
	cmd := exec.CommandContext(context.Background(), command[0], command[1:]...) //nolint:gosec // G204: running a command is what this is for
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = os.Stdin, os.Stdout, os.Stderr, env
	if err := cmd.Start(); err != nil {
		return 127, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case sig := <-signals:
			if fromTerminal(sig) {
				continue
			}
			_ = cmd.Process.Signal(sig) // it may just have ended
		case err := <-ended:
			return exitCode(err)
		}
	}
}

// fromTerminal reports whether a signal was typed in a terminal, in which case the command
// got it, too; a second interrupt often means "immediately, without cleaning up".
func fromTerminal(sig os.Signal) bool {
	if sig != os.Interrupt && sig != syscall.SIGQUIT {
		return false
	}
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	_ = tty.Close()
	return true
}

func exitCode(err error) (int, error) {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		if err != nil {
			return 1, err
		}
		return 0, nil
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return exit.ExitCode(), nil
}
