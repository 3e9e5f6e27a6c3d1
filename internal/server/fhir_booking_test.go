package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/contracttest"
)

// What R4 allows and MEMS does not store is ignored; what would change the meaning of the rest is
// rejected.
func TestFHIRBookPassesOver(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	patient, doctor := f.patient(), f.doctor()
	at := 0
	full := func() object {
		at++
		start := time.Date(2027, 3, 2, 0, 0, 0, 0, time.UTC).Add(time.Duration(at) * 30 * time.Minute)
		ext := []object{{"url": "http://example.org/x", "valueString": "y"}}
		return object{
			"resourceType": "Appointment", "id": "x", "meta": object{"profile": []string{"http://example.org/p"}}, "language": "de",
			"text":      object{"status": "generated", "div": `<div xmlns="http://www.w3.org/1999/xhtml">x</div>`},
			"contained": []object{{"resourceType": "Patient", "id": "p"}}, "extension": ext,
			"identifier": []object{{"system": "urn:x", "value": "1"}}, "status": "proposed", "_status": object{"extension": ext},
			"serviceCategory": []object{{"text": "x"}}, "serviceType": []object{{"id": "1", "extension": ext, "text": "Consultation"}},
			"specialty": []object{{"text": "x"}}, "appointmentType": object{"text": "x"}, "reasonCode": []object{{"text": "illness"}},
			"priority": 5, "description": "what for", "supportingInformation": []object{{"reference": "DocumentReference/1"}},
			"start": start.Format(time.RFC3339), "_start": object{"id": "s"}, "end": start.Add(30 * time.Minute).Format(time.RFC3339), "_end": object{"id": "e"},
			"minutesDuration": 30, "created": "2027-03-01", "comment": "words", "patientInstruction": "words", "basedOn": []object{{"reference": "ServiceRequest/1"}},
			"requestedPeriod": []object{{"start": "2027-03-01", "end": "2027-03-05"}},
			"participant": []object{
				{
					"id": "a", "extension": ext, "type": []object{{"coding": []object{{"system": "urn:x", "code": "ATND"}}}}, "required": "required",
					"status": "accepted", "period": object{"start": "2027-03-01"},
					"actor": object{"reference": fmt.Sprintf("Patient/%d", patient), "type": "Patient", "display": "Ann", "identifier": object{"value": "1"}, "extension": ext},
				},
				{"actor": object{"reference": fmt.Sprintf("Practitioner/%d", doctor)}, "status": "needs-action", "_status": object{"id": "x"}},
			},
		}
	}
	body := full()
	encoded, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	held(t, &contracttest.Response{Body: encoded}) // it is R4
	for _, mediaType := range []string{"application/fhir+json", "application/json", "text/json", "application/fhir+json; fhirVersion=4.0", "application/json; charset=UTF-8"} {
		for _, wrap := range []bool{false, true} {
			var sent any = full()
			if wrap {
				sent = object{"resourceType": "Parameters", "id": "p", "parameter": []object{{"name": "appt-resource", "resource": sent}}}
			}
			r := held(t, f.Send(contracttest.Request{Method: "POST", Path: "/fhir/Appointment/$book", Body: sent, Header: http.Header{"Content-Type": {mediaType}}}).Want(t, 201, ""))
			var booked api.FhirAppointment
			r.Decode(t, &booked)
			if strings.Contains(string(r.Body), "words") || booked.Description == nil || *booked.Description != "what for" {
				t.Errorf("booked: %s, want the description %q and no words for staff", r.Body, "what for")
			}
		}
	}
	for name, change := range map[string]func(object){
		"Appointment.modifierExtension": func(b object) { b["modifierExtension"] = []object{{"url": "urn:x", "valueBoolean": true}} },
		"Appointment.participant[0].modifierExtension": func(b object) {
			b["participant"].([]object)[0]["modifierExtension"] = []object{{"url": "urn:x", "valueBoolean": true}}
		},
		"Appointment.implicitRules":                  func(b object) { b["implicitRules"] = "urn:x" },
		"Appointment.surprise":                       func(b object) { b["surprise"] = 1 },
		"Appointment._surprise":                      func(b object) { b["_surprise"] = 1 },
		"Appointment.participant[0].actor.surprise":  func(b object) { b["participant"].([]object)[0]["actor"].(object)["surprise"] = 1 },
		"Appointment.participant[0].surprise":        func(b object) { b["participant"].([]object)[0]["surprise"] = 1 },
		"Appointment.serviceType[0].surprise":        func(b object) { b["serviceType"].([]object)[0]["surprise"] = 1 },
		"Appointment.participant[0].actor.reference": func(b object) { b["participant"].([]object)[0]["actor"].(object)["reference"] = "#p" },
		"Appointment.cancelationReason":              func(b object) { b["cancelationReason"] = object{"text": "x"} },
		"Appointment.status":                         func(b object) { b["status"] = "cancelled" },
		"Appointment." + url.PathEscape("a b"):       func(b object) { b["a b"] = 1 },
		"Appointment." + strings.Repeat("x", 80):     func(b object) { b[strings.Repeat("x", 5000)] = 1 },
	} {
		sent := full()
		change(sent)
		var outcome api.FhirOperationOutcome
		held(t, fhirBook(f.Client, sent).Want(t, 422, "validation-failed")).Decode(t, &outcome)
		if len(outcome.Issue) == 0 || outcome.Issue[0].Expression[0] != name {
			t.Errorf("$book with a wrong %s: outcome %+v, want its expression in the first issue", name, outcome)
		}
	}
	// An idempotency key treats both forms of one booking as the same request.
	sent, key := full(), http.Header{"Idempotency-Key": {"one"}, "Content-Type": {"application/fhir+json"}}
	once := f.Send(contracttest.Request{Method: "POST", Path: "/fhir/Appointment/$book", Body: sent, Header: key}).Want(t, 201, "")
	again := f.Send(contracttest.Request{
		Method: "POST", Path: "/fhir/Appointment/$book", Header: key,
		Body: object{"resourceType": "Parameters", "parameter": []object{{"name": "appt-resource", "resource": sent}}},
	}).Want(t, 201, "")
	if once.Header.Get("Location") != again.Header.Get("Location") {
		t.Errorf("$book with the same key: Location %s, then %s; want the same",
			once.Header.Get("Location"), again.Header.Get("Location"))
	}
}

