package clinic

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/teambition/rrule-go"
)

// Bounds of a series.
const (
	MaxSeriesDates = 100
	MaxSeriesYears = 2 // from the first date to the last
)

// Recurrence is the part of an RFC 5545 recurrence rule (section 3.3.10) that a
// clinic needs: FREQ of DAILY, WEEKLY or MONTHLY, INTERVAL, either COUNT or
// UNTIL, BYDAY (with an ordinal when MONTHLY), BYMONTHDAY when MONTHLY, WKST.
type Recurrence struct {
	text     string
	options  rrule.ROption
	until    *time.Time // the last instant, of a whole day a wall time; nil with a count
	wholeDay bool
}

// String is the rule as it was given, without the prefix "RRULE:".
func (r *Recurrence) String() string { return r.text }

var frequencies = map[string]rrule.Frequency{"DAILY": rrule.DAILY, "WEEKLY": rrule.WEEKLY, "MONTHLY": rrule.MONTHLY}

var weekdays = map[string]rrule.Weekday{
	"MO": rrule.MO, "TU": rrule.TU, "WE": rrule.WE, "TH": rrule.TH, "FR": rrule.FR, "SA": rrule.SA, "SU": rrule.SU,
}

// ParseRecurrence reads a rule. What is wrong with it comes back as a
// CodeValidationFailed at "#/rule" that says what is allowed.
func ParseRecurrence(text string) (Recurrence, error) {
	text = strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(text)), "RRULE:")
	r := Recurrence{text: text, options: rrule.ROption{Interval: 1, Wkst: rrule.MO}}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, ";") {
		name, value, _ := strings.Cut(part, "=")
		if seen[name] {
			return r, badRule("gives " + clip(name) + " twice")
		}
		seen[name] = true
		if err := r.set(name, value); err != nil {
			return r, err
		}
	}
	switch {
	case !seen["FREQ"]:
		return r, badRule("must give FREQ")
	case seen["COUNT"] == seen["UNTIL"]:
		return r, badRule("must give either COUNT or UNTIL")
	case seen["BYMONTHDAY"] && r.options.Freq != rrule.MONTHLY:
		return r, badRule("can give BYMONTHDAY only with FREQ=MONTHLY")
	case r.options.Freq != rrule.MONTHLY && slices.ContainsFunc(r.options.Byweekday, func(d rrule.Weekday) bool { return d.N() != 0 }):
		return r, badRule("can give BYDAY with an ordinal only with FREQ=MONTHLY")
	}
	return r, nil
}

// set reads one part of a rule.
func (r *Recurrence) set(name, value string) error {
	number := func(s string, low, high int) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n < low || n > high || n == 0 {
			return 0, badRule(fmt.Sprintf("must give %s from %d to %d", name, low, high))
		}
		return n, nil
	}
	var err error
	switch name {
	case "FREQ":
		frequency, known := frequencies[value]
		if !known {
			return badRule("must give FREQ as DAILY, WEEKLY or MONTHLY")
		}
		r.options.Freq = frequency
	case "INTERVAL":
		r.options.Interval, err = number(value, 1, 52)
	case "COUNT":
		r.options.Count, err = number(value, 1, MaxSeriesDates)
	case "UNTIL":
		return r.setUntil(value)
	case "WKST":
		day, known := weekdays[value]
		if !known {
			return badRule("must give WKST as a day such as MO")
		}
		r.options.Wkst = day
	case "BYDAY":
		for day := range strings.SplitSeq(value, ",") {
			ordinal, d := "", day
			if len(day) > 2 {
				ordinal, d = day[:len(day)-2], day[len(day)-2:]
			}
			weekday, known := weekdays[d]
			if !known || len(r.options.Byweekday) == 14 {
				return badRule("must give BYDAY as days such as MO,TH or 1MO")
			}
			if ordinal != "" {
				n, err := number(strings.TrimPrefix(ordinal, "+"), -5, 5)
				if err != nil {
					return err
				}
				weekday = weekday.Nth(n)
			}
			r.options.Byweekday = append(r.options.Byweekday, weekday)
		}
	case "BYMONTHDAY":
		for day := range strings.SplitSeq(value, ",") {
			n, err := number(day, -31, 31)
			if err != nil || len(r.options.Bymonthday) == 31 {
				return badRule("must give BYMONTHDAY as at most 31 days from 1 to 31, or from the end with -1 to -31")
			}
			r.options.Bymonthday = append(r.options.Bymonthday, n)
		}
	default:
		return badRule("can give FREQ, INTERVAL, COUNT, UNTIL, BYDAY, BYMONTHDAY and WKST, not " + clip(name))
	}
	return err
}

