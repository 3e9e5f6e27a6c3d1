package clinic_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"mems/internal/clinic"
)

// walls is an oracle for wall clocks: it lists what a zone's clock shows in every minute of
// some days.
type walls struct {
	first time.Time // a whole minute
	shows []int64   // minute by minute, in minutes since 1970 on the wall clock
}

func newWalls(zone *time.Location, from time.Time, days int) walls {
	w := walls{first: from.Truncate(time.Minute)}
	for i := range days * 24 * 60 {
		at := w.first.Add(time.Duration(i) * time.Minute)
		_, offset := at.In(zone).Zone()
		w.shows = append(w.shows, (at.Unix()+int64(offset))/60)
	}
	return w
}

// start returns the first minute at which the clock shows wall or later: its first
// occurrence, or the end of a gap.
func (w walls) start(wall int64) int {
	return slices.IndexFunc(w.shows, func(m int64) bool { return m >= wall })
}

// end returns the last minute at which the clock shows wall, or the end of a gap.
func (w walls) end(wall int64) int {
	for i, shown := range slices.Backward(w.shows) {
		if shown == wall {
			return i
		}
	}
	return w.start(wall)
}

// open marks the minutes in which a doctor works.
func (w walls) open(h clinic.WorkingHours, from clinic.Date, days int) []bool {
	open := make([]bool, len(w.shows))
	for range days {
		day := dayNumber(from) * 24 * 60
		for _, b := range naiveBlocks(h, from) {
			end := w.end(day + int64(b.End))
			for i := w.start(day + int64(b.Start)); i < end; i++ {
				open[i] = true
			}
		}
		from = from.Next()
	}
	return open
}

func naiveBlocks(h clinic.WorkingHours, d clinic.Date) []clinic.Block {
	for _, e := range h.Exceptions {
		if e.Date == d {
			return e.Blocks
		}
	}
	var holds *clinic.Timetable
	for _, t := range h.Timetables {
		if !d.Before(t.From) && (holds == nil || holds.From.Before(t.From)) {
			holds = &t
		}
	}
	if holds == nil {
		return nil
	}
	weekday := int(time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC).Weekday())
	var blocks []clinic.Block
	for _, b := range holds.Blocks {
		if b.Weekday%7 == weekday {
			blocks = append(blocks, b.Block)
		}
	}
	return blocks
}

// drawn is a random doctor's schedule and a query.
type drawn struct {
	schedule clinic.Schedule
	query    clinic.SlotQuery
}

