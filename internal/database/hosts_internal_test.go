package database

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
)

// A list of hosts survives formatting and parsing, and a single host is unchanged.
func TestHostsOfAddress(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string][]string{
		"mysql://u:p,@h1:3307,h2,h3:3308/mems?tls=false": {"h1:3307", "h2:3306", "h3:3308"},
		"u:p@tcp(h1,h2:3307)/mems":                       {"h1:3306", "h2:3307"},
		"mysql://u:p@h1/mems":                            {"h1:3306"},
		"mysql://u:p@[::1]:3307/mems":                    {"[::1]:3307"},
	} {
		for range 2 {
			c, err := parseDSN(dsn)
			if err != nil {
				t.Fatalf("parse %s: %v, want no error", dsn, err)
			}
			if got := hostsOf(c); !slices.Equal(got, want) {
				t.Errorf("%s: hosts %q, want %q", dsn, got, want)
			}
			dsn = c.FormatDSN()
		}
	}
	if _, err := parseDSN("mysql://u:p@h1,,h3/mems"); err == nil {
		t.Error("parse of a list with an empty host = nil, want an error")
	}
}

// A primary that hangs is kept until another one is found. A former primary that is back
// and does not know yet that it was replaced is not used. If two cannot be told apart,
// neither is used: one of them returns stale data.
func TestChooseBetweenTwoPrimaries(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	h := &hosts{
		names: []string{"db1", "db2", "db3"}, log: slog.New(slog.NewTextHandler(&log, nil)),
		current: -1, stale: make([]int, 3), open: map[*hostConn]bool{},
	}
	primary := finding{answered: true}
	secondary := finding{true, errors.New("read-only")}
	silent := finding{err: errNoAnswer}
	for i, step := range []struct {
		found   []finding
		several bool
		current int
		why     error
	}{
		{[]finding{primary, secondary, secondary}, false, 0, nil},
		{[]finding{silent, secondary, secondary}, false, 0, nil}, // frozen, not yet replaced
		{[]finding{silent, secondary, primary}, false, 2, nil},
		{[]finding{primary, secondary, primary}, false, 2, nil}, // the former primary is back
		{[]finding{primary, secondary, silent}, false, 2, nil},
		{[]finding{secondary, secondary, primary}, false, 2, nil}, // it has learned that it was replaced
		{[]finding{primary, secondary, primary}, true, -1, ErrTwoPrimaries},
		{[]finding{primary, primary, primary}, true, -1, ErrTwoPrimaries},
		{[]finding{secondary, secondary, primary}, false, 2, nil},
		{[]finding{secondary, secondary, {true, ErrNoMajority}}, false, -1, ErrNoMajority},
	} {
		if several := h.choose(step.found); several != step.several || h.current != step.current {
			t.Errorf("step %d: choose = %t with host %d as primary, want %t and host %d",
				i, several, h.current, step.several, step.current)
		}
		if step.why != nil && (!errors.Is(h.why, step.why) || !errors.Is(h.why, ErrNoPrimary)) {
			t.Errorf("step %d: no primary because %v, want %v", i, h.why, step.why)
		}
	}
	// The log has a line for each change: db1 found, switched to db3, lost to a dispute,
	// found again, lost with the majority.
	if infos, faults := strings.Count(log.String(), "level=INFO"), strings.Count(log.String(), "level=ERROR"); infos != 3 || faults != 2 {
		t.Errorf("%d and %d lines, want 3 and 2:\n%s", infos, faults, log.String())
	}
	// It is not distrusted forever: its successor may have died meanwhile.
	h.current, h.stale = 2, []int{distrusted, 0, 0}
	for range distrusted {
		if h.choose([]finding{primary, secondary, silent}); h.current != 2 {
			t.Fatalf("primary = host %d, want host 2 while the former primary is distrusted", h.current)
		}
	}
	if h.choose([]finding{primary, secondary, silent}); h.current != 0 {
		t.Errorf("primary = host %d, want host 0 again", h.current)
	}
}

// What one pool finds out about the primary holds for the others of its server at once: a
// server that reports a lost majority must not begin a booking that cannot be committed.
func TestPoolsAgreeOnThePrimary(t *testing.T) {
	t.Parallel()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	server, err := NewServer("mysql://u@"+l.Addr().String()+",127.0.0.1:1/mems", nil)
	if err != nil {
		t.Fatal(err)
	}
	h := server.hosts
	h.current = 0
	h.start.Do(func() {}) // no probes
	close(h.probed)
	var pools []*sqlx.DB
	for range 2 {
		pool, err := server.Open(Options{})
		if err != nil {
			t.Fatal(err)
		}
		pools = append(pools, pool)
	}
	inUse, err := h.dial(t.Context(), "tcp", l.Addr().String(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.leave(0, ErrNoMajority); !errors.Is(err, ErrNoPrimary) || !errors.Is(err, ErrNoMajority) {
		t.Errorf("leave = %v, want %v and %v", err, ErrNoPrimary, ErrNoMajority)
	}
	if _, err := inUse.Write([]byte("COMMIT")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("connection in use: %v, want it closed", err)
	}
	for i, pool := range pools {
		if err := pool.PingContext(t.Context()); !errors.Is(err, ErrNoMajority) {
			t.Errorf("pool %d: %v, want %v", i, err, ErrNoMajority)
		}
		select {
		case <-h.closed:
			t.Error("probing stopped before the last pool was closed, want it to go on")
		default:
		}
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	}
	<-h.closed
}
