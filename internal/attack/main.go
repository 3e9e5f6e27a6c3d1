// Command attack runs hostile clients against real servers and reports which defences hold.
// It starts a private database and its own "mems serve" processes, connects to loopback only,
// and has a time limit. "attack -help" explains the rest.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"
)

const help = `attack: hostile clients against a real MEMS, to see which defences hold.

  go run ./internal/attack [-size small|full] [-only WORD[,WORD]] [-engine mariadb|mysql] [-spoil] [-list]
  make attack             ATTACKARGS='-size full -only slow' chooses

It builds mems, starts a private database and servers on free ports of 127.0.0.1, and
attacks nothing else. Data and processes are gone at the end.

  -size small   about a minute, for every change (default)
  -size full    at most five minutes: more clients, longer waits
  -only WORD    attacks with one of these words in their name; -list shows the names
  -spoil        puts a careless proxy before the servers, which undoes defences: it hides
                Host and Origin, holds slow clients for ever, keeps revoked keys alive and
                is slow. Attacks must then say BROKEN: this shows that they can fail
  -engine       of the private database; empty takes what the machine has

The table has a line for each attack: what was tried, what happened, and "holds" or
"BROKEN". An attack that could not be carried out is BROKEN too: nothing was shown.
The exit status is 0 when everything holds, 1 when something is broken, 2 for wrong words.
Latencies depend on the machine: its cores are shared by attackers, server and database.

What to do about BROKEN: run that attack alone (-only NAME). The defences and their tests
are listed in .github/SECURITY.md.
`

// options are the command line.
type options struct {
	full   bool
	only   []string
	engine string
	spoil  bool
}

// pick returns the value for the size of the run.
func pick[T any](o options, small, full T) T {
	if o.full {
		return full
	}
	return small
}

func (o options) wants(a attack) bool {
	if len(o.only) == 0 {
		return true
	}
	for _, word := range o.only {
		if strings.Contains(a.name, word) {
			return true
		}
	}
	return false
}

