package server_test

import (
	"fmt"
	"strings"
	"testing"

	"mems/gen/api"
)

// A patch that changes nothing returns the same version, and neither the feed nor the trail has a
// change. The trail has that a patient's record was read.
func TestPatchWithoutChange(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, nil)
	var p api.Patient
	s.Post("/patients", object{
		"first_name": "Ann", "last_name": "Muster", "phone": "+41 44 555 01 23", "birth_date": "1984-02-29",
		"identifiers": []object{{"system": "b", "value": "2"}, {"system": "a", "value": "1"}},
	}).Want(t, 201, "").Decode(t, &p)
	doctor, room := s.doctor(), s.room()
	apptType := s.kind(object{"name": "Check", "duration_minutes": 30, "doctor_ids": []int64{doctor}, "room_ids": []int64{room}})
	a := s.bookWith(doctor, "2027-03-02T10:00:00Z", object{"patient_id": p.ID, "reason": "Cough", "note": "Fasting"}).Want(t, 201, "").Header.Get("Location")
	hook := s.Post("/webhooks", object{"url": "https://partner.example.org/mems", "description": "Portal"}).Want(t, 201, "").Header.Get("Location")
	for path, bodies := range map[string][]object{
		fmt.Sprintf("/patients/%d", p.ID): {
			{"first_name": " Ann ", "phone": "+41 44 555 01 23"},
			{"identifiers": []object{{"system": "b", "value": "2"}, {"system": "a", "value": "1"}}},
			{"email": nil, "birth_date": "1984-02-29"},
		},
		fmt.Sprintf("/doctors/%d", doctor):             {{"is_active": true}, {"overbook_cap": 0}},
		fmt.Sprintf("/rooms/%d", room):                 {{"is_active": true}},
		fmt.Sprintf("/appointment-types/%d", apptType): {{"name": "Check ", "duration_minutes": 30}, {"doctor_ids": []int64{doctor}, "specializations": []string{}}},
		a:    {{"reason": " Cough"}, {"note": "Fasting"}},
		hook: {{"url": "https://partner.example.org/mems", "enabled": true}, {"description": "Portal", "types": []string{}}},
	} {
		before := s.Get(path).Want(t, 200, "")
		changes := s.dump("changes")
		for _, body := range bodies {
			r := s.Patch(path, body).Want(t, 200, "")
			after := s.Get(path).Want(t, 200, "")
			if got, want := r.Header.Get("ETag"), before.Header.Get("ETag"); got != want {
				t.Errorf("PATCH %s %v: ETag %s, want %s", path, body, got, want)
			}
			if string(after.Body) != string(before.Body) {
				t.Errorf("after PATCH %s %v:\n%s\nwant\n%s", path, body, after.Body, before.Body)
			}
		}
		if s.dump("changes") != changes {
			t.Errorf("PATCH %s without a change: the feed has new changes, want none", path)
		}
	}
	read := 0
	for _, e := range s.trail("limit", "200") {
		switch {
		case !strings.HasPrefix(e.Operation, "update"):
		case e.Action != "read":
			t.Errorf("%s without a change: the trail has the action %s, want read", e.Operation, e.Action)
		case e.Operation == "updatePatient", e.Operation == "updateAppointment":
			read++
		}
	}
	if read != 5 {
		t.Errorf("%d reads of the patient's records in the trail, want 5", read)
	}
	var history api.AppointmentHistory
	s.Get(a+"/history").Want(t, 200, "").Decode(t, &history)
	if len(history.Items) != 1 {
		t.Errorf("%d events in the history, want the booking's alone", len(history.Items))
	}

	// A patch with a change still changes the record.
	r := s.Patch(a, object{"reason": "Cough", "note": "Fed"}).Want(t, 200, "")
	if got := r.Header.Get("ETag"); got != `"2"` {
		t.Errorf("a change after patches without one: ETag %s, want %q", got, `"2"`)
	}
}
