// Command mems runs the Medical Encounter Management System: the scheduling
// backend of an outpatient clinic. "mems help" lists what it can do.
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
	if !signal.Ignored(syscall.SIGHUP) { // as nohup does
		signal.Notify(signals, syscall.SIGHUP) // the terminal is closed
	}
	go func() {
		<-signals
		signal.Stop(signals) // before anybody is told: a second signal ends the process at once
		cancel()
	}()
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	// exitConfig says that a setting is wrong, so that starting again is of no use:
	// EX_CONFIG of sysexits.h. The units of systemd know it. (2 would also be a Go
	// program's crash.)
	exitConfig = 78
)

// program is what every command gets.
type program struct {
	config
	command  string // its name
	service  string // where the installed service's settings were taken from; empty for nowhere
	out, err io.Writer
	serving  bool   // requests are answered
	notify   string // the service manager's socket; empty without one
}

// afterStopping is what to do after a command that was interrupted, where it matters.
var afterStopping = map[string]string{
	"demo": " The sample data added so far stays, and the command cannot resume: \"mems reset --yes-destroy-all-data\" " +
		"removes it (and everything else in the database); then run the command again",
	"migrate": " Run the same command again to resume",
	"restore": " Run the same command again to start over. (After the checksums, \"mems restore --finish\" completes it instead)",
	"replay":  " If any of its output was applied, the restore must not be finished: start over with \"mems restore --log-follows\"",
}

// usageError says that the command line is wrong; the message says how.
type usageError struct{ message string }

func (e usageError) Error() string { return e.message }

// settingError says that a setting is wrong, which only the start could tell.
type settingError struct{ error }

func (e settingError) Unwrap() error { return e.error }

// run is main without its process: tests call it as often as they like.
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
		p.say("stopped.") // while it was starting; what that broke off is nobody's fault
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
