package clinic

import (
	"slices"
	"time"
)

// AppointmentType is what can be booked: how long it takes, who performs it and where.
type AppointmentType struct {
	ID              int64
	Name            string // unique, without regard to case
	Duration        time.Duration
	Buffers         Buffers
	Colour          string   // #rrggbb
	Specializations []string // whose doctors perform it,
	DoctorIDs       []int64  // and other doctors who do; both empty: every doctor
	NeedsRoom       bool     // a booking without a room gets a free suitable one
	RoomIDs         []int64  // suitable rooms; empty: every room
	IsActive        bool     // can be booked
	Version         int64    // counts changes; the record's ETag
	CreatedAt       time.Time
	UpdatedAt       time.Time
}

// DefaultColour is the default colour of a type; the contract states the same.
const DefaultColour = "#1565c0"

// Normalize puts the texts and lists into their stored form.
func (t *AppointmentType) Normalize() {
	t.Name = Text(t.Name)
	for i, s := range t.Specializations {
		t.Specializations[i] = Text(s)
	}
	for _, ids := range []*[]int64{&t.DoctorIDs, &t.RoomIDs} {
		slices.Sort(*ids)
		*ids = slices.Compact(*ids)
	}
}

// Validate returns CodeValidationFailed, with all violations, for texts that are too long
// once normalised. t must be normalised.
func (t *AppointmentType) Validate() error {
	return invalid(checkLength(nil, "#/name", t.Name, 100))
}

// Allows reports whether a doctor performs this type. Specializations are compared without
// regard to case, as e-mail addresses are.
func (t *AppointmentType) Allows(doctorID int64, specialization string) bool {
	if len(t.Specializations) == 0 && len(t.DoctorIDs) == 0 {
		return true
	}
	key := textKey(specialization)
	return slices.Contains(t.DoctorIDs, doctorID) ||
		slices.ContainsFunc(t.Specializations, func(s string) bool { return textKey(s) == key })
}

// Suits reports whether a room suits this type.
func (t *AppointmentType) Suits(roomID int64) bool {
	return len(t.RoomIDs) == 0 || slices.Contains(t.RoomIDs, roomID)
}

// StillFits reports whether an appointment breaks no rule of this type (doctor, room,
// length, buffers, active) that it did not already break before the type was changed. An
// appointment booked longer than its type still fits.
func (t *AppointmentType) StillFits(before AppointmentType, a Appointment, specialization string) bool {
	now, then := t.misfits(a, specialization), before.misfits(a, specialization)
	for rule := range now {
		if now[rule] && !then[rule] {
			return false
		}
	}
	return true
}

// misfits reports, for each rule, whether an appointment breaks it.
func (t *AppointmentType) misfits(a Appointment, specialization string) [6]bool {
	return [...]bool{
		!t.IsActive,
		!t.Allows(a.DoctorID, specialization),
		t.NeedsRoom && a.RoomID == nil,
		a.RoomID != nil && !t.Suits(*a.RoomID),
		a.Time.End.Sub(a.Time.Start) < t.Duration,
		a.Buffers.Before < t.Buffers.Before || a.Buffers.After < t.Buffers.After,
	}
}

// UnlistDoctor removes a deleted doctor from the list. A type that no other doctor performs
// is deactivated: an empty list would mean every doctor.
func (t *AppointmentType) UnlistDoctor(id int64) {
	t.DoctorIDs = slices.DeleteFunc(t.DoctorIDs, func(listed int64) bool { return listed == id })
	if len(t.DoctorIDs) == 0 && len(t.Specializations) == 0 {
		t.IsActive = false
	}
}

// UnlistRoom removes a deleted room from the list. A type that no other room suits is
// deactivated: an empty list would mean every room.
func (t *AppointmentType) UnlistRoom(id int64) {
	t.RoomIDs = slices.DeleteFunc(t.RoomIDs, func(listed int64) bool { return listed == id })
	if len(t.RoomIDs) == 0 {
		t.IsActive = false
	}
}

// AppointmentTypePatch is a merge patch of a type: members that are not Set stay.
type AppointmentTypePatch struct {
	Name            Change[string]
	Duration        Change[time.Duration]
	BufferBefore    Change[time.Duration]
	BufferAfter     Change[time.Duration]
	Colour          Change[string]
	Specializations Change[[]string]
	DoctorIDs       Change[[]int64]
	NeedsRoom       Change[bool]
	RoomIDs         Change[[]int64]
	IsActive        Change[bool]
}

// Restricts reports whether existing appointments may no longer fit after the patch.
func (c AppointmentTypePatch) Restricts() bool {
	return c.Duration.Set || c.BufferBefore.Set || c.BufferAfter.Set || c.Specializations.Set || c.DoctorIDs.Set ||
		c.NeedsRoom.Set || c.RoomIDs.Set || c.IsActive.Set
}

// Apply applies the patch to t.
func (c AppointmentTypePatch) Apply(t *AppointmentType) {
	c.Name.apply(&t.Name)
	c.Duration.apply(&t.Duration)
	c.BufferBefore.apply(&t.Buffers.Before)
	c.BufferAfter.apply(&t.Buffers.After)
	c.Colour.apply(&t.Colour)
	c.Specializations.apply(&t.Specializations)
	c.DoctorIDs.apply(&t.DoctorIDs)
	c.NeedsRoom.apply(&t.NeedsRoom)
	c.RoomIDs.apply(&t.RoomIDs)
	c.IsActive.apply(&t.IsActive)
	t.Normalize()
}
