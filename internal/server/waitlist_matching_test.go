package server_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/contracttest"
)

// clinicOf has one doctor who works from 10:00 to 12:00.
func clinicOf(t *testing.T) (f *fixture, doctor int64) {
	t.Helper()
	f = setup(t, "UTC")
	doctor = f.doctor()
	f.hours(doctor, "UTC", "10:00-12:00")
	return f, doctor
}

// onTuesday is a waitlist entry for Tuesday, of some minutes.
func onTuesday(minutes int) object {
	return object{"duration_minutes": minutes, "from": "2027-03-02T00:00:00Z", "to": "2027-03-03T00:00:00Z"}
}

// wantOffers compares the state of entries; "" is waiting, a time is an offer for Tuesday.
func (f *fixture) wantOffers(doctor int64, entries []api.WaitlistEntry, times ...string) {
	f.t.Helper()
	for i, e := range entries {
		want := "waiting"
		if times[i] != "" {
			want = fmt.Sprintf("offered %d 02 %s", doctor, times[i])
		}
		if got := f.offered(e.ID); got != want {
			f.t.Errorf("entry %d: %q, want %q", i+1, got, want)
		}
	}
}

// waiting creates several waitlist entries for Tuesday, of so many minutes each.
func (f *fixture) waiting(minutes ...int) []api.WaitlistEntry {
	f.t.Helper()
	es := make([]api.WaitlistEntry, len(minutes))
	for i, m := range minutes {
		es[i] = f.waits(onTuesday(m))
	}
	return es
}

