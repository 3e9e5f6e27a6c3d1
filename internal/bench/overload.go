package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// maxOpen is the maximum number of connections of an open load: refused clients try again,
// they do not multiply.
const maxOpen = 2000

// overload sends bookings at a constant rate, independent of responses (an open load), at four
// fifths and at three times the server's capacity.
func (b *bench) overload(ctx context.Context, o options, book func(*httpClient) (int, error)) error {
	connections := make([]*httpClient, 32)
	for i := range connections {
		var err error
		if connections[i], err = dial(ctx, b.address); err != nil {
			return err
		}
	}
	closed, err := round(ctx, len(connections), o.duration, func(_ context.Context, worker int) error {
		return expect(201)(book(connections[worker]))
	})
	if err != nil {
		return err
	}
	fmt.Printf("\nBookings manages: %.0f/s by 32 clients, p99 %s\n\n", closed.perSecond, ms(percentile(closed.latencies, 0.99)))
	fmt.Println("| offered/s | booked/s | p50 | p99 | refused at once (503)/s | p50 | p99 | failed |")
	fmt.Println("|--:|--:|--:|--:|--:|--:|--:|--:|")
	for _, times := range []float64{0.8, 3} {
		if err := b.offer(ctx, times*closed.perSecond, 2*o.duration, book); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) offer(ctx context.Context, perSecond float64, length time.Duration, book func(*httpClient) (int, error)) error {
	free := make(chan *httpClient, maxOpen)
	var open, failed atomic.Int64
	var mu sync.Mutex
	latencies := map[int][]time.Duration{}
	var wg sync.WaitGroup
	start := time.Now()
	sent := 0
	for time.Since(start) < length && ctx.Err() == nil {
		due := int(perSecond * time.Since(start).Seconds())
		for ; sent < due; sent++ {
			var c *httpClient
			select {
			case c = <-free:
			default:
				if open.Add(1) > maxOpen {
					open.Add(-1)
					failed.Add(1)
					continue
				}
				var err error
				if c, err = dial(ctx, b.address); err != nil {
					return err
				}
			}
			began := time.Now()
			wg.Go(func() {
				status, err := book(c)
				took := time.Since(began)
				if err != nil {
					failed.Add(1)
					open.Add(-1)
					return
				}
				free <- c
				mu.Lock()
				latencies[status] = append(latencies[status], took)
				mu.Unlock()
			})
		}
		time.Sleep(time.Millisecond)
	}
	wg.Wait()
	seconds := time.Since(start).Seconds()
	refused := "| 0 | | |"
	if n := len(latencies[503]); n > 0 {
		refused = fmt.Sprintf("| %.0f | %s | %s |", float64(n)/seconds, ms(percentile(latencies[503], 0.5)), ms(percentile(latencies[503], 0.99)))
	}
	for status := range latencies {
		if status != 201 && status != 503 {
			return fmt.Errorf("a booking was answered with %d", status)
		}
	}
	fmt.Printf("| %.0f | %.0f | %s | %s %s %d |\n", perSecond, float64(len(latencies[201]))/seconds,
		ms(percentile(latencies[201], 0.5)), ms(percentile(latencies[201], 0.99)), refused, failed.Load())
	return nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/1e6) }
