package clinic

import "time"

// Booking is a request for an appointment. Duration is within MinDuration and
// MaxDuration: the contract and a CHECK constraint see to that.
type Booking struct {
	PatientID int64
	DoctorID  int64
	Start     time.Time
	Duration  time.Duration
}

// Time is the interval that the booking asks for.
func (b Booking) Time() Interval {
	return Interval{Start: b.Start, End: b.Start.Add(b.Duration)}
}

// CheckStart refuses a booking that does not start later than now
// (CodeStartInPast). It needs no calendar, so it is asked before the database.
func CheckStart(now time.Time, b Booking) error {
	if !b.Start.After(now) {
		return ErrStartInPast
	}
	return nil
}

// DoctorState is what a booking needs to know of the doctor.
type DoctorState int

// The three answers to "can this doctor be booked".
const (
	DoctorMissing DoctorState = iota
	DoctorInactive
	DoctorActive
)

// Calendar is what is known of both parties, under their locks, in the moment
// of the decision: whether they exist, and their occupied times near the
// booking.
type Calendar struct {
	PatientExists bool
	Doctor        DoctorState
	DoctorBusy    []Interval
	PatientBusy   []Interval
}

// CanBook decides whether the booking may be made. The order of the rules is
// part of the contract: patient, doctor, activity, the doctor's time, the
// patient's time. An overlap carries the earliest interval in the way.
func CanBook(c Calendar, b Booking) error {
	switch {
	case !c.PatientExists:
		return ErrPatientNotFound
	case c.Doctor == DoctorMissing:
		return ErrDoctorNotFound
	case c.Doctor == DoctorInactive:
		return ErrDoctorInactive
	}
	if busy, taken := firstOverlap(c.DoctorBusy, b.Time()); taken {
		return &Error{Code: CodeDoctorOverlap, Conflict: busy}
	}
	if busy, taken := firstOverlap(c.PatientBusy, b.Time()); taken {
		return &Error{Code: CodePatientOverlap, Conflict: busy}
	}
	return nil
}

// firstOverlap finds the interval with the earliest start that overlaps want.
func firstOverlap(busy []Interval, want Interval) (Interval, bool) {
	var first Interval
	found := false
	for _, b := range busy {
		if b.Overlaps(want) && (!found || b.Start.Before(first.Start)) {
			first, found = b, true
		}
	}
	return first, found
}
