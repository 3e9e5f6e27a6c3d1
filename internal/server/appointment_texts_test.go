package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"mems/gen/api"
	"mems/internal/contracttest"
)

// The reason and the note can be changed in any status, and the history records it. Undo reverts
// the last change of status or time, not these.
func TestAppointmentTexts(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	patient, doctor := f.patient(), f.doctor()
	var a api.Appointment
	booked := f.Post("/appointments", object{
		"patient_id": patient, "doctor_id": doctor, "start_time": "2027-03-02T09:00:00Z", "duration_minutes": 30,
		"reason": "  Cafe\u0301 ", "note": " by phone ",
	}).Want(t, 201, "")
	booked.Decode(t, &a)
	if a.Reason.MustGet() != "Caf\u00e9" || a.Note.MustGet() != "by phone" {
		t.Errorf("booked with reason %q and note %q, want %q and %q",
			a.Reason.MustGet(), a.Note.MustGet(), "Caf\u00e9", "by phone")
	}
	path := fmt.Sprintf("/appointments/%d", a.ID)
	patch := func(match string, body object) *contracttest.Response {
		return f.Send(contracttest.Request{Method: http.MethodPatch, Path: path, Body: body, Header: http.Header{
			"Content-Type": {"application/merge-patch+json"}, "If-Match": {match},
		}})
	}
	patch(booked.Header.Get("ETag"), object{"reason": "Knee"}).Want(t, 200, "").Decode(t, &a)
	if a.Reason.MustGet() != "Knee" || a.Note.MustGet() != "by phone" {
		t.Errorf("after a patch of the reason alone: reason %q, note %q; want %q and %q",
			a.Reason.MustGet(), a.Note.MustGet(), "Knee", "by phone")
	}
	patch(booked.Header.Get("ETag"), object{"reason": "Hip"}).Want(t, 412, "precondition-failed")
	for _, body := range []object{
		{},
		{"reason": ""},
		{"reason": "  "},
		{"reason": strings.Repeat("x", 201)},
		{"note": strings.Repeat("x", 501)},
		{"note": "two\nlines"},
		{"note": "turn\u202Earound"},
		{"status": "confirmed"},
		{"reason": strings.Repeat("\U0001D160", 100)}, // longer in normal form C than as sent
	} {
		f.Patch(path, body).Want(t, 422, "validation-failed")
	}
	padded := f.Patch(path, object{"reason": strings.Repeat("x", 200) + " "}).Want(t, 422, "validation-failed")
	if !strings.Contains(string(padded.Body), "surrounding spaces count") {
		t.Errorf("refusal of a text with one space too many: %s, want it to say that surrounding spaces count",
			padded.Body)
	}
	f.Patch("/appointments/999", object{"reason": "Hip"}).Want(t, 404, "appointment-not-found")

	f.act(a.ID, "confirm").Want(t, 200, "")
	f.Patch(path, object{"reason": nil, "note": "second"}).Want(t, 200, "").Decode(t, &a)
	if a.Status != "confirmed" || !a.Reason.IsNull() || a.Note.MustGet() != "second" {
		t.Errorf("after a patch: %+v, want it confirmed, without a reason, with the note %q", a, "second")
	}
	f.act(a.ID, "undo").Want(t, 200, "").Decode(t, &a)
	if a.Status != "scheduled" || a.Note.MustGet() != "second" {
		t.Errorf("after undoing the confirmation: %+v, want it scheduled, with the note %q", a, "second")
	}
	f.reschedule(a.ID, object{"start_time": "2027-03-02T10:00:00Z"}).Want(t, 200, "").Decode(t, &a)
	if a.Note.MustGet() != "second" {
		t.Errorf("after rescheduling: note %q, want %q", a.Note.MustGet(), "second")
	}
	f.Post(path+"/cancel", object{"reason": "other"}).Want(t, 200, "")
	f.Patch(path, object{"note": "third"}).Want(t, 200, "")
	var history api.AppointmentHistory
	f.Get(path+"/history").Want(t, 200, "").Decode(t, &history)
	var did []string
	for _, e := range history.Items {
		did = append(did, string(e.Action))
	}
	if got := strings.Join(did, " "); got != "book update confirm update undo reschedule cancel update" {
		t.Errorf("actions in the history = %q, want %q",
			got, "book update confirm update undo reschedule cancel update")
	}

	// A text about a patient who is already erased would never be erased.
	f.Post(fmt.Sprintf("/patients/%d/erase", patient), object{"reason": "asked for it"}).Want(t, 200, "")
	patch("*", object{"reason": "written after the erasure"}).Want(t, 404, "appointment-not-found")
	f.Post(path+"/cancel", object{"reason": "other", "note": "written after the erasure"}).Want(t, 404, "appointment-not-found")
	f.Post(path+"/cancel", object{"reason": "other"}).Want(t, 409, "invalid-transition") // it is cancelled
	f.Post(path+"/undo", nil).Want(t, 404, "appointment-not-found")
	f.Post(path+"/reschedule", object{"start_time": "2027-03-03T09:00:00Z"}).Want(t, 404, "appointment-not-found")
	f.Get(path).Want(t, 200, "").Decode(t, &a)
	if reason, err := a.Reason.Get(); err == nil {
		t.Errorf("appointment of the erased patient: reason %q, want none", reason)
	}
}

