//go:build unix

package localdb_test

import (
	"context"
	"strings"
	"syscall"
	"testing"

	"mems/internal/localdb"
)

// keep runs Keep until the test ends and returns a channel with its result.
func keep(t *testing.T, s *localdb.Server) <-chan error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		result <- s.Keep(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return result
}

func killServer(t *testing.T, dir string) {
	t.Helper()
	if err := syscall.Kill(serverOf(t, dir), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// A server that dies is restarted on the same socket, but not indefinitely.
func TestKeepRestarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, dir)
	fill(t, s)
	result := keep(t, s)
	for restarts := 0; ; restarts++ {
		if restarts > 5 {
			t.Fatalf("Keep has restarted the server %d times, want it to give up after 5", restarts)
		}
		before := serverOf(t, dir)
		killServer(t, dir)
		var err error
		waitUntil(t, "the next server, or the end", func() bool {
			select {
			case err = <-result:
				return true
			default:
			}
			pid := serverOf(t, dir)
			return pid != 0 && pid != before && ping(t, s.DSN("")) == nil
		})
		if err == nil {
			continue
		}
		if !strings.Contains(err.Error(), "died 6 times") || restarts < 2 {
			t.Errorf("Keep = %v after %d restarts, want died 6 times after at least 2", err, restarts)
		}
		break
	}
	if pid := serverOf(t, dir); pid != 0 {
		t.Errorf("server process %d runs after Keep gave up, want none", pid)
	}
}

// An attached process becomes the owner when the owner is killed, and its address stays
// valid.
func TestKeepTakesOver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	owner := startOwner(t, dir)
	s := start(t, dir)
	if s.Owned() {
		t.Fatal("second start owns the server, want it attached")
	}
	fill(t, s)
	keep(t, s)
	kill(t, owner)
	waitUntil(t, "the take-over", s.Owned)
	if n := count(t, s); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
	if third := start(t, dir); third.Owned() {
		t.Error("third start owns the server, want one owner")
	}
	before := serverOf(t, dir)
	killServer(t, dir)
	waitUntil(t, "a restart by the new owner", func() bool {
		pid := serverOf(t, dir)
		return pid != 0 && pid != before && ping(t, s.DSN("")) == nil
	})
}

// Keep returns nil when its context ends or the server is stopped.
func TestKeepEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	owner, attached := start(t, dir), start(t, dir)
	results := []<-chan error{keep(t, owner), keep(t, attached)}
	for _, s := range []*localdb.Server{attached, owner} {
		if err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range results {
		if err := <-r; err != nil {
			t.Error(err)
		}
	}
	if pid := serverOf(t, dir); pid != 0 {
		t.Errorf("server process %d still runs, want none", pid)
	}
}
