package clinic

import (
	"regexp"
	"time"
)

// Interval is the time Start <= t < End. It is half-open, so that an appointment may start
// at the moment another one ends.
type Interval struct {
	Start, End time.Time
}

// Overlaps reports whether the two intervals share any instant. Intervals that
// only touch do not, and an empty one overlaps nothing.
func (i Interval) Overlaps(o Interval) bool {
	return i.Start.Before(o.End) && o.Start.Before(i.End) && !i.empty() && !o.empty()
}

func (i Interval) empty() bool { return !i.Start.Before(i.End) }

// The instants that MEMS handles. MySQL's DATETIME ends with the year 9999; the margin
// keeps every sum of an instant and a duration or an offset within it.
var (
	MinInstant = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)
	MaxInstant = time.Date(9998, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
)

// Instant returns t as MEMS stores it: UTC, truncated to whole microseconds. It is
// truncated here because MySQL rounds and MariaDB truncates; a rounded end could extend
// into the next appointment.
func Instant(t time.Time) time.Time {
	return t.UTC().Truncate(time.Microsecond)
}

// rfc3339 matches a date-time of RFC 3339 section 5.6. Go's parsers alone would also accept
// a one-digit hour, a comma before the fraction, and offsets of +24:00 and +01:60
// (https://go.dev/issue/54580).
var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// ParseInstant parses an RFC 3339 date and time with an offset. It reports false for a time
// without an offset or outside MinInstant..MaxInstant.
func ParseInstant(s string) (time.Time, bool) {
	if !rfc3339.MatchString(s) {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, false
	}
	t = Instant(t)
	if t.Before(MinInstant) || t.After(MaxInstant) {
		return time.Time{}, false
	}
	return t, true
}
