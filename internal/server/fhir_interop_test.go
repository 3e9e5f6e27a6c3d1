package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/contracttest"
	"mems/internal/server"
)

// A FHIR client names JSON as it likes, and gets it.
func TestFHIRFormats(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	patient := fmt.Sprintf("/fhir/Patient/%d", f.patient())
	for accept, status := range map[string]int{
		"application/fhir+json":                  200,
		"application/fhir+json; fhirVersion=4.0": 200,
		"application/json":                       200,
		"text/json":                              200,
		"application/json;charset=utf-8":         200,
		"application/*":                          200,
		"text/*":                                 200,
		"*/*":                                    200,
		"application/fhir+xml, application/fhir+json;q=0.1":  200,
		"application/fhir+xml;q=1.0, application/json;q=0.9": 200,
		"text/html,application/xhtml+xml,*/*;q=0.8":          200,
		"application/fhir+json;q=0, application/json":        200,
		"application/fhir+xml":                               406,
		"text/html":                                          406,
		"application/json;q=0":                               406,
		"application/fhir+json;q=0.0, application/xml":       406,
	} {
		for _, path := range []string{patient, "/fhir/Patient", "/fhir/metadata", "/fhir/Slot"} {
			r := held(t, f.Send(contracttest.Request{Method: "GET", Path: path, Header: http.Header{"Accept": {accept}}}))
			if r.Status != status || r.Header.Get("Content-Type") != "application/fhir+json" {
				t.Errorf("%s, Accept %s: %d %s", path, accept, r.Status, r.Header.Get("Content-Type"))
			}
		}
	}
	for format, status := range map[string]int{
		"json": 200, "application/json": 200, "text/json": 200, "application/fhir+json": 200, "application/fhir%2Bjson": 200,
		"application/fhir%20json": 200, "JSON": 406, "application/fhir+json%3BfhirVersion=4.0": 200, "application%2Fjson%3Bcharset=utf-8": 200,
		"xml": 406, "application/fhir+xml": 406, "html": 406, "ttl": 406, "": 422,
	} {
		for _, path := range []string{patient, "/fhir/Patient", "/fhir/metadata"} {
			// It counts instead of Accept.
			r := held(t, f.Send(contracttest.Request{Method: "GET", Path: path + "?_format=" + format, Header: http.Header{"Accept": {"application/fhir+json"}}}))
			if r.Status != status {
				t.Errorf("%s?_format=%s: %d", path, format, r.Status)
			}
		}
	}
	held(t, f.Send(contracttest.Request{Method: "GET", Path: patient + "?_format=json", Header: http.Header{"Accept": {"text/html"}}}).Want(t, 200, ""))
	// SMART's client sends a Content-Type with whatever it asks for.
	held(t, f.Send(contracttest.Request{Method: "GET", Path: patient, Header: http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}}).Want(t, 200, ""))
	f.Get("/fhir/Patient", "_pretty", "true").Want(t, 200, "")
	f.Get("/fhir/Patient", "_summary", "count").Want(t, 422, "validation-failed")
}

