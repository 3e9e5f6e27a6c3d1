package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// examine checks the history against the final tables of each database.
func (r *result) examine(ctx context.Context, f *field) error {
	began := time.Now()
	step := func(what string) {
		_, _ = fmt.Fprintf(f.say, "%5.1f s  %s\n", time.Since(began).Seconds(), what)
	}
	f.bookProbe(ctx)
	if err := f.freeze(ctx); err != nil {
		return err
	}
	step("nothing changes any more")
	feed, err := f.readFeeds(ctx)
	if err != nil {
		return err
	}
	step("read the feed of every server")
	messages, wrong, err := f.waitForMessages(ctx)
	if err != nil {
		return err
	}
	step("received the messages of the webhook")
	r.checks = append(r.checks, check{name: "no 500, nothing undocumented", examined: len(r.history.ops), faults: r.history.faults})
	nodes, err := f.ground.nodes(ctx)
	defer func() {
		for _, db := range nodes {
			_ = db.Close()
		}
	}()
	if err != nil {
		return err
	}
	var first *tables
	for i, db := range nodes {
		t, err := readTables(ctx, db)
		if err != nil {
			return err
		}
		if i > 0 {
			r.checks = append(r.checks, noOverlap(t), sameTables(first, t, i))
			continue
		}
		first, t.now = t, f.frozen
		w := newWorld(r.history.ops, t, r.history.began, f.today.Location(), r.skew(), r.out)
		r.checks = append(r.checks,
			noOverlap(t), w.nothingLost(), w.othersLost(), w.historiesLegal(), w.refusalsLegitimate(),
			w.linearizable(doctorsOf), w.linearizable(patientsOf), w.linearizable(roomsOf),
			w.queuesLinearizable(), ticketsWithoutGaps(t), w.keysLinearizable(), w.waitingEnds(f.probe.outcome), w.holdsRespected(),
			feedComplete(t, feed), followed(feed, f.followers), hooksComplete(feed, messages, wrong), w.audited())
	}
	step("checked the history and the tables")
	audit := check{name: "audit trail verifies", examined: 1}
	if out, err := f.mems(ctx, "audit", "verify"); err != nil {
		audit.fault("%v: %s", err, out)
	}
	r.checks = append(r.checks, audit)
	return nil
}

// skew returns how far the servers' clocks may have been from the run's.
func (r *result) skew() time.Duration {
	if slices.ContainsFunc(r.bands, func(b band) bool { return b.name == "clock jump" }) {
		return 2*time.Minute + clockSkew
	}
	return clockSkew
}

// noOverlap checks appointments against others in the same calendar, buffers and
// overbooking included.
func noOverlap(t *tables) check {
	c := check{name: "no overlap of doctor, patient or room", examined: len(t.appointments)}
	type calendarOf struct {
		of party
		id int64
	}
	calendars := map[calendarOf][]appointmentRow{}
	for _, id := range sortedKeys(t.appointments) {
		a := t.appointments[id]
		if !occupies(a.Status) {
			continue
		}
		for _, k := range []calendarOf{{doctorsOf, a.Doctor}, {patientsOf, a.Patient}, {roomsOf, a.Room}} {
			if k.id != 0 {
				calendars[k] = append(calendars[k], a)
			}
		}
	}
	for k, list := range calendars {
		takes := func(a appointmentRow) slot {
			if k.of == patientsOf {
				return slot{a.Start, a.End}
			}
			return buffered(a.Start, int(a.End.Sub(a.Start)/time.Minute), a.Before, a.After)
		}
		slices.SortFunc(list, func(a, b appointmentRow) int { return takes(a).start.Compare(takes(b).start) })
		for i, a := range list {
			deep := 1
			for j := i - 1; j >= 0; j-- {
				b := list[j]
				if !takes(b).overlaps(takes(a)) {
					continue
				}
				if takes(b).end.After(takes(a).start) {
					deep++ // occupies a's start
				}
				meant := k.of == doctorsOf && (a.doctorOverbooked || b.doctorOverbooked) ||
					k.of == patientsOf && (a.patientOverbooked || b.patientOverbooked)
				if !meant {
					c.fault("%s %d: appointments %d and %d overlap", k.of, k.id, b.ID, a.ID)
				}
			}
			if k.of == doctorsOf && deep > 1+t.caps[k.id] {
				c.fault("doctor %d: %d appointments at the start of %d, the cap is %d", k.id, deep, a.ID, t.caps[k.id])
			}
		}
	}
	return c
}