// drawClinic draws a random one around a moment.
func drawClinic(t *rapid.T, zone *time.Location, moment time.Time) drawn {
	first := clinic.DateOf(moment.In(zone).AddDate(0, 0, -3))
	someTime := func(name string) time.Time {
		return moment.Add(time.Duration(rapid.IntRange(-36*60, 36*60).Draw(t, name))*time.Minute + time.Duration(rapid.SampledFrom([]int{0, 0, 0, 1, 30_000_001}).Draw(t, name+" µs"))*time.Microsecond)
	}
	interval := func(name string, longest int) clinic.Interval {
		start := someTime(name)
		return clinic.Interval{Start: start, End: start.Add(time.Duration(rapid.IntRange(1, longest).Draw(t, name+" length")) * time.Minute)}
	}
	blocks := func(name string) []clinic.Block {
		marks := rapid.SliceOfNDistinct(rapid.IntRange(0, 96), 0, 6, rapid.ID[int]).Draw(t, name)
		slices.Sort(marks)
		var blocks []clinic.Block
		for i := 0; i+1 < len(marks); i += 2 {
			blocks = append(blocks, clinic.Block{Start: marks[i] * 15, End: marks[i+1] * 15})
		}
		return blocks
	}
	s := clinic.Schedule{DoctorID: 1}
	if rapid.IntRange(0, 4).Draw(t, "without hours") > 0 {
		s.Hours.Zone = zone
		for i := range rapid.IntRange(1, 2).Draw(t, "timetables") {
			table := clinic.Timetable{From: clinic.DateOf(moment.In(zone).AddDate(0, 0, -10+i*rapid.IntRange(1, 14).Draw(t, "days later")))}
			for weekday := 1; weekday <= 7; weekday++ {
				for _, b := range blocks(fmt.Sprint("weekday ", weekday)) {
					table.Blocks = append(table.Blocks, clinic.WeeklyBlock{Weekday: weekday, Block: b})
				}
			}
			s.Hours.Timetables = append(s.Hours.Timetables, table)
		}
		for d := first; rapid.Bool().Draw(t, "exception"); d = d.Next() {
			s.Hours.Exceptions = append(s.Hours.Exceptions, clinic.DateHours{Date: d, Blocks: blocks("exception's")})
		}
		if err := s.Hours.Validate(); err != nil {
			t.Fatal(err)
		}
		s.Hours.Normalize()
	}
	q := clinic.SlotQuery{
		Window:   clinic.Interval{Start: someTime("from")},
		Duration: time.Duration(rapid.IntRange(15, 180).Draw(t, "duration")) * time.Minute,
		Buffers: clinic.Buffers{
			Before: time.Duration(rapid.IntRange(0, 60).Draw(t, "before")) * time.Minute,
			After:  time.Duration(rapid.IntRange(0, 60).Draw(t, "after")) * time.Minute,
		},
		Step: time.Duration(rapid.SampledFrom([]int{5, 15, 20, 30, 60}).Draw(t, "step")) * time.Minute, Zone: zone,
		NeedsRoom: rapid.Bool().Draw(t, "needs room"),
	}
	q.Window.End = q.Window.Start.Add(time.Duration(rapid.IntRange(1, 24*60).Draw(t, "window")) * time.Minute)
	for range rapid.IntRange(0, 3).Draw(t, "off") {
		s.Off = append(s.Off, interval("off", 600))
	}
	for range rapid.IntRange(0, 12).Draw(t, "busy") {
		s.Busy = append(s.Busy, interval("busy", 300))
	}
	for range rapid.IntRange(0, 4).Draw(t, "patient busy") {
		q.PatientBusy = append(q.PatientBusy, interval("patient busy", 180))
	}
	for range rapid.IntRange(0, 2).Draw(t, "rooms") {
		var busy []clinic.Interval
		for range rapid.IntRange(0, 6).Draw(t, "room busy") {
			busy = append(busy, interval("room busy", 300))
		}
		q.Rooms = append(q.Rooms, busy)
	}

	return drawn{s, q}
}

// days is the number of whole days among those that wallsAround lists: the reach of a drawn
// window.
const days = 7

func wallsAround(zone *time.Location, moment time.Time) walls {
	return newWalls(zone, moment.Add(-3*24*time.Hour), days+1)
}

// check compares Starts with the free starts determined minute by minute.
func (d drawn) check(t rapid.TB, zone *time.Location, moment time.Time, w walls) {
	t.Helper()
	s, q := d.schedule, d.query
	var want []time.Time
	working := w.open(s.Hours, clinic.DateOf(w.first.In(zone)), days)
	step := int64(q.Step / time.Minute)
	for i, shown := range w.shows {
		start := w.first.Add(time.Duration(i) * time.Minute)
		if shown%step != 0 || start.Before(q.Window.Start) || !start.Before(q.Window.End) {
			continue
		}
		if s.Hours.Given() && slices.Contains(working[i:i+int(q.Duration/time.Minute)], false) {
			continue
		}
		c := clinic.Calendar{Patient: clinic.Active, Doctor: clinic.Active, Off: s.Off, DoctorBusy: s.Busy, PatientBusy: q.PatientBusy}
		b := clinic.Booking{Start: start, Duration: q.Duration, Buffers: q.Buffers}
		_, err := clinic.CanBook(c, b)
		roomFree := !q.NeedsRoom
		for _, busy := range q.Rooms {
			c := clinic.Calendar{Patient: clinic.Active, Doctor: clinic.Active, RoomBusy: busy}
			_, err := clinic.CanBook(c, b)
			roomFree = roomFree || err == nil
		}
		if err == nil && roomFree {
			want = append(want, start.UTC())
		}
	}
	if diff := cmp.Diff(want, slices.Collect(s.Starts(q))); diff != "" {
		t.Fatalf("starts in %s around %s (-nothing in the way +offered)\n%s", zone, moment, diff)
	}
}

