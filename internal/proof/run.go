package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"
)

// carryOut runs clients and faults for the duration, then lets every client finish with
// healthy servers.
func carryOut(ctx context.Context, f *field, h *history, r *result, say io.Writer) error {
	weights, err := weighted(r.operations)
	if err != nil {
		return err
	}
	weights = withRush(weights, r.rush)
	end := h.began.Add(r.duration)
	f.wire.began = h.began
	watching, stop := context.WithCancel(ctx)
	defer stop()
	f.wire.watch(watching, f.servers)
	var clients, others sync.WaitGroup
	for number := range r.clients {
		c := &client{f: f, h: h, number: number, seed: r.seed, weights: weights, random: rand.New(rand.NewPCG(r.seed, uint64(number)))} //nolint:gosec // G404: pauses
		clients.Go(func() {
			for time.Now().Before(end) && ctx.Err() == nil {
				c.act(ctx)
			}
		})
	}
	others.Go(func() { r.stale = f.witness(watching, rand.New(rand.NewPCG(r.seed, 1<<33))) })           //nolint:gosec // G404: a plan
	others.Go(func() { r.backstop = f.intrude(watching, rand.New(rand.NewPCG(r.seed, 1<<34)), f.day) }) //nolint:gosec // G404: a plan
	err = r.torment(ctx, f, end, say)
	clients.Wait()
	r.lasted = time.Since(h.began)
	stop()
	others.Wait()
	if err != nil {
		return err
	}
	return ctx.Err()
}

// torment injects one fault after the other, with pauses for recovery.
func (r *result) torment(ctx context.Context, f *field, end time.Time, say io.Writer) error {
	plan := rand.New(rand.NewPCG(r.seed, 1<<32)) //nolint:gosec // G404: a plan
	all, err := chosen(f.faults(), r.faults)
	if err != nil {
		return err
	}
	d := &deck{plan: plan, all: all}
	for ctx.Err() == nil {
		pause(ctx, min(time.Until(end), between(plan, time.Second, 3*time.Second)))
		one, found := d.next(time.Until(end))
		if !found {
			pause(ctx, time.Until(end))
			return nil
		}
		b := band{name: one.name, from: time.Since(f.wire.began)}
		detail, err := one.inject(ctx, plan)
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
		b.detail, b.to = detail, time.Since(f.wire.began)
		r.bands = append(r.bands, b)
		_, _ = fmt.Fprintf(say, "%6.1f s  %-22s %-36s %s\n", b.to.Seconds(), b.name, b.detail, r.history.summary())
	}
	return ctx.Err()
}