// A partner can read an appointment's reason, but neither read nor replace the note of staff. The
// audit trail has both, encrypted with the patient's key.
func TestAppointmentTextsOfPartners(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, nil)
	doctor := s.doctor()
	partner, _ := s.key("partner", object{"scopes": []string{"patients:read", "patients:write", "appointments:read", "appointments:write"}})
	var p api.Patient
	partner.Post("/patients", object{"first_name": "Ann", "last_name": "Muster"}).Want(t, 201, "").Decode(t, &p)
	var a api.Appointment
	partner.Post("/appointments", object{
		"patient_id": p.ID, "doctor_id": doctor, "start_time": "2027-03-02T09:00:00Z", "duration_minutes": 30, "reason": "Cough", "note": "from the portal",
	}).Want(t, 201, "").Decode(t, &a)
	path := fmt.Sprintf("/appointments/%d", a.ID)
	s.Patch(path, object{"note": "of staff"}).Want(t, 200, "")
	refused := s.problem(partner.Patch(path, object{"note": nil}), 403, "forbidden")
	if want := "Leave note out: only the clinic's staff may change it."; refused.Detail != want || refused.Permission != nil {
		t.Errorf("a partner's change of the note: %q, permission %v, want %q", refused.Detail, refused.Permission, want)
	}
	partner.Patch(path, object{"reason": "Fever"}).Want(t, 200, "")
	answer := partner.Get(path).Want(t, 200, "")
	answer.Decode(t, &a)
	if a.Reason.MustGet() != "Fever" || a.Note.IsSpecified() || strings.Contains(string(answer.Body), "of staff") {
		t.Errorf("appointment as a partner sees it: %s, want the reason and no note", answer.Body)
	}
	s.Get(path).Want(t, 200, "").Decode(t, &a)
	if a.Note.MustGet() != "of staff" {
		t.Errorf("appointment as staff see it: note %q, want %q", a.Note.MustGet(), "of staff")
	}
	for _, word := range []string{"Fever", "of staff"} {
		if strings.Contains(s.dump("audit_entries"), word) {
			t.Errorf("table audit_entries contains %q unencrypted, want it encrypted", word)
		}
	}
	changed := 0
	for _, e := range s.trail("patient_id", fmt.Sprint(p.ID)) {
		for _, c := range e.Changes {
			if e.Operation == "updateAppointment" && (c.Member == "reason" || c.Member == "note") {
				changed++
			}
		}
	}
	if changed != 2 {
		t.Errorf("%d changes of texts in the audit trail, want 2", changed)
	}
}
