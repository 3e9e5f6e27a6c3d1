package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/contracttest"
)

// One appointment goes through every status, and the history has each step.
func TestChangeAppointmentStatus(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich")
	room := f.room()
	a := f.bookedWith(f.doctor(), "2027-03-01T10:00:00Z", object{"room_id": room})
	path := fmt.Sprintf("/appointments/%d/", a.ID)
	status := func(r *contracttest.Response) api.AppointmentStatus {
		t.Helper()
		var a api.Appointment
		r.Want(t, 200, "").Decode(t, &a)
		return a.Status
	}
	by := func(action, actor string) *contracttest.Response {
		return f.Send(contracttest.Request{Method: "POST", Path: path + action, Header: http.Header{"Mems-Actor": {actor}}})
	}
	p := f.problem(f.act(a.ID, "start"), 409, "invalid-transition")
	if *p.CurrentStatus != "scheduled" || !slices.Equal(p.AllowedStatuses, []api.AppointmentStatus{"confirmed", "checked_in", "cancelled"}) {
		t.Errorf("problem %+v, want status scheduled, and no-show not allowed before the start", p)
	}
	f.act(a.ID, "no-show").Want(t, 409, "invalid-transition")
	if got := status(by("confirm", " Front desk ")); got != "confirmed" {
		t.Errorf("status %s, want confirmed", got)
	}
	f.act(a.ID, "confirm").Want(t, 409, "invalid-transition")
	f.Send(contracttest.Request{Method: "POST", Path: path + "check-in", Header: http.Header{"If-Match": {`"1"`}}}).Want(t, 412, "precondition-failed")
	for _, step := range []struct{ action, status string }{{"check-in", "checked_in"}, {"start", "in_progress"}, {"complete", "completed"}, {"undo", "in_progress"}, {"undo", "checked_in"}, {"leave", "left_without_being_seen"}} {
		if got := status(f.act(a.ID, step.action)); got != api.AppointmentStatus(step.status) {
			t.Errorf("%s: status %s, want %s", step.action, got, step.status)
		}
	}
	f.act(999_999, "confirm").Want(t, 404, "appointment-not-found")
	f.act(999_999, "undo").Want(t, 404, "appointment-not-found")
	f.Get("/appointments/999999/history").Want(t, 404, "appointment-not-found")

	var history api.AppointmentHistory
	f.Get(path+"history").Want(t, 200, "").Decode(t, &history)
	var told []string
	for _, e := range history.Items {
		from, _ := e.FromStatus.Get()
		actor, _ := e.Actor.Get()
		told = append(told, fmt.Sprint(e.Action, " ", from, ">", e.ToStatus, " ", actor))
		if id, _ := e.RoomID.Get(); id != room || !e.StartTime.Equal(a.StartTime) || e.DurationMinutes != 30 || !e.At.Equal(now) {
			t.Errorf("event %+v, want the room, start, length and time of the appointment", e)
		}
	}
	if want := []string{
		"book >scheduled ", "confirm scheduled>confirmed Front desk", "check_in confirmed>checked_in ",
		"start checked_in>in_progress ", "complete in_progress>completed ", "undo completed>in_progress ",
		"undo in_progress>checked_in ", "leave checked_in>left_without_being_seen ",
	}; !slices.Equal(told, want) {
		t.Errorf("history\n%q, want\n%q", told, want)
	}
}

func TestNoShow(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	doctor := f.doctor()
	a := f.booked(f.patient(), doctor, "2027-03-01T08:30:00Z", 60)
	f.pass(29 * time.Minute)
	f.act(a.ID, "no-show").Want(t, 409, "invalid-transition")
	f.pass(time.Minute)
	f.act(a.ID, "no-show").Want(t, 200, "")
	f.booked(f.patient(), doctor, "2027-03-01T08:45:00Z", 30) // the time is free
}

