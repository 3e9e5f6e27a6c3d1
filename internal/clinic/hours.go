package clinic

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// MinutesPerDay is the end of a block that ends at midnight.
const MinutesPerDay = 24 * 60

// WorkingHours is when a doctor works, on the wall clock of one zone. A doctor without a
// Timetable has no working hours and can be booked at any time.
type WorkingHours struct { //nolint:recvcheck // JSON is made of values too
	Zone       *time.Location // set if there is a timetable
	Timetables []Timetable    // by From
	Exceptions []DateHours    // by Date
	Version    int64          // counts changes; the record's ETag
}

// Timetable is a week that repeats from the day From until the day before the next
// timetable begins. In one without blocks the doctor does not work.
type Timetable struct {
	From   Date
	Blocks []WeeklyBlock // by weekday and start
}

// WeeklyBlock is a Block of one day of the week, by ISO 8601: 1 is Monday, 7 Sunday.
type WeeklyBlock struct {
	Weekday int
	Block
}

// DateHours replaces the timetable on a single date. Without blocks, the doctor does not
// work on it.
type DateHours struct {
	Date   Date
	Blocks []Block // by start
}

// Block is part of a local day, in minutes of its wall clock from 0 to MinutesPerDay, Start
// < End.
type Block struct {
	Start, End int
}

// Given reports whether there are working hours at all.
func (h *WorkingHours) Given() bool { return len(h.Timetables) > 0 }

// Normalize sorts everything by time.
func (h *WorkingHours) Normalize() {
	slices.SortStableFunc(h.Timetables, func(a, b Timetable) int { return a.From.compare(b.From) })
	for _, t := range h.Timetables {
		slices.SortStableFunc(t.Blocks, func(a, b WeeklyBlock) int {
			return (a.Weekday-b.Weekday)*MinutesPerDay + a.Start - b.Start
		})
	}
	slices.SortStableFunc(h.Exceptions, func(a, b DateHours) int { return a.Date.compare(b.Date) })
	for _, e := range h.Exceptions {
		slices.SortStableFunc(e.Blocks, func(a, b Block) int { return a.Start - b.Start })
	}
}

// Validate returns CodeValidationFailed, with all violations, for a block that does not end
// after it starts, overlapping blocks, two timetables or exceptions for one day, and
// exceptions without a timetable. The pointers refer to the order in which h was sent, so
// call Validate before Normalize.
func (h *WorkingHours) Validate() error {
	var vs []Violation
	refuse := func(code, detail, pointer string, args ...any) {
		vs = append(vs, Violation{Pointer: fmt.Sprintf("#/"+pointer, args...), Code: code, Detail: detail})
	}
	type placed struct {
		day     int
		block   Block
		pointer string
	}
	check := func(blocks []placed) {
		for i, b := range blocks {
			if b.block.Start >= b.block.End {
				refuse("combination", "must be later than start", "%s/end", b.pointer)
			}
			for _, earlier := range blocks[:i] {
				if earlier.day == b.day && earlier.block.Start < b.block.End && b.block.Start < earlier.block.End {
					refuse("combination", "overlaps another block of this day", "%s", b.pointer)
					break
				}
			}
		}
	}
	from := map[Date]bool{}
	for i, t := range h.Timetables {
		if from[t.From] {
			refuse("combination", "another timetable begins on this day", "timetables/%d/effective_from", i)
		}
		from[t.From] = true
		var blocks []placed
		for j, b := range t.Blocks {
			blocks = append(blocks, placed{b.Weekday, b.Block, fmt.Sprintf("timetables/%d/blocks/%d", i, j)})
		}
		check(blocks)
	}
	dates := map[Date]bool{}
	for i, e := range h.Exceptions {
		if dates[e.Date] {
			refuse("combination", "another exception is for this day", "exceptions/%d/date", i)
		}
		dates[e.Date] = true
		var blocks []placed
		for j, b := range e.Blocks {
			blocks = append(blocks, placed{0, b, fmt.Sprintf("exceptions/%d/blocks/%d", i, j)})
		}
		check(blocks)
	}
	if len(h.Exceptions) > 0 && len(h.Timetables) == 0 {
		refuse("combination", "an exception needs a timetable that it is an exception from", "exceptions")
	}
	return invalid(vs)
}