// Errors at and under /fhir are OperationOutcomes, whatever found them.
func TestFHIRErrors(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	type h = http.Header
	for name, test := range map[string]struct {
		method, path string
		body         any
		header       h
		status       int
	}{
		"Root":           {"GET", "/fhir", nil, nil, 404},
		"RootSlash":      {"GET", "/fhir/", nil, nil, 404},
		"RootPost":       {"POST", "/fhir", "{}", nil, 404},
		"Unknown":        {"GET", "/fhir/Observation", nil, nil, 404},
		"UnknownID":      {"GET", "/fhir/Patient/999999", nil, nil, 404},
		"NoID":           {"GET", "/fhir/Patient/a_b", nil, nil, 422},
		"History":        {"GET", "/fhir/Patient/1/_history", nil, nil, 404},
		"Version":        {"GET", "/fhir/Patient/1/_history/1", nil, nil, 404},
		"TypeHistory":    {"GET", "/fhir/Patient/_history", nil, nil, 404},
		"Everything":     {"GET", "/fhir/Patient/$everything", nil, nil, 404},
		"EncodedDollar":  {"GET", "/fhir/Slot/%24lookup", nil, nil, 404},
		"Deep":           {"GET", "/fhir/Patient/1/2/3", nil, nil, 404},
		"EncodedSlash":   {"GET", "/fhir/Patient%2F1", nil, nil, 404},
		"Create":         {"POST", "/fhir/Patient", "{}", nil, 405},
		"Update":         {"PUT", "/fhir/Appointment/1", "{}", nil, 405},
		"Delete":         {"DELETE", "/fhir/Slot/1", nil, nil, 405},
		"Search":         {"POST", "/fhir/Patient/_search", "", nil, 405},
		"GetBook":        {"GET", "/fhir/Appointment/$book", nil, nil, 405},
		"PostFind":       {"POST", "/fhir/Appointment/$find", "{}", nil, 405},
		"Accept":         {"GET", "/fhir/Patient", nil, h{"Accept": {"application/fhir+xml"}}, 406},
		"TooLarge":       {"POST", "/fhir/Appointment/$book", strings.Repeat(" ", 70<<10), h{"Content-Type": {"application/json"}}, 413},
		"Media":          {"POST", "/fhir/Appointment/$book", "<Appointment/>", h{"Content-Type": {"application/fhir+xml"}}, 415},
		"NoMedia":        {"POST", "/fhir/Appointment/$book", "{}", h{"Content-Type": nil}, 415},
		"Encoding":       {"POST", "/fhir/Appointment/$book", "{}", h{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}, 415},
		"Broken":         {"POST", "/fhir/Appointment/$book", "{", h{"Content-Type": {"application/json"}}, 400},
		"NotUTF8":        {"POST", "/fhir/Appointment/$book", "{\"a\":\"\xff\"}", h{"Content-Type": {"application/json"}}, 400},
		"Twice":          {"POST", "/fhir/Appointment/$book", `{"resourceType":"Appointment","resourceType":"Appointment"}`, h{"Content-Type": {"application/json"}}, 400},
		"Surrogate":      {"POST", "/fhir/Appointment/$book", `{"resourceType":"\udc00"}`, h{"Content-Type": {"application/json"}}, 400},
		"Empty":          {"POST", "/fhir/Appointment/$book", "", h{"Content-Type": {"application/json"}}, 422},
		"Array":          {"POST", "/fhir/Appointment/$book", "[]", h{"Content-Type": {"application/json"}}, 422},
		"Null":           {"POST", "/fhir/Appointment/$book", "null", h{"Content-Type": {"application/json"}}, 422},
		"AnotherType":    {"POST", "/fhir/Appointment/$book", `{"resourceType":"Patient"}`, h{"Content-Type": {"application/json"}}, 422},
		"NoParameter":    {"POST", "/fhir/Appointment/$book", `{"resourceType":"Parameters"}`, h{"Content-Type": {"application/json"}}, 422},
		"OddParameter":   {"POST", "/fhir/Appointment/$book", `{"resourceType":"Parameters","parameter":7}`, h{"Content-Type": {"application/json"}}, 422},
		"OtherParameter": {"POST", "/fhir/Appointment/$book", `{"resourceType":"Parameters","parameter":[{"name":"x","resource":{}}]}`, h{"Content-Type": {"application/json"}}, 422},
		"NoResource":     {"POST", "/fhir/Appointment/$book", `{"resourceType":"Parameters","parameter":[{"name":"appt-resource"}]}`, h{"Content-Type": {"application/json"}}, 422},
		"OddResource":    {"POST", "/fhir/Appointment/$book", `{"resourceType":"Parameters","parameter":[{"name":"appt-resource","resource":7}]}`, h{"Content-Type": {"application/json"}}, 422},
		"Query":          {"GET", "/fhir/Patient?name=%zz", nil, nil, 400},
		"QueryNotUTF8":   {"GET", "/fhir/Patient?name=%ED%A0%80", nil, nil, 422},
		"ManyUnknown":    {"GET", "/fhir/Patient?" + strings.Repeat("&x", 1), nil, nil, 422},
	} {
		t.Run(name, func(t *testing.T) {
			r := held(t, f.Send(contracttest.Request{Method: test.method, Path: test.path, Body: test.body, Header: test.header}))
			if r.Status != test.status || r.Type() == "" {
				t.Errorf("%d %s", r.Status, r.Body)
			}
			if r.Status == 405 && r.Header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
		})
	}
	// More violations than an OperationOutcome has issues.
	var query []string
	for i := range 100 {
		query = append(query, fmt.Sprintf("x%d", i), "1")
	}
	f.fhirs("Patient", query...).Want(t, 422, "validation-failed")
	limited := setupSecured(t, func(c *server.Config) { c.RateLimit = 1 })
	nobody := contracttest.New(t, limited.url)
	held(t, nobody.Get("/fhir/Patient").Want(t, 401, "unauthenticated"))
	if r := held(t, nobody.Get("/fhir/Patient").Want(t, 429, "rate-limited")); r.Header.Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
}