// Free time is offered to matching entries, whatever freed it, in the order of the list.
func TestWaitlistFindsAllFreeTime(t *testing.T) {
	t.Parallel()
	t.Run("TwoOfHalfAnHour", func(t *testing.T) {
		f, doctor := clinicOf(t)
		a := f.booked(f.patient(), doctor, "2027-03-02T10:00:00Z", 60)
		f.booked(f.patient(), doctor, "2027-03-02T11:00:00Z", 60)
		es := f.waiting(90, 30, 30, 30)
		f.wantOffers(doctor, es, "", "", "", "")
		f.cancel(a.ID)
		f.wantOffers(doctor, es, "", "10:00", "10:30", "")
	})
	t.Run("TogetherWithWhatIsFreeBesideIt", func(t *testing.T) {
		for _, first := range []bool{true, false} { // the freed half comes first, or second
			f, doctor := clinicOf(t)
			starts := []string{"2027-03-02T10:00:00Z", "2027-03-02T10:30:00Z"}
			f.booked(f.patient(), doctor, "2027-03-02T11:00:00Z", 60)
			ids := []int64{f.booked(f.patient(), doctor, starts[0], 30).ID, f.booked(f.patient(), doctor, starts[1], 30).ID}
			es := f.waiting(60)
			freed, free := ids[0], ids[1]
			if !first {
				freed, free = free, freed
			}
			f.cancel(free)
			f.wantOffers(doctor, es, "")
			f.cancel(freed)
			f.wantOffers(doctor, es, "10:00")
		}
	})
	t.Run("MadeWhileATimeIsFree", func(t *testing.T) {
		f, doctor := clinicOf(t)
		r := f.wait(onTuesday(30)).Want(t, 201, "")
		var e api.WaitlistEntry
		r.Decode(t, &e)
		if o, err := e.Offer.Get(); err != nil || e.Status != "offered" || !o.StartTime.Equal(at("2027-03-02T10:00:00Z")) {
			t.Errorf("created entry = %s, want an offer at 10:00", r.Body)
		}
		if read := f.Get(fmt.Sprintf("/waitlist/%d", e.ID)); read.Header.Get("ETag") != r.Header.Get("ETag") {
			t.Errorf("ETag of the read entry = %s, want that of the answer, %s",
				read.Header.Get("ETag"), r.Header.Get("ETag"))
		}
		f.book(f.patient(), doctor, "2027-03-02T10:00:00Z", 30).Want(t, 409, "doctor-overlap")
		f.Post(fmt.Sprintf("/waitlist/%d/accept", e.ID), nil).Want(t, 201, "")
	})
	t.Run("AWindowThatHasBegun", func(t *testing.T) {
		f, doctor := clinicOf(t)
		f.hours(doctor, "UTC", "00:00-24:00")
		f.pass(92 * time.Second)
		e := f.waits(object{"from": "2027-02-01T00:00:00Z", "to": "2027-03-02T00:00:00Z"})
		if got, want := f.offered(e.ID), fmt.Sprintf("offered %d 01 08:05", doctor); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
	t.Run("WithoutHours", func(t *testing.T) {
		f := setup(t, "Europe/Zurich")
		doctor := f.doctor()
		if got, want := f.offered(f.waits(onTuesday(30)).ID), fmt.Sprintf("offered %d 02 07:00", doctor); got != want {
			t.Errorf("%q, want %q: 08:00 of the clinic, not midnight", got, want)
		}
		night := f.waits(object{"from": "2027-03-02T20:00:00Z", "to": "2027-03-02T21:00:00Z"})
		if got, want := f.offered(night.ID), fmt.Sprintf("offered %d 02 20:00", doctor); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
	// Each of these frees 10:00 to 11:00 of a doctor who is booked from 11:00 on.
	away := object{"start_time": "2027-03-02T09:00:00Z", "end_time": "2027-03-02T11:00:00Z"}
	for name, free := range map[string]func(f *fixture, doctor int64) func(){
		"TimeOffDeleted": func(f *fixture, doctor int64) func() {
			var made struct {
				TimeOff api.TimeOff `json:"time_off"`
			}
			f.Post(fmt.Sprintf("/doctors/%d/time-off", doctor), object{
				"start_time": away["start_time"], "end_time": away["end_time"], "reason": "meeting",
			}).Want(f.t, 201, "").Decode(f.t, &made)
			return func() { f.Delete(fmt.Sprintf("/doctors/%d/time-off/%d", doctor, made.TimeOff.ID)).Want(f.t, 204, "") }
		},
		"ClosureDeleted": func(f *fixture, _ int64) func() {
			var made struct{ Closure api.Closure }
			f.Post("/closures", object{
				"start_time": away["start_time"], "end_time": away["end_time"], "name": "Painters",
			}).Want(f.t, 201, "").Decode(f.t, &made)
			return func() { f.Delete(fmt.Sprintf("/closures/%d", made.Closure.ID)).Want(f.t, 204, "") }
		},
		"HoursAdded": func(f *fixture, doctor int64) func() {
			f.hours(doctor, "UTC", "11:00-12:00")
			return func() { f.hours(doctor, "UTC", "10:00-12:00") }
		},
		"Shortened": func(f *fixture, doctor int64) func() {
			a := f.booked(f.patient(), doctor, "2027-03-02T10:00:00Z", 60)
			return func() { f.reschedule(a.ID, object{"duration_minutes": 15}).Want(f.t, 200, "") }
		},
		"HoldReleased": func(f *fixture, doctor int64) func() {
			h := f.heldTime(doctor, 60)
			return func() { f.Delete(fmt.Sprintf("/holds/%d", h)).Want(f.t, 204, "") }
		},
		"HoldExpired": func(f *fixture, doctor int64) func() {
			f.heldTime(doctor, 60)
			return func() { f.pass(10 * time.Minute) }
		},
		"DoctorReactivated": func(f *fixture, doctor int64) func() {
			f.Patch(fmt.Sprintf("/doctors/%d", doctor), object{"is_active": false}).Want(f.t, 200, "")
			return func() { f.Patch(fmt.Sprintf("/doctors/%d", doctor), object{"is_active": true}).Want(f.t, 200, "") }
		},
		"SeriesCancelled": func(f *fixture, doctor int64) func() {
			_, path := f.bookedSeries(f.patient(), doctor, object{"start_time": "2027-03-02T10:00:00Z", "duration_minutes": 60, "rule": "FREQ=WEEKLY;COUNT=2", "time_zone": "UTC"})
			return func() { f.Post(path+"/cancel", object{"reason": "patient_request"}).Want(f.t, 200, "") }
		},
		"SeriesMoved": func(f *fixture, doctor int64) func() {
			_, path := f.bookedSeries(f.patient(), doctor, object{"start_time": "2027-03-02T10:00:00Z", "duration_minutes": 60, "rule": "FREQ=WEEKLY;COUNT=2", "time_zone": "UTC"})
			return func() { f.Post(path+"/reschedule", object{"shift_days": 1}).Want(f.t, 200, "") }
		},
		"MovedToAColleague": func(f *fixture, doctor int64) func() {
			a := f.booked(f.patient(), doctor, "2027-03-02T10:00:00Z", 60)
			colleague := f.doctorOf("Cardiology")
			f.hours(colleague, "UTC", "10:00-11:00")
			return func() { f.reschedule(a.ID, object{"doctor_id": colleague}).Want(f.t, 200, "") }
		},
		"PlanApplied": func(f *fixture, doctor int64) func() {
			a := f.booked(f.patient(), doctor, "2027-03-02T10:00:00Z", 60)
			var p api.Plan
			f.Post("/plans", object{
				"doctor_id": doctor, "start_time": "2027-03-02T10:00:00Z", "end_time": "2027-03-02T11:00:00Z",
			}).Want(f.t, 201, "").Decode(f.t, &p)
			return func() {
				f.Post(fmt.Sprintf("/plans/%d/apply", p.ID), object{}).Want(f.t, 200, "")
				if got := f.appointment(a.ID); got.StartTime.Day() != 3 {
					f.t.Errorf("appointment after applying the plan = %s, want it on the 3rd", placed(got))
				}
			}
		},
		"RoomFreed": func(f *fixture, _ int64) func() {
			other := f.doctorOf("Cardiology")
			f.hours(other, "UTC", "10:00-11:00")
			a := f.bookedWith(other, "2027-03-02T10:00:00Z", object{"room_id": f.onlyRoom(), "duration_minutes": 60})
			return func() { f.cancel(a.ID) }
		},
		"RoomReactivated": func(f *fixture, _ int64) func() {
			room := f.onlyRoom()
			f.Patch(fmt.Sprintf("/rooms/%d", room), object{"is_active": false}).Want(f.t, 200, "")
			return func() { f.Patch(fmt.Sprintf("/rooms/%d", room), object{"is_active": true}).Want(f.t, 200, "") }
		},
		"PatientDeletedWhoHadAHold": func(f *fixture, doctor int64) func() {
			p := f.patient()
			f.Post("/holds", object{
				"doctor_id": doctor, "start_time": "2027-03-02T10:00:00Z", "duration_minutes": 60, "seconds": 600, "patient_id": p,
			}).Want(f.t, 201, "")
			return func() { f.Delete(fmt.Sprintf("/patients/%d", p)).Want(f.t, 204, "") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, doctor := clinicOf(t)
			f.t = t
			f.booked(f.patient(), doctor, "2027-03-02T11:00:00Z", 60)
			members := onTuesday(30)
			if name == "RoomFreed" || name == "RoomReactivated" {
				members = object{
					"from": members["from"], "to": members["to"], "duration_minutes": 30,
					"type_id": f.kind(object{"duration_minutes": 30, "needs_room": true, "specializations": []string{"Dermatology"}}),
				}
			} else {
				members["specialization"] = "Dermatology"
			}
			change := free(f, doctor)
			es := []api.WaitlistEntry{f.waits(members), f.waits(members), f.waits(members)}
			f.wantOffers(doctor, es, "", "", "")
			change()
			if name == "Shortened" {
				f.wantOffers(doctor, es, "10:15", "", "")
				return
			}
			f.wantOffers(doctor, es, "10:00", "10:30", "")
		})
	}
	// The doctor is free all along; the patient has an appointment with another one.
	for name, free := range map[string]func(*fixture, int64){
		"PatientCancels": func(f *fixture, id int64) { f.cancel(id) },
		"PatientMoves": func(f *fixture, id int64) {
			f.reschedule(id, object{"start_time": "2027-03-03T10:00:00Z"}).Want(t, 200, "")
		},
		"PatientShortens": func(f *fixture, id int64) { f.reschedule(id, object{"duration_minutes": 60}).Want(t, 200, "") },
	} {
		t.Run(name, func(t *testing.T) {
			f, doctor := clinicOf(t)
			patient, colleague := f.patient(), f.doctor()
			a := f.booked(patient, colleague, "2027-03-02T10:00:00Z", 120)
			members := onTuesday(30)
			members["patient_id"], members["doctor_ids"] = patient, []int64{doctor}
			es := []api.WaitlistEntry{f.waits(members)}
			f.wantOffers(doctor, es, "")
			free(f, a.ID)
			if name == "PatientShortens" {
				f.wantOffers(doctor, es, "11:00")
				return
			}
			f.wantOffers(doctor, es, "10:00")
		})
	}
	t.Run("NoShow", func(t *testing.T) {
		f := setup(t, "UTC")
		doctor := f.doctor()
		f.hours(doctor, "UTC", "08:00-10:00")
		a := f.booked(f.patient(), doctor, "2027-03-01T08:30:00Z", 90)
		f.booked(f.patient(), doctor, "2027-03-01T08:05:00Z", 25)
		e := f.waits(object{"to": "2027-03-01T12:00:00Z"})
		f.pass(46 * time.Minute)
		f.act(a.ID, "no-show").Want(t, 200, "")
		if got, want := f.offered(e.ID), fmt.Sprintf("offered %d 01 08:50", doctor); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// onlyRoom adds a room, the only one in these tests.
func (f *fixture) onlyRoom() int64 { return f.room() }

// heldTime holds 10:00 on Tuesday.
func (f *fixture) heldTime(doctor int64, minutes int) int64 {
	f.t.Helper()
	var h struct{ ID int64 }
	f.Post("/holds", object{
		"doctor_id": doctor, "start_time": "2027-03-02T10:00:00Z", "duration_minutes": minutes, "seconds": 600,
	}).Want(f.t, 201, "").Decode(f.t, &h)
	return h.ID
}

// A patient is not offered a time that they gave up themselves.
func TestWaitlistNotToWhomItCameFrom(t *testing.T) {
	t.Parallel()
	full := func(t *testing.T) (f *fixture, doctor, patient int64, a api.Appointment) {
		t.Helper()
		f = setup(t, "UTC")
		doctor, patient = f.doctor(), f.patient()
		f.hours(doctor, "UTC", "10:00-10:30")
		return f, doctor, patient, f.booked(patient, doctor, "2027-03-02T10:00:00Z", 30)
	}
	of := func(patient int64) object {
		members := onTuesday(30)
		members["patient_id"] = patient
		return members
	}
	for name, giveUp := range map[string]func(*fixture, int64){
		"Cancelled": func(f *fixture, id int64) { f.cancel(id) },
		"Moved": func(f *fixture, id int64) {
			f.reschedule(id, object{"start_time": "2027-03-03T10:00:00Z"}).Want(f.t, 200, "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, doctor, patient, a := full(t)
			es := []api.WaitlistEntry{f.waits(of(patient)), f.waits(onTuesday(30)), f.waits(onTuesday(30))}
			giveUp(f, a.ID)
			f.wantOffers(doctor, es, "", "10:00", "")
			f.Post(fmt.Sprintf("/waitlist/%d/decline", es[1].ID), nil).Want(t, 200, "")
			f.wantOffers(doctor, es, "", "", "10:00") // nor when it is passed on
			f.pass(10 * time.Minute)
			f.wantOffers(doctor, es, "", "", "")
			f.wantOffers(doctor, []api.WaitlistEntry{f.waits(of(patient))}, "") // nor an entry made afterwards
			f.wantOffers(doctor, []api.WaitlistEntry{f.waits(onTuesday(30))}, "10:00")
		})
	}
	t.Run("AfterAMerge", func(t *testing.T) {
		f, doctor, patient, a := full(t)
		survivor := f.patient()
		e := f.waits(of(survivor))
		f.cancelledInto(a.ID, patient, survivor)
		f.wantOffers(doctor, []api.WaitlistEntry{e}, "10:00") // they were two people as far as anybody knew
		f.Post(fmt.Sprintf("/waitlist/%d/decline", e.ID), nil).Want(t, 200, "")
		f.wantOffers(doctor, []api.WaitlistEntry{f.waits(of(survivor))}, "")
	})
}

// cancelledInto cancels an appointment and merges its patient into another.
func (f *fixture) cancelledInto(id, duplicate, survivor int64) {
	f.t.Helper()
	f.cancel(id)
	f.Post(fmt.Sprintf("/patients/%d/merge", survivor), object{"duplicate_id": duplicate}).Want(f.t, 200, "")
}

// Undoing a cancellation, or rescheduling back, takes precedence over an offer that was not
// accepted.
func TestUndoWinsOverAnOffer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		away, back func(*fixture, int64) *contracttest.Response
	}{
		"CancelUndo": {
			func(f *fixture, id int64) *contracttest.Response {
				return f.Post(fmt.Sprintf("/appointments/%d/cancel", id), object{"reason": "other"})
			},
			func(f *fixture, id int64) *contracttest.Response { return f.act(id, "undo") },
		},
		"MoveUndo": {
			func(f *fixture, id int64) *contracttest.Response {
				return f.reschedule(id, object{"start_time": "2027-03-03T10:00:00Z"})
			},
			func(f *fixture, id int64) *contracttest.Response { return f.act(id, "undo") },
		},
		"MoveBack": {
			func(f *fixture, id int64) *contracttest.Response {
				return f.reschedule(id, object{"start_time": "2027-03-03T10:00:00Z"})
			},
			func(f *fixture, id int64) *contracttest.Response {
				return f.reschedule(id, object{"start_time": "2027-03-02T10:00:00Z"})
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := setup(t, "UTC")
			doctor := f.doctor()
			f.hours(doctor, "UTC", "10:00-11:00")
			a := f.booked(f.patient(), doctor, "2027-03-02T10:00:00Z", 60)
			es := f.waiting(30, 30)
			test.away(f, a.ID).Want(t, 200, "")
			f.wantOffers(doctor, es, "10:00", "10:30")
			test.back(f, a.ID).Want(t, 200, "")
			f.wantOffers(doctor, es, "", "")
			for _, e := range es {
				if got := f.entry(e.ID); got.MissedOffers != 0 {
					t.Errorf("entry = %+v, want no missed offers", got)
				}
				f.Post(fmt.Sprintf("/waitlist/%d/accept", e.ID), nil).Want(t, 409, "no-offer")
			}
			var holds int
			if err := f.db.DB.Get(&holds, `SELECT COUNT(*) FROM holds`); err != nil || holds != 0 {
				t.Errorf("%d holds are left (%v), want none", holds, err)
			}
			// An accepted offer stays accepted.
			test.away(f, a.ID).Want(t, 200, "")
			f.wantOffers(doctor, es, "10:00", "10:30")
			f.Post(fmt.Sprintf("/waitlist/%d/accept", es[0].ID), nil).Want(t, 201, "")
			f.problem(test.back(f, a.ID), 409, "doctor-overlap")
			f.wantOffers(doctor, es[1:], "10:30") // and a refusal takes no offer back
		})
	}
	t.Run("OnlyWhatItNeeds", func(t *testing.T) {
		f := setup(t, "UTC")
		doctor := f.doctor()
		f.hours(doctor, "UTC", "10:00-11:00")
		a := f.booked(f.patient(), doctor, "2027-03-02T10:00:00Z", 30)
		b := f.booked(f.patient(), doctor, "2027-03-02T10:30:00Z", 30)
		es := f.waiting(60, 30)
		f.cancel(a.ID)
		f.wantOffers(doctor, es, "", "10:00")
		f.cancel(b.ID)
		f.wantOffers(doctor, es, "", "10:00")
		f.act(a.ID, "undo").Want(t, 200, "")
		f.wantOffers(doctor, es, "", "10:30") // and gets the time beside it
	})
	t.Run("AStrangerDoesNotWin", func(t *testing.T) {
		f := setup(t, "UTC")
		doctor := f.doctor()
		f.hours(doctor, "UTC", "10:00-11:00")
		a := f.booked(f.patient(), doctor, "2027-03-02T10:00:00Z", 60)
		other := f.booked(f.patient(), doctor, "2027-03-03T10:00:00Z", 60)
		es := f.waiting(60)
		f.cancel(a.ID)
		f.wantOffers(doctor, es, "10:00")
		f.problem(f.reschedule(other.ID, object{"start_time": "2027-03-02T10:00:00Z"}), 409, "doctor-overlap")
		f.wantOffers(doctor, es, "10:00")
	})
}

// If a process dies before it has offered the time that it freed, the next process offers it.
func TestFreedTimesSurviveACrash(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	doctor := f.doctor()
	f.hours(doctor, "UTC", "10:00-10:30")
	f.booked(f.patient(), doctor, "2027-03-02T10:00:00Z", 30)
	e := f.waiting(30)
	f.wantOffers(doctor, e, "")
	// This is what a transaction leaves whose process has died.
	for _, statement := range []string{
		`UPDATE appointments SET status = 'cancelled', cancellation_reason = 'other', cancelled_at = created_at`,
		`INSERT INTO freed_times (doctor_id, start_time, end_time, due_at)
		 SELECT doctor_id, start_time, end_time, created_at FROM appointments`,
	} {
		if _, err := f.db.DB.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	r := f.Send(contracttest.Request{Method: http.MethodGet, Path: "/waitlist"})
	r.Want(t, 200, "")
	f.wantOffers(doctor, e, "10:00")
	var left int
	if err := f.db.DB.Get(&left, `SELECT COUNT(*) FROM freed_times`); err != nil || left != 0 {
		t.Errorf("%d freed times are left (%v), want none", left, err)
	}
}
