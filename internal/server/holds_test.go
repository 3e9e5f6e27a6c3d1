package server_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/contracttest"
)

// hold asks for two minutes of a time with a doctor.
func (f *fixture) hold(doctor int64, start string, members object) *contracttest.Response {
	f.t.Helper()
	body := object{"doctor_id": doctor, "start_time": start, "duration_minutes": 30}
	for k, v := range members {
		body[k] = v
		if v == nil {
			delete(body, k)
		}
	}
	return f.Post("/holds", body)
}

func (f *fixture) held(doctor int64, start string, members object) api.HoldCreated {
	f.t.Helper()
	var h api.HoldCreated
	f.hold(doctor, start, members).Want(f.t, 201, "").Decode(f.t, &h)
	return h
}

func TestHolds(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	doctor, patient := f.doctor(), f.patient()
	const start = "2027-03-02T10:00:00Z"
	book := func(members object) *contracttest.Response {
		f.t.Helper()
		return f.bookWith(doctor, start, members)
	}
	h := f.held(doctor, start, nil)
	if !h.ExpiresAt.Equal(now.Add(2 * time.Minute)) {
		t.Errorf("expires_at = %s, want %s", h.ExpiresAt, now.Add(2*time.Minute))
	}
	t.Run("BusyForOthers", func(t *testing.T) {
		p := f.problem(book(nil), 409, "doctor-overlap")
		if !p.Conflict.StartTime.Equal(at(start)) || !strings.Contains(p.Detail, "held for another booking") || p.Held == nil || !*p.Held {
			t.Errorf("conflict %+v, held %v, detail %q; want the held time from %s",
				p.Conflict, p.Held, p.Detail, start)
		}
		f.hold(doctor, "2027-03-02T10:15:00Z", nil).Want(t, 409, "doctor-overlap")
		f.booked(patient, doctor, "2027-03-02T10:30:00Z", 30)
	})
	t.Run("TurnsIntoABooking", func(t *testing.T) {
		book(object{"hold_token": "AAAAAAAAAAAAAAAAAAAAAAAAAA"}).Want(t, 409, "doctor-overlap")
		f.bookWith(f.doctor(), start, object{"hold_token": h.Token}).Want(t, 409, "hold-not-usable")
		f.bookWith(doctor, start, object{"hold_token": h.Token, "duration_minutes": 15}).Want(t, 409, "hold-not-usable")
		book(object{"hold_token": h.Token}).Want(t, 201, "")
		f.bookWith(doctor, "2027-03-03T10:00:00Z", object{"hold_token": h.Token}).Want(t, 404, "hold-not-found") // used up
		f.Get(fmt.Sprintf("/holds/%d", h.ID)).Want(t, 404, "hold-not-found")
	})
	t.Run("Expires", func(t *testing.T) {
		doctor := f.doctor()
		h := f.held(doctor, start, object{"seconds": 30})
		f.Get(fmt.Sprintf("/holds/%d", h.ID)).Want(t, 200, "")
		f.pass(30 * time.Second)
		f.Get(fmt.Sprintf("/holds/%d", h.ID)).Want(t, 404, "hold-not-found")
		f.Delete(fmt.Sprintf("/holds/%d", h.ID)).Want(t, 404, "hold-not-found")
		f.bookWith(doctor, start, object{"hold_token": h.Token}).Want(t, 409, "hold-not-usable")
		f.bookedWith(doctor, start, nil)
	})
	t.Run("GivenBack", func(t *testing.T) {
		doctor := f.doctor()
		h := f.held(doctor, start, nil)
		f.Delete(fmt.Sprintf("/holds/%d", h.ID)).Want(t, 204, "")
		f.Delete(fmt.Sprintf("/holds/%d", h.ID)).Want(t, 404, "hold-not-found")
		f.bookedWith(doctor, start, nil)
	})
	t.Run("ForOnePatient", func(t *testing.T) {
		doctor := f.doctor()
		h := f.held(doctor, start, object{"patient_id": patient})
		f.bookWith(doctor, start, object{"hold_token": h.Token}).Want(t, 409, "hold-not-usable")
		f.bookWith(doctor, start, object{"hold_token": h.Token, "patient_id": patient}).Want(t, 201, "")
		f.hold(f.doctor(), "2027-03-02T10:15:00Z", object{"patient_id": patient}).Want(t, 409, "patient-overlap")
		f.hold(f.doctor(), start, object{"patient_id": 999_999}).Want(t, 404, "patient-not-found")
	})
	t.Run("WithTypeAndRoom", func(t *testing.T) {
		room := f.room()
		kind := f.kind(object{"needs_room": true, "buffer_before_minutes": 15})
		doctor := f.doctor()
		h := f.held(doctor, start, object{"type_id": kind, "duration_minutes": nil})
		if h.RoomID.MustGet() != room {
			t.Errorf("room of the hold = %v, want %d", h.RoomID, room)
		}
		f.bookWith(f.doctor(), start, object{"room_id": room}).Want(t, 409, "room-overlap")
		f.bookWith(f.doctor(), "2027-03-02T09:20:00Z", object{"room_id": room}).Want(t, 409, "room-overlap") // its buffer
		f.bookWith(f.doctor(), start, object{"any_room": true}).Want(t, 409, "no-room-free")
		f.bookWith(doctor, start, object{"hold_token": h.Token, "type_id": kind}).Want(t, 201, "")
	})
	t.Run("Refused", func(t *testing.T) {
		for name, test := range map[string]struct {
			members     object
			status      int
			problemType string
		}{
			"TooShort":  {object{"seconds": 29}, 422, "validation-failed"},
			"TooLong":   {object{"seconds": 601}, 422, "validation-failed"},
			"NoLength":  {object{"duration_minutes": nil}, 422, "validation-failed"},
			"Past":      {object{"start_time": "2027-03-01T08:00:00Z"}, 422, "start-in-past"},
			"NoDoctor":  {object{"doctor_id": 999_999}, 404, "doctor-not-found"},
			"NoType":    {object{"type_id": 999_999}, 404, "appointment-type-not-found"},
			"RoomTwice": {object{"room_id": 1, "any_room": true}, 422, "validation-failed"},
		} {
			t.Run(name, func(t *testing.T) { f.hold(f.doctor(), start, test.members).Want(t, test.status, test.problemType) })
		}
	})
}