// A resource may be referred to by its address on this server; other references
// are refused with what is wrong with them.
func TestFHIRReferences(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich")
	patient, doctor := f.patient(), f.doctor()
	f.hours(doctor, "Europe/Zurich", "09:00-17:00")
	a := f.booked(patient, doctor, "2027-03-02T09:00:00+01:00", 30)
	own := f.url + "/fhir/"
	for _, test := range []struct{ path, parameter, value string }{
		{"Appointment", "patient", fmt.Sprintf("%sPatient/%d", own, patient)},
		{"Appointment", "patient", fmt.Sprintf("%sPatient/%d/_history/1", own, patient)},
		{"Appointment", "patient", fmt.Sprintf("Patient/%d", patient)},
		{"Appointment", "practitioner", fmt.Sprintf("%sPractitioner/%d", own, doctor)},
		{"Appointment", "actor", fmt.Sprintf("%sPatient/%d", own, patient)},
		{"Appointment", "actor", fmt.Sprintf("%sPractitioner/%d", strings.Replace(own, "http:", "https:", 1), doctor)},
		{"Schedule", "actor", fmt.Sprintf("%sPractitioner/%d", own, doctor)},
	} {
		if got := found(t, f.fhirs(test.path, test.parameter, test.value)); len(got) != 1 {
			t.Errorf("%s?%s=%s: %v", test.path, test.parameter, test.value, got)
		}
	}
	for _, value := range []string{fmt.Sprintf("%sSchedule/%d", own, doctor), fmt.Sprintf("Schedule/%d,%sSchedule/%d", doctor, own, doctor)} {
		if got := found(t, f.fhirs("Slot", "schedule", value, "start", "2027-03-03", "_count", "3")); len(got) != 3 {
			t.Errorf("slots of %s: %v", value, got)
		}
	}
	if got := found(t, f.fhirs("Appointment/$find", "practitioner", fmt.Sprintf("%sPractitioner/%d", own, doctor), "start", "2027-03-03", "_count", "3")); len(got) != 3 {
		t.Errorf("proposals: %v", got)
	}
	for _, value := range []string{
		"https://elsewhere.example.org/fhir/Patient/1", "urn:uuid:6b7a0f2c-4b0b-4c88-9a0f-1f3f2f1f7a11", "#patient", "Practitioner/1", "Location/1",
		"Patient/", "Patient/1/2", "a/b/c", f.url + "/patients/1", "Patient/1,Patient/2", "http://[", "Patient/ä",
	} {
		f.fhirs("Appointment", "patient", value).Want(t, 422, "validation-failed")
	}
	f.fhirs("Appointment", "actor", "1").Want(t, 422, "validation-failed")
	f.fhirs("Slot", "schedule", strings.Repeat("1,", 20)+"1").Want(t, 422, "validation-failed")
	// The address of an entry can be read, and leads back.
	var bundle api.FhirAppointmentBundle
	f.fhirs("Appointment", "_id", fmt.Sprint(a.ID)).Decode(t, &bundle)
	held(t, f.Get(strings.TrimPrefix(*bundle.Entry[0].FullURL, f.url)).Want(t, 200, ""))
	body := object{
		"resourceType": "Appointment", "status": "proposed", "slot": []object{{"reference": fmt.Sprintf("%sSlot/%d-20270303T0900Z-30", own, doctor)}},
		"participant": actors(fmt.Sprintf("%sPatient/%d", own, patient), fmt.Sprintf("%sPractitioner/%d", own, doctor)),
	}
	held(t, fhirBook(f.Client, body).Want(t, 201, ""))
	body["participant"] = actors("https://elsewhere.example.org/fhir/Patient/1")
	if r := held(t, fhirBook(f.Client, body).Want(t, 422, "validation-failed")); !strings.Contains(string(r.Body), "leads to another server") {
		t.Errorf("%s", r.Body)
	}
}

