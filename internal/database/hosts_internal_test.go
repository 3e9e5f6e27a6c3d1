package database

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
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
				t.Fatalf("%s: %v", dsn, err)
			}
			if got := hostsOf(c); !slices.Equal(got, want) {
				t.Errorf("%s: hosts %q, want %q", dsn, got, want)
			}
			dsn = c.FormatDSN()
		}
	}
	if _, err := parseDSN("mysql://u:p@h1,,h3/mems"); err == nil {
		t.Error("an empty host is taken")
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
			t.Errorf("step %d: several %v, current %d", i, several, h.current)
		}
		if step.why != nil && (!errors.Is(h.why, step.why) || !errors.Is(h.why, ErrNoPrimary)) {
			t.Errorf("step %d: %v", i, h.why)
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
			t.Fatalf("current %d", h.current)
		}
	}
	if h.choose([]finding{primary, secondary, silent}); h.current != 0 {
		t.Errorf("current %d", h.current)
	}
}
