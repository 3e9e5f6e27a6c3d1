package main

import (
	"testing"
	"time"
)

// Made-up histories: those that no order explains are found.
func TestModelFindsFaults(t *testing.T) {
	at := time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)
	done := func(id int, appointmentID int64, call, end time.Duration) *op {
		return &op{ID: id, Client: id, Kind: "book", Outcome: ok, Call: call, Return: end, Out: output{Appointments: []appointment{
			{ID: appointmentID, Doctor: 1, Start: at, End: at.Add(30 * time.Minute), Status: "scheduled"},
		}}}
	}
	refusal := func(id int, call, end time.Duration) *op {
		return &op{
			ID: id, Client: id, Kind: "book", Outcome: refused, Code: "doctor-overlap", Call: call, Return: end,
			In: input{Doctor: 1, Start: at, Minutes: 30},
		}
	}
	moved := done(5, 1, 20, 30)
	moved.Kind = "reschedule"
	moved.Out.Appointments[0].Doctor = 2
	cancelled := done(3, 1, 20, 30)
	cancelled.Out.Appointments[0].Status = "cancelled"
	for name, c := range map[string]struct {
		ops   []*op
		sound bool
	}{
		"RefusedBesideABooking":  {[]*op{done(1, 1, 0, 10), refusal(2, 5, 8)}, true},
		"RebookedAfterCancel":    {[]*op{done(1, 1, 0, 10), cancelled, done(4, 2, 25, 40)}, true},
		"RebookedAfterTheMove":   {[]*op{done(1, 1, 0, 10), moved, done(4, 2, 25, 40)}, true},
		"RebookedBeforeTheMove":  {[]*op{done(1, 1, 0, 10), moved, done(4, 2, 11, 19)}, false},
		"RefusedAfterTheMove":    {[]*op{done(1, 1, 0, 10), moved, refusal(4, 31, 40)}, false},
		"BookedTwice":            {[]*op{done(1, 1, 0, 10), done(2, 2, 0, 10)}, false},
		"RefusedBeforeAnybody":   {[]*op{refusal(2, 0, 5), done(1, 1, 6, 10)}, false},
		"RefusedAfterTheCancel":  {[]*op{done(1, 1, 0, 10), cancelled, refusal(4, 31, 40)}, false},
		"CancelledTwice":         {[]*op{done(1, 1, 0, 10), cancelled, cancelled}, false},
		"BookedBeforeTheCancel":  {[]*op{done(1, 1, 0, 10), done(2, 2, 11, 19), cancelled}, false},
		"CancelledBeforeBooking": {[]*op{cancelled, done(1, 1, 31, 40)}, false},
	} {
		if got := linearizable(c.ops); (len(got.faults) == 0) != c.sound {
			t.Errorf("%s: faults %v, want sound %v", name, got.faults, c.sound)
		}
	}
}