func TestUndo(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich") // 09:00 of 1 March
	doctor := f.doctor()
	cancel := func(id int64) {
		t.Helper()
		f.Post(fmt.Sprintf("/appointments/%d/cancel", id), object{"reason": "patient_request", "note": "ill"}).Want(t, 200, "")
	}
	t.Run("NothingToUndo", func(t *testing.T) {
		a := f.booked(f.patient(), f.doctor(), "2027-03-02T10:00:00Z", 30)
		f.act(a.ID, "undo").Want(t, 409, "invalid-transition")
		f.act(a.ID, "confirm").Want(t, 200, "")
		f.act(a.ID, "undo").Want(t, 200, "")
		f.act(a.ID, "undo").Want(t, 409, "invalid-transition")
	})
	t.Run("CancellationTakesTheTimeAgain", func(t *testing.T) {
		a := f.booked(f.patient(), doctor, "2027-03-02T10:00:00Z", 30)
		cancel(a.ID)
		var back api.Appointment
		f.act(a.ID, "undo").Want(t, 200, "").Decode(t, &back)
		if back.Status != "scheduled" || back.Cancellation != nil {
			t.Errorf("after undo %+v, want scheduled without a cancellation", back)
		}
		f.book(f.patient(), doctor, "2027-03-02T10:00:00Z", 30).Want(t, 409, "doctor-overlap")
		cancel(a.ID)
		taken := f.booked(f.patient(), doctor, "2027-03-02T10:15:00Z", 30)
		f.problem(f.act(a.ID, "undo"), 409, "doctor-overlap")
		cancel(taken.ID)
		f.act(a.ID, "undo").Want(t, 200, "")
	})
	t.Run("OnlyTodayOrFourHours", func(t *testing.T) {
		a := f.booked(f.patient(), f.doctor(), "2027-03-04T10:00:00Z", 30)
		f.act(a.ID, "confirm").Want(t, 200, "")
		f.pass(15*time.Hour - time.Second) // the last second of the clinic's day, not of UTC's
		f.act(a.ID, "undo").Want(t, 200, "")
		f.act(a.ID, "confirm").Want(t, 200, "")
		f.pass(4 * time.Hour) // over midnight
		f.act(a.ID, "undo").Want(t, 200, "")
		f.pass(16 * time.Hour)
		f.act(a.ID, "confirm").Want(t, 200, "")
		f.pass(4*time.Hour + time.Second)
		p := f.problem(f.act(a.ID, "undo"), 409, "invalid-transition")
		if *p.CurrentStatus != "confirmed" {
			t.Errorf("problem %+v, want current status confirmed", p)
		}
	})
}

func TestReschedule(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	patient, doctor, colleague := f.patient(), f.doctor(), f.doctor()
	a := f.booked(patient, doctor, "2027-03-02T10:00:00Z", 30)
	path := fmt.Sprintf("/appointments/%d/reschedule", a.ID)
	move := func(body object) *contracttest.Response { return f.Post(path, body) }
	moved := func(body object) (a api.Appointment) {
		t.Helper()
		move(body).Want(t, 200, "").Decode(t, &a)
		return a
	}
	if got := moved(object{"start_time": "2027-03-02T10:15:00Z"}); got.ID != a.ID || !got.StartTime.Equal(at("2027-03-02T10:15:00Z")) || got.DurationMinutes != 30 {
		t.Errorf("rescheduled over its own old time %+v, want the same id at 10:15 for 30 minutes", got)
	}
	if got := moved(object{"duration_minutes": 60, "doctor_id": colleague}); got.DoctorID != colleague || !got.EndTime.Equal(at("2027-03-02T11:15:00Z")) {
		t.Errorf("rescheduled %+v, want the colleague, until 11:15", got)
	}
	f.booked(f.patient(), doctor, "2027-03-02T10:15:00Z", 30) // the old time is free
	unchanged := string(f.Get(fmt.Sprintf("/appointments/%d", a.ID)).Body)

	f.booked(f.patient(), colleague, "2027-03-02T14:00:00Z", 30)
	f.booked(patient, f.doctor(), "2027-03-02T16:00:00Z", 30)
	inactive := f.doctor()
	f.Patch(fmt.Sprintf("/doctors/%d", inactive), object{"is_active": false}).Want(t, 200, "")
	for _, refused := range []struct {
		body        object
		status      int
		problemType string
	}{
		{object{}, 422, "validation-failed"},
		{object{"room_id": 1, "any_room": true}, 422, "validation-failed"},
		{object{"start_time": "2027-03-01T08:00:00Z"}, 422, "start-in-past"},
		{object{"doctor_id": 999_999}, 404, "doctor-not-found"},
		{object{"room_id": 999_999}, 404, "room-not-found"},
		{object{"doctor_id": inactive}, 409, "doctor-inactive"},
		{object{"doctor_id": doctor}, 409, "doctor-overlap"},
		{object{"start_time": "2027-03-02T13:30:00Z"}, 409, "doctor-overlap"},
		{object{"start_time": "2027-03-02T15:30:00Z"}, 409, "patient-overlap"},
		{object{"any_room": true}, 409, "no-room-free"},
	} {
		move(refused.body).Want(t, refused.status, refused.problemType)
	}
	if got := string(f.Get(fmt.Sprintf("/appointments/%d", a.ID)).Body); got != unchanged {
		t.Errorf("after a refusal the appointment is %s, want it unchanged: %s", got, unchanged)
	}
	f.book(f.patient(), colleague, "2027-03-02T10:15:00Z", 60).Want(t, 409, "doctor-overlap") // and it still holds its time
	f.Send(contracttest.Request{Method: "POST", Path: path, Body: object{"duration_minutes": 15}, Header: http.Header{"If-Match": {`"1"`}}}).Want(t, 412, "precondition-failed")
	f.Post("/appointments/999999/reschedule", object{"duration_minutes": 15}).Want(t, 404, "appointment-not-found")

	room := f.room()
	if got := moved(object{"any_room": true}); got.RoomID.MustGet() != room {
		t.Errorf("rescheduled to any room %+v, want the suitable one", got)
	}
	f.act(a.ID, "confirm").Want(t, 200, "")
	if got := moved(object{"room_id": nil}); !got.RoomID.IsNull() || got.Status != "confirmed" {
		t.Errorf("rescheduled to no room %+v, want no room, and confirmed", got)
	}
	f.pass(23 * time.Hour)
	f.act(a.ID, "check-in").Want(t, 200, "")
	if p := f.problem(move(object{"duration_minutes": 15}), 409, "invalid-transition"); *p.CurrentStatus != "checked_in" {
		t.Errorf("problem %+v, want current status checked_in", p)
	}
	var history api.AppointmentHistory
	f.Get(fmt.Sprintf("/appointments/%d/history", a.ID)).Want(t, 200, "").Decode(t, &history)
	if e := history.Items[2]; e.Action != "reschedule" || e.DoctorID != colleague || e.DurationMinutes != 60 || len(history.Items) != 7 {
		t.Errorf("history %+v, want 7 events, the third a reschedule to the colleague for 60 minutes", history.Items)
	}
}