// nothingLost looks up each operation by its name in the appointments' histories: once and
// as answered if it was acknowledged, never if it was refused, at most once if its outcome
// is unknown.
func (w *world) nothingLost() check {
	c := check{name: "done once as answered, or not at all", examined: len(w.ops)}
	c.faults = append(c.faults, w.foreign...)
	for _, o := range w.ops {
		done := w.done[o.ID]
		if o.Kind == "repeat" {
			continue
		}
		if o.Outcome == refused {
			if len(done) > 0 {
				c.fault("op %d (%s) was refused with %s and done: appointment %d", o.ID, o.Kind, o.Code, done[0].appointment)
			}
			for _, e := range w.effects[o.ID] {
				// Offers of time that others freed may also follow a request, under its name.
				if e.object != "waitlist_entry" || e.offer.HoldID == 0 {
					c.fault("op %d (%s) was refused with %s, and the audit trail has %+v", o.ID, o.Kind, o.Code, e)
				}
			}
			continue
		}
		booked := 0
		for _, t := range done {
			if t.before == nil {
				booked++
			}
		}
		most := 0
		switch o.Kind {
		case "book", "book-held", "accept":
			most = 1
		case "series":
			most = o.In.Count
		}
		if booked > most {
			c.fault("op %d (%s) booked %d appointments", o.ID, o.Kind, booked)
		}
		if o.Outcome == ok {
			w.asAnswered(&c, o, done)
		}
	}
	return c
}

// asAnswered compares an acknowledged operation with the events under its name.
func (w *world) asAnswered(c *check, o *op, done []transition) {
	switch o.Kind {
	case "book", "book-held", "accept", "reschedule", "cancel", "undo", "confirm", "check-in", "start", "complete", "leave":
		if len(done) != 1 {
			c.fault("op %d (%s) was acknowledged and is %d times in the histories", o.ID, o.Kind, len(done))
			return
		}
		if a := o.Out.Appointments[0]; done[0].appointment != a.ID || done[0].after.version != o.Out.Version || !done[0].after.is(a) {
			c.fault("op %d (%s) was answered %+v version %d, and the history has %+v", o.ID, o.Kind, a, o.Out.Version, *done[0].after)
		}
		if o.In.Match != 0 && done[0].before != nil && done[0].before.version != o.In.Match {
			c.fault("op %d (%s) was to change version %d and changed %d", o.ID, o.Kind, o.In.Match, done[0].before.version)
		}
	case "series":
		if len(done) != o.Out.Dates || len(done) != len(o.Out.Appointments) {
			c.fault("op %d (%s) was answered %d dates, and the histories have %d", o.ID, o.Kind, o.Out.Dates, len(done))
		}
	case "cancel-series":
		for _, a := range o.Out.Appointments {
			if a.Status == "scheduled" || a.Status == "confirmed" {
				c.fault("op %d (%s) left appointment %d %s", o.ID, o.Kind, a.ID, a.Status)
			}
		}
	case "reschedule-series":
		if len(done) > o.Out.Dates {
			c.fault("op %d (%s) was answered %d dates, and the histories have %d", o.ID, o.Kind, o.Out.Dates, len(done))
		}
	case "start-ticket", "complete-ticket", "leave-ticket":
		if k := o.Out.Ticket; k.Appointment != 0 && len(done) != 1 {
			c.fault("op %d (%s) of ticket %d changed its appointment %d times", o.ID, o.Kind, k.ID, len(done))
		}
	}
	// Everything else in a response was true at some time.
	for _, a := range o.Out.Appointments {
		if !slices.ContainsFunc(w.tables.events[a.ID], func(e event) bool { return e.is(a) }) {
			c.fault("op %d (%s) was answered appointment %+v, which it never was", o.ID, o.Kind, a)
		}
	}
}

// is reports whether the appointment was as in the response after the event.
func (e *event) is(a appointment) bool {
	return e.to == a.Status && e.doctor == a.Doctor && e.patient == a.Patient && e.room == a.Room && e.start.Equal(a.Start) && e.end().Equal(a.End)
}

