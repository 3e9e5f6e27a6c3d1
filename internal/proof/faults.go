package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// fault is one thing that goes wrong, and is put right again before inject returns.
type fault struct {
	name string
	// atLeast is how long it takes: none is begun that the run has no time for.
	atLeast time.Duration
	inject  func(ctx context.Context, plan *rand.Rand) (detail string, err error)
}

// band is a fault as it was injected, in time since the beginning of the run.
type band struct {
	name, detail string
	from, to     time.Duration
}

// faults are those of the servers, the database and the operators that the field knows.
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

// deck deals each kind of fault once before any comes again, in an order that the seed
// gives.
type deck struct {
	plan *rand.Rand
	all  []fault
	left []fault
}

// next returns a fault that fits into the time, false when none of them does.
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

// chosen are the faults with the given names, separated by commas; all without names.
func chosen(all []fault, names string) []fault {
	if names == "" {
		return all
	}
	var some []fault
	for _, one := range all {
		if slices.Contains(strings.Split(names, ","), one.name) {
			some = append(some, one)
		}
	}
	return some
}

// between is a random duration of whole milliseconds.
func between(plan *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(plan.Int64N(int64((to-from)/time.Millisecond)))*time.Millisecond
}

// pause waits, or ends with ctx.
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

// stopServer has a server stand still with all that it holds, and go on as if nothing
// had been.
func (f *field) stopServer(ctx context.Context, plan *rand.Rand) (string, error) {
	return f.suspend(ctx, plan, between(plan, time.Second, 6*time.Second))
}

// hangServer has it stand still for longer than the database waits for it: what it holds
// must not keep the others from the calendars all the time.
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

// rollingRestart restarts the servers one by one, as an upgrade does: SIGTERM, and the
// next one when this one is ready again. No request may fail.
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

// jumpClock sets one server's clock forward or back for a while.
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

// setClock tells a server built with the tag "proof" how far its clock is off.
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

// migrate takes the newest step of the schema back and carries it out again.
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
