package clinic_test

import (
	"archive/zip"
	"bytes"
	"cmp"
	"crypto/sha256"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mems/internal/clinic"
)

// allZones returns every zone of Go's database, without aliases.
func allZones(t testing.TB) []*time.Location {
	t.Helper()
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatalf("go env GOROOT: %v", err)
	}
	archive, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := archive.Close(); err != nil {
			t.Error(err)
		}
	}()
	names, seen := 0, map[[sha256.Size]byte]bool{}
	var zones []*time.Location
	for _, file := range archive.File {
		if file.FileInfo().IsDir() {
			continue
		}
		names++
		data := readAll(t, file)
		if sum := sha256.Sum256(data); !seen[sum] {
			seen[sum] = true
			zone, err := time.LoadLocationFromTZData(file.Name, data)
			if err != nil {
				t.Fatalf("%s: %v", file.Name, err)
			}
			zones = append(zones, zone)
		}
	}
	if names < 500 || len(zones) < 300 {
		t.Fatalf("%d zones under %d names, want at least 300 and 500: these are not all", len(zones), names)
	}
	slices.SortFunc(zones, func(a, b *time.Location) int { return cmp.Compare(a.String(), b.String()) })
	return zones
}

func readAll(t testing.TB, file *zip.File) []byte {
	t.Helper()
	r, err := file.Open()
	if err != nil {
		t.Fatal(err)
	}
	var data bytes.Buffer
	if _, err := io.Copy(&data, r); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return data.Bytes()
}

// changes returns the instants between 1970 and 2040 at which a zone changes its clocks,
// and the changes in seconds.
func changes(zone *time.Location) (at []time.Time, by []int) {
	end := time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)
	t := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC).In(zone)
	for {
		_, before := t.Zone()
		_, next := t.ZoneBounds()
		if !next.IsZero() && !next.After(t) {
			next = t.Add(time.Hour) // see Day: it is 31 December of a leap year
		}
		if next.IsZero() || next.After(end) {
			return at, by
		}
		if _, after := next.Zone(); after != before {
			at, by = append(at, next), append(by, after-before)
		}
		t = next
	}
}

const secondsOfDay = 24 * 60 * 60

// dayNumber returns the number of days since 1970-01-01.
func dayNumber(d clinic.Date) int64 {
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC).Unix() / secondsOfDay
}

// reached reports whether the calendar in zone shows d or a later day.
func reached(d int64, zone *time.Location, unix int64) bool {
	_, offset := time.Unix(unix, 0).In(zone).Zone()
	return unix+int64(offset) >= d*secondsOfDay
}

// naiveStart searches minute by minute for the first instant at which the calendar in zone
// has reached d, then second by second in the minute before, because some offsets had
// seconds. No clock has been more than 16 hours ahead of UTC.
func naiveStart(d clinic.Date, zone *time.Location) time.Time {
	n := dayNumber(d)
	unix := n*secondsOfDay - 16*60*60
	for !reached(n, zone, unix) {
		unix += 60
	}
	for s := unix - 59; s < unix; s++ {
		if reached(n, zone, s) {
			unix = s
		}
	}
	return time.Unix(unix, 0).UTC()
}

// Around every clock change in every zone, the windows of successive days adjoin without
// gap or overlap, begin exactly when the calendar reaches their day, and agree with the
// naive search.
func TestDayInEveryZone(t *testing.T) {
	changed, searched := 0, 0
	for i, zone := range allZones(t) {
		at, by := changes(zone)
		changed += len(at)
		for j, change := range at {
			// The naive search is slow, so it runs for all rare kinds (changes other than
			// an hour, or close to midnight), and for one in eight of the others.
			wall := (change.Unix() + int64(offsetBefore(change))) % secondsOfDay
			rare := by[j] != 3600 && by[j] != -3600 || wall < 2*3600 || wall > secondsOfDay-2*3600
			d := clinic.DateOf(change.Add(-time.Nanosecond))
			if after := clinic.DateOf(change); after.Before(d) {
				d = after
			}
			for range 2 {
				d = clinic.DateOf(time.Date(d.Year, d.Month, d.Day-1, 0, 0, 0, 0, time.UTC))
			}
			window := clinic.Day(d, zone)
			for k := range 6 {
				checkWindow(t, d, zone, window)
				// The days of the change itself are the third and the fourth.
				if (k == 2 || k == 3) && (rare || (i+j)%8 == 0) {
					searched++
					if want := naiveStart(d, zone); window.Start != want {
						t.Errorf("%s %s starts at %v, want %v, by the naive search", zone, d, window.Start, want)
					}
				}
				next := clinic.Day(d.Next(), zone)
				if next.Start != window.End {
					t.Errorf("%s %s ends at %v, want the start of the next day, %v", zone, d, window.End, next.Start)
				}
				d, window = d.Next(), next
			}
		}
	}
	t.Logf("%d changes of the clocks, %d days searched naively", changed, searched)
	if changed < 15_000 {
		t.Errorf("%d changes of the clocks, want at least 15000: these are not all", changed)
	}
}

