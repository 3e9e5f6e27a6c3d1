package main

import (
	"testing"
	"time"
)

// nine is when the invented appointments begin.
var nine = time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)

// story is an invented run: operations and the tables that they left.
type story struct {
	ops    []*op
	tables *tables
}

func newStory() *story {
	return &story{tables: &tables{
		now: nine, appointments: map[int64]appointmentRow{}, events: map[int64][]event{}, tickets: map[int64]ticketRow{},
		holds: map[int64]holdRow{}, entries: map[int64]entryRow{}, patients: map[int64]int64{1: 0, 2: 0}, caps: map[int64]int{1: 0, 2: 0, 3: 1},
		rooms: []int64{1}, timeOff: map[int64]bool{}, plans: map[int64]bool{}, series: map[int64]bool{},
	}}
}

// op adds an operation, called and returned at these seconds.
func (s *story) op(kind string, call, end int, o op) *op {
	o.ID, o.Client, o.Kind = len(s.ops)+1, len(s.ops)+1, kind
	o.Call, o.Return = time.Duration(call)*time.Second, time.Duration(end)*time.Second
	if o.Outcome == "" {
		o.Outcome = ok
	}
	s.ops = append(s.ops, &o)
	return &o
}

// change records an operation's effect on an appointment: its row, its event, the audit
// entry and, if there was one, the response.
func (s *story) change(o *op, action string, a appointment) {
	version := s.tables.appointments[a.ID].version + 1
	from := s.tables.appointments[a.ID].Status
	s.tables.appointments[a.ID] = appointmentRow{appointment: a, version: version}
	s.tables.events[a.ID] = append(s.tables.events[a.ID], event{
		version: version, action: action, actor: o.actor(), from: from, to: a.Status, start: a.Start,
		minutes: int(a.End.Sub(a.Start) / time.Minute), doctor: a.Doctor, patient: a.Patient, room: a.Room,
	})
	verb := "update"
	if version == 1 {
		verb = "create"
	}
	s.tables.trail = append(s.tables.trail, entry{request: o.actor(), action: verb, object: "appointment", id: a.ID})
	s.tables.changes = append(s.tables.changes, change{position: int64(len(s.tables.changes) + 1), kind: "appointment." + a.Status, object: "appointment", id: a.ID})
	if o.Outcome == ok {
		o.Out = output{Appointments: []appointment{a}, Version: version}
	}
}

// visit returns an appointment of half an hour with patient 1 in room 1.
func visit(id, doctor int64, status string) appointment {
	return appointment{ID: id, Doctor: doctor, Patient: 1, Room: 1, Start: nine, End: nine.Add(30 * time.Minute), Status: status}
}

func (s *story) book(id int64, call, end int) *op {
	o := s.op("book", call, end, op{In: input{Doctor: 1, Patient: 1, Start: nine, Minutes: 30, Room: 1}})
	s.change(o, "book", visit(id, 1, "scheduled"))
	return o
}

func (s *story) cancel(id int64, call, end int) *op {
	o := s.op("cancel", call, end, op{In: input{Appointment: id}})
	s.change(o, "cancel", visit(id, 1, "cancelled"))
	return o
}

func (s *story) refusal(code string, call, end int) *op {
	return s.op("book", call, end, op{Outcome: refused, Code: code, In: input{Doctor: 1, Patient: 1, Start: nine, Minutes: 30, Room: 1}})
}

func (s *story) world(t *testing.T) *world {
	t.Helper()
	return newWorld(s.ops, s.tables, nine.Add(-time.Hour), time.UTC, clockSkew, t.TempDir())
}

// verdict compares a check's result with the expected one.
func verdict(t *testing.T, name string, c check, sound bool) {
	t.Helper()
	if (len(c.faults) == 0) != sound {
		t.Errorf("%s: %s: faults %v, want sound %t", name, c.name, c.faults, sound)
	}
	if sound && c.examined == 0 {
		t.Errorf("%s: %s examined nothing, want something", name, c.name)
	}
}

// Histories that no order explains are found in each kind of calendar.
func TestCalendarModelFindsFaults(t *testing.T) {
	codes := map[party]string{doctorsOf: "doctor-overlap", patientsOf: "patient-overlap", roomsOf: "room-overlap"}
	for name, c := range map[string]struct {
		happens func(s *story, code string)
		sound   bool
	}{
		"RefusedBesideABooking": {func(s *story, code string) { s.book(1, 0, 10); s.refusal(code, 5, 8) }, true},
		"RebookedAfterCancel":   {func(s *story, _ string) { s.book(1, 0, 10); s.cancel(1, 20, 30); s.book(2, 25, 40) }, true},
		"HappenedUnanswered": {func(s *story, code string) {
			s.book(1, 0, 10).Outcome = unknown
			s.refusal(code, 20, 30)
		}, true},
		"BookedTwice":           {func(s *story, _ string) { s.book(1, 0, 10); s.book(2, 0, 10) }, false},
		"BookedTwiceUnanswered": {func(s *story, _ string) { s.book(1, 0, 10); s.book(2, 0, 10).Outcome = unknown }, false},
		"RefusedBeforeAny":      {func(s *story, code string) { s.refusal(code, 0, 5); s.book(1, 6, 10) }, false},
		"RefusedAfterTheCancel": {func(s *story, code string) { s.book(1, 0, 10); s.cancel(1, 20, 30); s.refusal(code, 31, 40) }, false},
		"BookedBeforeTheCancel": {func(s *story, _ string) { s.book(1, 0, 10); s.book(2, 11, 19); s.cancel(1, 20, 30) }, false},
	} {
		for of, code := range codes {
			s := newStory()
			c.happens(s, code)
			verdict(t, name, s.world(t).linearizable(of), c.sound)
		}
	}
}
