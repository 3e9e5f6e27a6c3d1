package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
	"time"
)

// fault is a failure that inject causes and repairs before it returns.
type fault struct {
	name string
	// atLeast is the fault's minimum duration: one that the run has no time for is not
	// injected.
	atLeast time.Duration
	inject  func(ctx context.Context, plan *rand.Rand) (detail string, err error)
}

// band is an injected fault, in time since the start of the run.
type band struct {
	name, detail string
	from, to     time.Duration
}

// faults lists the faults of the servers, the database and the operators.
func (f *field) faults() []fault {
	all := []fault{
		{"server killed", time.Second, f.killServer},
		{"server stopped", 2 * time.Second, f.stopServer},
		{"server hung", 35 * time.Second, f.hangServer},
		{"rolling restart", 6 * time.Second, f.rollingRestart},
		{"clock jump", 2 * time.Second, f.jumpClock},
		{"migration down and up", 6 * time.Second, f.migrate},
	}
	if f.ground.disk() != nil {
		all = append(all, fault{diskFull, 12 * time.Second, f.fillDisk})
	}
	return append(all, f.ground.faults()...)
}

// deck deals each fault once before any is repeated, in an order determined by the seed.
type deck struct {
	plan *rand.Rand
	all  []fault
	left []fault
}

// next returns a fault that fits into the remaining time, false when none does.
func (d *deck) next(left time.Duration) (fault, bool) {
	for range 2 {
		for i, one := range d.left {
			if one.atLeast <= left {
				d.left = append(append([]fault{}, d.left[:i]...), d.left[i+1:]...)
				return one, true
			}
		}
		d.left = append([]fault{}, d.all...)
		d.plan.Shuffle(len(d.left), func(i, j int) { d.left[i], d.left[j] = d.left[j], d.left[i] })
	}
	return fault{}, false
}

// chosen returns the faults with these names, separated by commas; all of them without
// names.
func chosen(all []fault, names string) ([]fault, error) {
	return named(all, names, "fault of this engine", func(f fault) string { return f.name })
}

// between returns a random duration of whole milliseconds.
func between(plan *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(plan.Int64N(int64((to-from)/time.Millisecond)))*time.Millisecond
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (f *field) killServer(ctx context.Context, plan *rand.Rand) (string, error) {
	n := plan.IntN(len(f.servers))
	down := between(plan, 0, time.Second)
	f.servers[n].kill()
	pause(ctx, down)
	return fmt.Sprintf("server %d, kill -9, down %s", n+1, down), f.start(ctx, f.servers[n])
}

// stopServer pauses a server, with all its locks, and lets it continue.
func (f *field) stopServer(ctx context.Context, plan *rand.Rand) (string, error) {
	return f.suspend(ctx, plan, between(plan, time.Second, 6*time.Second))
}

// hangServer pauses a server for longer than the database waits for it: its locks must not
// block the others for the whole time.
func (f *field) hangServer(ctx context.Context, plan *rand.Rand) (string, error) {
	return f.suspend(ctx, plan, 30*time.Second)
}

func (f *field) suspend(ctx context.Context, plan *rand.Rand, still time.Duration) (string, error) {
	n := plan.IntN(len(f.servers))
	if f.servers[n].running == nil {
		return "", fmt.Errorf("server %d is down", n+1)
	}
	pid := f.servers[n].running.PID()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return "", err
	}
	pause(ctx, still)
	return fmt.Sprintf("server %d, SIGSTOP %s", n+1, still), syscall.Kill(pid, syscall.SIGCONT)
}

// rollingRestart restarts the servers one by one with SIGTERM, as an upgrade does, waiting
// for each to be ready. No request may fail.
func (f *field) rollingRestart(ctx context.Context, _ *rand.Rand) (string, error) {
	for _, t := range f.servers {
		t.running.Stop()
		if err := f.start(ctx, t); err != nil {
			return "", err
		}
		for limit := time.Now().Add(30 * time.Second); !t.ready.Load(); pause(ctx, 50*time.Millisecond) {
			if time.Now().After(limit) || ctx.Err() != nil {
				return "", fmt.Errorf("the server at %s is not ready after a restart (%w)", t.address, ctx.Err())
			}
		}
	}
	return "SIGTERM, one by one", nil
}

// jumpClock shifts one server's clock forward or back for a while.
func (f *field) jumpClock(ctx context.Context, plan *rand.Rand) (string, error) {
	n := plan.IntN(len(f.servers))
	offset := between(plan, 5*time.Second, 2*time.Minute)
	if plan.IntN(2) == 0 {
		offset = -offset
	}
	if err := f.servers[n].setClock(offset); err != nil {
		return "", err
	}
	pause(ctx, between(plan, 2*time.Second, 6*time.Second))
	return fmt.Sprintf("server %d, %+.0f s", n+1, offset.Seconds()), f.servers[n].setClock(0)
}

// setClock shifts the clock of a server built with the tag "proof".
func (t *target) setClock(offset time.Duration) error {
	return t.writeClock(strconv.FormatInt(int64(offset), 10))
}

func (t *target) writeClock(text string) error {
	draft := t.clock + ".new"
	if err := os.WriteFile(draft, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(draft, t.clock)
}

// migrate reverts the newest migration and applies it again.
func (f *field) migrate(ctx context.Context, plan *rand.Rand) (string, error) {
	if out, err := f.mems(ctx, "migrate", "down", "--yes"); err != nil {
		return "", fmt.Errorf("migrate down: %w\n%s", err, out)
	}
	pause(ctx, between(plan, 0, time.Second))
	if out, err := f.mems(ctx, "migrate", "up"); err != nil {
		return "", fmt.Errorf("migrate up: %w\n%s", err, out)
	}
	return "the newest step", nil
}
