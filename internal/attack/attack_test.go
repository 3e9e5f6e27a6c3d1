package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

// Every attack must succeed against a proxy that removes the defences. Attacks that load the
// machine or take 15 s are left to "attack -spoil".
func TestAttacksCanFail(t *testing.T) {
	t.Parallel()
	var names []string
	for _, a := range attacks {
		if (a.patient || a.name == "bodies") && !strings.HasPrefix(a.name, "slow-") && a.name != "revoked-stream" {
			names = append(names, a.name)
		}
	}
	var out, said bytes.Buffer
	if code := command(t.Context(), []string{"-spoil", "-only", strings.Join(names, ",")}, &out, &said); code != 1 {
		t.Errorf("spoilt attacks: exit %d, want 1:\n%s", code, &said)
	}
	for _, name := range names {
		if !strings.Contains(said.String(), name+strings.Repeat(" ", max(0, 18-len(name)))+" BROKEN\n") {
			t.Errorf("output, want %s BROKEN in it:\n%s", name, &said)
		}
	}
	if t.Failed() {
		t.Log(&out)
	}
}

// The real server withstands every attack that needs no load.
func TestAttacksCanBeHeldOff(t *testing.T) {
	t.Parallel()
	var out, said bytes.Buffer
	if code := command(t.Context(), []string{"-only", "rebinding,open-proxy,forms,foreign-links,cors,smuggling,restore,bodies"}, &out, &said); code != 0 {
		t.Errorf("attacks: exit %d, want 0:\n%s\n%s", code, &said, &out)
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"-help"}, 0, "What to do about BROKEN"},
		{[]string{"-list", "-only", "hoard"}, 0, "hoard-waitlist"},
		{[]string{"-size", "huge"}, 2, "-size is small or full"},
		{[]string{"-only", "nothing"}, 2, "no attack is named"},
		{[]string{"everything"}, 2, "no other words"},
		{[]string{"-fast"}, 2, "not defined"},
	} {
		var out, said bytes.Buffer
		if code := command(t.Context(), tc.args, &out, &said); code != tc.code || !strings.Contains(out.String()+said.String(), tc.says) {
			t.Errorf("%q: exit %d, want %d and %q\n%s%s", tc.args, code, tc.code, tc.says, &out, &said)
		}
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	good := result{attacks[0], "refused", nil, time.Second}
	bad := result{attacks[1], "", errors.New("got\nthrough"), 1500 * time.Millisecond}
	for _, tc := range []struct {
		results []result
		code    int
		says    []string
	}{
		{[]result{good}, 0, []string{"holds", "refused", "all 1 attacks are held off"}},
		{[]result{good, bad}, 1, []string{"BROKEN", "1.5", "got; through", "1 of 2 attacks got through"}},
	} {
		var out bytes.Buffer
		if code := report(&out, tc.results); code != tc.code {
			t.Errorf("exit %d, want %d", code, tc.code)
		}
		for _, says := range tc.says {
			if !strings.Contains(out.String(), says) {
				t.Errorf("output, want %q in it:\n%s", says, &out)
			}
		}
	}
}

func TestServed(t *testing.T) {
	t.Parallel()
	quick, slow := []time.Duration{time.Millisecond}, []time.Duration{time.Minute}
	for name, tc := range map[string]struct {
		seen      tally
		latencies []time.Duration
		ok        bool
	}{
		"Served": {tally{200: 9}, quick, true}, "Nobody": {tally{}, nil, false}, "Slow": {tally{200: 9}, slow, false},
		"Refused": {tally{200: 9, 503: 1}, quick, false}, "Failed": {tally{200: 9, 0: 1}, quick, false},
	} {
		if err := served(tc.seen, tc.latencies, time.Second); (err == nil) != tc.ok {
			t.Errorf("%s: served = %v, want no error: %t", name, err, tc.ok)
		}
	}
}
