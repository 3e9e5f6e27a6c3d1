package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

type object = map[string]any

// request is an HTTP request. A body that is not a string is encoded as JSON.
type request struct {
	method, path, key, host string
	header                  http.Header
	body                    any
}

// answer is a response.
type answer struct {
	status int
	header http.Header
	body   []byte
	took   time.Duration
}

var client = &http.Client{
	Timeout:       30 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport:     &http.Transport{MaxIdleConnsPerHost: 400, DisableCompression: true},
}

func (r request) build(ctx context.Context, url string) (*http.Request, error) {
	var body io.Reader
	switch b := r.body.(type) {
	case nil:
	case string:
		body = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	q, err := http.NewRequestWithContext(ctx, r.method, url+r.path, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		q.Header.Set("Content-Type", "application/json")
	}
	maps.Copy(q.Header, r.header)
	if r.key != "" {
		q.Header.Set("X-Api-Key", r.key)
	}
	q.Host = r.host
	return q, nil
}

// ask sends a request and reads the whole response.
func (t *target) ask(ctx context.Context, r request) (answer, error) {
	q, err := r.build(ctx, t.URL)
	if err != nil {
		return answer{}, err
	}
	began := time.Now()
	p, err := client.Do(q)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = p.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(p.Body, 64<<20))
	return answer{p.StatusCode, p.Header, body, time.Since(began)}, err
}

// get returns the status of a response, 0 for none: for attacks that send many requests and
// may lose some.
func (t *target) get(ctx context.Context, path, key string) (int, time.Duration) {
	a, err := t.ask(ctx, request{method: "GET", path: path, key: key})
	if err != nil {
		return 0, a.took
	}
	return a.status, a.took
}

// want returns an error unless the response has this status.
func (a answer) want(err error, status int) error {
	if err != nil {
		return err
	}
	if a.status != status {
		return fmt.Errorf("answered %d, want %d: %s", a.status, status, a.short())
	}
	return nil
}

func (a answer) short() string { return string(a.body[:min(len(a.body), 200)]) }

// raw sends bytes unchanged and returns everything received until the connection is closed
// or wait has passed. closed reports whether the server closed it.
func (t *target) raw(ctx context.Context, text string, wait time.Duration) (back string, closed bool, err error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", t.Address())
	if err != nil {
		return "", false, err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(wait)) // TCP connections support deadlines
	if _, err := conn.Write([]byte(text)); err != nil {
		return "", true, nil // rejected before everything was sent
	}
	all, err := io.ReadAll(conn)
	return string(all), !isTimeout(err), nil
}

func isTimeout(err error) bool {
	n, ok := errors.AsType[net.Error](err)
	return ok && n.Timeout()
}

func percentile(latencies []time.Duration, p float64) time.Duration {
	if len(latencies) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(latencies))
	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}

// tally counts answers by status.
type tally map[int]int

func (n tally) String() string {
	var parts []string
	statuses := make([]int, 0, len(n))
	for status := range n {
		statuses = append(statuses, status)
	}
	slices.Sort(statuses)
	for _, status := range statuses {
		name := fmt.Sprint(status)
		if status == 0 {
			name = "none"
		}
		parts = append(parts, fmt.Sprintf("%d x %s", n[status], name))
	}
	return strings.Join(parts, ", ")
}