// Holds and bookings of one time through two servers: one wins, and only the holder can book what
// was held.
func TestHoldRace(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	other := setupOn(t, f.db, "UTC")
	for round := range 4 {
		doctor := f.doctor()
		start := at("2027-03-02T10:00:00Z").Add(time.Duration(round) * time.Hour).Format(time.RFC3339)
		patients := make([]int64, 16)
		for i := range patients {
			patients[i] = f.patient()
		}
		var mu sync.Mutex
		answers := map[string]int{}
		together(2*len(patients), func(i int) {
			server := []*fixture{f, other}[i%2]
			note := func(r *contracttest.Response) {
				mu.Lock()
				defer mu.Unlock()
				answers[fmt.Sprint(r.Status, " ", r.Type())]++
			}
			patient := patients[i/2]
			if i%2 == 0 {
				note(server.book(patient, doctor, start, 30))
				return
			}
			r := server.hold(doctor, start, nil)
			if r.Status != 201 {
				note(r)
				return
			}
			var h api.HoldCreated
			r.Decode(t, &h)
			other.bookWith(doctor, start, object{"hold_token": h.Token}).Want(t, 201, "")
			mu.Lock()
			defer mu.Unlock()
			answers["201 "]++
		})
		if answers["201 "] != 1 || answers["409 doctor-overlap"] != 2*len(patients)-1 {
			t.Errorf("answers = %v, want one 201 and %d of 409 doctor-overlap", answers, 2*len(patients)-1)
		}
	}
}

