package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// Each check gets invented stories: sound ones, and one for each fault that it has to find.
// A check that cannot fail proves nothing.

type tale struct {
	name    string
	happens func(s *story)
	sound   bool
}

// tryCheck runs a check on stories.
func tryCheck(t *testing.T, judge func(w *world) check, cases []tale) {
	t.Helper()
	for _, c := range cases {
		s := newStory()
		c.happens(s)
		verdict(t, c.name, judge(s.world(t)), c.sound)
	}
}

// stand adds appointments to a story's tables.
func (s *story) stand(list ...appointmentRow) {
	for i, a := range list {
		a.ID, a.Status = int64(i+1), cmpOr(a.Status, "scheduled")
		s.tables.appointments[a.ID] = a
	}
}

func cmpOr(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func TestNoOverlapFindsFaults(t *testing.T) {
	at := func(doctor, patient, room int64, from, to int) appointmentRow {
		return appointmentRow{appointment: appointment{
			Doctor: doctor, Patient: patient, Room: room,
			Start: nine.Add(time.Duration(from) * time.Minute), End: nine.Add(time.Duration(to) * time.Minute),
		}}
	}
	over := func(a appointmentRow) appointmentRow { a.doctorOverbooked = true; return a }
	twice := func(a appointmentRow) appointmentRow { a.patientOverbooked = true; return a }
	after := func(a appointmentRow, minutes int) appointmentRow { a.After = minutes; return a }
	gone := func(a appointmentRow) appointmentRow { a.Status = "cancelled"; return a }
	for name, c := range map[string]struct {
		list  []appointmentRow
		sound bool
	}{
		"BackToBack":         {[]appointmentRow{at(1, 1, 1, 0, 30), at(1, 1, 1, 30, 60)}, true},
		"Cancelled":          {[]appointmentRow{at(1, 1, 1, 0, 30), gone(at(1, 1, 1, 0, 30))}, true},
		"Overbooked":         {[]appointmentRow{at(3, 1, 1, 0, 30), over(at(3, 2, 2, 15, 45))}, true},
		"PatientOverbooked":  {[]appointmentRow{at(1, 1, 1, 0, 30), twice(at(2, 1, 2, 15, 45))}, true},
		"PatientInTheBuffer": {[]appointmentRow{after(at(1, 1, 1, 0, 30), 10), at(2, 1, 2, 30, 60)}, true},
		"Doctor":             {[]appointmentRow{at(1, 1, 1, 0, 30), at(1, 2, 2, 15, 45)}, false},
		"Patient":            {[]appointmentRow{at(1, 1, 1, 0, 30), at(2, 1, 2, 15, 45)}, false},
		"Room":               {[]appointmentRow{at(1, 1, 1, 0, 30), at(2, 2, 1, 15, 45)}, false},
		"DoctorInTheBuffer":  {[]appointmentRow{after(at(1, 1, 1, 0, 30), 10), at(1, 2, 2, 35, 60)}, false},
		"RoomInTheBuffer":    {[]appointmentRow{after(at(1, 1, 1, 0, 30), 10), at(2, 2, 1, 35, 60)}, false},
		"BeyondTheCap":       {[]appointmentRow{at(3, 1, 1, 0, 30), over(at(3, 2, 2, 0, 30)), over(at(3, 4, 3, 0, 30))}, false},
		"WithoutACap":        {[]appointmentRow{at(1, 1, 1, 0, 30), over(at(1, 2, 2, 15, 45))}, false},
	} {
		s := newStory()
		s.stand(c.list...)
		verdict(t, name, noOverlap(s.tables), c.sound)
	}
}

func TestNothingLostFindsFaults(t *testing.T) {
	tryCheck(t, (*world).nothingLost, []tale{
		{"BookedAndCancelled", func(s *story) { s.book(1, 0, 1); s.cancel(1, 2, 3) }, true},
		{"UnknownAndDone", func(s *story) { s.book(1, 0, 1).Outcome = unknown }, true},
		{"UnknownAndNotDone", func(s *story) { s.op("book", 0, 1, op{Outcome: unknown}) }, true},
		{"Refused", func(s *story) { s.refusal("doctor-overlap", 0, 1) }, true},
		{"Lost", func(s *story) {
			s.op("book", 0, 1, op{Out: output{Appointments: []appointment{visit(1, 1, "scheduled")}, Version: 1}})
		}, false},
		{"RefusedAndDone", func(s *story) { s.book(1, 0, 1).Outcome = refused }, false},
		{"RefusedAndInTheTrail", func(s *story) {
			o := s.refusal("doctor-overlap", 0, 1)
			s.tables.trail = append(s.tables.trail, entry{request: o.actor(), action: "create", object: "hold", id: 1})
		}, false},
		{"RefusedBesideAnOffer", func(s *story) {
			o := s.refusal("doctor-overlap", 0, 1)
			s.tables.trail = append(s.tables.trail, entry{request: o.actor(), action: "update", object: "waitlist_entry", id: 1, offer: offer{HoldID: 1}})
		}, true},
		{"DoneTwice", func(s *story) { o := s.book(1, 0, 1); s.change(o, "book", visit(2, 2, "scheduled")) }, false},
		{"UnknownAndDoneTwice", func(s *story) {
			o := s.book(1, 0, 1)
			o.Outcome = unknown
			s.change(o, "book", visit(2, 2, "scheduled"))
		}, false},
		{"AnsweredOtherwise", func(s *story) { s.book(1, 0, 1).Out.Appointments[0].Doctor = 2 }, false},
		{"AnsweredAnotherVersion", func(s *story) { s.book(1, 0, 1).Out.Version = 2 }, false},
		{"PassedOverIfMatch", func(s *story) { s.book(1, 0, 1); s.cancel(1, 2, 3).In.Match = 7 }, false},
		{"FromNobody", func(s *story) { s.book(1, 0, 1); s.tables.events[1][0].actor = "op-99" }, false},
		{"SeriesWithoutADate", func(s *story) {
			o := s.op("series", 0, 1, op{In: input{Count: 2}})
			s.change(o, "book", visit(1, 1, "scheduled"))
			o.Out.Dates = 2
		}, false},
		{"SeriesNotCancelled", func(s *story) {
			s.book(1, 0, 1)
			s.op("cancel-series", 2, 3, op{Out: output{Appointments: []appointment{visit(1, 1, "scheduled")}}})
		}, false},
	})
}

func TestOthersLostFindsFaults(t *testing.T) {
	created := func(s *story, o *op, object string, id int64) {
		s.tables.trail = append(s.tables.trail, entry{request: o.actor(), action: "create", object: object, id: id})
	}
	deleted := func(s *story, object string, id int64) {
		s.tables.changes = append(s.tables.changes, change{int64(len(s.tables.changes) + 1), object + ".deleted", object, id})
	}
	hold := func(s *story) *op {
		o := s.op("hold", 0, 1, op{Out: output{ID: 5}})
		created(s, o, "hold", 5)
		return o
	}
	walkIn := func(s *story, number int) *op {
		k := ticket{ID: 1, Doctor: 1, Day: "2027-03-01", Number: 1, Patient: 1, Status: "waiting"}
		s.tables.tickets[1] = ticketRow{k, 1}
		k.Number = number
		o := s.op("walk-in", 0, 1, op{Out: output{Ticket: &k, Version: 1}})
		created(s, o, "ticket", 1)
		return o
	}
	tryCheck(t, (*world).othersLost, []tale{
		{"Held", func(s *story) { hold(s); s.tables.holds[5] = holdRow{doctor: 1} }, true},
		{"HeldAndUsed", func(s *story) { hold(s); deleted(s, "hold", 5) }, true},
		{"TakenIn", func(s *story) { walkIn(s, 1) }, true},
		{"HoldLost", func(s *story) { hold(s) }, false},
		{"HoldUsedAndThere", func(s *story) {
			hold(s)
			s.tables.holds[5] = holdRow{doctor: 1}
			s.op("book-held", 2, 3, op{In: input{Hold: 5}, Out: output{Appointments: []appointment{visit(1, 1, "scheduled")}}})
		}, false},
		{"HoldGivenBackAndThere", func(s *story) {
			hold(s)
			s.tables.holds[5] = holdRow{doctor: 1}
			o := s.op("release", 2, 3, op{In: input{Hold: 5}})
			s.tables.trail = append(s.tables.trail, entry{request: o.actor(), action: "delete", object: "hold", id: 5})
		}, false},
		{"HeldTwice", func(s *story) { o := hold(s); s.tables.holds[5] = holdRow{doctor: 1}; created(s, o, "hold", 6) }, false},
		{"AnotherNumber", func(s *story) { walkIn(s, 2) }, false},
		{"TicketLost", func(s *story) { walkIn(s, 1); delete(s.tables.tickets, 1) }, false},
		{"TicketFellBack", func(s *story) { walkIn(s, 1).Out.Version = 3 }, false},
		{"EntryLost", func(s *story) { created(s, s.op("wait", 0, 1, op{Out: output{ID: 1}}), "waitlist_entry", 1) }, false},
		{"AcceptedAndWaiting", func(s *story) {
			s.tables.entries[1] = entryRow{status: "waiting"}
			s.op("accept", 0, 1, op{In: input{Entry: 1}, Out: output{Appointments: []appointment{visit(1, 1, "scheduled")}}})
		}, false},
		{"WithdrawnAndWaiting", func(s *story) {
			s.tables.entries[1] = entryRow{status: "waiting"}
			s.op("withdraw", 0, 1, op{In: input{Entry: 1}})
		}, false},
		{"PatientLost", func(s *story) { created(s, s.op("register", 0, 1, op{Out: output{ID: 9}}), "patient", 9) }, false},
		{"NotMerged", func(s *story) { s.op("merge", 0, 1, op{In: input{Patient: 1, Duplicate: 2}}) }, false},
		{"TimeOffLost", func(s *story) { created(s, s.op("time-off", 0, 1, op{Out: output{ID: 1}}), "time_off", 1) }, false},
		{"TimeOffStays", func(s *story) { s.tables.timeOff[1] = true; s.op("end-time-off", 0, 1, op{In: input{TimeOff: 1}}) }, false},
		{"PlanLost", func(s *story) { created(s, s.op("plan", 0, 1, op{Out: output{ID: 1}}), "plan", 1) }, false},
		{"SeriesLost", func(s *story) { created(s, s.op("series", 0, 1, op{Out: output{ID: 1}}), "series", 1) }, false},
	})
}

func TestHistoriesLegalFindsFaults(t *testing.T) {
	undo := func(s *story, kind, status string) {
		o := s.op(kind, 4, 5, op{In: input{Appointment: 1}})
		s.change(o, "undo", visit(1, 1, status))
	}
	tryCheck(t, (*world).historiesLegal, []tale{
		{"Undone", func(s *story) { s.book(1, 0, 1); s.cancel(1, 2, 3); undo(s, "undo", "scheduled") }, true},
		{"CameBack", func(s *story) {
			s.book(1, 0, 1)
			s.cancel(1, 2, 3)
			s.change(s.op("reschedule", 4, 5, op{}), "reschedule", visit(1, 1, "scheduled"))
		}, false},
		{"CameBackInTheRow", func(s *story) {
			s.book(1, 0, 1)
			s.cancel(1, 2, 3)
			row := s.tables.appointments[1]
			row.Status = "scheduled"
			s.tables.appointments[1] = row
		}, false},
		{"UndoneByAnother", func(s *story) { s.book(1, 0, 1); s.cancel(1, 2, 3); undo(s, "confirm", "scheduled") }, false},
		{"VersionMissing", func(s *story) { s.book(1, 0, 1); s.cancel(1, 2, 3); s.tables.events[1][1].version = 3 }, false},
		{"StatusSkipped", func(s *story) {
			s.book(1, 0, 1)
			s.change(s.op("complete", 2, 3, op{}), "complete", visit(1, 1, "completed"))
		}, false},
		{"WithoutHistory", func(s *story) { s.book(1, 0, 1); delete(s.tables.events, 1) }, false},
	})
}

func TestQueuesFindFaults(t *testing.T) {
	day := "2027-03-01"
	issue := func(s *story, number, call, end int) *op {
		id := int64(number)
		s.tables.tickets[id] = ticketRow{ticket{ID: id, Doctor: 1, Day: day, Number: number, Status: "waiting"}, 1}
		o := s.op("walk-in", call, end, op{In: input{Doctor: 1}})
		s.tables.trail = append(s.tables.trail, entry{request: o.actor(), action: "create", object: "ticket", id: id, statusAfter: "waiting"})
		return o
	}
	call := func(s *story, number, from, end int) *op {
		o := s.op("call-next", from, end, op{In: input{Doctor: 1}})
		s.tables.trail = append(s.tables.trail, entry{request: o.actor(), action: "update", object: "ticket", id: int64(number), statusBefore: "waiting", statusAfter: "called"})
		return o
	}
	empty := func(s *story, from, end int) {
		s.op("call-next", from, end, op{In: input{Doctor: 1}, Outcome: refused, Code: "queue-empty"})
	}
	tryCheck(t, (*world).queuesLinearizable, []tale{
		{"InOrder", func(s *story) {
			issue(s, 1, 0, 1)
			issue(s, 2, 2, 3)
			call(s, 1, 4, 5)
			call(s, 2, 6, 7)
			empty(s, 8, 9)
		}, true},
		{"AtOnce", func(s *story) { issue(s, 2, 0, 5); issue(s, 1, 1, 4) }, true},
		{"EmptyBeside", func(s *story) { issue(s, 1, 0, 5); empty(s, 1, 2) }, true},
		{"NumbersBackwards", func(s *story) { issue(s, 2, 0, 1); issue(s, 1, 2, 3) }, false},
		{"NumberLeftOut", func(s *story) { issue(s, 1, 0, 1); issue(s, 3, 2, 3) }, false},
		{"OutOfTurn", func(s *story) { issue(s, 1, 0, 1); issue(s, 2, 2, 3); call(s, 2, 4, 5) }, false},
		{"CalledTwice", func(s *story) { issue(s, 1, 0, 1); call(s, 1, 2, 3); call(s, 1, 4, 5) }, false},
		{"EmptyAlthoughOneWaits", func(s *story) { issue(s, 1, 0, 1); empty(s, 2, 3) }, false},
	})
	tryCheck(t, func(w *world) check { return ticketsWithoutGaps(w.tables) }, []tale{
		{"InOrder", func(s *story) { issue(s, 1, 0, 1); issue(s, 2, 2, 3) }, true},
		{"Gap", func(s *story) { issue(s, 1, 0, 1); issue(s, 3, 2, 3) }, false},
		{"Double", func(s *story) { issue(s, 1, 0, 1); s.tables.tickets[7] = s.tables.tickets[1] }, false},
	})
}

// Checking a queue in parts gives the result of checking it as a whole.
func TestPartsOfAQueue(t *testing.T) {
	var history []porcupine.Operation
	add := func(call, end int64, s queueStep) {
		history = append(history, porcupine.Operation{Input: s, Call: call, Return: end})
	}
	add(0, 2, queueStep{issues: []int{1}})
	add(1, 3, queueStep{issues: []int{2}})
	add(2, 4, queueStep{leaves: []int{1}, next: 1})
	add(5, 6, queueStep{issues: []int{3}, joins: []int{1}})
	add(7, 8, queueStep{leaves: []int{1}, next: 1})
	cut := parts(history, 2)
	if len(cut) != 2 || len(cut[0]) != 3 {
		t.Fatalf("parts = %v, want two, the first of 3 operations", cut)
	}
	if got, want := (queue{}).after(cut[0]), (queue{2, []int{2}}); !queueModel.Equal(got, want) {
		t.Errorf("left as %v, want %v", got, want)
	}
	model := queueModel
	model.Init = func() any { return queue{2, []int{2}} }
	if !porcupine.CheckOperations(model, cut[1]) || porcupine.CheckOperations(queueModel, cut[1]) {
		t.Error("the second part holds from an empty queue, or not from the end of the first; want the contrary")
	}
}

func TestKeysFindFaults(t *testing.T) {
	send := func(s *story, request, answer string, call, end int) *op {
		return s.op("book", call, end, op{Key: "k", Request: request, Answer: answer})
	}
	reused := func(s *story, request string, call, end int) {
		o := send(s, request, "422", call, end)
		o.Outcome, o.Code = refused, "idempotency-key-reused"
	}
	tryCheck(t, (*world).keysLinearizable, []tale{
		{"Repeated", func(s *story) { send(s, "a", "1", 0, 1); send(s, "a", "1", 2, 3) }, true},
		{"Raced", func(s *story) { reused(s, "b", 0, 5); send(s, "a", "1", 1, 4) }, true},
		{"TwoAnswers", func(s *story) { send(s, "a", "1", 0, 1); send(s, "a", "2", 2, 3) }, false},
		{"TwoRequests", func(s *story) { send(s, "a", "1", 0, 1); send(s, "b", "2", 2, 3) }, false},
		{"RefusedTheFirst", func(s *story) { reused(s, "b", 0, 1); send(s, "a", "1", 2, 3) }, false},
		{"RefusedTheSame", func(s *story) { send(s, "a", "1", 0, 1); reused(s, "a", 2, 3) }, false},
	})
}

func TestSameTablesFindsFaults(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *tables)
		sound bool
	}{
		"Same":        {func(*tables) {}, true},
		"Appointment": {func(t *tables) { delete(t.appointments, 1) }, false},
		"Ticket":      {func(t *tables) { t.tickets[1] = ticketRow{} }, false},
		"Change":      {func(t *tables) { t.changes[0].position = 2 }, false},
		"Entry":       {func(t *tables) { t.trail = nil }, false},
	} {
		first, other := newStory(), newStory()
		first.book(1, 0, 1)
		other.book(1, 0, 1)
		c.spoil(other.tables)
		verdict(t, name, sameTables(first.tables, other.tables, 1), c.sound)
	}
}