// Lists of ids, counts that are cut or 0, and dates of birth with prefixes.
func TestFHIRSearches(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	var ids []string
	for _, born := range []string{"1979-12-31", "1980-01-01", "1980-03-15", "1980-12-31", "1981-01-01"} {
		var p api.Patient
		f.Post("/patients", object{"first_name": "Ann", "last_name": "B" + born, "birth_date": born}).Want(t, 201, "").Decode(t, &p)
		ids = append(ids, fmt.Sprint(p.ID))
	}
	for query, want := range map[string][]string{
		"birthdate=1980":                                   ids[1:4],
		"birthdate=eq1980":                                 ids[1:4],
		"birthdate=1980-03":                                ids[2:3],
		"birthdate=1980-03-15":                             ids[2:3],
		"birthdate=ge1980-03-15":                           ids[2:],
		"birthdate=gt1980-03-15":                           ids[3:],
		"birthdate=sa1980":                                 ids[4:],
		"birthdate=gt1980":                                 ids[4:],
		"birthdate=lt1980":                                 ids[:1],
		"birthdate=eb1980-03":                              ids[:2],
		"birthdate=le1980":                                 ids[:4],
		"birthdate=le1980-01-01":                           ids[:2],
		"birthdate=ge1980&birthdate=lt1980-12-31":          ids[1:3],
		"birthdate=ge1981&birthdate=lt1980":                {},
		"birthdate=ge1980&_count=1&name=B1981":             ids[4:],
		"_id=" + ids[0] + "," + ids[4]:                     {ids[0], ids[4]},
		"_id=" + ids[0] + ",nobody,999999":                 ids[:1],
		"_id=nobody,x":                                     {},
		"_id=" + ids[0] + "," + ids[1] + "&birthdate=1980": ids[1:2],
		"_count=1000":                                      ids,
		"_count=2147483647":                                ids,
	} {
		if got := found(t, held(t, f.Get("/fhir/Patient?"+query))); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	for _, query := range []string{"birthdate=1980-13", "birthdate=ne1980", "birthdate=1980-02-30", "birthdate=80", "_count=-1", "_count=x", "_count=9999999999", "_id=", "_id=1,,2"} {
		held(t, f.Get("/fhir/Patient?"+query).Want(t, 422, "validation-failed"))
	}
	doctor, patient := f.doctor(), f.patient()
	f.hours(doctor, "UTC", "09:00-10:00")
	f.doctor()
	first, second := f.booked(patient, doctor, "2027-03-02T09:00:00Z", 30), f.booked(patient, doctor, "2027-03-03T09:00:00Z", 30)
	if got := found(t, f.fhirs("Appointment", "_id", fmt.Sprintf("%d,%d", second.ID, first.ID))); len(got) != 2 {
		t.Errorf("appointments: %v", got)
	}
	if got := found(t, f.fhirs("Practitioner", "_id", fmt.Sprintf("%d,77777", doctor))); len(got) != 1 {
		t.Errorf("practitioners: %v", got)
	}
	if got := found(t, f.fhirs("Schedule", "_id", "1,2")); len(got) != 2 {
		t.Errorf("schedules: %v", got)
	}
	day := fmt.Sprintf("start=2027-03-04&schedule=%d", doctor)
	for query, want := range map[string]int64{
		"Patient?_count=0": 6, "Patient?_count=0&birthdate=1980": 3, "Patient?_count=0&_id=x": 0, "Patient?_count=0&name=nobody": 0,
		"Practitioner?_count=0": 2, "Practitioner?_count=0&_id=x": 0, "Schedule?_count=0&specialty=Dermatology": 2,
		"Appointment?_count=0": 2, "Appointment?_count=0&date=2027-03-02": 1, "Appointment?_count=0&_id=x": 0,
		"Slot?_count=0&" + day: 3, "Slot?_count=0&service-type=999999": 0,
		"Appointment/$find?_count=0&start=2027-03-04&practitioner=" + fmt.Sprint(doctor): 3,
	} {
		var bundle struct {
			Total *int64
			Entry []any
			Link  []api.FhirLink
		}
		held(t, f.Get("/fhir/"+query)).Want(t, 200, "").Decode(t, &bundle)
		if bundle.Total == nil || *bundle.Total != want || len(bundle.Entry) != 0 || len(bundle.Link) != 1 {
			t.Errorf("%s: %+v, want %d", query, bundle, want)
		}
	}
	// Unknown parameters are refused unless the client says that it does not mind.
	held(t, f.Get("/fhir/Patient?surname=x").Want(t, 422, "validation-failed"))
	held(t, f.With("Prefer", "handling=strict").Get("/fhir/Patient?surname=x").Want(t, 422, "validation-failed"))
	var bundle api.FhirPatientBundle
	held(t, f.With("Prefer", "return=minimal; handling=lenient").Get("/fhir/Patient?surname=x&birthdate=1981")).Want(t, 200, "").Decode(t, &bundle)
	if len(bundle.Entry) != 1 || strings.Contains(bundle.Link[0].URL, "surname") || !strings.Contains(bundle.Link[0].URL, "birthdate=1981") {
		t.Errorf("%+v", bundle)
	}
	held(t, f.With("Prefer", "handling=lenient").Get("/fhir/Patient?birthdate=x").Want(t, 422, "validation-failed"))
}

// What R4 allows and MEMS does not keep is passed over; what would change the
// meaning of the rest is refused.
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
			"priority": 5, "description": "words", "supportingInformation": []object{{"reference": "DocumentReference/1"}},
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
			if strings.Contains(string(r.Body), "words") {
				t.Errorf("%s", r.Body)
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
			t.Errorf("%s: %+v", name, outcome)
		}
	}
	// An idempotency key knows both forms of one booking for the same.
	sent, key := full(), http.Header{"Idempotency-Key": {"one"}, "Content-Type": {"application/fhir+json"}}
	once := f.Send(contracttest.Request{Method: "POST", Path: "/fhir/Appointment/$book", Body: sent, Header: key}).Want(t, 201, "")
	again := f.Send(contracttest.Request{
		Method: "POST", Path: "/fhir/Appointment/$book", Header: key,
		Body: object{"resourceType": "Parameters", "parameter": []object{{"name": "appt-resource", "resource": sent}}},
	}).Want(t, 201, "")
	if once.Header.Get("Location") != again.Header.Get("Location") {
		t.Errorf("booked twice: %s, %s", once.Header.Get("Location"), again.Header.Get("Location"))
	}
}

