package main

import (
	"testing"
	"time"
)

func TestRefusalsFindFaults(t *testing.T) {
	refuse := func(s *story, kind, code, current string, call, end int, in input) {
		s.op(kind, call, end, op{Outcome: refused, Code: code, Current: current, In: in})
	}
	held := func(s *story) {
		s.op("hold", 0, 1, op{In: input{Doctor: 1, Start: nine, Minutes: 30}, Out: output{ID: 5, Expires: nine}})
	}
	off := func(s *story, call, end int) {
		s.op("time-off", call, end, op{In: input{Doctor: 1, Start: nine, Minutes: 60}, Out: output{ID: 3}})
	}
	merge := func(s *story, call, end int) {
		s.tables.patients[2] = 1
		s.op("merge", call, end, op{In: input{Patient: 1, Duplicate: 2}})
	}
	queued := func(s *story, status string) {
		s.tables.tickets[1] = ticketRow{ticket{ID: 1, Doctor: 1, Day: "2027-03-01", Number: 1, Patient: 1, Status: status}, 1}
		o := s.op("walk-in", 0, 1, op{In: input{Doctor: 1, Patient: 1}})
		s.tables.trail = append(s.tables.trail, entry{request: o.actor(), action: "create", object: "ticket", id: 1, statusAfter: status})
	}
	wanted := input{Doctor: 1, Patient: 2, Start: nine, Minutes: 30, Room: 1}
	tryCheck(t, (*world).refusalsLegitimate, []tale{
		{"TimeOff", func(s *story) { off(s, 0, 1); refuse(s, "book", "time-off", "", 2, 3, wanted) }, true},
		{"TimeOffGone", func(s *story) {
			off(s, 0, 1)
			s.op("end-time-off", 2, 3, op{In: input{Doctor: 1, TimeOff: 3}})
			refuse(s, "book", "time-off", "", 4, 5, wanted)
		}, false},
		{"TimeOffLater", func(s *story) { refuse(s, "book", "time-off", "", 0, 1, wanted); off(s, 2, 3) }, false},
		{"Merged", func(s *story) { merge(s, 0, 1); refuse(s, "book", "patient-merged", "", 2, 3, wanted) }, true},
		{"MergedLater", func(s *story) { refuse(s, "book", "patient-merged", "", 0, 1, wanted); merge(s, 2, 3) }, false},
		{"MergedNever", func(s *story) { refuse(s, "book", "patient-merged", "", 0, 1, wanted) }, false},
		{"Cancelled", func(s *story) {
			s.book(1, 0, 1)
			s.cancel(1, 2, 3)
			refuse(s, "confirm", "invalid-transition", "cancelled", 4, 5, input{Appointment: 1})
		}, true},
		{"CancelledLater", func(s *story) {
			s.book(1, 0, 1)
			refuse(s, "confirm", "invalid-transition", "cancelled", 2, 3, input{Appointment: 1})
			s.cancel(1, 4, 5)
		}, false},
		{"Allowed", func(s *story) {
			s.book(1, 0, 1)
			refuse(s, "confirm", "invalid-transition", "scheduled", 2, 3, input{Appointment: 1})
		}, false},
		{"Today", func(s *story) { s.book(1, 0, 1); refuse(s, "check-in", "too-early", "", 2, 3, input{Appointment: 1}) }, false},
		{"OldVersion", func(s *story) {
			s.book(1, 0, 1)
			s.cancel(1, 2, 3)
			refuse(s, "reschedule", "precondition-failed", "", 4, 5, input{Appointment: 1, Match: 1})
		}, true},
		{"RightVersion", func(s *story) {
			s.book(1, 0, 1)
			refuse(s, "reschedule", "precondition-failed", "", 2, 3, input{Appointment: 1, Match: 1})
		}, false},
		{"HoldUsed", func(s *story) {
			held(s)
			s.op("release", 2, 3, op{In: input{Hold: 5}})
			refuse(s, "book-held", "hold-not-found", "", 4, 5, input{Hold: 5})
		}, true},
		{"HoldLive", func(s *story) { held(s); refuse(s, "book-held", "hold-not-usable", "", 4, 5, input{Hold: 5}) }, false},
		{"EntryClosed", func(s *story) {
			s.tables.entries[1] = entryRow{status: "withdrawn"}
			refuse(s, "withdraw", "waitlist-entry-closed", "", 0, 1, input{Entry: 1})
		}, true},
		{"EntryOpen", func(s *story) {
			s.tables.entries[1] = entryRow{status: "waiting"}
			refuse(s, "withdraw", "waitlist-entry-closed", "", 0, 1, input{Entry: 1})
		}, false},
		{"Queued", func(s *story) {
			queued(s, "waiting")
			refuse(s, "walk-in", "already-in-queue", "", 2, 3, input{Doctor: 1, Patient: 1})
		}, true},
		{"QueuedElsewhere", func(s *story) {
			queued(s, "waiting")
			refuse(s, "walk-in", "already-in-queue", "", 2, 3, input{Doctor: 2, Patient: 1})
		}, false},
		{"QueuedLater", func(s *story) {
			refuse(s, "walk-in", "already-in-queue", "", -3, -2, input{Doctor: 1, Patient: 1})
			queued(s, "waiting")
		}, false},
		{"TicketCannot", func(s *story) {
			queued(s, "waiting")
			refuse(s, "complete-ticket", "invalid-ticket-transition", "waiting", 2, 3, input{Ticket: 1})
		}, true},
		{"TicketCan", func(s *story) {
			queued(s, "waiting")
			refuse(s, "call-ticket", "invalid-ticket-transition", "waiting", 2, 3, input{Ticket: 1})
		}, false},
		{"TicketWasNever", func(s *story) {
			queued(s, "waiting")
			refuse(s, "start-ticket", "invalid-ticket-transition", "done", 2, 3, input{Ticket: 1})
		}, false},
		{"NoRoom", func(s *story) { s.book(1, 0, 1); refuse(s, "book", "no-room-free", "", 2, 3, wanted) }, true},
		{"RoomFree", func(s *story) { refuse(s, "book", "no-room-free", "", 2, 3, wanted) }, false},
		{"UndoTaken", func(s *story) {
			s.book(1, 0, 1)
			s.cancel(1, 2, 3)
			s.book(2, 4, 5)
			refuse(s, "undo", "doctor-overlap", "", 6, 7, input{Appointment: 1})
		}, true},
		{"UndoTakenOfTheSurvivor", func(s *story) {
			a := visit(1, 1, "scheduled")
			a.Patient = 2
			s.change(s.op("book", 0, 1, op{}), "book", a)
			a.Start, a.End = a.Start.Add(time.Hour), a.End.Add(time.Hour)
			s.change(s.op("reschedule", 2, 3, op{}), "reschedule", a)
			a.Patient = 1
			s.change(s.op("merge", 4, 5, op{}), "merge", a)
			b := visit(2, 2, "scheduled")
			b.Room = 2
			s.change(s.op("book", 6, 7, op{}), "book", b)
			refuse(s, "undo", "patient-overlap", "", 8, 9, input{Appointment: 1})
		}, true},
		{"UndoFree", func(s *story) {
			s.book(1, 0, 1)
			s.cancel(1, 2, 3)
			refuse(s, "undo", "doctor-overlap", "", 6, 7, input{Appointment: 1})
		}, false},
		{"SeriesTaken", func(s *story) {
			s.book(1, 0, 1)
			in := wanted
			in.Count = 2
			refuse(s, "series", "series-conflict", "", 2, 3, in)
		}, true},
		{"SeriesFree", func(s *story) {
			in := wanted
			in.Count = 2
			refuse(s, "series", "series-conflict", "", 2, 3, in)
		}, false},
		{"MergeConflict", func(s *story) {
			s.book(1, 0, 1)
			other := visit(2, 2, "scheduled")
			other.Patient, other.Room = 2, 2
			s.change(s.op("book", 2, 3, op{}), "book", other)
			refuse(s, "merge", "merge-conflict", "", 4, 5, input{Patient: 1, Duplicate: 2})
		}, true},
		{"NoMergeConflict", func(s *story) {
			s.book(1, 0, 1)
			refuse(s, "merge", "merge-conflict", "", 4, 5, input{Patient: 1, Duplicate: 2})
		}, false},
		{"TimeOffMissing", func(s *story) { refuse(s, "end-time-off", "time-off-not-found", "", 0, 1, input{TimeOff: 1}) }, false},
	})
}