// A refusal has the conflict and the alternatives, which can be booked as they are.
func TestFHIRRefusalNamesAlternatives(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	doctor := f.doctor()
	f.hours(doctor, "UTC", "09:00-12:00")
	f.booked(f.patient(), doctor, "2027-03-02T09:00:00Z", 30)
	body := object{
		"resourceType": "Appointment", "status": "proposed", "start": "2027-03-02T09:00:00Z", "end": "2027-03-02T09:30:00Z",
		"participant": actors(fmt.Sprintf("Patient/%d", f.patient()), fmt.Sprintf("Practitioner/%d", doctor)),
	}
	var outcome api.FhirOperationOutcome
	held(t, fhirBook(f.Client, body).Want(t, 409, "doctor-overlap")).Decode(t, &outcome)
	issue := outcome.Issue[0]
	var conflict *api.FhirPeriod
	var free []string
	for _, e := range issue.Extension {
		switch {
		case e.ValuePeriod != nil && e.URL == "urn:mems:conflict":
			conflict = e.ValuePeriod
		case e.ValueReference != nil && e.URL == "urn:mems:alternative":
			free = append(free, e.ValueReference.Reference)
			if !strings.Contains(*issue.Diagnostics, e.ValueReference.Reference) {
				t.Errorf("diagnostics %q, want %s in them", *issue.Diagnostics, e.ValueReference.Reference)
			}
		}
	}
	if conflict == nil || !conflict.Start.Equal(time.Date(2027, 3, 2, 9, 0, 0, 0, time.UTC)) || len(free) == 0 || !strings.Contains(*issue.Diagnostics, "2027-03-02T09:00:00Z") {
		t.Fatalf("issue of a taken time: %+v, want the conflict at 2027-03-02T09:00:00Z and free times", issue)
	}
	delete(body, "start")
	delete(body, "end")
	body["slot"] = []object{{"reference": free[0]}}
	held(t, fhirBook(f.Client, body).Want(t, 201, ""))
	// The same outside working hours, and for a merged patient.
	delete(body, "slot")
	body["start"], body["end"] = "2027-03-03T18:00:00Z", "2027-03-03T18:30:00Z"
	if r := held(t, fhirBook(f.Client, body).Want(t, 409, "outside-working-hours")); !strings.Contains(string(r.Body), "urn:mems:alternative") {
		t.Errorf("$book outside working hours: %s, want alternatives", r.Body)
	}
	gone, stays := f.patient(), f.patient()
	f.Post(fmt.Sprintf("/patients/%d/merge", stays), object{"duplicate_id": gone}).Want(t, 200, "")
	body["start"], body["end"] = "2027-03-03T10:00:00Z", "2027-03-03T10:30:00Z"
	body["participant"] = actors(fmt.Sprintf("Patient/%d", gone), fmt.Sprintf("Practitioner/%d", doctor))
	if r := held(t, fhirBook(f.Client, body)); r.Status == 409 && !strings.Contains(string(r.Body), fmt.Sprintf("Patient/%d", stays)) {
		t.Errorf("$book for a merged patient = %d %s, want the survivor Patient/%d in a 409", r.Status, r.Body, stays)
	}
}

// Without an upper bound, free times are searched in the 14 days after the lower one, or after now
// if that is later.
func TestFHIRFreeTimesFrom(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	doctor := f.doctor()
	f.hours(doctor, "UTC", "08:00-12:00")
	for _, path := range []string{"Slot", "Appointment/$find"} {
		for from, want := range map[string]string{
			"ge2020-01-01":           "2027-03-01T08:15:00Z",
			"ge2027-02-27T10:00:00Z": "2027-03-01T08:15:00Z",
			"ge2027-06-20":           "2027-06-20T08:00:00Z", // 111 days ahead
			"ge2031-01-01":           "2031-01-01T08:00:00Z",
		} {
			var bundle struct {
				Entry []struct {
					Resource struct {
						Start string `json:"start"`
					} `json:"resource"`
				} `json:"entry"`
			}
			f.fhirs(path, "start", from, "_count", "1").Want(t, 200, "").Decode(t, &bundle)
			if len(bundle.Entry) != 1 || bundle.Entry[0].Resource.Start != want {
				t.Errorf("%s from %s: %+v, want %s", path, from, bundle.Entry, want)
			}
		}
	}
}
