package clinic

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of a series.
const (
	MaxSeriesDates = 100
	MaxSeriesYears = 2 // from the first date to the last

	// maxSeriesDays bounds the days that Starts examines, whatever the rule.
	maxSeriesDays = MaxSeriesYears*366 + 1
)

// Recurrence is the supported subset of an RFC 5545 recurrence rule (section 3.3.10): FREQ
// of DAILY, WEEKLY or MONTHLY, INTERVAL, either COUNT or UNTIL, BYDAY (with an ordinal when
// MONTHLY), BYMONTHDAY when MONTHLY, WKST.
type Recurrence struct {
	text      string
	frequency frequency
	interval  int
	weekStart time.Weekday
	weekdays  []ordinalWeekday // empty: every day
	monthDays []int            // negative: from the end; empty: every day
	count     int              // 0 with until
	until     *time.Time       // the last instant, or, for a date, a wall time; nil with count
	wholeDay  bool
}

type frequency int

const (
	daily frequency = iota
	weekly
	monthly
)

// ordinalWeekday is a day of the week; with an ordinal other than 0 the nth of its month,
// counted from the end if negative.
type ordinalWeekday struct {
	day     time.Weekday
	ordinal int
}

// String returns the rule as it was sent, without the prefix "RRULE:".
func (r *Recurrence) String() string { return r.text }

var frequencies = map[string]frequency{"DAILY": daily, "WEEKLY": weekly, "MONTHLY": monthly}

var weekdays = map[string]time.Weekday{
	"MO": time.Monday, "TU": time.Tuesday, "WE": time.Wednesday, "TH": time.Thursday,
	"FR": time.Friday, "SA": time.Saturday, "SU": time.Sunday,
}

// ParseRecurrence parses a rule. Errors: CodeValidationFailed at "#/rule", with what is
// allowed.
func ParseRecurrence(text string) (Recurrence, error) {
	text = strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(text)), "RRULE:")
	r := Recurrence{text: text, interval: 1, weekStart: time.Monday}
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
	case seen["BYMONTHDAY"] && r.frequency != monthly:
		return r, badRule("can give BYMONTHDAY only with FREQ=MONTHLY")
	case r.frequency != monthly && slices.ContainsFunc(r.weekdays, func(d ordinalWeekday) bool { return d.ordinal != 0 }):
		return r, badRule("can give BYDAY with an ordinal only with FREQ=MONTHLY")
	}
	return r, nil
}

// set parses one part of a rule.
func (r *Recurrence) set(name, value string) error {
	number := func(s string, low, high int) (int, error) {
		n, err := strconv.Atoi(s)
		signed := low > 0 && strings.HasPrefix(s, "+") // only days have a sign (RFC 5545 section 3.3.10)
		if err != nil || signed || n < low || n > high || n == 0 {
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
		r.frequency = frequency
	case "INTERVAL":
		r.interval, err = number(value, 1, 52)
	case "COUNT":
		r.count, err = number(value, 1, MaxSeriesDates)
	case "UNTIL":
		return r.setUntil(value)
	case "WKST":
		day, known := weekdays[value]
		if !known {
			return badRule("must give WKST as a day such as MO")
		}
		r.weekStart = day
	case "BYDAY":
		for day := range strings.SplitSeq(value, ",") {
			ordinal, d := "", day
			if len(day) > 2 {
				ordinal, d = day[:len(day)-2], day[len(day)-2:]
			}
			weekday := ordinalWeekday{}
			var known bool
			if weekday.day, known = weekdays[d]; !known || len(r.weekdays) == 14 {
				return badRule("must give BYDAY as days such as MO,TH or 1MO")
			}
			if ordinal != "" {
				n, err := number(ordinal, -5, 5)
				if err != nil {
					return err
				}
				weekday.ordinal = n
			}
			r.weekdays = append(r.weekdays, weekday)
		}
	case "BYMONTHDAY":
		for day := range strings.SplitSeq(value, ",") {
			n, err := number(day, -31, 31)
			if err != nil || len(r.monthDays) == 31 {
				return badRule("must give BYMONTHDAY as at most 31 days from 1 to 31, or from the end with -1 to -31")
			}
			r.monthDays = append(r.monthDays, n)
		}
	default:
		return badRule("can give FREQ, INTERVAL, COUNT, UNTIL, BYDAY, BYMONTHDAY and WKST, not " + clip(name))
	}
	return err
}

// setUntil parses a date, which is included, or an instant in UTC.
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

// clip shortens a client's text, and removes control characters, before an error repeats
// it.
func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 'A' || r > 'Z' {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), 20)]
}