func TestOverride(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	doctor := f.doctor()
	override := func(rules ...string) object {
		return object{"override": object{"rules": rules, "reason": " Emergency. "}}
	}
	f.hours(doctor, "UTC", "08:00-12:00")
	const evening, morning = "2027-03-02T20:00:00Z", "2027-03-02T10:00:00Z"

	t.Run("OutsideHours", func(t *testing.T) {
		f.bookWith(doctor, evening, override("patient-overlap")).Want(t, 409, "outside-working-hours")
		a := f.bookedWith(doctor, evening, override("outside-working-hours", "patient-overlap"))
		if a.Override == nil || !slices.Equal(a.Override.Rules, []api.AppointmentOverrideRules{"outside-working-hours"}) || a.Override.Reason == nil || *a.Override.Reason != "Emergency." {
			t.Errorf("override = %+v, want only the broken rule outside-working-hours, and the reason %q",
				a.Override, "Emergency.")
		}
		var history api.AppointmentHistory
		f.Get(fmt.Sprintf("/appointments/%d/history", a.ID)).Want(t, 200, "").Decode(t, &history)
		if note := history.Items[0].Note.MustGet(); note != "Emergency." {
			t.Errorf("note in the history = %q, want %q", note, "Emergency.")
		}
	})
	t.Run("NotNeeded", func(t *testing.T) {
		if a := f.bookedWith(doctor, morning, override("outside-working-hours", "doctor-overlap")); a.Override != nil {
			t.Errorf("override where no rule is broken = %+v, want none", a.Override)
		}
	})
	t.Run("DoctorOverlap", func(t *testing.T) {
		f.bookWith(doctor, morning, override("doctor-overlap")).Want(t, 409, "doctor-overlap") // the cap is 0
		f.Patch(fmt.Sprintf("/doctors/%d", doctor), object{"overbook_cap": 1}).Want(t, 200, "")
		f.bookWith(doctor, morning, nil).Want(t, 409, "doctor-overlap")
		a := f.bookedWith(doctor, "2027-03-02T10:15:00Z", override("doctor-overlap"))
		if a.Override == nil || a.Override.Rules[0] != "doctor-overlap" {
			t.Errorf("override = %+v, want doctor-overlap", a.Override)
		}
		f.bookWith(doctor, "2027-03-02T10:20:00Z", override("doctor-overlap")).Want(t, 409, "doctor-overlap") // over two
		f.bookedWith(doctor, "2027-03-02T10:30:00Z", override("doctor-overlap"))                              // over the second alone
		f.bookWith(doctor, "2027-03-02T10:55:00Z", nil).Want(t, 409, "doctor-overlap")                        // who is not flagged overlaps nobody
		f.act(a.ID, "confirm").Want(t, 200, "")                                                               // and it lives on
		f.Post(fmt.Sprintf("/appointments/%d/cancel", a.ID), object{"reason": "other"}).Want(t, 200, "")
		f.act(a.ID, "undo").Want(t, 409, "doctor-overlap") // between two now
	})
	t.Run("PatientOverlap", func(t *testing.T) {
		patient := f.patient()
		f.booked(patient, f.doctor(), morning, 30)
		members := override("patient-overlap")
		members["patient_id"] = patient
		f.bookWith(f.doctor(), morning, object{"patient_id": patient}).Want(t, 409, "patient-overlap")
		if a := f.bookedWith(f.doctor(), morning, members); a.Override == nil || a.Override.Rules[0] != "patient-overlap" {
			t.Errorf("override = %+v, want patient-overlap", a.Override)
		}
	})
	t.Run("Reschedule", func(t *testing.T) {
		a := f.bookedWith(doctor, "2027-03-04T10:00:00Z", nil)
		path := fmt.Sprintf("/appointments/%d/reschedule", a.ID)
		f.Post(path, object{"start_time": "2027-03-04T20:00:00Z"}).Want(t, 409, "outside-working-hours")
		body := override("outside-working-hours")
		body["start_time"] = "2027-03-04T20:00:00Z"
		var moved api.Appointment
		f.Post(path, body).Want(t, 200, "").Decode(t, &moved)
		if moved.Override == nil {
			t.Errorf("rescheduled: %+v, want an override", moved)
		}
		var back api.Appointment
		f.Post(path, object{"start_time": "2027-03-04T10:00:00Z"}).Want(t, 200, "").Decode(t, &back)
		if back.Override != nil {
			t.Errorf("rescheduled back: override %+v, want none", back.Override)
		}
	})
	t.Run("Refused", func(t *testing.T) {
		for name, o := range map[string]object{
			"NoReason": {"rules": []string{"doctor-overlap"}}, "EmptyReason": {"rules": []string{"doctor-overlap"}, "reason": " "},
			"NoRules": {"rules": []string{}, "reason": "x"}, "Unknown": {"rules": []string{"room-overlap"}, "reason": "x"},
			"Twice": {"rules": []string{"doctor-overlap", "doctor-overlap"}, "reason": "x"},
		} {
			t.Run(name, func(t *testing.T) {
				f.bookWith(doctor, morning, object{"override": o}).Want(t, 422, "validation-failed")
			})
		}
	})
}

// However many callers overbook at once, at most the cap plus one take place together.
func TestOverbookRace(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	other := setupOn(t, f.db, "UTC")
	doctor := f.doctor()
	f.Patch(fmt.Sprintf("/doctors/%d", doctor), object{"overbook_cap": 2}).Want(t, 200, "")
	bodies := make([]object, 48)
	for i := range bodies {
		bodies[i] = object{
			"patient_id": f.patient(), "doctor_id": doctor, "duration_minutes": 60,
			"start_time": at("2027-03-02T10:00:00Z").Add(time.Duration(i%8) * 15 * time.Minute).Format(time.RFC3339),
		}
		if i%4 > 0 {
			bodies[i]["override"] = object{"rules": []string{"doctor-overlap"}, "reason": "x"}
		}
	}
	together(len(bodies), func(i int) {
		r := []*fixture{f, other}[i%2].Post("/appointments", bodies[i])
		if r.Status != 201 {
			r.Want(t, 409, "doctor-overlap")
		}
	})
	var most int
	if err := f.db.DB.Get(&most, `
		SELECT MAX(n) FROM (
		  SELECT COUNT(*) AS n FROM appointments a JOIN appointments b
		  ON b.start_time <= a.start_time AND a.start_time < b.end_time GROUP BY a.id) AS at_starts`); err != nil {
		t.Fatal(err)
	}
	if most != 3 {
		t.Errorf("%d at once, want 3: the cap of 2 and one", most)
	}
}