func main() {
	// Not stopped: the process ends with main.
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	os.Exit(command(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// command runs the program and returns the exit status.
func command(ctx context.Context, args []string, out, say io.Writer) int {
	var o options
	flags := flag.NewFlagSet("attack", flag.ContinueOnError)
	flags.SetOutput(say)
	flags.Usage = func() { _, _ = fmt.Fprint(say, help) }
	size := flags.String("size", "small", "")
	only := flags.String("only", "", "")
	flags.StringVar(&o.engine, "engine", "", "")
	flags.BoolVar(&o.spoil, "spoil", false, "")
	list := flags.Bool("list", false, "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	if *size != "small" && *size != "full" || flags.NArg() > 0 {
		_, _ = fmt.Fprintf(say, "attack: -size is small or full, and there are no other words: %q\n\n%s", args, help)
		return 2
	}
	o.full = *size == "full"
	o.only = strings.FieldsFunc(*only, func(r rune) bool { return r == ',' })
	var chosen []attack
	for _, a := range attacks {
		if o.wants(a) {
			chosen = append(chosen, a)
		}
	}
	if len(chosen) == 0 {
		_, _ = fmt.Fprintf(say, "attack: no attack is named like %q; -list shows the names\n", *only)
		return 2
	}
	if *list {
		for _, a := range chosen {
			_, _ = fmt.Fprintf(out, "%-18s %s\n", a.name, a.tries)
		}
		return 0
	}
	limit, cancel := context.WithTimeout(ctx, pick(o, 3*time.Minute, 5*time.Minute)) // against hanging; each attack has its own limit
	defer cancel()
	results, err := run(limit, o, chosen, say)
	if err != nil {
		_, _ = fmt.Fprintln(say, "attack:", err)
		return 1
	}
	return report(out, results)
}

// attack is one kind of hostile client.
type attack struct {
	name, tries string
	// patient attacks mostly wait, so they run concurrently.
	patient bool
	// run executes the attack. Its error says how the defence failed.
	run func(context.Context, *field) (happened string, err error)
}

// attacks lists all attacks in the order of the table.
var attacks = []attack{
	{"rebinding", "a website's own name for 127.0.0.1 in Host, on a server without authentication", true, rebinding},
	{"open-proxy", "a reverse proxy in front of a server without authentication", true, openProxy},
	{"forms", "pages of another site change records, by form and by script", true, forms},
	{"foreign-links", "links that follow a foreign Host", true, foreignLinks},
	{"cors-wildcard", "origins by pattern in MEMS_CORS_ORIGINS", true, corsWildcard},
	{"smuggling", "two lengths, bare line feeds, folded and doubled headers, bad chunks", true, smuggling},
	{"slow-headers", "connections that send one header line per second", true, slowHeaders},
	{"slow-body", "connections that send one byte of the body per second", true, slowBody},
	{"slow-reader", "clients that send requests and do not read the responses", true, slowReader},
	{"revoked-key", "a revoked key, used at another process than the one that revoked it", true, revokedKey},
	{"revoked-stream", "an open stream of a revoked key, with a change every second", true, revokedStream},
	{"restore-files", "backups with commands, grants and triggers, modified and unsigned backups", true, restoreFiles},
	{"nat", "wrong keys and public reads from the address of good keys", true, sharedAddress},
	{"ipv6-prefix", "wrong keys from many addresses of one /64", true, ipv6Prefix},
	{"hoard-streams", "one caller opens streams", true, hoardStreams},
	{"hoard-holds", "a partner places one hold after the other", true, hoardHolds},
	{"hoard-waitlist", "a partner fills the waitlist", true, hoardWaitlist},
	{"bodies", "deeply nested JSON, huge numbers, compressed and oversized bodies", false, hostileBodies},
	{"recurrence-bomb", "recurrence rules that match once in centuries, 20 per second", false, recurrenceBomb},
	{"series-bomb", "series of 100 days that must all be free, 20 per second", false, seriesBomb},
	{"search-bomb", "availability of all doctors, largest pages and FHIR searches, 20 per second", false, searchBomb},
	{"race", "identical bookings sent concurrently", false, race},
	{"readers", "reads of other doctors while many clients book one doctor", false, readersBeside},
	{"memory", "the servers' memory after the other attacks", false, memoryAfter}, // the last
}

// result is a row of the table.
type result struct {
	attack
	happened string
	err      error
	took     time.Duration
}

// run executes the attacks: first those that wait, concurrently, then those that load the
// server, one by one.
func run(ctx context.Context, o options, chosen []attack, say io.Writer) ([]result, error) {
	f, err := newField(ctx, o, say)
	if err != nil {
		return nil, err
	}
	defer f.close() //nolint:contextcheck // also when ctx has ended
	results := make([]result, len(chosen))
	var saying sync.Mutex
	carryOut := func(i int) {
		began := time.Now()
		happened, err := chosen[i].run(ctx, f)
		results[i] = result{chosen[i], happened, err, time.Since(began)}
		saying.Lock()
		defer saying.Unlock()
		_, _ = fmt.Fprintf(say, "%-18s %s\n", chosen[i].name, verdict(err))
	}
	var waiting sync.WaitGroup
	for i, a := range chosen {
		if a.patient {
			waiting.Go(func() { carryOut(i) })
		}
	}
	waiting.Wait()
	for i, a := range chosen {
		if !a.patient {
			carryOut(i)
		}
	}
	return results, nil
}

func verdict(err error) string {
	if err != nil {
		return "BROKEN"
	}
	return "holds"
}

// report prints the table and returns the exit status.
func report(out io.Writer, results []result) int {
	broken := 0
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "ATTACK\tVERDICT\tSECONDS\tWHAT WAS TRIED\tWHAT HAPPENED")
	for _, r := range results {
		happened := r.happened
		if r.err != nil {
			broken++
			happened = strings.ReplaceAll(r.err.Error(), "\n", "; ")
		}
		if len(happened) > 600 {
			happened = strings.ToValidUTF8(happened[:600], "") + " ..."
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%.1f\t%s\t%s\n", r.name, verdict(r.err), r.took.Seconds(), r.tries, happened)
	}
	_ = w.Flush()
	if broken > 0 {
		_, _ = fmt.Fprintf(out, "\n%d of %d attacks got through\n", broken, len(results))
		return 1
	}
	_, _ = fmt.Fprintf(out, "\nall %d attacks are held off\n", len(results))
	return 0
}
