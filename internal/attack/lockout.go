package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// perMinute is the rate limit of the servers in these attacks, low so that they are short.
const perMinute = 60

func wrongKey(i int) string { return fmt.Sprintf("mems_wrong_%040d", i) }

func sharedAddress(ctx context.Context, f *field) (string, error) {
	s, err := f.server(ctx, "limited", "MEMS_AUTH=required", fmt.Sprintf("MEMS_RATE_LIMIT=%d", perMinute))
	if err != nil {
		return "", err
	}
	if err := s.controlled(ctx, request{method: "GET", path: "/me", key: f.admin}); err != nil {
		return "", err
	}
	guesses, reads, good := tally{}, tally{}, tally{}
	for i := range 2 * perMinute {
		status, _ := s.get(ctx, "/me", wrongKey(i))
		guesses[status]++
		status, _ = s.get(ctx, "/version", "")
		reads[status]++
	}
	for range 20 {
		status, _ := s.get(ctx, "/doctors", f.admin)
		good[status]++
	}
	// Another process has just created it: it is accepted within seconds.
	fresh, err := f.key(ctx, "receptionist")
	if err != nil {
		return "", err
	}
	status, began := 0, time.Now()
	for status != http.StatusOK && time.Since(began) < 3*time.Second {
		time.Sleep(100 * time.Millisecond)
		status, _ = s.get(ctx, "/me", fresh)
	}
	good[status]++
	if good[http.StatusOK] != 21 {
		return "", fmt.Errorf("good keys from the same address: %s", good)
	}
	if guesses[http.StatusTooManyRequests] == 0 {
		return "", fmt.Errorf("wrong keys are not limited: %s", guesses)
	}
	return fmt.Sprintf("wrong keys %s, public reads %s, good keys %s", guesses, reads, good), nil
}

func ipv6Prefix(ctx context.Context, f *field) (string, error) {
	s, err := f.server(ctx, "proxied", "MEMS_AUTH=required", fmt.Sprintf("MEMS_RATE_LIMIT=%d", perMinute), "MEMS_TRUSTED_PROXIES=127.0.0.1")
	if err != nil {
		return "", err
	}
	guess := func(address string, i int) (int, error) {
		a, err := s.ask(ctx, request{method: "GET", path: "/me", key: wrongKey(i), header: http.Header{"X-Forwarded-For": {address}}})
		return a.status, err
	}
	seen := tally{}
	began := time.Now()
	for i := range 4 * perMinute {
		status, err := guess(fmt.Sprintf("2001:db8:1:2:%x:%x:%x:%x", i*7919%65536, i, i*31%65536, i*131%65536), i)
		if err != nil {
			return "", err
		}
		seen[status]++
	}
	// The bucket's size, and the tokens added while requests were sent.
	if most := perMinute + int(time.Since(began).Seconds()) + 1; seen[http.StatusUnauthorized] > most {
		return "", fmt.Errorf("%s: want at most %d guesses from one /64", seen, most)
	}
	status, err := guess("2001:db8:1:3::1", 0)
	if err != nil {
		return "", err
	}
	if status != http.StatusUnauthorized {
		return "", fmt.Errorf("the neighbour's /64 is answered %d, want 401", status)
	}
	return fmt.Sprintf("%s; the next /64 is not affected", seen), nil
}
