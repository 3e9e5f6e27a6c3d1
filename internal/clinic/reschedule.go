package clinic

import "time"

// Reschedule is a change of an appointment's time, doctor or room: zero values stay.
type Reschedule struct {
	Start    *time.Time
	Duration time.Duration
	DoctorID int64
	RoomID   Change[*int64] // to nil: no room
	AnyRoom  bool           // any free suitable room
	Override Override
}

// Normalize puts the reason into its stored form.
func (r *Reschedule) Normalize() { r.Override.Reason = Text(r.Override.Reason) }

// Validate checks what the contract's schema cannot express: CodeValidationFailed with all
// violations. r must be normalised.
func (r *Reschedule) Validate() error {
	vs := checkLength(nil, "#/override/reason", r.Override.Reason, 500)
	if r.RoomID.Set && r.AnyRoom {
		vs = append(vs, Violation{Pointer: "#/any_room", Code: "combination", Detail: "cannot be combined with room_id"})
	}
	return invalid(vs)
}

// BookingFor returns the booking that the appointment would become. Errors: CodeInvalidTransition
// (it has begun or ended), ErrStartInPast.
func (r *Reschedule) BookingFor(a Appointment, now time.Time) (Booking, error) {
	if err := a.CheckReschedule(now); err != nil {
		return Booking{}, err
	}
	b := a.AsBooking()
	b.Override = r.Override
	if r.Start != nil {
		b.Start = Instant(*r.Start)
	}
	if r.Duration != 0 {
		b.Duration = r.Duration
	}
	if r.DoctorID != 0 {
		b.DoctorID = r.DoctorID
	}
	r.RoomID.apply(&b.RoomID)
	if r.AnyRoom {
		b.RoomID, b.AnyRoom = nil, true
	}
	return b, CheckStart(now, b)
}

// AsBooking returns the booking of the same appointment. The rules that it overrides stay
// overridden.
func (a *Appointment) AsBooking() Booking {
	b := Booking{
		PatientID: a.PatientID, DoctorID: a.DoctorID, TypeID: a.TypeID, RoomID: a.RoomID,
		Start: a.Time.Start, Duration: a.Time.End.Sub(a.Time.Start), Buffers: a.Buffers,
		Moving: true, Kept: Placement{DoctorID: a.DoctorID, RoomID: a.RoomID},
		Override: Override{Rules: a.Broken.Rules()},
	}
	if a.OverrideReason != nil {
		b.Override.Reason = *a.OverrideReason
	}
	return b
}

// ApplyReschedule applies a decided reschedule. A confirmation is for the start: it stays
// unless the start changes.
func (a *Appointment) ApplyReschedule(now time.Time, b Booking, broken Broken) {
	if !b.Start.Equal(a.Time.Start) {
		a.Status = StatusScheduled
	}
	a.DoctorID, a.RoomID, a.Time, a.Broken = b.DoctorID, b.RoomID, b.Time(), broken
	a.OverrideReason = nil
	if broken.Any() {
		reason := b.Override.Reason
		a.OverrideReason = &reason
	}
	a.changed(now)
}
