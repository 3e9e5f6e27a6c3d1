package clinic

import "time"

// Window selects the appointments of a list.
type Window struct {
	Interval
	// ByStart selects those that start in the interval (a day's list) instead of those that
	// intersect it (a calendar view).
	ByStart bool
	// Unbounded selects all appointments; only together with a patient.
	Unbounded bool
}

// MaxSearch bounds the window of a search for free times: three months.
const MaxSearch = 92 * 24 * time.Hour

// SearchWindow returns the window of a search for free times, at most MaxSearch long.
// Errors: CodeValidationFailed.
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
// beyond end comes from before the feed was restored from a backup: CodeValidationFailed.
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

// ListWindow returns the window that a list's parameters describe: date alone, from and to
// together, or, with a patient, neither. zone is the clinic's. Errors:
// CodeValidationFailed.
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

// Bounds of a schedule: days, and doctors times days.
const (
	MaxScheduleDays       = 42
	MaxScheduleDoctorDays = 1400
)

// ScheduleWindow returns the window of the schedule of so many doctors from first to last,
// both inclusive, in the clinic's zone. Errors: CodeValidationFailed.
func ScheduleWindow(first, last Date, doctors int, zone *time.Location) (Interval, error) {
	days := int(last.utc().Sub(first.utc())/(24*time.Hour)) + 1
	switch {
	case days < 1:
		return Interval{}, Invalid(Violation{Parameter: "last_date", Code: "combination", Detail: "must not be before first_date"})
	case days > MaxScheduleDays:
		return Interval{}, Invalid(Violation{Parameter: "last_date", Code: "maximum", Detail: "must be at most 41 days after first_date"})
	case doctors*days > MaxScheduleDoctorDays:
		return Interval{}, Invalid(Violation{
			Parameter: "doctor_id", Code: "maximum", Detail: "must be fewer doctors, or fewer days: at most 1,400 doctor-days",
		})
	}
	return Interval{Start: Day(first, zone).Start, End: Day(last, zone).End}, nil
}