// The same seed gives the same plan, another seed another one.
func TestPlanIsReplayed(t *testing.T) {
	kinds := map[string]bool{}
	differs := false
	for n := range 2000 {
		d := planned(7, weights, 3, n)
		kinds[d.kind] = true
		if d != planned(7, weights, 3, n) {
			t.Fatalf("step %d is planned differently the second time, want the same", n)
		}
		differs = differs || d != planned(8, weights, 3, n)
	}
	if !differs {
		t.Error("another seed plans the same steps, want others")
	}
	for _, w := range weights {
		if operations[w.kind] == nil || !kinds[w.kind] {
			t.Errorf("operation %s: known %t, planned %t; want both",
				w.kind, operations[w.kind] != nil, kinds[w.kind])
		}
	}
	some, err := weighted("cancel, book")
	if err != nil || len(some) != 2 {
		t.Fatalf("weighted(cancel, book) = %v, %v, want two", some, err)
	}
	for n := range 2000 {
		if d := planned(7, some, 3, n); d.kind != "cancel" && d.kind != "book" {
			t.Fatalf("planned %s, want cancel or book", d.kind)
		}
	}
	if _, err := weighted("book,cancle"); err == nil || !strings.Contains(err.Error(), `"cancle"`) || !strings.Contains(err.Error(), "book-held") {
		t.Errorf("weighted with a misspelt operation = %v, want an error that names it and the known ones", err)
	}
}

// A history that no order explains is reduced to the operations that matter.
func TestReduceKeepsWhatIsNeeded(t *testing.T) {
	s := newStory()
	for i := range 20 { // unrelated
		a := visit(int64(100+i), 1, "scheduled")
		a.Start, a.End = nine.Add(time.Duration(i+2)*time.Hour/2), nine.Add(time.Duration(i+3)*time.Hour/2)
		s.change(s.op("book", 2*i, 2*i+1, op{}), "book", a)
	}
	s.book(1, 50, 51)
	s.book(2, 52, 53)
	s.cancel(2, 54, 55)
	w := s.world(t)
	for _, history := range w.cells {
		if small := reduce(cellModel, history); len(small) != 2 {
			t.Errorf("reduced to %d operations, want 2: %s", len(small), describe(cellModel, small))
		}
	}
	c := w.linearizable(doctorsOf)
	if !slices.ContainsFunc(c.faults, func(f string) bool { return strings.Contains(f, ".html") }) {
		t.Errorf("faults = %q, want the file of a picture in one", c.faults)
	}
}
