package clinic

import "time"

// Window is the choice of appointments that a list asks for.
type Window struct {
	Interval
	// ByStart: members start in the interval (a day's list). Otherwise they
	// intersect it (a calendar view).
	ByStart bool
	// Unbounded: all appointments; only together with a patient.
	Unbounded bool
}

// MaxSearch bounds the window of a search for free times: three months.
const MaxSearch = 92 * 24 * time.Hour

// SearchWindow decides which window a search for free times means: at most MaxSearch
// from from to to. Anything else is CodeValidationFailed.
func SearchWindow(from, to time.Time) (Interval, error) {
	window := Interval{Start: Instant(from), End: Instant(to)}
	switch {
	case !window.Start.Before(window.End):
		return window, Invalid(Violation{Parameter: "to", Code: "combination", Detail: "must be later than from"})
	case window.End.Sub(window.Start) > MaxSearch:
		return window, Invalid(Violation{Parameter: "to", Code: "maximum", Detail: "must be at most 92 days after from"})
	}
	return window, nil
}

// StreamStart returns the position of the feed after which a stream begins: the last that
// the client has seen, or end, the feed's, for a client that has seen none. A position
// beyond end is of a feed that was since restored from a backup: CodeValidationFailed.
func StreamStart(last *int64, end int64) (int64, error) {
	switch {
	case last == nil:
		return end, nil
	case *last > end:
		return 0, Invalid(Violation{
			Parameter: "Last-Event-ID", Code: "expired", Detail: "is ahead of the feed, which was restored from a backup; leave it out",
		})
	}
	return *last, nil
}

// ListWindow decides which window a list's parameters mean: date alone, from
// and to together, or, with a patient, neither. Anything else is
// CodeValidationFailed with every violation. zone is the clinic's.
func ListWindow(date *Date, from, to *time.Time, ofPatient bool, zone *time.Location) (Window, error) {
	refuse := func(parameter, code, detail string) (Window, error) {
		return Window{}, Invalid(Violation{Parameter: parameter, Code: code, Detail: detail})
	}
	switch {
	case date != nil && (from != nil || to != nil):
		return refuse("date", "combination", "cannot be combined with from and to")
	case date != nil:
		return Window{Interval: Day(*date, zone), ByStart: true}, nil
	case from != nil && to != nil:
		if !from.Before(*to) {
			return refuse("to", "combination", "must be later than from")
		}
		return Window{Interval: Interval{Start: *from, End: *to}}, nil
	case from != nil:
		return refuse("to", "combination", "must be given together with from")
	case to != nil:
		return refuse("from", "combination", "must be given together with to")
	case ofPatient:
		return Window{Unbounded: true}, nil
	default:
		return refuse("date", "required", "give date, or from and to, or patient_id")
	}
}
