package clinic

import (
	"slices"
	"time"
)

// OfferLasts is how long an offer can be accepted.
const OfferLasts = MaxHold

// WaitlistEntry is a patient waiting for a time to become free.
type WaitlistEntry struct {
	ID             int64
	PatientID      int64
	DoctorIDs      []int64 // these doctors
	Specialization *string // or doctors of this specialization; neither: any doctor
	TypeID         *int64
	Duration       time.Duration
	Window         Interval // of starts
	Note           *string
	Status         WaitlistStatus
	Offer          *Offer // with WaitlistOffered
	MissedOffers   int
	AppointmentID  *int64 // with WaitlistBooked
	Version        int64  // counts changes; the record's ETag
	CreatedAt      time.Time
	UpdatedAt      time.Time
	MadeBy         *int64 // the API key it was created with; nil: by staff
}

// Offer is a freed time that is held for an entry.
type Offer struct {
	HoldID    int64
	Slot      Slot
	ExpiresAt time.Time
}

// WaitlistStatus is the status of an entry.
type WaitlistStatus string

// The statuses; the contract and a CHECK constraint list the same.
const (
	WaitlistWaiting   WaitlistStatus = "waiting"
	WaitlistOffered   WaitlistStatus = "offered"
	WaitlistBooked    WaitlistStatus = "booked"
	WaitlistWithdrawn WaitlistStatus = "withdrawn"
	WaitlistExpired   WaitlistStatus = "expired" // its window has passed
)

// Normalize puts the texts and the doctors into their stored form.
func (e *WaitlistEntry) Normalize() {
	slices.Sort(e.DoctorIDs)
	e.DoctorIDs = slices.Compact(e.DoctorIDs)
	e.Note, e.Specialization = optionalText(e.Note), optionalText(e.Specialization)
}

// Validate checks what the contract's schema cannot express: CodeValidationFailed with all
// violations. e must be normalised.
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

// Wants reports whether the entry accepts a doctor.
func (e *WaitlistEntry) Wants(doctorID int64, specialization string) bool {
	switch {
	case len(e.DoctorIDs) > 0:
		return slices.Contains(e.DoctorIDs, doctorID)
	case e.Specialization != nil:
		return textKey(*e.Specialization) == textKey(specialization)
	}
	return true
}

// UnlistDoctor removes a deleted doctor from the entry, and retracts an offer of the
// doctor's time. An entry for this doctor alone becomes one for the doctor's
// specialization: with neither it would accept any doctor.
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

// SameWish reports whether two entries of a patient wait for the same: equal except for the
// note, with overlapping windows.
func (e *WaitlistEntry) SameWish(o WaitlistEntry) bool {
	sameField := (e.Specialization == nil) == (o.Specialization == nil) &&
		(e.Specialization == nil || textKey(*e.Specialization) == textKey(*o.Specialization))
	sameType := (e.TypeID == nil) == (o.TypeID == nil) && (e.TypeID == nil || *e.TypeID == *o.TypeID)
	return sameField && sameType && slices.Equal(e.DoctorIDs, o.DoctorIDs) && e.Duration == o.Duration && e.Window.Overlaps(o.Window)
}

// Absorb merges another entry with the same wish into e, the earlier one. The other's offer
// becomes e's, unless e has one.
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

// Starts returns the window of starts that are left at now, from the next five-minute mark.
// It may be empty.
func (e *WaitlistEntry) Starts(now time.Time) Interval {
	w := e.Window
	if !w.Start.After(now) {
		w.Start = now.Truncate(5 * time.Minute).Add(5 * time.Minute)
	}
	return w
}

// Around returns the windows of starts that use part of a freed time, buffers included:
// inside has those within it, before those that begin earlier and extend into it. Either
// may be empty.
func (e *WaitlistEntry) Around(freed Interval, buffers Buffers, now time.Time) (inside, before Interval) {
	from := freed.Start.Add(buffers.Before)
	inside = common(e.Starts(now), Interval{Start: from, End: freed.End})
	before = common(e.Starts(now), Interval{Start: freed.Start.Add(-e.Duration - buffers.After), End: from})
	return inside, before
}

// common returns the intersection of two intervals; it may be empty.
func common(a, b Interval) Interval {
	if b.Start.After(a.Start) {
		a.Start = b.Start
	}
	if b.End.Before(a.End) {
		a.End = b.End
	}
	return a
}

// Booking returns the booking of a start with a doctor for this entry.
func (e *WaitlistEntry) Booking(doctorID int64, start time.Time, buffers Buffers) Booking {
	return Booking{PatientID: e.PatientID, DoctorID: doctorID, TypeID: e.TypeID, Start: start, Duration: e.Duration, Buffers: buffers}
}
