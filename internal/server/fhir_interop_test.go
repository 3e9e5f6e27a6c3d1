package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"mems/gen/api"
	"mems/internal/contracttest"
	"mems/internal/server"
)

// A FHIR client can request JSON under any of its names.
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
				t.Errorf("%s with Accept %q = %d %s, want %d application/fhir+json",
					path, accept, r.Status, r.Header.Get("Content-Type"), status)
			}
		}
	}
	for format, status := range map[string]int{
		"json": 200, "application/json": 200, "text/json": 200, "application/fhir+json": 200, "application/fhir%2Bjson": 200,
		"application/fhir%20json": 200, "JSON": 406, "application/fhir+json%3BfhirVersion=4.0": 200, "application%2Fjson%3Bcharset=utf-8": 200,
		"xml": 406, "application/fhir+xml": 406, "html": 406, "ttl": 406, "": 422,
	} {
		for _, path := range []string{patient, "/fhir/Patient", "/fhir/metadata"} {
			// It takes precedence over Accept.
			r := held(t, f.Send(contracttest.Request{Method: "GET", Path: path + "?_format=" + format, Header: http.Header{"Accept": {"application/fhir+json"}}}))
			if r.Status != status {
				t.Errorf("%s?_format=%s = %d, want %d", path, format, r.Status, status)
			}
		}
	}
	held(t, f.Send(contracttest.Request{Method: "GET", Path: patient + "?_format=json", Header: http.Header{"Accept": {"text/html"}}}).Want(t, 200, ""))
	// SMART's client sends a Content-Type with every request.
	held(t, f.Send(contracttest.Request{Method: "GET", Path: patient, Header: http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}}).Want(t, 200, ""))
	f.Get("/fhir/Patient", "_pretty", "true").Want(t, 200, "")
	f.Get("/fhir/Patient", "_summary", "count").Want(t, 422, "validation-failed")
}

// Errors under /fhir are OperationOutcomes, whichever layer reports them.
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
				t.Errorf("answer = %d %s, want %d with a problem", r.Status, r.Body, test.status)
			}
			if r.Status == 405 && r.Header.Get("Allow") == "" {
				t.Errorf("405 without Allow, want the methods: headers %v", r.Header)
			}
		})
	}
	// The request has more violations than an OperationOutcome has issues.
	var query []string
	for i := range 100 {
		query = append(query, fmt.Sprintf("x%d", i), "1")
	}
	f.fhirs("Patient", query...).Want(t, 422, "validation-failed")
	limited := setupSecured(t, func(c *server.Config) { c.RateLimit = 1 })
	nobody := contracttest.New(t, limited.url)
	held(t, nobody.Get("/fhir/Patient").Want(t, 401, "unauthenticated"))
	if r := held(t, nobody.Get("/fhir/Patient").Want(t, 429, "rate-limited")); r.Header.Get("Retry-After") == "" {
		t.Errorf("429 without Retry-After, want it: headers %v", r.Header)
	}
}

// A resource may be referenced by its URL on this server; other references are rejected with the
// reason.
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
			t.Errorf("%s?%s=%s finds %v, want one", test.path, test.parameter, test.value, got)
		}
	}
	for _, value := range []string{fmt.Sprintf("%sSchedule/%d", own, doctor), fmt.Sprintf("Schedule/%d,%sSchedule/%d", doctor, own, doctor)} {
		if got := found(t, f.fhirs("Slot", "schedule", value, "start", "2027-03-03", "_count", "3")); len(got) != 3 {
			t.Errorf("slots of schedule %s = %v, want 3", value, got)
		}
	}
	if got := found(t, f.fhirs("Appointment/$find", "practitioner", fmt.Sprintf("%sPractitioner/%d", own, doctor), "start", "2027-03-03", "_count", "3")); len(got) != 3 {
		t.Errorf("$find proposes %v, want 3", got)
	}
	for _, value := range []string{
		"https://elsewhere.example.org/fhir/Patient/1", "urn:uuid:6b7a0f2c-4b0b-4c88-9a0f-1f3f2f1f7a11", "#patient", "Practitioner/1", "Location/1",
		"Patient/", "Patient/1/2", "a/b/c", f.url + "/patients/1", "Patient/1,Patient/2", "http://[", "Patient/ä",
	} {
		f.fhirs("Appointment", "patient", value).Want(t, 422, "validation-failed")
	}
	f.fhirs("Appointment", "actor", "1").Want(t, 422, "validation-failed")
	f.fhirs("Slot", "schedule", strings.Repeat("1,", 20)+"1").Want(t, 422, "validation-failed")
	// The URL of an entry can be read, and references the same resource.
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
		t.Errorf("reference to another server: %s, want a refusal that says so", r.Body)
	}
}

// Lists of ids, counts that are reduced or 0, and birth dates with prefixes.
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
		t.Errorf("appointments by two ids = %v, want both", got)
	}
	if got := found(t, f.fhirs("Practitioner", "_id", fmt.Sprintf("%d,77777", doctor))); len(got) != 1 {
		t.Errorf("practitioners by a known and an unknown id = %v, want one", got)
	}
	if got := found(t, f.fhirs("Schedule", "_id", "1,2")); len(got) != 2 {
		t.Errorf("schedules by two ids = %v, want both", got)
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
	// Unknown parameters are rejected unless the client asks for lenient handling.
	held(t, f.Get("/fhir/Patient?surname=x").Want(t, 422, "validation-failed"))
	held(t, f.With("Prefer", "handling=strict").Get("/fhir/Patient?surname=x").Want(t, 422, "validation-failed"))
	var bundle api.FhirPatientBundle
	held(t, f.With("Prefer", "return=minimal; handling=lenient").Get("/fhir/Patient?surname=x&birthdate=1981")).Want(t, 200, "").Decode(t, &bundle)
	if len(bundle.Entry) != 1 || strings.Contains(bundle.Link[0].URL, "surname") || !strings.Contains(bundle.Link[0].URL, "birthdate=1981") {
		t.Errorf("bundle: %+v, want one entry and a link that omits surname and keeps birthdate", bundle)
	}
	held(t, f.With("Prefer", "handling=lenient").Get("/fhir/Patient?birthdate=x").Want(t, 422, "validation-failed"))
}

// The CapabilityStatement matches what is served: exactly the parameters, and how to authenticate
// at this installation.
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
			t.Errorf("%s: the statement lists %v, want what the server takes: %v", kind, listed, taken)
		}
		f.fhirs(kind, "no-such-parameter", "1").Want(t, 422, "validation-failed")
	}
	served["/fhir/metadata"] = true
	for path := range doc.Paths.Map() {
		if strings.HasPrefix(path, "/fhir") != served[path] {
			t.Errorf("%s: in the capability statement %t, want %t", path, served[path], strings.HasPrefix(path, "/fhir"))
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
				t.Errorf("security = %+v, want OAuth %t, CORS %t and a description with %q",
					security, test.oauth, test.cors, test.says)
			}
		})
	}
}

// A search finds a merged record by its id, as a read does, and the survivor by the merged record's
// number and phone.
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
			t.Errorf("search by the old id: %+v, want one entry that links to Patient/%s", bundle.Entry, now)
		}
	}
}
