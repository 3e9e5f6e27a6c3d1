package main

import (
	"slices"
	"time"
)

// refusalsLegitimate checks for each refusal whether its rule may have been broken at some
// moment of the call: whether a record may have been in a state that the rule refuses.
// Porcupine checks refusals because of a doctor's, patient's or room's time that the
// request names, of an empty queue and of a reused key; README.md lists those that are not
// checked.
func (w *world) refusalsLegitimate() check {
	c := check{name: "refusals legitimate"}
	for _, o := range w.ops {
		if o.Outcome != refused || o.Kind == "repeat" {
			continue
		}
		legitimate, decided := w.legitimate(o)
		if !decided {
			continue
		}
		if c.examined++; !legitimate {
			c.fault("op %d (%s) was refused with %s %s, which no moment of its call explains: %+v", o.ID, o.Kind, o.Code, o.Current, o.In)
		}
	}
	return c
}

func (w *world) legitimate(o *op) (legitimate, decided bool) {
	switch o.Code {
	case "doctor-overlap", "patient-overlap", "room-overlap", "no-room-free":
		if _, porcupines := w.refusalOf(o); porcupines {
			return false, false
		}
		return w.overlapPossible(o)
	case "time-off":
		wanted, known := w.wantedSlots(o)
		return slices.ContainsFunc(wanted, func(p piece) bool { return p.of == doctorsOf && w.mayBeOff(o, p.cell, p.slot) }), known
	case "series-conflict":
		return w.seriesConflictPossible(o)
	case "patient-merged":
		return w.mayBeMerged(o, o.In.Patient) || o.Kind == "merge" && w.mayBeMerged(o, o.In.Duplicate), true
	case "merge-conflict":
		return w.mergeConflictPossible(o), true
	case "invalid-transition":
		return w.mayBeIn(o, w.appointmentOf(o), func(e *event) bool {
			return e.to == o.Current && (o.Kind == "undo" || !allowed(o.Kind, e.to))
		}), true
	case "too-early":
		return w.mayBeIn(o, w.appointmentOf(o), func(e *event) bool {
			return e.start.In(w.zone).Format(time.DateOnly) != w.today()
		}), true
	case "precondition-failed":
		return w.mayBeIn(o, o.In.Appointment, func(e *event) bool { return e.version != o.In.Match }), true
	case "hold-not-usable", "hold-not-found":
		return w.mayBeEnded(o, o.In.Hold), true
	case "waitlist-entry-closed":
		status := w.tables.entries[o.In.Entry].status
		return status == "booked" || status == "withdrawn" || status == "expired", true
	case "already-in-queue":
		return w.mayBeQueued(o), true
	case "invalid-ticket-transition":
		return w.ticketMayBe(o, o.In.Ticket, func(status string) bool { return status == o.Current && !ticketAllowed(o.Kind, status) }), true
	case "time-off-not-found":
		return false, true // only one client releases each
	}
	return false, false
}

// allowed reports whether an action can follow a status.
func allowed(action, status string) bool {
	to := map[string]string{
		"confirm": "confirmed", "check-in": "checked_in", "start": "in_progress", "complete": "completed", "cancel": "cancelled",
		"leave": "left_without_being_seen", "start-ticket": "in_progress", "complete-ticket": "completed", "leave-ticket": "left_without_being_seen",
	}[action]
	if action == "reschedule" {
		return status == "scheduled" || status == "confirmed"
	}
	return slices.Contains(transitions[status], to)
}

// ticketAllowed reports whether an action can follow a ticket's status.
func ticketAllowed(action, status string) bool {
	switch action {
	case "complete-ticket":
		return status == "in_progress"
	case "leave-ticket":
		return status == "waiting" || status == "called" || status == "in_progress"
	default:
		return status == "waiting" || status == "called"
	}
}

func (w *world) today() string { return w.began.In(w.zone).Format(time.DateOnly) }

