package clinic

import (
	"slices"
	"time"
)

// NextFree is the first free slot of a doctor; nil when there is none.
type NextFree struct {
	DoctorID       int64
	Specialization string
	Slot           *Slot
}

// FirstPerSpecialization returns the first slot of each specialization.
func FirstPerSpecialization(free []NextFree) []NextFree {
	var first []NextFree
	seen := map[string]bool{}
	for _, f := range free {
		if !seen[f.Specialization] {
			seen[f.Specialization] = true
			first = append(first, f)
		}
	}
	return first
}

// First returns the earliest start in the query's window, not bound to the grid, for which
// CanBook would find no conflict; false when there is none.
func (s *Schedule) First(q SlotQuery) (time.Time, bool) {
	if !q.Window.Start.Before(q.Window.End) {
		return time.Time{}, false
	}
	reach := Interval{Start: q.Window.Start, End: q.Window.End.Add(q.Duration)}
	working := []Interval{reach}
	if s.Hours.Given() {
		working = s.Hours.Open(reach)
	}
	working = subtract(working, merge(slices.Clone(s.Off)))
	obstacles := []obstacle{
		{merge(slices.Clone(s.Busy)), q.Buffers},
		{merge(slices.Clone(q.PatientBusy)), Buffers{}},
	}
	rooms := make([][]Interval, len(q.Rooms))
	for i, busy := range q.Rooms {
		rooms[i] = merge(slices.Clone(busy))
	}
	for _, w := range working {
		t := w.Start
		if t.Before(q.Window.Start) {
			t = q.Window.Start
		}
		for t.Before(q.Window.End) && !t.Add(q.Duration).After(w.End) {
			want := Interval{Start: t, End: t.Add(q.Duration)}
			if free := freeFrom(obstacles, want); free.After(t) {
				t = free
				continue
			}
			if !q.NeedsRoom {
				return Instant(t), true
			}
			free, ok := roomFreeFrom(rooms, q.Buffers, want)
			if !ok {
				return time.Time{}, false
			}
			if !free.After(t) {
				return Instant(t), true
			}
			t = free
		}
	}
	return time.Time{}, false
}

// roomFreeFrom returns want's start if a room is free then, otherwise a later start before
// which none is; false when there are no rooms.
func roomFreeFrom(rooms [][]Interval, buffers Buffers, want Interval) (time.Time, bool) {
	var first time.Time
	for _, busy := range rooms {
		b, taken := blocking(busy, buffers.around(want))
		if !taken {
			return want.Start, true
		}
		if after := b.End.Add(buffers.Before); first.IsZero() || after.Before(first) {
			first = after
		}
	}
	return first, len(rooms) > 0
}
