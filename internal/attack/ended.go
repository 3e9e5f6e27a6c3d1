package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	// revokedRequests is how long another process may accept a revoked key.
	revokedRequests = 5 * time.Second
	// revokedStreams is how long a stream may continue after its key was revoked: 15 s, with
	// a margin for a busy machine.
	revokedStreams = 18 * time.Second
)

// revoke revokes a key through a server.
func (f *field) revoke(ctx context.Context, s *target, id int64) error {
	a, err := s.ask(ctx, request{method: "POST", path: fmt.Sprintf("/api-keys/%d/revoke", id), key: f.admin})
	return a.want(err, http.StatusOK)
}

func revokedKey(ctx context.Context, f *field) (string, error) {
	here, err := f.closed(ctx)
	if err != nil {
		return "", err
	}
	there, err := f.server(ctx, "second", "MEMS_AUTH=required")
	if err != nil {
		return "", err
	}
	id, key, err := f.keyAndID(ctx, "receptionist")
	if err != nil {
		return "", err
	}
	for range 5 { // so that a cache, if there is one, has the key
		if status, _ := there.get(ctx, "/me", key); status != http.StatusOK {
			return "", fmt.Errorf("the key is answered %d before it is revoked", status)
		}
	}
	if err := f.revoke(ctx, here, id); err != nil {
		return "", err
	}
	if status, _ := here.get(ctx, "/me", key); status != http.StatusUnauthorized {
		return "", fmt.Errorf("the process that revoked the key answers it %d", status)
	}
	began := time.Now()
	for time.Since(began) < revokedRequests {
		if status, _ := there.get(ctx, "/me", key); status == http.StatusUnauthorized {
			return fmt.Sprintf("refused at once here, after %.1f s by another process", time.Since(began).Seconds()), nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return "", fmt.Errorf("another process still answers it after %s", revokedRequests)
}

func revokedStream(ctx context.Context, f *field) (string, error) {
	s, err := f.closed(ctx)
	if err != nil {
		return "", err
	}
	id, key, err := f.keyAndID(ctx, "receptionist")
	if err != nil {
		return "", err
	}
	q, err := request{method: "GET", path: "/stream", key: key}.build(ctx, s.URL)
	if err != nil {
		return "", err
	}
	// Without the timeout of the other clients.
	p, err := (&http.Client{Transport: client.Transport}).Do(q)
	if err != nil {
		return "", err
	}
	defer func() { _ = p.Body.Close() }()
	lines := bufio.NewReader(p.Body)
	line, err := lines.ReadString('\n')
	if err != nil {
		return "", err
	}
	if p.StatusCode != http.StatusOK || !strings.Contains(line, "hello") {
		return "", fmt.Errorf("the stream begins with %d %q", p.StatusCode, line)
	}
	if err := f.revoke(ctx, s, id); err != nil {
		return "", err
	}
	began := time.Now()
	ended := make(chan int, 1)
	go func() {
		events := 0
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				ended <- events
				return
			}
			if strings.HasPrefix(line, "event: change") {
				events++
			}
		}
	}()
	changing := time.NewTicker(time.Second)
	defer changing.Stop()
	for {
		select {
		case events := <-ended:
			took := time.Since(began)
			if ctx.Err() != nil {
				return "", ctx.Err()
			}
			return fmt.Sprintf("the stream ended after %.1f s and %d changes", took.Seconds(), events), nil
		case <-changing.C:
			if time.Since(began) > revokedStreams {
				return "", fmt.Errorf("the stream goes on after %s", revokedStreams)
			}
			if _, err := f.create(ctx, s, "/patients", object{"first_name": "Change", "last_name": f.unique("Number")}); err != nil {
				return "", err
			}
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// opened opens a stream and returns its status and a function that closes it.
func (t *target) opened(ctx context.Context, key string) (status int, end func(), err error) {
	q, err := request{method: "GET", path: "/stream", key: key}.build(ctx, t.URL)
	if err != nil {
		return 0, nil, err
	}
	p, err := (&http.Client{Transport: client.Transport}).Do(q) //nolint:bodyclose // end does
	if err != nil {
		return 0, nil, err
	}
	if p.StatusCode != http.StatusOK {
		_, _ = io.Copy(io.Discard, p.Body)
		_ = p.Body.Close()
		return p.StatusCode, func() {}, nil
	}
	if _, err := bufio.NewReader(p.Body).ReadString('\n'); err != nil {
		_ = p.Body.Close()
		return 0, nil, err
	}
	return p.StatusCode, func() { _ = p.Body.Close() }, nil
}

var errNotRefused = errors.New("was never refused")
