// Command bench measures MEMS through HTTP, beside the same SQL run directly,
// and prints the result as Markdown:
//
//	go run ./internal/bench [-sizes 10000,1000000] [-clients 1,8,32] [-duration 2s] [-rounds 5] [-engine mariadb|mysql] [-only book] [-server-log error] [-quick]
//
// It starts a private, durable database and a real "mems serve", fills the clinic, and then
// alternates short rounds over HTTP and directly, so that drifts of the machine's speed affect
// both equally. Load generator, server and database share the cores: the figures are those of
// one small machine, not of the server alone.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"mems/internal/localdb"
	"mems/internal/program"
)

type options struct {
	sizes, clients []int
	duration       time.Duration
	rounds         int
	entries        int // in the audit trail
	engine         string
	only           string // measure only scenarios with this in their name
	serverLog      string // MEMS_LOG_LEVEL of the server
	batches        bool   // MEMS_BOOKING_BATCHES of the server
}

func main() {
	// Not stopped: the process ends with main.
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var o options
	sizes := flag.String("sizes", "10000,1000000", "appointments in the clinic")
	clients := flag.String("clients", "1,8,32", "concurrent clients")
	flag.DurationVar(&o.duration, "duration", 2*time.Second, "length of a round")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds of each measurement; medians are printed")
	flag.StringVar(&o.engine, "engine", "mariadb", "mariadb or mysql")
	flag.StringVar(&o.only, "only", "", "measure only what has this in its name, such as book; overload offers three times as much as is managed, fair lets many book at once beside readers, refuse measures refusals among 953 doctors, trail reads an audit trail of -entries, naive compares with a server that checks and then inserts")
	flag.IntVar(&o.entries, "entries", 10_000_000, "entries of the audit trail that -only trail asks, in hundreds of thousands; ten million take about ten minutes to fill")
	flag.StringVar(&o.serverLog, "server-log", "info", "log level of the server, by default its own: a line for each request")
	flag.BoolVar(&o.batches, "batches", true, "decide bookings that arrive together in one transaction (MEMS_BOOKING_BATCHES)")
	quick := flag.Bool("quick", false, "a smoke run of seconds, whose figures mean nothing")
	flag.Parse()
	var err error
	if o.sizes, err = numbers(*sizes); err == nil {
		o.clients, err = numbers(*clients)
	}
	if *quick {
		patients = quickPatients
		o.sizes, o.clients, o.duration, o.rounds = []int{4000}, []int{1, 4}, 200*time.Millisecond, 1
	}
	if err == nil {
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func numbers(list string) ([]int, error) {
	var all []int
	for field := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is not a list of numbers", list)
		}
		all = append(all, n)
	}
	return all, nil
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "mems-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()

	say("building mems")
	binary, err := program.Build(ctx, dir)
	if err != nil {
		return err
	}
	db, err := localdb.Start(ctx, localdb.Options{
		Dir: filepath.Join(dir, "db"), Engine: localdb.Engine(o.engine), Durable: true, Install: true, BufferPoolMB: 1536, Log: say,
	})
	if err != nil {
		return err
	}
	defer func() {
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		_ = db.Stop(limit) // the data are deleted anyway
	}()
	about, err := machine(ctx, o, db)
	if err != nil {
		return err
	}
	fmt.Print(about)
	for _, size := range o.sizes {
		if err := measure(ctx, o, db, binary, size); err != nil {
			return fmt.Errorf("%d appointments: %w", size, err)
		}
	}
	return nil
}