// wallClock returns the wall time in zone at t, written as if it were UTC.
func wallClock(t time.Time, zone *time.Location) time.Time {
	_, offset := t.In(zone).Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// Starts returns the instants of the rule from first on, in order, at the same wall time in
// zone on every date. A time that the clocks skip becomes the end of the gap; of one that
// happens twice the first counts, except on the date of first itself, which starts at
// first.
//
// It examines at most maxSeriesDays days.
//
// Errors: CodeValidationFailed at "#/rule" when there is no date, there are more than
// MaxSeriesDates or fewer than COUNT within MaxSeriesYears of first, or UNTIL is later than
// that.
func (r *Recurrence) Starts(first time.Time, zone *time.Location) ([]time.Time, error) {
	starts, _, err := r.starts(first, zone)
	return starts, err
}

// starts is Starts that also returns the number of days examined.
func (r *Recurrence) starts(first time.Time, zone *time.Location) (starts []time.Time, days int, err error) {
	wall := wallClock(first, zone)
	limit := wall.AddDate(MaxSeriesYears, 0, 0)
	var last Date // of a whole day's UNTIL
	if r.until != nil {
		until := *r.until
		if !r.wholeDay {
			until = wallClock(until, zone)
		}
		if last = DateOf(until); DateOf(limit).Before(last) {
			return nil, 0, badRule(fmt.Sprintf("reaches further than %d years", MaxSeriesYears))
		}
	}
	for day := wall; !day.After(limit) && days < maxSeriesDays; day = day.AddDate(0, 0, 1) {
		if r.wholeDay && last.Before(DateOf(day)) || r.count > 0 && len(starts) == r.count {
			break
		}
		days++
		if !r.gives(wall, day, days-1) {
			continue
		}
		start := firstAt(day, zone)
		if day.Equal(wall) {
			start = Instant(first)
		}
		if r.until != nil && !r.wholeDay && start.Truncate(time.Second).After(*r.until) {
			break
		}
		if len(starts) == MaxSeriesDates {
			return nil, days, badRule(fmt.Sprintf("gives more than %d dates", MaxSeriesDates))
		}
		if start.Add(MaxDuration).After(MaxInstant) {
			return nil, days, badRule("reaches beyond the last instant that can be kept")
		}
		starts = append(starts, start)
	}
	switch {
	case len(starts) == 0:
		return nil, days, badRule(fmt.Sprintf("gives too few dates within %d years of start_time", MaxSeriesYears))
	case len(starts) < r.count:
		return nil, days, badRule(fmt.Sprintf("reaches further than %d years", MaxSeriesYears))
	}
	return starts, days, nil
}

// gives reports whether the rule includes a day, which is after days after the first.
func (r *Recurrence) gives(first, day time.Time, after int) bool {
	periods := after
	switch r.frequency {
	case daily:
	case weekly:
		intoWeek := int(first.Weekday()-r.weekStart+7) % 7
		periods = (after + intoWeek) / 7
		if len(r.weekdays) == 0 && day.Weekday() != first.Weekday() {
			return false
		}
	case monthly:
		periods = (day.Year()-first.Year())*12 + int(day.Month()-first.Month())
		if len(r.weekdays) == 0 && len(r.monthDays) == 0 && day.Day() != first.Day() {
			return false
		}
	}
	if periods%r.interval != 0 {
		return false
	}
	monthDays := time.Date(day.Year(), day.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
	fromEnd := monthDays - day.Day()
	return (len(r.monthDays) == 0 || slices.ContainsFunc(r.monthDays, func(n int) bool {
		return n == day.Day() || n == -fromEnd-1
	})) && (len(r.weekdays) == 0 || slices.ContainsFunc(r.weekdays, func(w ordinalWeekday) bool {
		return w.day == day.Weekday() && (w.ordinal == 0 || w.ordinal == (day.Day()-1)/7+1 || w.ordinal == -fromEnd/7-1)
	}))
}

// Shift returns t moved by whole days and, unless negative, to another minute of the day,
// on the wall clock of zone. A shift to the wall time of t itself returns t, also where
// that time happens twice.
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