// Open returns the working times that touch the window, merged and by start: adjacent
// blocks are one interval, also across midnight. Intervals may extend beyond the window. h
// must be normalised and Given.
//
// A block runs from the first occurrence of its start to the last of its end; where the
// clocks skip one of them, the end of the gap counts. So a block over the night in which
// the clocks go back is an hour longer.
func (h *WorkingHours) Open(window Interval) []Interval {
	var open []Interval
	// One more day on both sides: zones are up to 14 hours ahead of UTC and 12 behind, and
	// merged intervals should not be cut at the window's edge.
	last := DateOf(window.End.In(h.Zone)).Next()
	for d := DateOf(window.Start.In(h.Zone).AddDate(0, 0, -1)); !last.Before(d); d = d.Next() {
		for _, b := range h.blocks(d) {
			i := Interval{Start: firstAt(d.at(b.Start), h.Zone), End: lastAt(d.at(b.End), h.Zone)}
			if !i.empty() {
				open = append(open, i)
			}
		}
	}
	return slices.DeleteFunc(merge(open), func(i Interval) bool { return !i.Overlaps(window) })
}

// blocks returns the blocks of a date: the exception's, otherwise those of the timetable in
// force.
func (h *WorkingHours) blocks(d Date) []Block {
	if i, found := slices.BinarySearchFunc(h.Exceptions, d, func(e DateHours, d Date) int { return e.Date.compare(d) }); found {
		return h.Exceptions[i].Blocks
	}
	i, found := slices.BinarySearchFunc(h.Timetables, d, func(t Timetable, d Date) int { return t.From.compare(d) })
	if !found {
		i-- // the one before d's insertion index
	}
	if i < 0 {
		return nil
	}
	var blocks []Block
	for _, b := range h.Timetables[i].Blocks {
		if b.Weekday == d.weekday() {
			blocks = append(blocks, b.Block)
		}
	}
	return blocks
}

// weekday returns the day of the week by ISO 8601: 1 is Monday, 7 Sunday.
func (d Date) weekday() int { return (int(d.utc().Weekday())+6)%7 + 1 }

// at returns the wall time minutes after the day's midnight, written as if it were UTC.
func (d Date) at(minutes int) time.Time { return d.utc().Add(time.Duration(minutes) * time.Minute) }

func (d Date) compare(o Date) int { return d.utc().Compare(o.utc()) }

// merge sorts intervals and joins those that overlap or touch.
func merge(is []Interval) []Interval {
	slices.SortFunc(is, func(a, b Interval) int { return a.Start.Compare(b.Start) })
	var merged []Interval
	for _, i := range is {
		if n := len(merged); n > 0 && !merged[n-1].End.Before(i.Start) {
			if i.End.After(merged[n-1].End) {
				merged[n-1].End = i.End
			}
			continue
		}
		merged = append(merged, i)
	}
	return merged
}

// subtract returns the parts of the merged intervals that are not in the merged others.
func subtract(from, others []Interval) []Interval {
	var left []Interval
	for _, i := range from {
		for _, o := range others {
			if !o.Overlaps(i) {
				continue
			}
			if i.Start.Before(o.Start) {
				left = append(left, Interval{i.Start, o.Start})
			}
			i.Start = o.End
			if !i.Start.Before(i.End) {
				break
			}
		}
		if !i.empty() {
			left = append(left, i)
		}
	}
	return left
}

// MarshalJSON writes the zone by its name.
func (h WorkingHours) MarshalJSON() ([]byte, error) {
	type plain WorkingHours
	return json.Marshal(struct {
		plain
		Zone string
	}{plain(h), zoneName(h.Zone)})
}

// Holds reports whether an appointment lies within the hours, or outside of them by
// override.
func (h *WorkingHours) Holds(a Appointment) bool {
	return !h.Given() || a.Broken.OutsideHours || len(subtract([]Interval{a.Time}, h.Open(a.Time))) == 0
}

// usualEnough is the number of appointments from which they are a better guess than 08:00
// to 18:00.
const usualEnough = 20

// UsualHours returns the hours in which plans, waitlist offers and alternatives propose
// times of a doctor without working hours. They are guessed from the doctor's appointments:
// the times of day that these cover, without the extremes if there are many; if there are
// few, 08:00 to 18:00, or ten hours from the first.
func UsualHours(times []Interval, zone *time.Location) WorkingHours {
	from, to := 8*60, 18*60
	if n := len(times); n > 0 {
		var starts, ends []int
		for _, i := range times {
			local := i.Start.In(zone)
			start := local.Hour()*60 + local.Minute()
			starts = append(starts, start)
			ends = append(ends, min(start+int(i.End.Sub(i.Start)/time.Minute), MinutesPerDay))
		}
		slices.Sort(starts)
		slices.Sort(ends)
		first, last := starts[n/usualEnough], ends[n-1-n/usualEnough]
		switch {
		case n >= usualEnough:
			from, to = first, last
		case first < from || last > to:
			from, to = first, max(last, min(first+to-from, MinutesPerDay))
		}
	}
	week := Timetable{From: MinDate}
	for weekday := 1; weekday <= 7; weekday++ {
		week.Blocks = append(week.Blocks, WeeklyBlock{Weekday: weekday, Block: Block{Start: from, End: to}})
	}
	return WorkingHours{Zone: zone, Timetables: []Timetable{week}}
}