// appointmentOf returns the appointment of an operation, also through its ticket.
func (w *world) appointmentOf(o *op) int64 {
	if o.In.Ticket != 0 {
		return w.tables.tickets[o.In.Ticket].Appointment
	}
	return o.In.Appointment
}

// mayBeIn reports whether an appointment may have been in a state, as left by an event, at
// some moment of the call.
func (w *world) mayBeIn(o *op, id int64, as func(*event) bool) bool {
	events := w.tables.events[id]
	for i := range events {
		from, to := time.Duration(0), forever
		if made := w.opOf(events[i].actor); made != nil {
			from = made.Call
		}
		if i+1 < len(events) {
			if next := w.opOf(events[i+1].actor); next != nil {
				to = w.until(next)
			}
		}
		if as(&events[i]) && from <= w.until(o) && o.Call <= to {
			return true
		}
	}
	return false
}

// wantedSlots returns the slots that an operation may have requested; false when not known.
func (w *world) wantedSlots(o *op) ([]piece, bool) {
	in := o.In
	day := func(t time.Time) string { return t.In(w.zone).Format(time.DateOnly) }
	var all []piece
	add := func(of party, id int64, s slot) {
		if id != 0 {
			all = append(all, piece{cell{of, id, day(s.start)}, s, 0})
		}
	}
	switch o.Kind {
	case "book", "hold", "book-held":
		whole := buffered(in.Start, in.Minutes, in.Before, in.After)
		add(doctorsOf, in.Doctor, whole)
		add(patientsOf, in.Patient, buffered(in.Start, in.Minutes, 0, 0))
		add(roomsOf, in.Room, whole)
	case "reschedule":
		a := w.tables.appointments[in.Appointment]
		whole := buffered(in.Start, in.Minutes, a.Before, a.After)
		add(doctorsOf, in.Doctor, whole)
		for _, e := range w.tables.events[in.Appointment] { // merged, or given another room
			add(patientsOf, e.patient, buffered(in.Start, in.Minutes, 0, 0))
			add(roomsOf, e.room, whole)
		}
	case "undo":
		events := w.tables.events[in.Appointment]
		for i := range events {
			e := events[i]
			e.to = "scheduled"
			for _, other := range events { // the patient's record may have been merged since
				e.patient = other.patient
				all = append(all, w.pieces(in.Appointment, &e)...)
			}
		}
	case "accept":
		for _, offered := range w.offers[in.Entry] {
			s := slot{offered.Slot.Time.Start, offered.Slot.Time.End}
			add(doctorsOf, offered.Slot.DoctorID, s)
			if made := w.waits[in.Entry]; made != nil {
				add(patientsOf, made.In.Patient, s)
				add(patientsOf, w.survivor(made.In.Patient), s)
			}
		}
	default:
		return nil, false
	}
	return all, true
}

func (w *world) overlapPossible(o *op) (legitimate, decided bool) {
	wanted, known := w.wantedSlots(o)
	if !known {
		return false, false
	}
	of := map[string]party{"doctor-overlap": doctorsOf, "patient-overlap": patientsOf, "room-overlap": roomsOf}[o.Code]
	if o.Code == "no-room-free" {
		// Each on its own: whether all were occupied at one moment is not checked.
		for _, room := range w.tables.rooms {
			for _, p := range wanted {
				if p.of == doctorsOf && !w.mayBeTaken(o, cell{roomsOf, room, p.day}, p.slot, o.In.Appointment) {
					return false, true
				}
			}
		}
		return true, true
	}
	return slices.ContainsFunc(wanted, func(p piece) bool {
		return p.of == of && w.mayBeTaken(o, p.cell, p.slot, o.In.Appointment)
	}), true
}

// mayBeOff reports whether a doctor may have been off in a slot at some moment of the call.
func (w *world) mayBeOff(o *op, of cell, wanted slot) bool {
	return slices.ContainsFunc(w.off[of], func(s stay) bool {
		return s.slot.overlaps(wanted) && s.from <= w.until(o) && o.Call <= s.to
	})
}