// Every offered start can be booked, and every bookable start on the grid is offered: in
// random clinics at random times in a few zones.
func TestStartsAgainstOracle(t *testing.T) {
	t.Parallel()
	var zones []*time.Location
	for _, name := range []string{"UTC", "Europe/Zurich", "America/Santiago", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca", "Pacific/Apia"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		zones = append(zones, zone)
	}
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom(zones).Draw(t, "zone")
		moment := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 3*365*24*60).Draw(t, "minute")) * time.Minute)
		drawClinic(t, zone, moment).check(t, zone, moment, wallsAround(zone, moment))
	})
}

// The same around each clock change of each zone in three years, and around the last change
// of zones without further ones. The grid also holds after 2262, when nanoseconds since
// 1970 overflow.
func TestStartsInTheFarFuture(t *testing.T) {
	for _, year := range []int{2261, 2263, 2555, 9998} {
		from := time.Date(year, 6, 1, 8, 3, 0, 0, time.UTC)
		q := clinic.SlotQuery{
			Window: clinic.Interval{Start: from, End: from.Add(time.Hour)}, Duration: 30 * time.Minute, Step: 15 * time.Minute, Zone: time.UTC,
		}
		got := slices.Collect((&clinic.Schedule{}).Starts(q))
		if want := from.Truncate(time.Hour).Add(15 * time.Minute); len(got) != 4 || !got[0].Equal(want) {
			t.Errorf("%d: %v, want 4 from %v", year, got, want)
		}
	}
}

func TestStartsAtEveryChangeOfTheClocks(t *testing.T) {
	t.Parallel()
	from, to := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	clinics := 0
	for _, zone := range allZones(t) {
		at, by := changes(zone)
		if len(at) == 0 {
			continue
		}
		if last := len(at) - 1; at[last].Before(from) && by[last]%60 == 0 {
			at = at[last:]
		} else {
			at = slices.DeleteFunc(at, func(c time.Time) bool { return c.Before(from) || c.After(to) })
		}
		for _, moment := range at {
			if _, offset := moment.Add(-time.Hour).In(zone).Zone(); offset%60 != 0 {
				continue // the oracle counts in minutes
			}
			walls := wallsAround(zone, moment)
			for range 2 {
				clinics++
				random := rapid.Custom(func(t *rapid.T) drawn { return drawClinic(t, zone, moment) })
				random.Example(clinics).check(t, zone, moment, walls)
			}
		}
	}
	if clinics < 1500 {
		t.Errorf("%d clinics, want at least 1500: these are not all", clinics)
	}
}

// A search within the window of a slot finds exactly that slot, if it is free.
func TestSlotIsFound(t *testing.T) {
	t.Parallel()
	slot := clinic.Slot{DoctorID: 1, Time: clinic.Interval{Start: nine, End: nine.Add(30 * time.Minute)}}
	search := func(busy ...clinic.Interval) []clinic.Slot {
		s := clinic.Schedule{DoctorID: 1, Hours: clinic.WorkingHours{}, Busy: busy}
		var found []clinic.Slot
		for start := range s.Starts(clinic.SlotQuery{Window: slot.StartWindow(), Duration: 30 * time.Minute, Step: time.Minute, Zone: time.UTC}) {
			found = append(found, clinic.Slot{DoctorID: 1, Time: clinic.Interval{Start: start, End: start.Add(30 * time.Minute)}})
		}
		return found
	}
	if found := search(); len(found) != 1 || !slot.In(found) {
		t.Errorf("free: %v, want %v alone", found, slot)
	}
	if found := search(clinic.Interval{Start: nine.Add(29 * time.Minute), End: nine.Add(time.Hour)}); slot.In(found) {
		t.Errorf("slots outside the occupied time = %v, want them without %v", found, slot)
	}
	longer, colleague := slot, slot
	longer.Time.End = longer.Time.End.Add(time.Minute)
	colleague.DoctorID = 2
	if found := []clinic.Slot{longer, colleague}; slot.In(found) {
		t.Errorf("%v contains %v, want another length or doctor not to count", found, slot)
	}
}
