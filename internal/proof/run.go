package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"
)

// carryOut runs clients and faults until the duration is over, then lets every client
// finish against healthy servers.
func carryOut(ctx context.Context, f *field, h *history, r *result, say io.Writer) error {
	end := h.began.Add(r.duration)
	var clients sync.WaitGroup
	for number := range r.clients {
		c := &client{f: f, h: h, number: number, random: rand.New(rand.NewPCG(r.seed, uint64(number)))} //nolint:gosec // G404: a plan
		clients.Go(func() {
			for time.Now().Before(end) && ctx.Err() == nil {
				c.act(ctx)
			}
		})
	}
	plan := rand.New(rand.NewPCG(r.seed, 1<<32)) //nolint:gosec // G404: a plan
	for ctx.Err() == nil && time.Until(end) > 0 {
		time.Sleep(min(time.Until(end), time.Duration(1000+plan.IntN(2000))*time.Millisecond))
		if time.Until(end) <= 0 {
			break
		}
		what, err := f.inject(ctx, plan)
		if err != nil {
			return err
		}
		r.injected++
		_, _ = fmt.Fprintf(say, "%5.1f s  %-22s %s\n", time.Since(h.began).Seconds(), what, h.summary())
	}
	clients.Wait()
	return ctx.Err()
}

// inject carries out one fault and heals it.
func (f *field) inject(ctx context.Context, plan *rand.Rand) (string, error) {
	number := plan.IntN(len(f.servers))
	pause := time.Duration(plan.IntN(1000)) * time.Millisecond
	if plan.IntN(3) == 0 {
		return f.ground.strike(ctx, plan, pause)
	}
	f.servers[number].kill()
	time.Sleep(pause)
	return fmt.Sprintf("killed server %d", number), f.start(ctx, f.servers[number])
}