// setUntil reads a day, which is included, or an instant in UTC.
func (r *Recurrence) setUntil(value string) error {
	if day, err := time.Parse("20060102", value); err == nil {
		end := day.AddDate(0, 0, 1).Add(-time.Second)
		r.until, r.wholeDay = &end, true
		return nil
	}
	instant, err := time.Parse("20060102T150405Z", value)
	if err != nil {
		return badRule("must give UNTIL as 20271231 or 20271231T235959Z")
	}
	r.until = &instant
	return nil
}

func badRule(detail string) error {
	return Invalid(Violation{Pointer: "#/rule", Code: "invalid", Detail: detail})
}

// clip keeps what is repeated to the client short and plain.
func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 'A' || r > 'Z' {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), 20)]
}

// wallClock is what the clock in zone shows at t, written as if it were UTC.
func wallClock(t time.Time, zone *time.Location) time.Time {
	_, offset := t.In(zone).Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// Starts returns the instants of the rule from first on, in order: the wall clock
// in zone shows the same time on every date. A time that the clocks skip becomes
// the end of the gap, one that happens twice the first of the two; the date of
// first itself starts at first, whichever of the two that is.
//
// Errors: CodeValidationFailed at "#/rule" when there is no date, more than
// MaxSeriesDates, or one later than MaxSeriesYears after the first.
func (r *Recurrence) Starts(first time.Time, zone *time.Location) ([]time.Time, error) {
	wall := wallClock(first, zone)
	// The library keeps whole seconds; what is finer is put back below.
	fraction := time.Duration(wall.Nanosecond())
	limit := wall.AddDate(MaxSeriesYears, 0, 0)
	options := r.options
	options.Dtstart = wall.Truncate(time.Second)
	options.Until = limit.AddDate(5, 0, 0) // whatever the rule says, the walk ends here
	if r.until != nil {
		until := *r.until
		if !r.wholeDay {
			// A wall time can come after a later one; the instants decide below.
			until = wallClock(until, zone).AddDate(0, 0, 1)
		}
		if until.Before(options.Until) {
			options.Until = until
		}
	}
	rule, err := rrule.NewRRule(options)
	if err != nil {
		return nil, badRule("cannot be used")
	}
	var starts []time.Time
	next := rule.Iterator()
	for at, more := next(); more; at, more = next() {
		start := firstAt(at.Add(fraction), zone)
		if at.Add(fraction).Equal(wall) {
			start = Instant(first)
		}
		if r.until != nil && !r.wholeDay && start.Truncate(time.Second).After(*r.until) {
			break
		}
		if len(starts) == MaxSeriesDates {
			return nil, badRule(fmt.Sprintf("gives more than %d dates", MaxSeriesDates))
		}
		if at.After(limit) {
			return nil, badRule(fmt.Sprintf("reaches further than %d years", MaxSeriesYears))
		}
		if start.Add(MaxDuration).After(MaxInstant) {
			return nil, badRule("reaches beyond the last instant that can be kept")
		}
		starts = append(starts, start)
	}
	if len(starts) == 0 || r.options.Count > len(starts) {
		return nil, badRule(fmt.Sprintf("gives too few dates within %d years of start_time", MaxSeriesYears))
	}
	return starts, nil
}

// Shift returns t moved by whole days and, unless negative, to another minute of
// the day, on the wall clock of zone. What the clock shows already stays t, also
// where it shows it twice.
func Shift(t time.Time, days, minuteOfDay int, zone *time.Location) time.Time {
	wall := wallClock(t, zone)
	to := wall.AddDate(0, 0, days)
	if minuteOfDay >= 0 {
		to = DateOf(to).at(minuteOfDay)
	}
	if to.Equal(wall) {
		return t
	}
	return firstAt(to, zone)
}
