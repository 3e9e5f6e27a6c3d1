package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

// result has the measurements of one round.
type result struct {
	perSecond float64
	latencies []time.Duration
	failures  int
	first     error // the first failure
}

// work does one unit of work; worker is the client's number.
type work func(ctx context.Context, worker int) error

// round runs clients for a duration, each as fast as possible.
func round(ctx context.Context, clients int, length time.Duration, do work) (result, error) {
	var mu sync.Mutex
	var all result
	var wg sync.WaitGroup
	start := time.Now()
	for worker := range clients {
		wg.Go(func() {
			var own []time.Duration
			failures := 0
			for time.Since(start) < length && ctx.Err() == nil {
				began := time.Now()
				if err := do(ctx, worker); err != nil {
					failures++
					mu.Lock()
					all.first = cmpErr(all.first, err)
					mu.Unlock()
					continue
				}
				own = append(own, time.Since(began))
			}
			mu.Lock()
			all.latencies = append(all.latencies, own...)
			all.failures += failures
			mu.Unlock()
		})
	}
	wg.Wait()
	all.perSecond = float64(len(all.latencies)) / time.Since(start).Seconds()
	if len(all.latencies) == 0 || all.failures > len(all.latencies)/100 {
		return all, fmt.Errorf("%d of %d failed, the first: %w", all.failures, all.failures+len(all.latencies), all.first)
	}
	return all, nil
}

// together has all clients do one unit of work simultaneously.
func together(clients int, do func(worker int) error) (result, error) {
	var all result
	all.latencies = make([]time.Duration, clients)
	errs := make([]error, clients)
	gate := make(chan struct{})
	var wg sync.WaitGroup
	for worker := range clients {
		wg.Go(func() {
			<-gate
			began := time.Now()
			errs[worker] = do(worker)
			all.latencies[worker] = time.Since(began)
		})
	}
	start := time.Now()
	close(gate)
	wg.Wait()
	all.perSecond = float64(clients) / time.Since(start).Seconds()
	return all, errors.Join(errs...)
}

func cmpErr(first, err error) error {
	if first != nil {
		return first
	}
	return err
}

func percentile(latencies []time.Duration, p float64) time.Duration {
	sorted := slices.Clone(latencies)
	slices.Sort(sorted)
	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}

func median(values []float64) float64 {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return sorted[len(sorted)/2]
}

// httpClient is a kept-alive HTTP/1.1 connection. It parses only what the server under test
// sends (a status line and a Content-Length), because the load generator shares the cores and
// must use little CPU.
type httpClient struct {
	conn   net.Conn
	reader *bufio.Reader
	buffer []byte
}

func dial(ctx context.Context, address string) (*httpClient, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &httpClient{conn: conn, reader: bufio.NewReaderSize(conn, 64<<10)}, nil
}

// dialAll opens n connections.
func dialAll(ctx context.Context, address string, n int) ([]*httpClient, error) {
	connections := make([]*httpClient, 0, n)
	for range n {
		c, err := dial(ctx, address)
		if err != nil {
			closeAll(connections)
			return nil, err
		}
		connections = append(connections, c)
	}
	return connections, nil
}

func closeAll(connections []*httpClient) {
	for _, c := range connections {
		_ = c.conn.Close()
	}
}

var errLength = errors.New("answer without Content-Length")

// send sends a request and reads the whole response.
func (c *httpClient) send(method, path string, body []byte) (status int, err error) {
	c.buffer = fmt.Appendf(c.buffer[:0], "%s %s HTTP/1.1\r\nHost: localhost\r\n", method, path)
	if body != nil {
		c.buffer = fmt.Appendf(c.buffer, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	c.buffer = append(append(c.buffer, "\r\n"...), body...)
	if _, err := c.conn.Write(c.buffer); err != nil {
		return 0, err
	}
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < len("HTTP/1.1 200") {
		return 0, fmt.Errorf("no status line: %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, err
	}
	length, chunked := -1, false
	for {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, err
			}
		}
		chunked = chunked || bytes.Equal(line, []byte("Transfer-Encoding: chunked"))
	}
	switch {
	case chunked:
		return status, c.discardChunks()
	case length < 0:
		return 0, errLength
	}
	_, err = io.CopyN(io.Discard, c.reader, int64(length))
	return status, err
}

func (c *httpClient) discardChunks() error {
	for {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(string(bytes.TrimRight(line, "\r\n")), 16, 64)
		if err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, c.reader, n+2); err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
	}
}