// A refusal says what is in the way and what is free instead; what is free can be
// booked as it stands.
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
				t.Errorf("diagnostics do not say %s: %s", e.ValueReference.Reference, *issue.Diagnostics)
			}
		}
	}
	if conflict == nil || !conflict.Start.Equal(time.Date(2027, 3, 2, 9, 0, 0, 0, time.UTC)) || len(free) == 0 || !strings.Contains(*issue.Diagnostics, "2027-03-02T09:00:00Z") {
		t.Fatalf("%+v", issue)
	}
	delete(body, "start")
	delete(body, "end")
	body["slot"] = []object{{"reference": free[0]}}
	held(t, fhirBook(f.Client, body).Want(t, 201, ""))
	// Outside of the hours, too; and who goes on for a merged record.
	delete(body, "slot")
	body["start"], body["end"] = "2027-03-03T18:00:00Z", "2027-03-03T18:30:00Z"
	if r := held(t, fhirBook(f.Client, body).Want(t, 409, "outside-working-hours")); !strings.Contains(string(r.Body), "urn:mems:alternative") {
		t.Errorf("%s", r.Body)
	}
	gone, stays := f.patient(), f.patient()
	f.Post(fmt.Sprintf("/patients/%d/merge", stays), object{"duplicate_id": gone}).Want(t, 200, "")
	body["start"], body["end"] = "2027-03-03T10:00:00Z", "2027-03-03T10:30:00Z"
	body["participant"] = actors(fmt.Sprintf("Patient/%d", gone), fmt.Sprintf("Practitioner/%d", doctor))
	if r := held(t, fhirBook(f.Client, body)); r.Status == 409 && !strings.Contains(string(r.Body), fmt.Sprintf("Patient/%d", stays)) {
		t.Errorf("%s", r.Body)
	}
}

