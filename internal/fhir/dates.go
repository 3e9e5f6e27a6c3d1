package fhir

import (
	"strings"
	"time"

	"mems/internal/clinic"
)

// Dates is the intersection of the values of a date search: from (included) to (not
// included); a zero bound is none.
type Dates struct {
	From, To time.Time
}

// ParseDates parses the values of a search parameter of type date
// (https://hl7.org/fhir/R4/search.html#date), each a prefix and a date. Days, months and
// years are those of zone. An instant covers the precision in which it is written: a
// minute, a second, or a fraction.
//
// Errors: clinic.CodeValidationFailed for parameter.
func ParseDates(parameter string, values []string, zone *time.Location) (Dates, error) {
	var d Dates
	for _, value := range values {
		comparison, text := "eq", value
		if len(value) > 2 && value[0] >= 'a' {
			comparison, text = value[:2], value[2:]
		}
		span, ok := parseDate(text, zone)
		if !ok {
			return d, clinic.Invalid(clinic.Violation{
				Parameter: parameter, Code: "format",
				Detail: "must be a prefix (ge, gt, sa, le, lt, eb, eq or none) and a date or an instant with an offset, from 1900 to 9998",
			})
		}
		switch comparison {
		case "ge":
			d.notBefore(span.Start)
		case "gt", "sa":
			d.notBefore(span.End)
		case "lt", "eb":
			d.before(span.Start)
		case "le":
			d.before(span.End)
		default:
			d.notBefore(span.Start)
			d.before(span.End)
		}
	}
	return d, nil
}

// ParseDays parses the values of a search parameter for dates without a time, such as birth
// dates. It returns the first day and the one after the last; nil is no bound. Errors:
// clinic.CodeValidationFailed for parameter.
func ParseDays(parameter string, values []string) (from, before *clinic.Date, err error) {
	d, err := ParseDates(parameter, values, utc)
	if err != nil {
		return nil, nil, err
	}
	if !d.From.IsZero() {
		first := clinic.DateOf(d.From)
		from = &first
	}
	if !d.To.IsZero() {
		next := clinic.DateOf(d.To)
		before = &next
	}
	return from, before, nil
}

func (d *Dates) notBefore(t time.Time) {
	if t.After(d.From) {
		d.From = t
	}
}

func (d *Dates) before(t time.Time) {
	if d.To.IsZero() || t.Before(d.To) {
		d.To = t
	}
}

// parseDate returns the interval that a FHIR date covers.
func parseDate(s string, zone *time.Location) (clinic.Interval, bool) {
	switch len(s) {
	case len("2006"):
		return days(s+"-01-01", 1, 0, zone)
	case len("2006-01"):
		return days(s+"-01", 0, 1, zone)
	case len("2006-01-02"):
		return days(s, 0, 0, zone)
	}
	length := time.Second
	switch minute := len("2006-01-02T15:04"); {
	case len(s) <= minute:
		return clinic.Interval{}, false
	case s[minute] != ':':
		s, length = s[:minute]+":00"+s[minute:], time.Minute
	case strings.Contains(s, "."):
		length = time.Microsecond
	}
	start, ok := clinic.ParseInstant(s)
	return clinic.Interval{Start: start, End: start.Add(length)}, ok
}

// days returns the time from the start of a day in zone to the start of the day years and
// months later, or of the next day.
func days(first string, years, months int, zone *time.Location) (clinic.Interval, bool) {
	from, ok := clinic.ParseDate(first)
	if !ok {
		return clinic.Interval{}, false
	}
	if years == 0 && months == 0 {
		return clinic.Day(from, zone), true
	}
	next := clinic.DateOf(time.Date(from.Year+years, from.Month+time.Month(months), 1, 0, 0, 0, 0, time.UTC))
	if clinic.MaxDate.Before(next) {
		return clinic.Interval{Start: clinic.Day(from, zone).Start, End: clinic.MaxInstant}, true
	}
	return clinic.Interval{Start: clinic.Day(from, zone).Start, End: clinic.Day(next, zone).Start}, true
}
