package clinic

import "time"

// Date is a calendar day without a zone, such as a birth date or "the 1st of
// March at the clinic".
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// The days that MEMS handles; MaxDate leaves room for the day after it.
var (
	MinDate = Date{1900, time.January, 1}
	MaxDate = Date{9998, time.December, 30}
)

// ParseDate parses an RFC 3339 full-date. A day that does not exist (2026-02-30) or lies
// outside MinDate..MaxDate is refused.
func ParseDate(s string) (Date, bool) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return Date{}, false
	}
	d := DateOf(t)
	if d.Before(MinDate) || MaxDate.Before(d) {
		return Date{}, false
	}
	return d, true
}

// DateOf returns the date of t in t's own zone.
func DateOf(t time.Time) Date {
	y, m, d := t.Date()
	return Date{y, m, d}
}

// Before reports whether d is before o.
func (d Date) Before(o Date) bool {
	return d.utc().Before(o.utc())
}

// Next returns the day after d.
func (d Date) Next() Date {
	return DateOf(d.utc().AddDate(0, 0, 1))
}

// String returns the RFC 3339 full-date.
func (d Date) String() string {
	return d.utc().Format(time.DateOnly)
}

func (d Date) utc() time.Time {
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC)
}

// Day is the window of a calendar day at a place: from the first instant at
// which that place's calendar has reached d to the first instant at which it
// has reached the day after. Windows of successive days join without gap or
// overlap, whatever the clocks do; around a change of the clocks they are 23,
// 23.5, 24.5 or 25 hours long, and a day that a zone left out (Samoa,
// 2011-12-30) is empty.
func Day(d Date, zone *time.Location) Interval {
	return Interval{Start: firstInstant(d, zone), End: firstInstant(d.Next(), zone)}
}

// firstInstant returns the earliest instant at which the local calendar in zone shows d or
// a later day.
func firstInstant(d Date, zone *time.Location) time.Time {
	return firstAt(d.utc(), zone)
}

// firstAt returns the earliest instant at which the clock in zone shows wall, which is
// written as if it were UTC, or a later time. Where the clocks skip it, that is the end of
// the gap; where it happens twice, the first time.
//
// time.Date would not do: where the clocks skip midnight (America/Santiago
// 2026-09-06, America/Havana 2026-03-08) it returns 23:00 of the day
// before. So walk the zone's periods of constant offset.
func firstAt(wall time.Time, zone *time.Location) time.Time {
	for t := periodBefore(wall, zone); ; {
		offset, end := period(t)
		reached := wall.Add(-offset)
		if reached.Before(t) {
			// The clock jumped over it: the end of the gap.
			reached = t
		}
		if end.IsZero() || reached.Before(end) {
			return Instant(reached)
		}
		t = end
	}
}

// lastAt returns the latest instant at which the clock in zone shows wall; where the clocks
// skip it, the end of the gap.
func lastAt(wall time.Time, zone *time.Location) time.Time {
	last := firstAt(wall, zone)
	for t := periodBefore(wall, zone); !t.After(wall.Add(48 * time.Hour)); {
		offset, end := period(t)
		if reached := wall.Add(-offset); !reached.Before(t) && (end.IsZero() || reached.Before(end)) && reached.After(last) {
			last = Instant(reached)
		}
		if end.IsZero() {
			break
		}
		t = end
	}
	return last
}

// periodBefore returns an instant from which to walk a zone's periods towards wall. No zone
// has ever been more than 16 hours from UTC, and a clock change moves it by a day at most
// (Samoa, the Philippines, Alaska).
func periodBefore(wall time.Time, zone *time.Location) time.Time {
	return wall.Add(-48 * time.Hour).In(zone)
}

// period returns the offset from UTC at t, and the instant at which it ends, or one shortly
// before; zero if it never ends.
func period(t time.Time) (offset time.Duration, end time.Time) {
	_, seconds := t.Zone()
	_, end = t.ZoneBounds()
	if !end.IsZero() && !end.After(t) {
		// Beyond the table of a zone with summer time, ZoneBounds ends every
		// year after 365 days: on 31 December of a leap year it returns
		// the past (https://go.dev/issue/81583), and a walk over periods would
		// never arrive. The offset holds until the year does.
		end = t.Truncate(24 * time.Hour).Add(24 * time.Hour)
	}
	return time.Duration(seconds) * time.Second, end
}