// The turn of every year in every zone: where a zone's table has ended, Go determines years
// by a separate rule.
func TestDayAtEveryTurnOfTheYear(t *testing.T) {
	for _, zone := range allZones(t) {
		for year := 1970; year <= 2040; year++ {
			d := clinic.Date{Year: year, Month: time.December, Day: 30}
			window := clinic.Day(d, zone)
			for range 4 {
				checkWindow(t, d, zone, window)
				next := clinic.Day(d.Next(), zone)
				if next.Start != window.End {
					t.Errorf("%s %s ends at %v, want the start of the next day, %v", zone, d, window.End, next.Start)
				}
				d, window = d.Next(), next
			}
		}
	}
}

func offsetBefore(change time.Time) int {
	_, offset := change.Add(-time.Second).Zone()
	return offset
}

// checkWindow checks a window at its ends only.
func checkWindow(t testing.TB, d clinic.Date, zone *time.Location, window clinic.Interval) {
	t.Helper()
	if window.End.Before(window.Start) {
		t.Errorf("%s %s = %v, want the end not before the start", zone, d, window)
	}
	if clinic.Instant(window.Start) != window.Start || clinic.Instant(window.End) != window.End {
		t.Errorf("%s %s = %v, want UTC with whole microseconds", zone, d, window)
	}
	if first := clinic.DateOf(window.Start.In(zone)); first.Before(d) {
		t.Errorf("%s %s starts while it is still %s, want it to be the day", zone, d, first)
	}
	if before := clinic.DateOf(window.Start.Add(-time.Microsecond).In(zone)); !before.Before(d) {
		t.Errorf("%s %s starts when it is already %s, want the day before until then", zone, d, before)
	}
}

// The same for any day, from the mean solar times of 1900 to the permanent rules of zones.
func TestDayOnAnyDay(t *testing.T) {
	zones := allZones(t)
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom(zones).Draw(t, "zone")
		year := rapid.OneOf(rapid.IntRange(1900, 2100), rapid.IntRange(1900, 9997)).Draw(t, "year")
		day := time.Date(year, 1, rapid.IntRange(1, 366).Draw(t, "day"), 0, 0, 0, 0, time.UTC)
		checkDay(t, clinic.DateOf(day), zone)
	})
}

func FuzzDay(f *testing.F) {
	zones := allZones(f)
	for i, zone := range zones {
		switch zone.String() {
		case "America/Santiago":
			f.Add(uint16(i), 2026, 249)
		case "America/Havana":
			f.Add(uint16(i), 2026, 67)
		case "Pacific/Apia":
			f.Add(uint16(i), 2011, 364)
		case "America/St_Johns":
			f.Add(uint16(i), 2006, 302)
		case "Africa/Monrovia":
			f.Add(uint16(i), 1972, 7)
		case "Australia/Lord_Howe":
			f.Add(uint16(i), 2026, 95)
		}
	}
	f.Add(uint16(0), 1900, 1)
	f.Add(uint16(0), 9998, 364)
	f.Fuzz(func(t *testing.T, zone uint16, year, day int) {
		if year < 0 || year > 10_000 || day < 1 || day > 366 {
			return // no such day
		}
		d := clinic.DateOf(time.Date(year, 1, day, 0, 0, 0, 0, time.UTC))
		if d.Before(clinic.MinDate) || clinic.MaxDate.Before(d) {
			return // outside of MEMS' range: requests with it are refused
		}
		checkDay(t, d, zones[int(zone)%len(zones)])
	})
}

// checkDay compares a day's window with the naive search.
func checkDay(t rapid.TB, d clinic.Date, zone *time.Location) {
	t.Helper()
	want := clinic.Interval{Start: naiveStart(d, zone), End: naiveStart(d.Next(), zone)}
	if got := clinic.Day(d, zone); got != want {
		t.Fatalf("Day(%s) in %s = %v, want %v, by the naive search", d, zone, got, want)
	}
}
