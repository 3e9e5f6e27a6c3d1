package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// dribble opens connections that send first and then a piece per second, until the server
// closes them. It returns how long the longest was open, and how many were still open at the
// bound.
func (t *target) dribble(ctx context.Context, connections int, first, piece string, bound time.Duration) (longest time.Duration, left int, err error) {
	limit, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	var mu sync.Mutex
	var all sync.WaitGroup
	for range connections {
		all.Go(func() {
			began := time.Now()
			conn, dialed := (&net.Dialer{}).DialContext(limit, "tcp", t.Address())
			if dialed != nil {
				mu.Lock()
				err = dialed
				mu.Unlock()
				return
			}
			ended := make(chan struct{})
			go func() {
				_, _ = io.Copy(io.Discard, conn)
				close(ended)
			}()
			defer func() { _ = conn.Close() }()
			_, _ = io.WriteString(conn, first)
			for tick := time.NewTicker(time.Second); ; {
				select {
				case <-ended:
					tick.Stop()
					mu.Lock()
					longest = max(longest, time.Since(began))
					mu.Unlock()
					return
				case <-limit.Done():
					tick.Stop()
					mu.Lock()
					left++
					mu.Unlock()
					return
				case <-tick.C:
					_, _ = io.WriteString(conn, piece) // the reader notices that it is closed
				}
			}
		})
	}
	all.Wait()
	return longest, left, err
}

// beside reads like a receptionist until stop is called, which returns the latencies and
// failures.
func (t *target) beside(ctx context.Context, path, key string, every time.Duration) (stop func() (tally, []time.Duration)) {
	ctx, cancel := context.WithCancel(ctx)
	seen, latencies, done := tally{}, []time.Duration(nil), make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.NewTicker(every); ; {
			status, took := t.get(ctx, path, key)
			if ctx.Err() != nil {
				tick.Stop()
				return
			}
			seen[status]++
			latencies = append(latencies, took)
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case <-tick.C:
			}
		}
	}()
	return func() (tally, []time.Duration) {
		cancel()
		<-done
		return seen, latencies
	}
}

// served returns an error if reads were refused or took longer than bound.
func served(seen tally, latencies []time.Duration, bound time.Duration) error {
	p99 := percentile(latencies, 0.99)
	if len(seen) != 1 || seen[200] == 0 {
		return fmt.Errorf("readers beside it: %s", seen)
	}
	if p99 > bound {
		return fmt.Errorf("readers beside it waited %s (p99), want %s", p99.Round(time.Millisecond), bound)
	}
	return nil
}

// slowBound is the maximum latency of reads while other clients only hold connections.
const slowBound = time.Second

func slow(ctx context.Context, f *field, first, piece string, bound time.Duration) (string, error) {
	s, err := f.server(ctx, "slow", "MEMS_AUTH=required", "MEMS_RATE_LIMIT=0")
	if err != nil {
		return "", err
	}
	desk, err := f.key(ctx, "receptionist") // a caller of its own
	if err != nil {
		return "", err
	}
	stop := s.beside(ctx, fmt.Sprintf("/patients/%d", f.patient), desk, 100*time.Millisecond)
	n := pick(f.options, 60, 300)
	longest, left, err := s.dribble(ctx, n, first, piece, bound)
	seen, latencies := stop()
	switch {
	case err != nil:
		return "", err
	case left > 0:
		return "", fmt.Errorf("%d of %d connections were still open after %s", left, n, bound)
	}
	return fmt.Sprintf("%d connections, the last one ended after %.1f s; readers' p99 %s", n, longest.Seconds(), percentile(latencies, 0.99).Round(time.Millisecond)),
		served(seen, latencies, slowBound)
}

func slowHeaders(ctx context.Context, f *field) (string, error) {
	return slow(ctx, f, "GET /version HTTP/1.1\r\nHost: localhost\r\n", "X-A: b\r\n", 9*time.Second)
}

func slowBody(ctx context.Context, f *field) (string, error) {
	return slow(ctx, f, "POST /patients HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-API-Key: "+f.admin+
		"\r\nContent-Length: 1000\r\n\r\n{", " ", 19*time.Second)
}

// slowReader requests the largest response repeatedly and does not read it. The server's
// write timeout is 30 s, so a small run only checks that other clients are served.
func slowReader(ctx context.Context, f *field) (string, error) {
	s, err := f.server(ctx, "slow", "MEMS_AUTH=required", "MEMS_RATE_LIMIT=0")
	if err != nil {
		return "", err
	}
	n := pick(f.options, 60, 200)
	desk, err := f.key(ctx, "receptionist") // a caller of its own
	if err != nil {
		return "", err
	}
	stop := s.beside(ctx, fmt.Sprintf("/patients/%d", f.patient), desk, 100*time.Millisecond)
	var open []net.Conn
	defer func() {
		for _, conn := range open {
			_ = conn.Close()
		}
	}()
	for range n {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.Address())
		if err != nil {
			stop()
			return "", err
		}
		open = append(open, conn)
		if t, ok := conn.(*net.TCPConn); ok {
			_ = t.SetReadBuffer(4096) // otherwise the kernel buffers the response
		}
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		for range 30 {
			if _, err := io.WriteString(conn, "GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
				break // the server stopped reading because we do not read
			}
		}
	}
	select {
	case <-ctx.Done():
	case <-time.After(pick(f.options, 4*time.Second, 40*time.Second)):
	}
	seen, latencies := stop()
	happened := fmt.Sprintf("%d connections; readers' p99 %s", n, percentile(latencies, 0.99).Round(time.Millisecond))
	if err := served(seen, latencies, slowBound); err != nil || !f.full {
		return happened, err
	}
	// Reading what the kernel has buffered would take long. Writing to a socket that the
	// server has closed returns a reset.
	left := 0
	for range 2 {
		left = 0
		for _, conn := range open {
			_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
			if _, err := io.WriteString(conn, "x"); err == nil {
				left++
			}
		}
		time.Sleep(time.Second)
	}
	if left > 0 {
		return "", fmt.Errorf("%d of %d connections were still open after 40 s", left, n)
	}
	return happened + ", all ended after 40 s", nil
}
