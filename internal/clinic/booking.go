package clinic

import (
	"slices"
	"time"
)

// Booking is a request for an appointment. The contract and a CHECK constraint keep
// Duration between MinDuration and MaxDuration.
type Booking struct {
	PatientID int64
	DoctorID  int64
	TypeID    *int64 // nil: none
	RoomID    *int64 // nil: no particular room
	AnyRoom   bool   // without RoomID: any free suitable room
	Start     time.Time
	Duration  time.Duration // 0: the type's
	Buffers   Buffers       // the type's; filled in by Apply
	SeriesID  *int64        // nil: none
	Hold      string        // token of a hold on this time; "": none
	Override  Override
	Reason    *string // what it is for; nil: not stated
	Note      *string // for staff; nil: none
	// Moving marks the rescheduling of an existing appointment. It keeps the buffers that it
	// was booked with and, with the doctor and the room in Kept, its type, even if a new
	// booking could no longer combine these.
	Moving bool
	Kept   Placement
}

// Placement is an appointment's doctor and room.
type Placement struct {
	DoctorID int64
	RoomID   *int64 // nil: in no room
}

// KeepsDoctor reports whether an appointment stays with its doctor, who then need not
// perform its type.
func (b *Booking) KeepsDoctor() bool { return b.Moving && b.DoctorID == b.Kept.DoctorID }

// KeepsRoom reports whether an appointment stays in its room, or in none. The room then
// need neither suit its type nor take new bookings.
func (b *Booking) KeepsRoom() bool { return b.Moving && !b.AnyRoom && equal(b.RoomID, b.Kept.RoomID) }

// Time returns the requested interval.
func (b *Booking) Time() Interval {
	return Interval{Start: b.Start, End: b.Start.Add(b.Duration)}
}

// Busy returns Time with the buffers: what the booking would occupy of the doctor and the
// room.
func (b *Booking) Busy() Interval { return b.Buffers.around(b.Time()) }

// Apply fills in the booking's defaults from its type.
func (b *Booking) Apply(t AppointmentType) {
	if b.Duration == 0 {
		b.Duration = t.Duration
	}
	if !b.Moving {
		b.Buffers = t.Buffers
	}
	if t.NeedsRoom && b.RoomID == nil && !b.KeepsRoom() {
		b.AnyRoom = true
	}
}

// Buffers are times before and after an appointment in which the doctor and the room, but
// not the patient, are also occupied: from 0 to MaxBuffer each.
type Buffers struct {
	Before, After time.Duration
}

// MaxBuffer bounds each buffer and, with MaxDuration, how far from a time the store
// searches for appointments that extend into it.
const MaxBuffer = 60 * time.Minute

func (b Buffers) around(i Interval) Interval {
	return Interval{Start: i.Start.Add(-b.Before), End: i.End.Add(b.After)}
}

// Rule is a rule that a booking may override, with a reason.
type Rule string

// The rules that can be overridden; the contract lists the same.
const (
	RuleOutsideHours   = Rule(CodeOutsideWorkingHours)
	RuleDoctorOverlap  = Rule(CodeDoctorOverlap)
	RulePatientOverlap = Rule(CodePatientOverlap)
)

// Override lists the rules that a booking may break, and the reason.
type Override struct {
	Rules  []Rule
	Reason string
}

func (o Override) allows(r Rule) bool { return slices.Contains(o.Rules, r) }

// CheckAccess returns CodeForbidden if a may not override rules. It is checked before
// everything else about the request. The server itself may override.
func (o Override) CheckAccess(a Access) error {
	if len(o.Rules) == 0 || a.Subject == system || a.May(AppointmentsOverride) {
		return nil
	}
	return &Error{Code: CodeForbidden, Permission: AppointmentsOverride}
}

// Broken records the rules that a booking actually broke, of those that it overrides. The
// zero value is the normal case.
type Broken struct {
	OutsideHours   bool
	DoctorOverlap  bool
	PatientOverlap bool
}

// Any reports whether any rule was broken.
func (b Broken) Any() bool { return b != Broken{} }

// Rules lists the broken rules in their order of precedence.
func (b Broken) Rules() []Rule {
	var rules []Rule
	for _, r := range []struct {
		broken bool
		rule   Rule
	}{{b.OutsideHours, RuleOutsideHours}, {b.DoctorOverlap, RuleDoctorOverlap}, {b.PatientOverlap, RulePatientOverlap}} {
		if r.broken {
			rules = append(rules, r.rule)
		}
	}
	return rules
}

// Normalize puts the start and the reason into their stored forms.
func (b *Booking) Normalize() {
	b.Start = Instant(b.Start)
	b.Override.Reason = Text(b.Override.Reason)
	b.Reason, b.Note = optionalText(b.Reason), optionalText(b.Note)
}

