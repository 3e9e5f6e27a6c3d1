package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// fair measures how requests share the server under load: clients that book many doctors, and
// clients that book one doctor while others read other doctors' days. All are closed loops:
// each sends its next request after the response to the last one; after a 503 immediately or,
// if it pauses, after the shortest possible Retry-After.
func (b *bench) fair(ctx context.Context, o options) error {
	fmt.Println("\n| bookers | of | booked/s | p50 | p99 | 503 | 409 | readers | reads/s | p50 | p99 | 503 |")
	fmt.Println("|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
	for _, c := range []struct {
		bookers, readers int
		one              bool
		pause            time.Duration
	}{{0, 20, false, 0}, {40, 0, false, 0}, {64, 0, false, 0}, {64, 20, false, 0}, {64, 20, true, 0}, {300, 20, true, 0}, {300, 20, true, time.Second}} {
		if err := b.crowd(ctx, o, c.bookers, c.readers, c.one, c.pause); err != nil {
			return err
		}
	}
	return nil
}

// tally counts the responses to one kind of client.
type tally struct {
	mu       sync.Mutex
	served   []time.Duration
	statuses map[int]int
}

func (t *tally) add(status int, took time.Duration, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ok {
		t.served = append(t.served, took)
		return
	}
	if t.statuses == nil {
		t.statuses = map[int]int{}
	}
	t.statuses[status]++
}

func (t *tally) columns(length time.Duration) string {
	if len(t.served) == 0 {
		return "0 | | "
	}
	return fmt.Sprintf("%.0f | %s | %s", float64(len(t.served))/length.Seconds(), ms(percentile(t.served, 0.5)), ms(percentile(t.served, 0.99)))
}

func (b *bench) crowd(ctx context.Context, o options, bookers, readers int, one bool, pause time.Duration) error {
	var booked, read tally
	var clients sync.WaitGroup
	errs := make(chan error, bookers+readers)
	end := time.Now().Add(o.duration)
	run := func(t *tally, want int, send func(*httpClient) (int, error)) {
		c, err := dial(ctx, b.address)
		if err != nil {
			errs <- err
			return
		}
		defer func() { _ = c.conn.Close() }()
		for time.Now().Before(end) && ctx.Err() == nil {
			began := time.Now()
			status, err := send(c)
			if err != nil {
				errs <- err
				return
			}
			t.add(status, time.Since(began), status == want)
			if status == http.StatusServiceUnavailable {
				time.Sleep(pause)
			}
		}
	}
	for range bookers {
		clients.Go(func() {
			run(&booked, 201, func(c *httpClient) (int, error) {
				k := b.booking()
				if one {
					k.DoctorID = doctors
					k.Start = b.horizon.Add(time.Duration(b.taken[doctors-1].Add(1)) * 15 * time.Minute)
				}
				return c.send("POST", "/appointments", bookingBody(k))
			})
		})
	}
	for range readers {
		clients.Go(func() {
			run(&read, 200, func(c *httpClient) (int, error) {
				return c.send("GET", fmt.Sprintf("/appointments?date=%s&doctor_id=%d", b.today, 1+b.next.Add(1)%(doctors-1)), nil)
			})
		})
	}
	clients.Wait()
	select {
	case err := <-errs:
		return err
	default:
	}
	of := map[bool]string{true: "one doctor", false: "many doctors"}[one]
	if pause > 0 {
		of += ", pausing after a 503"
	}
	fmt.Printf("| %d | %s | %s | %d | %d | %d | %s | %d |\n", bookers, of, booked.columns(o.duration), booked.statuses[503], booked.statuses[409],
		readers, read.columns(o.duration), read.statuses[503])
	return nil
}
