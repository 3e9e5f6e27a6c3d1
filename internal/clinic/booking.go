package clinic

import (
	"slices"
	"time"
)

// Booking is a request for an appointment. Duration is within MinDuration and
// MaxDuration: the contract and a CHECK constraint see to that.
type Booking struct {
	PatientID int64
	DoctorID  int64
	TypeID    *int64 // nil: of no type
	RoomID    *int64 // nil: none asked for by name
	AnyRoom   bool   // without RoomID: any suitable room that is free
	Start     time.Time
	Duration  time.Duration // 0: the type's
	Buffers   Buffers       // the type's; filled in by Apply
	SeriesID  *int64        // nil: of no series
	Hold      string        // token of a hold that keeps this time; "": none
	Override  Override
	// Moving: it is an appointment already. It keeps the buffers that it was booked
	// with, and its right to its type, with the doctor and the room in Kept, whatever
	// has changed about these since.
	Moving bool
	Kept   Placement
}

// Placement is with whom and where an appointment is.
type Placement struct {
	DoctorID int64
	RoomID   *int64 // nil: in no room
}

// KeepsDoctor reports whether an appointment stays with the doctor it was booked
// with, who then need not be one of its type.
func (b *Booking) KeepsDoctor() bool { return b.Moving && b.DoctorID == b.Kept.DoctorID }

// KeepsRoom reports whether an appointment stays in its room, or in none, which then
// need neither suit its type nor take new bookings.
func (b *Booking) KeepsRoom() bool { return b.Moving && !b.AnyRoom && equal(b.RoomID, b.Kept.RoomID) }

// Time is the interval that the booking asks for.
func (b *Booking) Time() Interval {
	return Interval{Start: b.Start, End: b.Start.Add(b.Duration)}
}

// Busy is Time with the buffers: what it takes of the doctor and the room.
func (b *Booking) Busy() Interval { return b.Buffers.around(b.Time()) }

// Apply fills in what the booking takes from its type.
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

// Buffers are times around an appointment in which the doctor and the room,
// but not the patient, are occupied too: from 0 to MaxBuffer each.
type Buffers struct {
	Before, After time.Duration
}

// MaxBuffer bounds each buffer, and with MaxDuration how far from a time the
// store has to look for appointments that reach into it.
const MaxBuffer = 60 * time.Minute

func (b Buffers) around(i Interval) Interval {
	return Interval{Start: i.Start.Add(-b.Before), End: i.End.Add(b.After)}
}

// Rule is one that a booking may break on purpose, with a reason.
type Rule string

// The rules that can be overridden; the contract lists the same.
const (
	RuleOutsideHours   = Rule(CodeOutsideWorkingHours)
	RuleDoctorOverlap  = Rule(CodeDoctorOverlap)
	RulePatientOverlap = Rule(CodePatientOverlap)
)

// Override says which rules may be broken by a booking, and why.
type Override struct {
	Rules  []Rule
	Reason string
}

func (o Override) allows(r Rule) bool { return slices.Contains(o.Rules, r) }

// CheckAccess refuses to override rules to callers without the permission to:
// CodeForbidden. It is asked before anything else of the request is judged. The server
// itself may.
func (o Override) CheckAccess(a Access) error {
	if len(o.Rules) == 0 || a.Subject == system || a.May(AppointmentsOverride) {
		return nil
	}
	return &Error{Code: CodeForbidden, Permission: AppointmentsOverride}
}

// Broken are the rules that a booking really broke, out of those that it was
// allowed to. The zero value is the normal case.
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

// Normalize puts the start and the reason into the form in which they are kept.
func (b *Booking) Normalize() {
	b.Start = Instant(b.Start)
	b.Override.Reason = Text(b.Override.Reason)
}

// Validate refuses a booking of which the contract cannot see that it is wrong
// (CodeValidationFailed, all violations). b must be normalised.
func (b *Booking) Validate() error {
	vs := checkLength(nil, "#/override/reason", b.Override.Reason, 500)
	if b.Duration == 0 && b.TypeID == nil {
		vs = append(vs, Violation{Pointer: "#/duration_minutes", Code: "required", Detail: "must be given, or type_id"})
	}
	if b.RoomID != nil && b.AnyRoom {
		vs = append(vs, Violation{Pointer: "#/any_room", Code: "combination", Detail: "cannot be combined with room_id"})
	}
	return invalid(vs)
}

// CheckStart refuses a booking that does not start later than now
// (CodeStartInPast). It needs no calendar, so it is asked before the database.
func CheckStart(now time.Time, b Booking) error {
	if !b.Start.After(now) {
		return ErrStartInPast
	}
	return nil
}

// PartyState is what a booking needs to know of a doctor, a patient, a room or
// a type before anything else.
type PartyState int

// The answers to "can this one be booked". NotAsked is for a room or a type
// that the booking does not have, and for what has not been looked up.
const (
	NotAsked PartyState = iota
	Missing
	Inactive
	Active
)

// Calendar is what is known, under the locks of the parties, in the moment of
// the decision. What has not been read yet is left out and stands in nobody's
// way, so that the decision can be asked for after each step of reading.
type Calendar struct {
	Patient PartyState
	Doctor  PartyState
	Type    PartyState
	Room    PartyState

	// Allowed and Suitable: whether the type may be done by this doctor and in
	// this room. Only looked at with a Type.
	Allowed, Suitable bool

	HasHours    bool
	Open        []Interval // the doctor's working times near the booking, when HasHours
	Off         []Interval // the doctor's time off and the clinic's closures
	OverbookCap int        // how many of the doctor's appointments an overbooking may overlap

	DoctorBusy  []Interval // with buffers; holds of others included
	PatientBusy []Interval
	RoomBusy    []Interval // with buffers; holds of others included
	NoRoomFree  bool       // any room would have done, and none was free
}

// CanBook decides whether the booking may be made, and tells which rules it
// breaks by its Override. The order of the rules is part of the contract:
// patient, doctor, type and room exist; doctor, type and room are active and
// go together; working hours, time off, the doctor's time, the patient's, the
// room's. What stands in the way is carried as the Conflict.
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
	case c.Patient != Active: // one that nobody has looked up must not be bookable
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

// CountOverlaps counts the intervals that overlap want.
func CountOverlaps(busy []Interval, want Interval) int {
	n := 0
	for _, b := range busy {
		if b.Overlaps(want) {
			n++
		}
	}
	return n
}
