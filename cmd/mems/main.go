// Command mems runs the Medical Encounter Management System: the scheduling backend of an
// outpatient clinic. "mems help" lists its commands.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		signal.Notify(signals, syscall.SIGHUP) // the terminal was closed
	}
	go func() {
		<-signals
		signal.Stop(signals) // before the command learns of it: a second signal ends the process immediately
		cancel()
	}()
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	// exitConfig reports a wrong setting, with which a restart is useless: EX_CONFIG of
	// sysexits.h. The systemd units know it. (2 would also be a crash of a Go program.)
	exitConfig = 78
)

// program is the environment of a command.
type program struct {
	config
	command  string // name of the command
	service  string // directory of the installed service's settings; empty for none
	out, err io.Writer
	serving  bool   // requests are being served
	notify   string // the service manager's socket; empty for none
}

// afterStopping says what to do after interrupting a command, where it matters.
var afterStopping = map[string]string{
	"demo": " The sample data added so far stays, and the command cannot resume: \"mems reset --yes-destroy-all-data\" " +
		"removes it (and everything else in the database); then run the command again",
	"migrate": " Run the same command again to resume",
	"restore": " Run the same command again to start over. (After the checksums, \"mems restore --finish\" completes it instead)",
	"replay":  " If any of its output was applied, the restore must not be finished: start over with \"mems restore --log-follows\"",
}

// usageError reports an invalid command line.
type usageError struct{ message string }

func (e usageError) Error() string { return e.message }

// settingError reports a wrong setting that only starting could reveal.
type settingError struct{ error }

func (e settingError) Unwrap() error { return e.error }

// run is main without exiting the process, so that tests can call it repeatedly.
func run(ctx context.Context, args, environ []string, out, errOut io.Writer) int {
	if len(args) == 0 {
		printHelp(errOut)
		return exitUsage
	}
	name, args := args[0], args[1:]
	switch name {
	case "help", "-h", "-help", "--help":
		return help(args, out, errOut)
	case "--version":
		name = "version"
	}
	c, known := commandNamed(name)
	if !known {
		_, _ = fmt.Fprintf(errOut, "mems: unknown command %q; see \"mems help\"\n", name)
		return exitUsage
	}
	if wantsHelp(args) {
		printCommandHelp(out, c)
		return exitOK
	}
	args, environ, err := takeFlags(args, environ)
	if err != nil {
		_, _ = fmt.Fprintf(errOut, "mems: %v\n", err)
		return exitUsage
	}
	environ, service, err := withService(name, environ)
	if err != nil {
		_, _ = fmt.Fprintf(errOut, "mems: %v\n", err)
		return exitConfig
	}
	cfg, err := readConfig(environ)
	p := &program{config: cfg, command: name, service: service, out: out, err: errOut}
	if err != nil {
		p.complain("mems", locateFaults(err, service))
		return exitConfig
	}
	p.warnOfReaders(p.secretFiles()...)
	err = c.run(ctx, p, args)
	if name == "serve" && err != nil && ctx.Err() != nil && !p.serving {
		p.say("stopped.") // during the start; any error is a consequence of that
		return exitOK
	}
	if err != nil && ctx.Err() != nil && !p.serving && errors.Is(err, context.Canceled) {
		p.say("stopped.%s", afterStopping[name])
		return exitFailed
	}
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		_, _ = fmt.Fprintf(errOut, "mems %s: %v\nSee \"mems help %s\".\n", name, err, name)
		return exitUsage
	default:
		p.complain("mems "+name, err)
		if errors.As(err, &settingError{}) {
			return exitConfig
		}
		return exitFailed
	}
}
