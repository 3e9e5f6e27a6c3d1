package server_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/contracttest"
)

// appointment reads an appointment.
func (f *fixture) appointment(id int64) (a api.Appointment) {
	f.t.Helper()
	f.Get(fmt.Sprintf("/appointments/%d", id)).Want(f.t, 200, "").Decode(f.t, &a)
	return a
}

func (f *fixture) reschedule(id int64, body object) *contracttest.Response {
	f.t.Helper()
	return f.Post(fmt.Sprintf("/appointments/%d/reschedule", id), body)
}

// placed returns what a test compares of an appointment.
func placed(a api.Appointment) string {
	room := "no room"
	if id, err := a.RoomID.Get(); err == nil {
		room = fmt.Sprint("room ", id)
	}
	return fmt.Sprintf("%s %s %d min, doctor %d, %s", a.Status, a.StartTime.Format("02 15:04"), a.DurationMinutes, a.DoctorID, room)
}

func TestTooEarly(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich") // 09:00 of 1 March
	doctor := f.doctor()
	t.Run("WeekAfterNext", func(t *testing.T) {
		a := f.booked(f.patient(), doctor, "2027-03-15T10:00:00Z", 30)
		p := f.problem(f.act(a.ID, "check-in"), 409, "too-early")
		if want := at("2027-03-14T23:00:00Z"); p.Earliest == nil || !p.Earliest.Equal(want) {
			t.Errorf("earliest %v, want the beginning of the clinic's day, %s", p.Earliest, want)
		}
		f.act(a.ID, "confirm").Want(t, 200, "")
		f.act(a.ID, "check-in").Want(t, 409, "too-early")
		f.act(a.ID, "start").Want(t, 409, "invalid-transition")
		if got := f.appointment(a.ID); got.Status != "confirmed" {
			t.Errorf("appointment = %+v, want it confirmed", got)
		}
	})
	t.Run("AnyTimeOfItsDay", func(t *testing.T) {
		a := f.booked(f.patient(), doctor, "2027-03-01T22:30:00Z", 30) // 23:30 of the clinic
		f.act(a.ID, "check-in").Want(t, 200, "")
	})
	t.Run("FourHoursOverMidnight", func(t *testing.T) {
		a := f.booked(f.patient(), doctor, "2027-03-02T00:30:00Z", 30) // 01:30 of tomorrow
		p := f.problem(f.act(a.ID, "check-in"), 409, "too-early")
		if want := at("2027-03-01T20:30:00Z"); p.Earliest == nil || !p.Earliest.Equal(want) {
			t.Errorf("earliest %v, want %s", p.Earliest, want)
		}
		f.pass(12*time.Hour + 30*time.Minute - time.Second)
		f.act(a.ID, "check-in").Want(t, 409, "too-early")
		f.pass(time.Second)
		f.act(a.ID, "check-in").Want(t, 200, "")
		f.pass(3*time.Hour + 59*time.Minute) // 01:29 of the next day
		f.act(a.ID, "undo").Want(t, 200, "")
		f.act(a.ID, "check-in").Want(t, 200, "")
	})
	t.Run("WhatWasCheckedInBefore", func(t *testing.T) {
		// As an earlier version left it.
		a := f.booked(f.patient(), doctor, "2027-03-20T10:00:00Z", 30)
		if _, err := f.db.DB.Exec(`UPDATE appointments SET status = 'checked_in' WHERE id = ?`, a.ID); err != nil {
			t.Fatal(err)
		}
		f.act(a.ID, "start").Want(t, 409, "too-early")
		if _, err := f.db.DB.Exec(`UPDATE appointments SET status = 'in_progress' WHERE id = ?`, a.ID); err != nil {
			t.Fatal(err)
		}
		f.act(a.ID, "complete").Want(t, 409, "too-early")
	})
}