// Validate checks what the contract's schema cannot express: CodeValidationFailed with all
// violations. b must be normalised.
func (b *Booking) Validate() error {
	vs := checkTexts(checkLength(nil, "#/override/reason", b.Override.Reason, 500), b.Reason, b.Note)
	if b.Duration == 0 && b.TypeID == nil {
		vs = append(vs, Violation{Pointer: "#/duration_minutes", Code: "required", Detail: "must be given, or type_id"})
	}
	if b.RoomID != nil && b.AnyRoom {
		vs = append(vs, Violation{Pointer: "#/any_room", Code: "combination", Detail: "cannot be combined with room_id"})
	}
	return invalid(vs)
}

// CheckStart returns CodeStartInPast for a booking that does not start later than now. It
// needs no calendar, so it is checked before the database is read.
func CheckStart(now time.Time, b Booking) error {
	if !b.Start.After(now) {
		return ErrStartInPast
	}
	return nil
}

// PartyState is the state of a booking's doctor, patient, room or type.
type PartyState int

// The states. NotAsked is for a room or a type that the booking does not have, and for a
// party that has not been read.
const (
	NotAsked PartyState = iota
	Missing
	Inactive
	Active
)

// Calendar is everything that CanBook decides on, read under the guards. A field that has
// not been read yet conflicts with nothing, so that CanBook can be called after each read.
type Calendar struct {
	Patient PartyState
	Doctor  PartyState
	Type    PartyState
	Room    PartyState

	// Allowed and Suitable report whether the doctor performs the type, and whether the room
	// suits it. They count only with a Type.
	Allowed, Suitable bool

	HasHours    bool
	Open        []Interval // the doctor's working hours near the booking, if HasHours
	Off         []Interval // the doctor's time off and closures
	OverbookCap int        // how many appointments an overbooking may overlap

	DoctorBusy  []Interval // with buffers; holds of others included
	PatientBusy []Interval
	RoomBusy    []Interval // with buffers; holds of others included
	NoRoomFree  bool       // AnyRoom was requested, and no suitable room is free
}

// CanBook decides whether a booking is possible and returns the rules that it breaks by its
// Override. The order of the rules is part of the contract: patient, doctor, type and room
// exist; doctor, type and room are active and match; working hours, time off, the doctor's
// time, the patient's, the room's. The error's Conflict is what occupies the requested
// time.
func CanBook(c Calendar, b Booking) (Broken, error) {
	var broken Broken
	if err := checkParties(c); err != nil {
		return broken, err
	}
	want, busy := b.Time(), b.Busy()
	if want.End.After(MaxInstant) {
		return broken, Invalid(Violation{Pointer: "#/start_time", Code: "maximum", Detail: "must be so early that the appointment ends before the year 9999"})
	}
	if c.HasHours {
		if closed := subtract([]Interval{want}, c.Open); len(closed) > 0 {
			if !b.Override.allows(RuleOutsideHours) {
				return broken, &Error{Code: CodeOutsideWorkingHours, Conflict: closed[0]}
			}
			broken.OutsideHours = true
		}
	}
	if off, taken := firstOverlap(c.Off, want); taken {
		return broken, &Error{Code: CodeTimeOff, Conflict: off}
	}
	if in, taken := firstOverlap(c.DoctorBusy, busy); taken {
		if !b.Override.allows(RuleDoctorOverlap) || CountOverlaps(c.DoctorBusy, busy) > c.OverbookCap {
			return broken, &Error{Code: CodeDoctorOverlap, Conflict: in}
		}
		broken.DoctorOverlap = true
	}
	if in, taken := firstOverlap(c.PatientBusy, want); taken {
		if !b.Override.allows(RulePatientOverlap) {
			return broken, &Error{Code: CodePatientOverlap, Conflict: in}
		}
		broken.PatientOverlap = true
	}
	if in, taken := firstOverlap(c.RoomBusy, busy); taken {
		return broken, &Error{Code: CodeRoomOverlap, Conflict: in}
	}
	if c.NoRoomFree {
		return broken, &Error{Code: CodeNoRoomFree, Conflict: busy}
	}
	return broken, nil
}

func checkParties(c Calendar) error {
	switch {
	case c.Patient != Active: // a patient that was not read must not be bookable
		return ErrPatientNotFound
	case c.Doctor != Active && c.Doctor != Inactive:
		return ErrDoctorNotFound
	case c.Type == Missing:
		return ErrTypeNotFound
	case c.Room == Missing:
		return ErrRoomNotFound
	case c.Doctor == Inactive:
		return ErrDoctorInactive
	case c.Type == Inactive:
		return ErrTypeInactive
	case c.Room == Inactive:
		return ErrRoomInactive
	case c.Type == Active && !c.Allowed:
		return ErrTypeNotAllowed
	case c.Type == Active && c.Room == Active && !c.Suitable:
		return ErrRoomNotSuitable
	}
	return nil
}

// firstOverlap returns the interval with the earliest start that overlaps want.
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

// CountOverlaps returns the number of intervals that overlap want.
func CountOverlaps(busy []Interval, want Interval) int {
	n := 0
	for _, b := range busy {
		if b.Overlaps(want) {
			n++
		}
	}
	return n
}
