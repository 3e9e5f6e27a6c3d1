package clinic

import (
	"regexp"
	"time"
)

// Interval is a stretch of time: Start <= t < End. Half-open, so that an
// appointment may start in the moment another one ends.
type Interval struct {
	Start, End time.Time
}

// Overlaps reports whether the two intervals share any instant. Intervals that
// only touch do not, and an empty one overlaps nothing.
func (i Interval) Overlaps(o Interval) bool {
	return i.Start.Before(o.End) && o.Start.Before(i.End) && !i.empty() && !o.empty()
}

func (i Interval) empty() bool { return !i.Start.Before(i.End) }

// The instants that MEMS handles. MySQL's DATETIME ends with the year 9999;
// the margin keeps every sum of an instant and a duration or an offset inside.
var (
	MinInstant = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)
	MaxInstant = time.Date(9998, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
)

// Instant is t as MEMS keeps it: UTC, cut to whole microseconds. Cut here and
// not by the database, because MySQL rounds what it drops and MariaDB
// truncates it; a rounded end could reach into the next appointment.
func Instant(t time.Time) time.Time {
	return t.UTC().Truncate(time.Microsecond)
}

// rfc3339 is the date-time of RFC 3339 section 5.6 as far as a pattern goes. It
// is asked because Go's parsers also take a one-digit hour, a comma before the
// fraction, and offsets of +24:00 and +01:60 (https://go.dev/issue/54580).
var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// ParseInstant reads an RFC 3339 date and time with an offset. A time without
// an offset, or outside MinInstant..MaxInstant, is refused.
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
