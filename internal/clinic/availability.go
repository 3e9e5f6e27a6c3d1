package clinic

import (
	"iter"
	"slices"
	"sort"
	"time"
)

// MaxAhead bounds the search for the next free time.
const MaxAhead = 90 * 24 * time.Hour

// LookAhead returns the window in which the next free time is searched for: MaxAhead from
// the later of now and from, or up to MaxInstant.
func LookAhead(now time.Time, from *time.Time) Interval {
	start := Instant(now)
	if from != nil && from.After(now) {
		start = Instant(*from)
	}
	end := start.Add(MaxAhead)
	if end.After(MaxInstant) {
		end = Instant(MaxInstant)
	}
	return Interval{Start: start, End: end}
}

// Schedule is a doctor's calendar in some window.
type Schedule struct {
	DoctorID       int64
	Specialization string
	Hours          WorkingHours
	Off            []Interval // time off and closures
	Busy           []Interval // appointments with their buffers, and holds
}

// SlotQuery describes a search for free times.
type SlotQuery struct {
	Window   Interval // of starts
	Duration time.Duration
	Buffers  Buffers
	// Step and Zone define the grid: a start is on it when the wall clock in Zone shows a
	// multiple of Step since midnight. Step divides an hour.
	Step time.Duration
	Zone *time.Location
	// Rooms has, with NeedsRoom, the busy times of every suitable room, of which one has to
	// be free.
	NeedsRoom bool
	Rooms     [][]Interval
	// PatientBusy has the times of the patient's other appointments.
	PatientBusy []Interval
}

// Slot is a free time of one doctor.
type Slot struct {
	DoctorID int64
	Time     Interval
}

// StartWindow returns the window of a search that finds s if it is free, and no slot that
// starts at another time.
func (s Slot) StartWindow() Interval {
	return Interval{Start: s.Time.Start, End: s.Time.Start.Add(time.Microsecond)}
}

// In reports whether s is among the slots that a search found.
func (s Slot) In(found []Slot) bool { return slices.Contains(found, s) }

// Starts yields, in order, every start on the grid for which CanBook would find no
// conflict. Its cost is proportional to the number of starts and of obstacles, not to the
// length of the window.
func (s *Schedule) Starts(q SlotQuery) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		reach := Interval{Start: q.Window.Start, End: q.Window.End.Add(q.Duration)}
		working := []Interval{reach}
		if s.Hours.Given() {
			working = s.Hours.Open(reach)
		}
		// Merged copies, because queries must not share them.
		near := q.Buffers.around(reach)
		working = subtract(working, merge(overlapping(s.Off, reach)))
		obstacles := []obstacle{
			{merge(overlapping(s.Busy, near)), q.Buffers},
			{merge(overlapping(q.PatientBusy, reach)), Buffers{}},
		}
		rooms := make([][]Interval, len(q.Rooms))
		for i, busy := range q.Rooms {
			rooms[i] = merge(overlapping(busy, near))
		}
		g := grid{step: q.Step, zone: q.Zone}
		for _, w := range working {
			first := w.Start
			if first.Before(q.Window.Start) {
				first = q.Window.Start
			}
			for t := g.ceil(first); t.Before(q.Window.End) && !t.Add(q.Duration).After(w.End); {
				want := Interval{Start: t, End: t.Add(q.Duration)}
				if free := freeFrom(obstacles, want); free.After(t) {
					t = g.ceil(free)
					continue
				}
				if (!q.NeedsRoom || anyFree(rooms, q.Buffers.around(want))) && !yield(t) {
					return
				}
				t = g.ceil(t.Add(time.Microsecond))
			}
		}
	}
}

// overlapping returns a copy of the intervals that overlap a window.
func overlapping(is []Interval, window Interval) []Interval {
	var found []Interval
	for _, i := range is {
		if i.Overlaps(window) {
			found = append(found, i)
		}
	}
	return found
}

// obstacle is a calendar that must be free, and the buffers that apply to it.
type obstacle struct {
	busy    []Interval // merged
	buffers Buffers
}

// freeFrom returns want's start if want is free, otherwise a later start before which
// nothing is free.
func freeFrom(obstacles []obstacle, want Interval) time.Time {
	start := want.Start
	for _, o := range obstacles {
		if b, taken := blocking(o.busy, o.buffers.around(want)); taken {
			if after := b.End.Add(o.buffers.Before); after.After(start) {
				start = after
			}
		}
	}
	return start
}

// blocking returns the first of the merged busy times that overlaps want.
func blocking(busy []Interval, want Interval) (Interval, bool) {
	i := sort.Search(len(busy), func(i int) bool { return busy[i].End.After(want.Start) })
	if i < len(busy) && busy[i].Overlaps(want) {
		return busy[i], true
	}
	return Interval{}, false
}

func anyFree(rooms [][]Interval, want Interval) bool {
	for _, busy := range rooms {
		if _, taken := blocking(busy, want); !taken {
			return true
		}
	}
	return false
}

// grid rounds instants up to multiples of step on a zone's wall clock. It caches the
// current period of constant offset, because zone lookups are slow.
type grid struct {
	step       time.Duration
	zone       *time.Location
	from, till time.Time // the cached period; zero till: no end
	offset     time.Duration
	known      bool
}

// ceil returns the first instant of the grid that is not before t.
func (g *grid) ceil(t time.Time) time.Time {
	for {
		if !g.known || t.Before(g.from) || !g.till.IsZero() && !t.Before(g.till) {
			g.from, g.known = t, true
			g.offset, g.till = period(t.In(g.zone))
		}
		up := t
		// The remainder first: the nanoseconds since 1970 overflow in 2262.
		past := time.Duration(t.Add(g.offset).UnixMicro()%g.step.Microseconds()) * time.Microsecond
		if past > 0 {
			up = t.Add(g.step - past)
		} else if past < 0 { // before 1970
			up = t.Add(-past)
		}
		if g.till.IsZero() || up.Before(g.till) {
			return Instant(up)
		}
		t = g.till
	}
}

// Nearest returns the n slots whose starts are nearest to want, sorted by start; of two
// that are equally near, the earlier wins.
func Nearest(slots []Slot, want time.Time, n int) []Slot {
	slots = slices.Clone(slots)
	slices.SortStableFunc(slots, func(a, b Slot) int {
		if c := int(a.Time.Start.Sub(want).Abs() - b.Time.Start.Sub(want).Abs()); c != 0 {
			return c
		}
		return a.Time.Start.Compare(b.Time.Start)
	})
	if len(slots) > n {
		slots = slots[:n]
	}
	slices.SortStableFunc(slots, func(a, b Slot) int { return a.Time.Start.Compare(b.Time.Start) })
	return slots
}