// Appointments swap their doctors while others book into the gaps: no doctor or patient is booked
// twice, no appointment is lost, and every request is rescheduled, booked, or refused because the
// slot is taken.
func TestReschedulesCross(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	servers := []*fixture{f, setupOn(t, f.db, "UTC")}
	doctors := []int64{f.doctor(), f.doctor(), f.doctor()}
	rooms := []int64{f.room(), f.room(), f.room()}
	const each = 8
	var ids []int64
	for i := range each * len(doctors) {
		start := at("2027-03-02T08:00:00Z").Add(time.Duration(i/len(doctors)) * 30 * time.Minute)
		ids = append(ids, f.bookedWith(doctors[i%3], start.Format(time.RFC3339), object{"room_id": rooms[i%3]}).ID)
	}
	patients := make([]int64, 8)
	for i := range patients {
		patients[i] = f.patient()
	}
	var mu sync.Mutex
	answers := map[string]int{}
	booked := map[int64]bool{}
	together(len(ids)+len(patients), func(i int) {
		for k := range 6 {
			start := at("2027-03-02T08:00:00Z").Add(time.Duration((i*7+k*5)%(each+4)) * 30 * time.Minute).Format(time.RFC3339)
			var r *contracttest.Response
			if i < len(ids) {
				r = servers[(i+k)%2].Post(fmt.Sprintf("/appointments/%d/reschedule", ids[i]), object{
					"doctor_id": doctors[(i+k)%3], "room_id": rooms[(i+2*k)%3], "start_time": start,
				})
			} else {
				r = servers[i%2].book(patients[i-len(ids)], doctors[(i+k)%3], start, 30)
			}
			mu.Lock()
			answers[fmt.Sprint(r.Status, " ", r.Type())]++
			if r.Status == 201 {
				var a api.Appointment
				r.Decode(t, &a)
				booked[a.ID] = true
			}
			mu.Unlock()
		}
	})
	for answer := range answers {
		if !slices.Contains([]string{"200 ", "201 ", "409 doctor-overlap", "409 patient-overlap", "409 room-overlap"}, answer) {
			t.Errorf("responses %v, want only successes and overlaps", answers)
		}
	}
	if answers["200 "] == 0 || answers["409 doctor-overlap"] == 0 {
		t.Errorf("responses %v, want some reschedules and some overlaps", answers)
	}
	for _, party := range []string{"doctor_id", "patient_id", "room_id"} {
		var overlaps int
		if err := f.db.DB.Get(&overlaps, `
			SELECT COUNT(*) FROM appointments a JOIN appointments b
			ON a.`+party+` = b.`+party+` AND a.id < b.id AND a.start_time < b.end_time AND b.start_time < a.end_time`); err != nil {
			t.Fatal(err)
		}
		if overlaps != 0 {
			t.Errorf("%d overlaps of %s, want 0", overlaps, party)
		}
	}
	var stored, events int
	if err := f.db.DB.Get(&stored, `SELECT COUNT(*) FROM appointments WHERE status = 'scheduled'`); err != nil {
		t.Fatal(err)
	}
	if stored != len(ids)+len(booked) {
		t.Errorf("%d appointments, want %d and %d", stored, len(ids), len(booked))
	}
	if err := f.db.DB.Get(&events, `SELECT COUNT(*) FROM appointment_events`); err != nil {
		t.Fatal(err)
	}
	if events != stored+answers["200 "] {
		t.Errorf("%d events of %d bookings and %d reschedules, want one each", events, stored, answers["200 "])
	}
}