// seriesConflictPossible reports whether a date of a refused new series may have been
// occupied.
func (w *world) seriesConflictPossible(o *op) (legitimate, decided bool) {
	if o.Kind != "series" {
		return false, false
	}
	for i := range o.In.Count {
		date := *o
		date.Kind, date.In.Start = "book", o.In.Start.AddDate(0, 0, i)
		wanted, _ := w.wantedSlots(&date)
		for _, p := range wanted {
			if w.mayBeTaken(o, p.cell, p.slot, 0) || p.of == doctorsOf && w.mayBeOff(o, p.cell, p.slot) {
				return true, true
			}
		}
		if o.In.Type != 0 && o.In.Room == 0 { // any room: as for no-room-free
			date.Code = "no-room-free"
			if taken, _ := w.overlapPossible(&date); taken {
				return true, true
			}
		}
	}
	return false, true
}

// mayBeMerged reports whether a patient may have been merged into another by the end of
// a call.
func (w *world) mayBeMerged(o *op, patient int64) bool {
	return w.tables.patients[patient] != 0 && slices.ContainsFunc(w.mergedBy[patient], func(m *op) bool { return m.Call <= w.until(o) })
}

// mergeConflictPossible reports whether appointments of the two may have overlapped.
func (w *world) mergeConflictPossible(o *op) bool {
	for c, mine := range w.stood {
		if c.of != patientsOf || c.id != o.In.Patient {
			continue
		}
		theirs := w.stood[cell{patientsOf, o.In.Duplicate, c.day}]
		for _, a := range mine {
			for _, b := range theirs {
				if a.slot.overlaps(b.slot) && max(a.from, b.from, o.Call) <= min(a.to, b.to, w.until(o)) {
					return true
				}
			}
		}
	}
	return false
}

// mayBeEnded reports whether a hold may have been used, released or expired by the end of a
// call.
func (w *world) mayBeEnded(o *op, hold int64) bool {
	if made := w.holdsMade[hold]; made != nil && made.Out.Expires.Sub(w.began)-w.skew <= w.until(o) {
		return true
	}
	return slices.ContainsFunc(w.holdOps[hold], func(other *op) bool { return other != o && other.Call <= w.until(o) })
}

// ticketMayBe reports whether, by the audit trail, a ticket may have been in such a status
// at some moment of the call.
func (w *world) ticketMayBe(o *op, id int64, as func(status string) bool) bool {
	entries := w.ticketTrail[id]
	for i, e := range entries {
		from, to := time.Duration(0), forever
		if made := w.opOf(e.request); made != nil {
			from = made.Call
		}
		if i+1 < len(entries) {
			if next := w.opOf(entries[i+1].request); next != nil {
				to = w.until(next)
			}
		}
		if as(e.statusAfter) && from <= w.until(o) && o.Call <= to {
			return true
		}
	}
	return false
}

// mayBeQueued reports whether a patient may have had an open ticket of the doctor.
func (w *world) mayBeQueued(o *op) bool {
	patient := o.In.Patient
	if o.Kind == "transfer" {
		t := w.tables.tickets[o.In.Ticket]
		if patient = t.Patient; t.Doctor == o.In.Doctor {
			return true
		}
	}
	for _, id := range w.ticketsOf[w.survivor(patient)] {
		if id == o.In.Ticket || o.In.Doctor != 0 && w.tables.tickets[id].Doctor != o.In.Doctor {
			continue
		}
		if w.ticketMayBe(o, id, func(s string) bool { return s == "waiting" || s == "called" || s == "in_progress" }) {
			return true
		}
	}
	return false
}

// survivor returns the surviving record of a patient.
func (w *world) survivor(patient int64) int64 {
	if into := w.tables.patients[patient]; into != 0 {
		return into
	}
	return patient
}