// Only a change of the start resets a confirmation.
func TestConfirmationStays(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	room, colleague := f.room(), f.doctor()
	a := f.booked(f.patient(), f.doctor(), "2027-03-02T10:00:00Z", 30)
	f.act(a.ID, "confirm").Want(t, 200, "")
	for _, body := range []object{
		{"room_id": room}, {"start_time": "2027-03-02T11:00:00+01:00"}, {"duration_minutes": 45}, {"doctor_id": colleague}, {"room_id": nil},
	} {
		f.reschedule(a.ID, body).Want(t, 200, "")
		if got := f.appointment(a.ID); got.Status != "confirmed" {
			t.Errorf("status after %v = %s, want confirmed", body, got.Status)
		}
	}
	f.reschedule(a.ID, object{"start_time": "2027-03-02T10:05:00Z"}).Want(t, 200, "")
	if got := f.appointment(a.ID); got.Status != "scheduled" {
		t.Errorf("status after another start = %s, want scheduled", got.Status)
	}
	t.Run("Series", func(t *testing.T) {
		booked, path := f.bookedSeries(f.patient(), f.doctor(), nil)
		first := booked.Series.Appointments[0].ID
		f.act(first, "confirm").Want(t, 200, "")
		f.Post(path+"/reschedule", object{"room_id": room}).Want(t, 200, "")
		if got := f.appointment(first); got.Status != "confirmed" || got.RoomID.IsNull() {
			t.Errorf("appointment = %s, want it confirmed and in a room", placed(got))
		}
	})
}

