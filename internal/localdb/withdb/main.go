// Command withdb runs another command beside a private database server:
//
//	go run ./internal/localdb/withdb [-engine mariadb|mysql] -- go test ./...
//
// The command finds the server's address in MEMS_TEST_DATABASE_URL. The server
// and its data are gone when the command has ended. If the variable is already
// set, that server is used and none is started.
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
	engine := flag.String("engine", "", "mariadb or mysql; empty: whatever is found")
	durable := flag.Bool("durable", false, "flush every commit to the disk")
	flag.Parse()
	code, err := run(localdb.Engine(*engine), *durable, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "withdb:", err)
	}
	os.Exit(code)
}

func run(engine localdb.Engine, durable bool, command []string) (int, error) {
	if len(command) == 0 {
		return 2, errors.New("no command: withdb [-engine mariadb|mysql] -- COMMAND ARGUMENTS")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	env := os.Environ()
	if os.Getenv("MEMS_TEST_DATABASE_URL") == "" {
		dir, err := os.MkdirTemp("", "mems-withdb-")
		if err != nil {
			return 1, err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		log := func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
		s, err := localdb.Start(ctx, localdb.Options{Dir: dir, Engine: engine, Durable: durable, Install: true, BufferPoolMB: 512, Log: log})
		if err != nil {
			return 1, err
		}
		defer func() {
			limit, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			_ = s.Stop(limit) // whatever happens, the data are thrown away
		}()
		fmt.Fprintf(os.Stderr, "private database: %s %s\n", s.Engine(), s.Version())
		env = append(env, "MEMS_TEST_DATABASE_URL="+s.DSN(""), "MEMS_TEST_DATABASE_ENGINE="+string(s.Engine()))
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // G204: running a command is what this is for
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = os.Stdin, os.Stdout, os.Stderr, env
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), nil
	}
	if err != nil {
		return 1, err
	}
	return 0, nil
}
