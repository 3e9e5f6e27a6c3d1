// Command proof books, reschedules and cancels on several real servers while it kills,
// pauses and cuts them off, and then checks every request and response against the tables:
// nothing is booked twice, and no acknowledged change is lost. "proof -help" and README.md
// explain the rest.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

const help = `proof: concurrent clients against servers that are killed, stopped and cut off, then checked.

  go run ./internal/proof [-engine mariadb|mysql|cluster] [-duration 3m] [-clients 16] [-seed N]
  make prove ENGINE=mariadb DURATION=3m

It builds mems, starts a private database and servers on free ports of 127.0.0.1, and
touches nothing else. The history is in -out.

  -engine     of the private database; cluster: three MySQL servers in a Group Replication group
  -duration   how long clients and faults go on (default 1m)
  -clients    how many clients at once (default 16)
  -servers    how many "mems serve" processes (default 3)
  -doctors    in the clinic, with patients and rooms in proportion (default 3); with more of them clients
              collide less often and get more done
  -seed       replays the plan of faults and what clients ask for; printed by every run
  -operations names of operations, separated by commas, instead of all: "book,reschedule,cancel,undo" keeps to
              doctors', patients' and rooms' calendars, and gets several times as much done
  -rush       percent of the steps in which all clients book one time at once, 48 attempts each (default 20)
  -faults     names of faults, separated by commas, instead of all that the engine has
  -can-fail   names of safeguards, separated by commas, or "all": proves a copy of the program
              without each, and fails unless it is caught within two minutes
  -out        folder for the history, the servers' logs and the report (default .tools/proof/ENGINE)

The exit status is 0 when no fault was found, 1 for a fault, 2 for wrong words.
`

// options are the command line.
type options struct {
	engine     string
	duration   time.Duration
	clients    int
	servers    int
	doctors    int
	seed       uint64
	operations string
	rush       int // percent of the steps
	faults     string
	binary     string // a built mems; empty: build it
	out        string
}

func main() {
	// Not stopped: the process ends with main.
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	os.Exit(command(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// command runs the program and returns the exit status.
func command(ctx context.Context, args []string, out, say io.Writer) int {
	var o options
	var spoilt string
	flags := flag.NewFlagSet("proof", flag.ContinueOnError)
	flags.SetOutput(say)
	flags.Usage = func() { _, _ = fmt.Fprint(say, help) }
	flags.StringVar(&o.engine, "engine", "mariadb", "")
	flags.DurationVar(&o.duration, "duration", time.Minute, "")
	flags.IntVar(&o.clients, "clients", 16, "")
	flags.IntVar(&o.servers, "servers", 3, "")
	flags.IntVar(&o.doctors, "doctors", 3, "")
	flags.Uint64Var(&o.seed, "seed", 0, "")
	flags.StringVar(&o.operations, "operations", "", "")
	flags.IntVar(&o.rush, "rush", 20, "")
	flags.StringVar(&o.faults, "faults", "", "")
	flags.StringVar(&spoilt, "can-fail", "", "")
	flags.StringVar(&o.out, "out", "", "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	if flags.NArg() > 0 || o.clients < 1 || o.servers < 1 || o.doctors < 1 || o.duration <= 0 || o.rush < 0 || o.rush > 100 ||
		!slices.Contains([]string{"mariadb", "mysql", "cluster"}, o.engine) {
		_, _ = fmt.Fprintf(say, "proof: %q is not understood\n\n%s", args, help)
		return 2
	}
	if _, err := weighted(o.operations); err != nil {
		_, _ = fmt.Fprintln(say, "proof:", err)
		return 2
	}
	if o.seed == 0 {
		o.seed = rand.Uint64() >> 1 //nolint:gosec // G404: chooses a plan, guards nothing
	}
	if o.out == "" {
		o.out = filepath.Join(".tools", "proof", o.engine)
	}
	if spoilt != "" {
		return canFail(ctx, o, spoilt, out, say)
	}
	r, err := prove(ctx, o, say)
	if err != nil {
		_, _ = fmt.Fprintln(say, "proof:", err)
		return 1
	}
	return conclude(out, r)
}

// result is the result of a run.
type result struct {
	options
	history  *history
	started  time.Time
	version  string        // of the database
	lasted   time.Duration // until the last response
	tries    []try
	bands    []band
	stale    check
	backstop check
	checks   []check
}

// check is one property and the faults found.
type check struct {
	name     string
	examined int
	faults   []string
}

func (c *check) fault(format string, args ...any) {
	if len(c.faults) < 20 { // the first ones tell
		c.faults = append(c.faults, fmt.Sprintf(format, args...))
	}
}

// prove runs clients and faults for the duration, waits for the last responses, and checks.
func prove(ctx context.Context, o options, say io.Writer) (*result, error) {
	if err := os.MkdirAll(o.out, 0o750); err != nil {
		return nil, err
	}
	_, _ = fmt.Fprintf(say, "proof: engine %s, %s, %d clients, %d servers, %d doctors, seed %d\n",
		o.engine, o.duration, o.clients, o.servers, o.doctors, o.seed)
	f, err := newField(ctx, o, say)
	if err != nil {
		return nil, err
	}
	defer f.close()
	h, err := newHistory(filepath.Join(o.out, "history.jsonl"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = h.close() }()
	r := &result{options: o, history: h, started: time.Now()}
	if err := carryOut(ctx, f, h, r, say); err != nil {
		return nil, err
	}
	r.tries = f.wire.tries
	if err := h.close(); err != nil {
		return nil, err
	}
	_, _ = fmt.Fprintf(say, "checking %d operations\n", len(h.ops))
	_ = f.db.Close() // the primary may be another node by now
	if f.db, err = f.ground.open(ctx); err != nil {
		return nil, err
	}
	if err := r.examine(ctx, f); err != nil {
		return nil, err
	}
	if err := f.db.QueryRowContext(ctx, `SELECT VERSION()`).Scan(&r.version); err != nil {
		return nil, err
	}
	copies, err := f.compareNodes(ctx)
	if err != nil {
		return nil, err
	}
	logs, err := f.readLogs()
	if err != nil {
		return nil, err
	}
	r.checks = append(r.checks, r.stale, r.backstop, copies, logs)
	return r, r.report()
}

// conclude prints the verdict and returns the exit status.
func conclude(out io.Writer, r *result) int {
	for _, c := range r.checks {
		verdict := "holds"
		if len(c.faults) > 0 {
			verdict = "BROKEN"
		}
		_, _ = fmt.Fprintf(out, "%-40s %-7s %d examined\n", c.name, verdict, c.examined)
		for _, fault := range c.faults {
			_, _ = fmt.Fprintln(out, "    "+fault)
		}
	}
	_, _ = fmt.Fprintf(out, "\n%-22s %5s  %-10s %s\n", "fault", "times", "no booking", "failed requests")
	for _, e := range r.effects() {
		_, _ = fmt.Fprintf(out, "%-22s %5d  %-10s %d of %d %s\n", e.name, e.times, seconds(e.silence), e.failed(), e.requests, e.verdict())
	}
	_, _ = fmt.Fprintf(out, "\n%s, seed %d: %s; %d faults injected; history and report.md in %s\n",
		r.engine, r.seed, r.history.summary(), len(r.bands), r.out)
	if n := r.faultsFound(); n > 0 {
		_, _ = fmt.Fprintf(out, "FOUND %d faults\n", n)
		return 1
	}
	_, _ = fmt.Fprintln(out, "no fault found")
	return 0
}