func TestUndoReschedule(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	undo := func(id int64) string {
		t.Helper()
		f.act(id, "undo").Want(t, 200, "")
		return placed(f.appointment(id))
	}
	t.Run("EverythingBack", func(t *testing.T) {
		doctor, colleague, rooms := f.doctor(), f.doctor(), []int64{f.room(), f.room()}
		a := f.bookedWith(doctor, "2027-03-02T10:00:00Z", object{"room_id": rooms[0]})
		f.act(a.ID, "confirm").Want(t, 200, "")
		before := placed(f.appointment(a.ID))
		f.reschedule(a.ID, object{
			"start_time": "2027-03-03T12:00:00Z", "duration_minutes": 45, "doctor_id": colleague, "room_id": rooms[1],
		}).Want(t, 200, "")
		if got := undo(a.ID); got != before {
			t.Errorf("%q, want %q", got, before)
		}
		f.booked(f.patient(), colleague, "2027-03-03T12:00:00Z", 30) // is free again
		f.book(f.patient(), doctor, "2027-03-02T10:00:00Z", 30).Want(t, 409, "doctor-overlap")
		var history api.AppointmentHistory
		f.Get(fmt.Sprintf("/appointments/%d/history", a.ID)).Want(t, 200, "").Decode(t, &history)
		last := history.Items[len(history.Items)-1]
		if last.Action != "undo" || last.DoctorID != doctor || last.ToStatus != "confirmed" || !last.StartTime.Equal(a.StartTime) {
			t.Errorf("last event = %+v, want the undo back to doctor %d, confirmed, at %s", last, doctor, a.StartTime)
		}
	})
	t.Run("SeveralInARow", func(t *testing.T) {
		a := f.booked(f.patient(), f.doctor(), "2027-03-02T10:00:00Z", 30)
		want := []string{placed(a)}
		f.act(a.ID, "confirm").Want(t, 200, "")
		want = append(want, placed(f.appointment(a.ID)))
		f.reschedule(a.ID, object{"duration_minutes": 60}).Want(t, 200, "")
		want = append(want, placed(f.appointment(a.ID)))
		f.reschedule(a.ID, object{"start_time": "2027-03-02T14:00:00Z"}).Want(t, 200, "")
		want = append(want, placed(f.appointment(a.ID)))
		f.cancel(a.ID)
		slices.Reverse(want)
		for _, state := range want {
			if got := undo(a.ID); got != state {
				t.Errorf("%q, want %q", got, state)
			}
		}
		f.act(a.ID, "undo").Want(t, 409, "invalid-transition")
		// What was undone can be done again, and undone again.
		f.reschedule(a.ID, object{"start_time": "2027-03-02T15:00:00Z"}).Want(t, 200, "")
		if got := undo(a.ID); got != want[len(want)-1] {
			t.Errorf("undo = %q, want %q", got, want[len(want)-1])
		}
	})
	t.Run("UnderTheRules", func(t *testing.T) {
		doctor, patient := f.doctor(), f.patient()
		a := f.booked(patient, doctor, "2027-03-02T10:00:00Z", 30)
		f.reschedule(a.ID, object{"start_time": "2027-03-02T14:00:00Z"}).Want(t, 200, "")
		taken := f.booked(f.patient(), doctor, "2027-03-02T10:15:00Z", 30)
		f.problem(f.act(a.ID, "undo"), 409, "doctor-overlap")
		if got := placed(f.appointment(a.ID)); got != fmt.Sprintf("scheduled 02 14:00 30 min, doctor %d, no room", doctor) {
			t.Errorf("appointment after a refused undo = %q, want it unchanged", got)
		}
		f.cancel(taken.ID)
		elsewhere := f.booked(patient, f.doctor(), "2027-03-02T10:00:00Z", 30)
		f.problem(f.act(a.ID, "undo"), 409, "patient-overlap")
		f.cancel(elsewhere.ID)
		off := object{"start_time": "2027-03-02T09:00:00Z", "end_time": "2027-03-02T12:00:00Z", "reason": "meeting"}
		f.Post(fmt.Sprintf("/doctors/%d/time-off", doctor), off).Want(t, 201, "")
		f.problem(f.act(a.ID, "undo"), 409, "time-off")
	})
	t.Run("WhatItWasWithIsDeleted", func(t *testing.T) {
		doctor, room := f.doctor(), f.room()
		a := f.booked(f.patient(), doctor, "2027-03-02T10:00:00Z", 30)
		f.reschedule(a.ID, object{"doctor_id": f.doctor()}).Want(t, 200, "")
		f.Delete(fmt.Sprintf("/doctors/%d", doctor)).Want(t, 204, "")
		f.problem(f.act(a.ID, "undo"), 404, "doctor-not-found")

		a = f.bookedWith(f.doctor(), "2027-03-02T10:00:00Z", object{"room_id": room})
		f.reschedule(a.ID, object{"room_id": f.room()}).Want(t, 200, "")
		f.Delete(fmt.Sprintf("/rooms/%d", room)).Want(t, 204, "")
		before := placed(f.appointment(a.ID))
		f.problem(f.act(a.ID, "undo"), 404, "room-not-found")
		if got := placed(f.appointment(a.ID)); got != before {
			t.Errorf("a refusal changed it: %s, want %s", got, before)
		}
	})
	t.Run("OverriddenRulesStay", func(t *testing.T) {
		doctor := f.doctor()
		f.hours(doctor, "UTC", "08:00-12:00")
		a := f.bookedWith(doctor, "2027-03-02T13:00:00Z", object{
			"override": object{"rules": []string{"outside-working-hours"}, "reason": "came from far away"},
		})
		f.reschedule(a.ID, object{"start_time": "2027-03-02T09:00:00Z"}).Want(t, 200, "")
		f.act(a.ID, "confirm").Want(t, 200, "")
		undo(a.ID)
		undo(a.ID)
		got := f.appointment(a.ID)
		if got.Override == nil || got.Override.Reason == nil || *got.Override.Reason != "came from far away" || !got.StartTime.Equal(a.StartTime) {
			t.Errorf("appointment = %+v, want its override and its reason back, at %s", got, a.StartTime)
		}
	})
	t.Run("AfterASeriesMoved", func(t *testing.T) {
		booked, path := f.bookedSeries(f.patient(), f.doctor(), nil)
		f.Post(path+"/reschedule", object{"start_time_of_day": "11:00"}).Want(t, 200, "")
		for _, a := range booked.Series.Appointments {
			if got := undo(a.ID); got != placed(a) {
				t.Errorf("%q, want %q", got, placed(a))
			}
		}
	})
	t.Run("TheTimeHasBegun", func(t *testing.T) {
		doctor := f.doctor()
		a := f.booked(f.patient(), doctor, "2027-03-01T08:30:00Z", 30)
		f.reschedule(a.ID, object{"start_time": "2027-03-05T14:00:00Z"}).Want(t, 200, "")
		f.pass(35 * time.Minute)
		if got := undo(a.ID); got != placed(a) {
			t.Errorf("undo = %q, want %q", got, placed(a))
		}
	})
}