// othersLost looks up acknowledged records other than appointments: they exist, or an
// operation may have ended them.
func (w *world) othersLost() check {
	c := check{name: "other records done once, as answered"}
	deleted := map[string]map[int64]bool{}
	for _, ch := range w.tables.changes {
		if ch.kind == ch.object+".deleted" {
			if deleted[ch.object] == nil {
				deleted[ch.object] = map[int64]bool{}
			}
			deleted[ch.object][ch.id] = true
		}
	}
	has := func(o *op, action, object string, id int64) int {
		n := 0
		for _, e := range w.effects[o.ID] {
			if e.action == action && e.object == object && (id == 0 || e.id == id) {
				n++
			}
		}
		return n
	}
	creates := map[string]string{
		"hold": "hold", "walk-in": "ticket", "transfer": "ticket", "wait": "waitlist_entry", "register": "patient",
		"time-off": "time_off", "plan": "plan", "series": "series",
	}
	for _, o := range w.ops {
		if object := creates[o.Kind]; object != "" && o.Outcome != refused {
			c.examined++
			if n := has(o, "create", object, 0); n > 1 || o.Outcome == ok && n == 0 {
				c.fault("op %d (%s, %s) made %d records", o.ID, o.Kind, o.Outcome, n)
			}
		}
		if o.Outcome != ok {
			continue
		}
		there := true
		switch o.Kind {
		case "hold":
			_, there = w.tables.holds[o.Out.ID]
			there = there || deleted["hold"][o.Out.ID]
		case "release":
			_, still := w.tables.holds[o.In.Hold]
			there = !still && has(o, "delete", "hold", o.In.Hold) == 1
		case "book-held":
			_, still := w.tables.holds[o.In.Hold]
			there = !still && deleted["hold"][o.In.Hold]
		case "wait":
			_, there = w.tables.entries[o.Out.ID]
		case "accept":
			e := w.tables.entries[o.In.Entry]
			there = e.status == "booked" && e.booked == o.Out.Appointments[0].ID
		case "withdraw":
			there = w.tables.entries[o.In.Entry].status == "withdrawn"
		case "register":
			_, there = w.tables.patients[o.Out.ID]
		case "merge":
			there = w.tables.patients[o.In.Duplicate] == o.In.Patient
		case "time-off":
			there = w.tables.timeOff[o.Out.ID] || deleted["time_off"][o.Out.ID]
		case "end-time-off":
			there = !w.tables.timeOff[o.In.TimeOff]
		case "plan":
			there = w.tables.plans[o.Out.ID]
		case "series":
			there = w.tables.series[o.Out.ID]
		}
		if !there {
			c.fault("op %d (%s) was acknowledged and is lost: %+v %+v", o.ID, o.Kind, o.In, o.Out)
		}
		if k := o.Out.Ticket; k != nil {
			c.examined++
			row, exists := w.tables.tickets[k.ID]
			same := row.ticket
			same.Status, same.Patient, same.Appointment = k.Status, k.Patient, k.Appointment // others change these
			if !exists || same != *k || row.version < o.Out.Version || row.version == o.Out.Version && row.Status != k.Status {
				c.fault("op %d (%s) was answered %+v version %d, and the table has %+v", o.ID, o.Kind, *k, o.Out.Version, row)
			}
		}
	}
	return c
}

// transitions lists the statuses that may follow each status; only undo restores an earlier
// one.
var transitions = map[string][]string{
	"":            {"scheduled"},
	"scheduled":   {"confirmed", "checked_in", "cancelled", "no_show"},
	"confirmed":   {"checked_in", "cancelled", "no_show"},
	"checked_in":  {"in_progress", "left_without_being_seen"},
	"in_progress": {"completed", "left_without_being_seen"},
}

// historiesLegal checks each appointment's history: versions without gaps, allowed
// transitions, nothing leaves cancelled except by undo, and the appointment matches its
// last event.
func (w *world) historiesLegal() check {
	c := check{name: "nothing cancelled comes back"}
	for _, id := range sortedKeys(w.tables.appointments) {
		a, events := w.tables.appointments[id], w.tables.events[id]
		status := ""
		for i, e := range events {
			c.examined++
			stays := e.action == "reschedule" && occupies(status) || e.action == "merge"
			legal := e.action == "undo" || stays && (e.to == status || e.action == "reschedule" && status == "confirmed" && e.to == "scheduled") ||
				!stays && slices.Contains(transitions[status], e.to)
			if !legal || e.version != int64(i+1) || e.from != status {
				c.fault("appointment %d version %d: %s from %q to %q (the history says from %q)", id, e.version, e.action, status, e.to, e.from)
			}
			if o := w.opOf(e.actor); o != nil && e.action == "undo" && o.Kind != "undo" {
				c.fault("appointment %d version %d: undone by op %d (%s)", id, e.version, o.ID, o.Kind)
			}
			status = e.to
		}
		if len(events) == 0 || a.version != events[len(events)-1].version || !events[len(events)-1].is(a.appointment) {
			c.fault("appointment %d is not as its last event left it: %+v", id, a)
		}
	}
	return c
}

// sameTables compares the tables of two nodes.
func sameTables(first, other *tables, node int) check {
	c := check{name: fmt.Sprintf("node %d has the same tables", node+1), examined: len(first.appointments)}
	differ := func(what string, same bool) {
		if !same {
			c.fault("%s differ", what)
		}
	}
	differ("appointments", equalMaps(first.appointments, other.appointments))
	differ("tickets", equalMaps(first.tickets, other.tickets))
	differ("holds", equalMaps(first.holds, other.holds))
	differ("entries of the waitlist", equalMaps(first.entries, other.entries))
	differ("patients", equalMaps(first.patients, other.patients))
	differ("times off", equalMaps(first.timeOff, other.timeOff))
	differ("changes", slices.Equal(first.changes, other.changes))
	differ("audit entries", slices.Equal(first.trail, other.trail))
	return c
}

func equalMaps[V comparable](a, b map[int64]V) bool {
	if len(a) != len(b) {
		return false
	}
	for id, v := range a {
		if o, exists := b[id]; !exists || o != v {
			return false
		}
	}
	return true
}
