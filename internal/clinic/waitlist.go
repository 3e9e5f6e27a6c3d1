package clinic

import (
	"slices"
	"time"
)

// OfferLasts is how long a patient on the waitlist has to accept a time.
const OfferLasts = MaxHold

// WaitlistEntry is a patient who would come if a time became free.
type WaitlistEntry struct {
	ID             int64
	PatientID      int64
	DoctorIDs      []int64 // these doctors
	Specialization *string // or those of this field; neither: anybody
	TypeID         *int64
	Duration       time.Duration
	Window         Interval // in which it may start
	Note           *string
	Status         WaitlistStatus
	Offer          *Offer // with WaitlistOffered
	MissedOffers   int
	AppointmentID  *int64 // with WaitlistBooked
	Version        int64  // counts changes; the record's ETag
	CreatedAt      time.Time
	UpdatedAt      time.Time
	MadeBy         *int64 // the API key it was made with; nil: by somebody of the clinic
}

// Offer is a time that is held for an entry.
type Offer struct {
	HoldID    int64
	Slot      Slot
	ExpiresAt time.Time
}

// WaitlistStatus is where an entry stands.
type WaitlistStatus string

// The statuses; the contract and a CHECK constraint list the same.
const (
	WaitlistWaiting   WaitlistStatus = "waiting"
	WaitlistOffered   WaitlistStatus = "offered"
	WaitlistBooked    WaitlistStatus = "booked"
	WaitlistWithdrawn WaitlistStatus = "withdrawn"
	WaitlistExpired   WaitlistStatus = "expired" // its window has passed
)

// Normalize puts the texts and the doctors into the form in which they are kept.
func (e *WaitlistEntry) Normalize() {
	slices.Sort(e.DoctorIDs)
	e.DoctorIDs = slices.Compact(e.DoctorIDs)
	e.Note, e.Specialization = optionalText(e.Note), optionalText(e.Specialization)
}

// Validate refuses what the contract cannot see to be wrong (CodeValidationFailed, all
// violations). e must be normalised.
func (e *WaitlistEntry) Validate(now time.Time) error {
	vs := checkOptional(nil, "#/note", e.Note, 500)
	vs = checkOptional(vs, "#/specialization", e.Specialization, 100)
	if e.Specialization != nil && len(e.DoctorIDs) > 0 {
		vs = append(vs, Violation{Pointer: "#/specialization", Code: "combination", Detail: "cannot be combined with doctor_ids"})
	}
	if e.Duration == 0 && e.TypeID == nil {
		vs = append(vs, Violation{Pointer: "#/duration_minutes", Code: "required", Detail: "must be given, or type_id"})
	}
	if !e.Window.Start.Before(e.Window.End) {
		vs = append(vs, Violation{Pointer: "#/to", Code: "combination", Detail: "must be later than from"})
	} else if !e.Window.End.After(now) {
		vs = append(vs, Violation{Pointer: "#/to", Code: "minimum", Detail: "must lie in the future"})
	}
	return invalid(vs)
}

// Wants reports whether the entry would see a doctor.
func (e *WaitlistEntry) Wants(doctorID int64, specialization string) bool {
	switch {
	case len(e.DoctorIDs) > 0:
		return slices.Contains(e.DoctorIDs, doctorID)
	case e.Specialization != nil:
		return textKey(*e.Specialization) == textKey(specialization)
	}
	return true
}

// UnlistDoctor takes a deleted doctor off the entry, and an offer of the doctor's
// time back. An entry for this doctor alone becomes one for the doctor's
// specialization: with neither it would be one for anybody.
func (e *WaitlistEntry) UnlistDoctor(id int64, specialization string) {
	listed := len(e.DoctorIDs) > 0
	e.DoctorIDs = slices.DeleteFunc(e.DoctorIDs, func(d int64) bool { return d == id })
	if listed && len(e.DoctorIDs) == 0 {
		e.Specialization = &specialization
	}
	if e.Offer != nil && e.Offer.Slot.DoctorID == id {
		e.RetractOffer()
	}
}

// SameWish reports whether two entries of one patient wait for the same: equal but
// for the note, in windows that have a moment in common.
func (e *WaitlistEntry) SameWish(o WaitlistEntry) bool {
	sameField := (e.Specialization == nil) == (o.Specialization == nil) &&
		(e.Specialization == nil || textKey(*e.Specialization) == textKey(*o.Specialization))
	sameType := (e.TypeID == nil) == (o.TypeID == nil) && (e.TypeID == nil || *e.TypeID == *o.TypeID)
	return sameField && sameType && slices.Equal(e.DoctorIDs, o.DoctorIDs) && e.Duration == o.Duration && e.Window.Overlaps(o.Window)
}

// Absorb makes e, which is earlier, the one entry for a wish that was made twice.
// An offer of the other's time becomes e's, unless e has one itself.
func (e *WaitlistEntry) Absorb(other *WaitlistEntry) {
	if other.Window.Start.Before(e.Window.Start) {
		e.Window.Start = other.Window.Start
	}
	if other.Window.End.After(e.Window.End) {
		e.Window.End = other.Window.End
	}
	if e.Note == nil {
		e.Note = other.Note
	}
	if e.Offer == nil && other.Offer != nil {
		e.Status, e.Offer = WaitlistOffered, other.Offer
		other.Offer = nil
	}
	other.Status = WaitlistWithdrawn
}

// Starts returns the window in which the entry may start now: what has begun starts
// with the next five minutes of the clock. It may be empty.
func (e *WaitlistEntry) Starts(now time.Time) Interval {
	w := e.Window
	if !w.Start.After(now) {
		w.Start = now.Truncate(5 * time.Minute).Add(5 * time.Minute)
	}
	return w
}

// Around returns the windows in which the entry may start so that it uses part of a
// freed time, buffers included: first those that start inside of it, then those that
// start before and reach into it. Either may be empty.
func (e *WaitlistEntry) Around(freed Interval, buffers Buffers, now time.Time) (inside, before Interval) {
	from := freed.Start.Add(buffers.Before)
	inside = common(e.Starts(now), Interval{Start: from, End: freed.End})
	before = common(e.Starts(now), Interval{Start: freed.Start.Add(-e.Duration - buffers.After), End: from})
	return inside, before
}

// common is the part that two intervals share; it may be empty.
func common(a, b Interval) Interval {
	if b.Start.After(a.Start) {
		a.Start = b.Start
	}
	if b.End.Before(a.End) {
		a.End = b.End
	}
	return a
}

// Booking is what accepting a start with a doctor would ask for.
func (e *WaitlistEntry) Booking(doctorID int64, start time.Time, buffers Buffers) Booking {
	return Booking{PatientID: e.PatientID, DoctorID: doctorID, TypeID: e.TypeID, Start: start, Duration: e.Duration, Buffers: buffers}
}