// An appointment keeps its type, room and length, even if they are no longer allowed for new ones.
func TestRightToType(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	doctor, colleague, room, other := f.doctor(), f.doctorOf("Cardiology"), f.room(), f.room()
	kind := f.kind(object{
		"duration_minutes": 20, "specializations": []string{"Dermatology"}, "room_ids": []int64{room, other},
	})
	book := func(start string) api.Appointment {
		t.Helper()
		return f.bookedWith(doctor, start, object{"type_id": kind, "room_id": room, "duration_minutes": nil})
	}
	moved, cancelled, undone, bare := book("2027-03-02T08:00:00Z"), book("2027-03-02T09:00:00Z"), book("2027-03-02T10:00:00Z"),
		f.bookedWith(doctor, "2027-03-02T11:00:00Z", object{"type_id": kind, "duration_minutes": nil})
	f.cancel(cancelled.ID)
	f.reschedule(undone.ID, object{"start_time": "2027-03-03T10:00:00Z"}).Want(t, 200, "")
	f.Patch(fmt.Sprintf("/doctors/%d", doctor), object{"specialization": "Surgery"}).Want(t, 200, "")
	f.Patch(fmt.Sprintf("/appointment-types/%d", kind), object{
		"duration_minutes": 60, "room_ids": []int64{other}, "needs_room": true, "is_active": false,
	}).Want(t, 200, "")
	f.Patch(fmt.Sprintf("/rooms/%d", room), object{"is_active": false}).Want(t, 200, "")

	f.reschedule(moved.ID, object{"start_time": "2027-03-02T08:30:00Z"}).Want(t, 200, "")
	if got, want := placed(f.appointment(moved.ID)), fmt.Sprintf("scheduled 02 08:30 20 min, doctor %d, room %d", doctor, room); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	f.act(cancelled.ID, "undo").Want(t, 200, "")
	if got := placed(f.appointment(cancelled.ID)); got != placed(cancelled) {
		t.Errorf("%q, want %q", got, placed(cancelled))
	}
	f.act(undone.ID, "undo").Want(t, 200, "")
	if got := placed(f.appointment(undone.ID)); got != placed(undone) {
		t.Errorf("%q, want %q", got, placed(undone))
	}
	f.reschedule(bare.ID, object{"start_time": "2027-03-02T12:00:00Z"}).Want(t, 200, "")
	if got := f.appointment(bare.ID); !got.RoomID.IsNull() {
		t.Errorf("appointment after the undo = %s, want no room, as before", placed(got))
	}
	// With another doctor or in another room, the type's rules apply.
	f.problem(f.reschedule(moved.ID, object{"doctor_id": colleague}), 409, "appointment-type-not-allowed")
	f.problem(f.reschedule(moved.ID, object{"room_id": f.room()}), 409, "room-not-suitable")
	f.reschedule(moved.ID, object{"room_id": other}).Want(t, 200, "")

	// When the slot is taken, the alternatives are with its own doctor; a plan proposes them, too.
	p := f.problem(f.reschedule(moved.ID, object{"start_time": "2027-03-02T09:00:00Z"}), 409, "doctor-overlap")
	if len(p.Alternatives) == 0 || p.Alternatives[0].DoctorID != doctor {
		t.Errorf("alternatives = %+v, want some with doctor %d", p.Alternatives, doctor)
	}
	var plan api.Plan
	f.Post("/plans", object{
		"doctor_id": doctor, "start_time": "2027-03-02T08:00:00Z", "end_time": "2027-03-02T09:00:00Z",
	}).Want(t, 201, "").Decode(t, &plan)
	if len(plan.Items) != 1 || plan.Items[0].Outcome != "open" {
		t.Errorf("items of the plan = %+v, want one that is open", plan.Items)
	}
}

// A refused undo says whether there is nothing to undo or it is too late.
func TestNothingToUndo(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	a := f.booked(f.patient(), f.doctor(), "2027-03-20T10:00:00Z", 30)
	const nothing = "Nothing to undo: the appointment was not changed since it was booked, or every change was undone."
	if p := f.problem(f.act(a.ID, "undo"), 409, "invalid-transition"); p.Detail != nothing {
		t.Errorf("undo of a booking: %q, want %q", p.Detail, nothing)
	}
	f.act(a.ID, "confirm").Want(t, 200, "")
	f.act(a.ID, "undo").Want(t, 200, "")
	if p := f.problem(f.act(a.ID, "undo"), 409, "invalid-transition"); p.Detail != nothing {
		t.Errorf("undo of what was undone: %q, want %q", p.Detail, nothing)
	}
	f.act(a.ID, "confirm").Want(t, 200, "")
	f.pass(48 * time.Hour)
	const late = "The last change can no longer be undone: that is possible on the same day, and for 4 hours past midnight."
	if p := f.problem(f.act(a.ID, "undo"), 409, "invalid-transition"); p.Detail != late {
		t.Errorf("undo two days later: %q, want %q", p.Detail, late)
	}
}
