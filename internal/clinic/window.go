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