// The CapabilityStatement is what is served: no parameter more, none less, and how
// to authenticate at this installation.
func TestFHIRCapabilitiesAreExact(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	var s api.FhirCapabilityStatement
	f.fhirs("metadata").Want(t, 200, "").Decode(t, &s)
	served := map[string]bool{}
	for _, r := range s.Rest[0].Resource {
		kind := string(r.Type)
		for _, i := range r.Interaction {
			switch i.Code {
			case "read":
				served["/fhir/"+kind+"/{id}"] = true
			case "search-type":
				served["/fhir/"+kind] = true
			}
		}
		for _, o := range r.Operation {
			served["/fhir/"+kind+"/$"+o.Name] = true
		}
		var listed []string
		for _, p := range r.SearchParam {
			listed = append(listed, p.Name)
		}
		var taken []string
		for _, p := range doc.Paths.Value("/fhir/" + kind).Get.Parameters {
			if name := p.Value.Name; p.Value.In == "query" && !slices.Contains([]string{"_count", "_format", "_pretty", "cursor"}, name) {
				taken = append(taken, name)
			}
		}
		if !slices.Equal(listed, taken) {
			t.Errorf("%s: lists %v, takes %v", kind, listed, taken)
		}
		f.fhirs(kind, "no-such-parameter", "1").Want(t, 422, "validation-failed")
	}
	served["/fhir/metadata"] = true
	for path := range doc.Paths.Map() {
		if strings.HasPrefix(path, "/fhir") != served[path] {
			t.Errorf("%s: stated %t", path, served[path])
		}
	}
	for _, format := range s.Format {
		f.fhirs("metadata", "_format", string(format)).Want(t, 200, "")
	}
	for name, test := range map[string]struct {
		change func(*server.Config)
		oauth  bool
		cors   bool
		says   string
	}{
		"Keys":   {nil, false, false, "X-API-Key"},
		"Tokens": {func(c *server.Config) { c.Tokens = &server.TokenConfig{Issuer: "https://id.example.org"} }, true, false, "Bearer"},
		"CORS":   {func(c *server.Config) { c.CORSOrigins = []string{"https://app.example.org"} }, false, true, "X-API-Key"},
		"Open":   {func(c *server.Config) { c.Open = true }, false, false, "asks nobody"},
	} {
		t.Run(name, func(t *testing.T) {
			secured := setupSecured(t, test.change)
			var s api.FhirCapabilityStatement
			held(t, contracttest.New(t, secured.url).Get("/fhir/metadata")).Want(t, 200, "").Decode(t, &s)
			security := s.Rest[0].Security
			if (len(security.Service) == 1) != test.oauth || security.Cors != test.cors || !strings.Contains(security.Description, test.says) {
				t.Errorf("%+v", security)
			}
		})
	}
}

// A search finds a merged record by its id, as a read does, and the survivor by the
// number and the phone of the merged one.
func TestFHIRFindsMergedPatients(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	gone := f.registered(object{"phone": "+41 44 555 01 77 ext. 12"})
	stays := f.registered(object{"first_name": "Lea"})
	f.Post(fmt.Sprintf("/patients/%d/merge", stays.ID), object{"duplicate_id": gone.ID}).Want(t, 200, "")
	old, now := fmt.Sprint(gone.ID), fmt.Sprint(stays.ID)
	for _, test := range []struct{ parameter, value, want string }{
		{"_id", old, old},
		{"_id", now, now},
		{"identifier", "urn:mems:mrn|" + gone.Mrn, now},
		{"identifier", gone.Mrn, now},
		{"phone", "044 555 01 77 ext. 12", now},
	} {
		var bundle struct {
			Entry []struct{ Resource api.FhirPatient }
		}
		f.fhirs("Patient", test.parameter, test.value).Want(t, 200, "").Decode(t, &bundle)
		if len(bundle.Entry) != 1 || bundle.Entry[0].Resource.ID != test.want {
			t.Errorf("%s=%s finds %+v, want %s", test.parameter, test.value, bundle.Entry, test.want)
		}
		if test.value == old && (len(bundle.Entry) != 1 || bundle.Entry[0].Resource.Link[0].Other.Reference != "Patient/"+now) {
			t.Errorf("%+v does not lead to %s", bundle.Entry, now)
		}
	}
}

// Without an upper bound, free times are looked for in the 14 days after the lower one, or
// after now when that has passed.
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
