package store

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"mems/internal/clinic"
)

// The SQL condition agrees with Status.Occupies for every status of the schema.
func TestOccupyingIsTheRules(t *testing.T) {
	t.Parallel()
	quoted := regexp.MustCompile(`'(\w+)'`)
	var free []string
	for _, s := range quoted.FindAllStringSubmatch(occupying, -1) {
		free = append(free, s[1])
	}
	schema, err := os.ReadFile("../../db/schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	check := regexp.MustCompile("CONSTRAINT `appointments_status` CHECK (.*)").Find(schema)
	statuses := quoted.FindAllStringSubmatch(string(check), -1)
	if len(statuses) < 8 {
		t.Fatalf("found %d statuses in the schema's check %q, want all", len(statuses), check)
	}
	for _, s := range statuses {
		if got, want := !slices.Contains(free, s[1]), clinic.Status(s[1]).Occupies(); got != want {
			t.Errorf("%s occupies: %v by the statements, %v by clinic", s[1], got, want)
		}
	}
}

// The bounds of the statements omit nothing: of the longest appointments with the largest buffers,
// those that overlap an interval by a microsecond begin within them.
func TestReachLeavesNothingOut(t *testing.T) {
	t.Parallel()
	want := clinic.Interval{Start: time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)}
	want.End = want.Start.Add(clinic.MinDuration)
	for _, p := range []party{doctorParty, roomParty, patientParty} {
		buffer := time.Duration(0)
		if p.buffered {
			buffer = clinic.MaxBuffer
		}
		_, args := occupiedTimes{party: p, ids: []int64{1}, overlapping: []clinic.Interval{want}}.bookedSQL(`1`)
		from, to := instant(t, args[1]), instant(t, args[2])
		first := want.Start.Add(time.Microsecond - buffer - clinic.MaxDuration) // ends a microsecond into it
		last := want.End.Add(buffer - time.Microsecond)                         // begins a microsecond before it ends
		if !first.After(from) || !last.Before(to) {
			t.Errorf("%s: appointments from %v to %v can overlap %v, but only those after %v and before %v are read", p.column, first, last, want, from, to)
		}
		if first.Add(-time.Microsecond).After(from) || last.Add(time.Microsecond).Before(to) {
			t.Errorf("%s: the range after %v and before %v is wider than what can overlap %v", p.column, from, to, want)
		}
	}
}

func instant(t *testing.T, arg any) time.Time {
	t.Helper()
	i, ok := arg.(time.Time)
	if !ok {
		t.Fatalf("want an instant, got %v", arg)
	}
	return i
}

// Only occupied.go decides which rows occupy time.
func TestOccupiedIsAskedInOnePlace(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 50 {
		t.Fatalf("found %d files of the package (%v), want at least 50", len(files), err)
	}
	elsewhere := regexp.MustCompile(`NOT IN \('cancelled'|INTERVAL \d+ MINUTE`)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || file == "occupied.go" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if found := elsewhere.Find(text); found != nil {
			t.Errorf("%s has %q: ask by occupiedTimes, or with occupying", file, found)
		}
	}
}
