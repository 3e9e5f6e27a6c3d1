package clinic

import (
	"slices"
	"time"
)

// AppointmentType is a kind of visit: how long it takes, who does it and where.
type AppointmentType struct {
	ID              int64
	Name            string // unique, without regard to case
	Duration        time.Duration
	Buffers         Buffers
	Colour          string   // #rrggbb
	Specializations []string // whose doctors may be booked for it,
	DoctorIDs       []int64  // and who else; both empty: everybody
	NeedsRoom       bool     // takes a free suitable room unless one is named
	RoomIDs         []int64  // where it may take place; empty: in any room
	IsActive        bool     // can be booked
	Version         int64    // counts changes; the record's ETag
	CreatedAt       time.Time
	UpdatedAt       time.Time
}

// DefaultColour is the colour of a type for which none was chosen; the contract has the
// same.
const DefaultColour = "#1565c0"

// Normalize puts the texts and lists into the form in which they are kept.
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

// Validate refuses texts that have grown too long by being normalised
// (CodeValidationFailed, all violations). t must be normalised.
func (t *AppointmentType) Validate() error {
	return invalid(checkLength(nil, "#/name", t.Name, 100))
}

// Allows reports whether a doctor may be booked for this type. Specializations
// are compared as e-mail addresses are: without regard to case.
func (t *AppointmentType) Allows(doctorID int64, specialization string) bool {
	if len(t.Specializations) == 0 && len(t.DoctorIDs) == 0 {
		return true
	}
	key := textKey(specialization)
	return slices.Contains(t.DoctorIDs, doctorID) ||
		slices.ContainsFunc(t.Specializations, func(s string) bool { return textKey(s) == key })
}

// Suits reports whether this type may take place in a room.
func (t *AppointmentType) Suits(roomID int64) bool {
	return len(t.RoomIDs) == 0 || slices.Contains(t.RoomIDs, roomID)
}

// StillFits reports whether an appointment breaks no rule of this type that it did not
// break before the type was changed: of doctor, room, length and buffers, and that the
// type is active. What was booked longer than the type says fits as before.
func (t *AppointmentType) StillFits(before AppointmentType, a Appointment, specialization string) bool {
	now, then := t.misfits(a, specialization), before.misfits(a, specialization)
	for rule := range now {
		if now[rule] && !then[rule] {
			return false
		}
	}
	return true
}

// misfits tells rule by rule whether an appointment breaks it.
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

// UnlistDoctor takes a deleted doctor off the list. A type that nobody else may
// do is deactivated: an empty list would let everybody do it.
func (t *AppointmentType) UnlistDoctor(id int64) {
	t.DoctorIDs = slices.DeleteFunc(t.DoctorIDs, func(listed int64) bool { return listed == id })
	if len(t.DoctorIDs) == 0 && len(t.Specializations) == 0 {
		t.IsActive = false
	}
}

// UnlistRoom takes a deleted room off the list. A type that may take place
// nowhere else is deactivated: an empty list would let it take place anywhere.
func (t *AppointmentType) UnlistRoom(id int64) {
	t.RoomIDs = slices.DeleteFunc(t.RoomIDs, func(listed int64) bool { return listed == id })
	if len(t.RoomIDs) == 0 {
		t.IsActive = false
	}
}

// AppointmentTypePatch is a change to a type: what is not Set stays.
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

// Restricts reports whether appointments may no longer fit after the change.
func (c AppointmentTypePatch) Restricts() bool {
	return c.Duration.Set || c.BufferBefore.Set || c.BufferAfter.Set || c.Specializations.Set || c.DoctorIDs.Set ||
		c.NeedsRoom.Set || c.RoomIDs.Set || c.IsActive.Set
}

// Apply makes the change on t.
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

// Room is a place for appointments, with a calendar of its own.
type Room struct {
	ID        int64
	Name      string // unique, without regard to case
	IsActive  bool   // takes new bookings
	Version   int64  // counts changes; the record's ETag
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Normalize puts the texts into the form in which they are kept.
func (r *Room) Normalize() { r.Name = Text(r.Name) }

// Validate refuses texts that have grown too long by being normalised
// (CodeValidationFailed, all violations). r must be normalised.
func (r *Room) Validate() error {
	return invalid(checkLength(nil, "#/name", r.Name, 100))
}

// RoomPatch is a change to a room: what is not Set stays.
type RoomPatch struct {
	Name     Change[string]
	IsActive Change[bool]
}

// Apply makes the change on r.
func (c RoomPatch) Apply(r *Room) {
	c.Name.apply(&r.Name)
	c.IsActive.apply(&r.IsActive)
	r.Normalize()
}
