package store

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mems/internal/clinic"
)

// For any window and any number of doctors, the parts adjoin, none exceeds doctorDaysAtOnce, one
// search examines at most MaxDoctorDays, and the rest begins where it ended.
func TestWalkIsBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		doctors := rapid.IntRange(0, 20_000).Draw(t, "doctors")
		window := clinic.Interval{Start: time.Date(2027, 3, 1, 8, 0, 0, 0, time.UTC)}
		window.End = window.Start.Add(time.Duration(rapid.IntRange(1, 92*24).Draw(t, "hours")) * time.Hour)
		budget := max(MaxDoctorDays, doctors)
		searches := 0
		for from := window.Start; from.Before(window.End); searches++ {
			left, parts := budget, 0
			end := from
			searched, err := walk(clinic.Interval{Start: from, End: window.End}, &left, func() int { return doctors }, func(part clinic.Interval) error {
				parts++
				days := int((part.End.Sub(part.Start) + 24*time.Hour - 1) / (24 * time.Hour))
				if !part.Start.Equal(end) || !part.Start.Before(part.End) || days > 1 && days*doctors > doctorDaysAtOnce {
					t.Fatalf("part %v of %d doctors after %s: want the parts adjoining, and of one day or few doctor-days", part, doctors, end)
				}
				end = part.End
				return nil
			})
			if err != nil || left < 0 || parts > 100 {
				t.Fatalf("error %v, %d doctor-days left after %d parts; want no error, none overdrawn, at most 100 parts", err, left, parts)
			}
			if doctors > 0 && !searched.Equal(end) {
				t.Fatalf("searched up to %s, want the end of the last part, %s", searched, end)
			}
			if !searched.After(from) {
				t.Fatalf("search from %s ended at %s, want a later time", from, searched)
			}
			from = searched
		}
		if searches > 92 {
			t.Fatalf("%d searches, want at most 92", searches)
		}
	})
}

func TestWalkEndsEarly(t *testing.T) {
	t.Parallel()
	window := clinic.Interval{Start: time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC), End: time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC)}
	for _, end := range []error{errFound, errors.New("broken")} {
		left, visits := MaxDoctorDays, 0
		searched, err := walk(window, &left, func() int { return 10 }, func(clinic.Interval) error {
			visits++
			return end
		})
		if visits != 1 || left != MaxDoctorDays-10 {
			t.Errorf("%d parts and %d doctor-days left, want 1 part of 10 doctor-days", visits, left)
		}
		if errors.Is(end, errFound) != (err == nil) || err == nil && !searched.Equal(window.End) {
			t.Errorf("walk whose part returns %v = %v, %v, want %v and the part's error unless it is errFound",
				end, searched, err, window.End)
		}
	}
}
