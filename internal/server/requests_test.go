package server_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mems/gen/api"
	"mems/internal/contracttest"
)

// oddRequest is a request and its expected response.
type oddRequest struct {
	method, path string
	body         any
	header       http.Header
	status       int
	problemType  string
	violation    string
}

func TestAllViolationsAtOnce(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	vs := f.Post("/patients", object{
		"first_name": "", "last_name": nil, "email": "nope", "phone": "x", "birth_date": "1990-02-31", "a/b~c": 1, "zz": 2,
	}).Want(t, 422, "validation-failed").Violations(t)
	for _, want := range []string{
		"#/first_name min_length", "#/last_name not_null", "#/email format", "#/phone pattern", "#/birth_date format",
		"#/a~1b~0c unknown", "#/zz unknown",
	} {
		if !slices.Contains(vs, want) {
			t.Errorf("violations %v lack %s", vs, want)
		}
	}
	if !slices.IsSorted(vs) {
		t.Errorf("violations = %v, want them sorted", vs)
	}
}

func TestOddRequests(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	patient := fmt.Sprintf("/patients/%d", f.patient())
	huge := strings.Repeat("x", 70<<10)
	type h = http.Header
	for name, test := range map[string]oddRequest{
		"IDZero":               {"GET", "/patients/0", nil, nil, 422, "validation-failed", "id minimum"},
		"IDNegative":           {"GET", "/doctors/-1", nil, nil, 422, "validation-failed", "id minimum"},
		"IDTwoTo63":            {"GET", "/appointments/9223372036854775808", nil, nil, 422, "validation-failed", "id type"},
		"IDTwoTo53":            {"GET", "/appointments/9007199254740992", nil, nil, 422, "validation-failed", "id maximum"},
		"IDText":               {"DELETE", "/patients/abc", nil, nil, 422, "validation-failed", "id type"},
		"IDFraction":           {"GET", "/patients/1.5", nil, nil, 422, "validation-failed", "id type"},
		"IDNotUTF8":            {"GET", "/patients/%ff", nil, nil, 422, "validation-failed", "id type"},
		"IDNul":                {"GET", "/patients/%00", nil, nil, 422, "validation-failed", "id format"},
		"IDPlus":               {"GET", "/patients/+1", nil, nil, 422, "validation-failed", "id type"},
		"IDEncodedPlus":        {"GET", "/doctors/%2B1", nil, nil, 422, "validation-failed", "id type"},
		"IDLeadingZero":        {"DELETE", "/patients/01", nil, nil, 422, "validation-failed", "id type"},
		"IDSpace":              {"GET", "/patients/%201", nil, nil, 422, "validation-failed", "id type"},
		"IDOfQuery":            {"GET", "/appointments?patient_id=01", nil, nil, 422, "validation-failed", "patient_id type"},
		"IDsOfQuery":           {"GET", "/availability?from=2027-03-02T00:00:00Z&to=2027-03-03T00:00:00Z&duration_minutes=30&doctor_id=1,%2B2", nil, nil, 422, "validation-failed", "doctor_id type"},
		"LimitPlus":            {"GET", "/patients?limit=%2B5", nil, nil, 422, "validation-failed", "limit type"},
		"FHIRIDPlus":           {"GET", "/fhir/Patient/01", nil, nil, 404, "patient-not-found", ""},
		"IDUnknownPatient":     {"GET", "/patients/999999", nil, nil, 404, "patient-not-found", ""},
		"IDUnknownDoctor":      {"GET", "/doctors/999999", nil, nil, 404, "doctor-not-found", ""},
		"IDUnknownAppointment": {"GET", "/appointments/999999", nil, nil, 404, "appointment-not-found", ""},
		"PatchUnknown":         {"PATCH", "/doctors/999999", object{"is_active": true}, nil, 404, "doctor-not-found", ""},
		"DeleteUnknown":        {"DELETE", "/doctors/999999", nil, nil, 404, "doctor-not-found", ""},
		"NoSuchPath":           {"GET", "/patient", nil, nil, 404, "not-found", ""},
		"TrailingSlash":        {"GET", "/patients/", nil, nil, 404, "not-found", ""},
		"WrongMethod":          {"PUT", "/patients", object{}, nil, 405, "method-not-allowed", ""},
		"NoBody":               {"POST", "/patients", nil, nil, 422, "validation-failed", "# required"},
		"EmptyBody":            {"POST", "/patients", "", nil, 422, "validation-failed", "# required"},
		"BodyNull":             {"POST", "/patients", "null", nil, 422, "validation-failed", "# not_null"},
		"BodyArray":            {"POST", "/patients", "[]", nil, 422, "validation-failed", "# type"},
		"BodyTruncated":        {"POST", "/patients", `{"first_name":`, nil, 400, "malformed-request", ""},
		"BodyTextAfter":        {"POST", "/patients", `{"first_name":"A","last_name":"B"} x`, nil, 400, "malformed-request", ""},
		"BodyTwice":            {"POST", "/patients", `{"first_name":"A","last_name":"B"}{}`, nil, 400, "malformed-request", ""},
		"BodyNotUTF8":          {"POST", "/patients", []byte("{\"first_name\":\"\xff\",\"last_name\":\"B\"}"), nil, 400, "malformed-request", ""},
		"BodyDuplicateName":    {"POST", "/patients", `{"first_name":"A","last_name":"B","first_name":"C"}`, nil, 400, "malformed-request", ""},
		"BodyOtherCase":        {"POST", "/patients", `{"first_name":"A","last_name":"B","FIRST_NAME":""}`, nil, 422, "validation-failed", "#/FIRST_NAME unknown"},
		"BodyTooLarge":         {"POST", "/patients", object{"first_name": huge}, nil, 413, "payload-too-large", ""},
		"BodyDeep":             {"POST", "/patients", strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), nil, 400, "malformed-request", ""},
		"BodyHugeNumber":       {"POST", "/appointments", `{"patient_id":1e999,"doctor_id":1,"start_time":"2027-03-02T09:00:00Z","duration_minutes":30}`, nil, 422, "validation-failed", ""},
		"ControlCharacters":    {"POST", "/patients", object{"first_name": "A\u0000", "last_name": "B"}, nil, 422, "validation-failed", "#/first_name pattern"},
		"OnlySpaces":           {"POST", "/patients", object{"first_name": "  ", "last_name": "B"}, nil, 422, "validation-failed", "#/first_name pattern"},
		"NameGrowsWhenNFC":     {"POST", "/patients", object{"first_name": strings.Repeat("\u0958", 60), "last_name": "B"}, nil, 422, "validation-failed", "#/first_name max_length"},
		"BornTomorrow":         {"POST", "/patients", object{"first_name": "A", "last_name": "B", "birth_date": "2027-03-02"}, nil, 422, "validation-failed", "#/birth_date future"},
		"BornToday":            {"POST", "/patients", object{"first_name": "A", "last_name": "B", "birth_date": "2027-03-01"}, nil, 201, "", ""},
		"NaiveTime":            {"POST", "/appointments", object{"patient_id": 1, "doctor_id": 1, "start_time": "2027-03-02T09:00:00", "duration_minutes": 30}, nil, 422, "validation-failed", "#/start_time format"},
		"TooLateTime":          {"POST", "/appointments", object{"patient_id": 1, "doctor_id": 1, "start_time": "9999-12-31T23:59:59-12:00", "duration_minutes": 30}, nil, 422, "validation-failed", "#/start_time format"},
		"LeapSecond":           {"POST", "/appointments", object{"patient_id": 1, "doctor_id": 1, "start_time": "2027-06-30T23:59:60Z", "duration_minutes": 30}, nil, 422, "validation-failed", "#/start_time format"},
		"NoItems":              {"POST", "/plans/1/apply", object{"appointment_ids": []int{}}, nil, 422, "validation-failed", "#/appointment_ids min_items"},
		"TooManyItems":         {"POST", "/patients", object{"first_name": "A", "last_name": "B", "identifiers": slices.Repeat([]object{{"system": "a", "value": "b"}}, 100)}, nil, 422, "validation-failed", "#/identifiers max_items"},
		"EmptyPatch":           {"PATCH", patient, object{}, nil, 422, "validation-failed", "# min_properties"},
		"PatchNullName":        {"PATCH", patient, object{"last_name": nil}, nil, 422, "validation-failed", "#/last_name not_null"},
		"PatchAsJSON":          {"PATCH", patient, object{"last_name": "X"}, h{"Content-Type": {"application/json"}}, 415, "unsupported-media-type", ""},
		"NoContentType":        {"POST", "/patients", "{}", h{"Content-Type": nil}, 415, "unsupported-media-type", ""},
		"WrongContentType":     {"POST", "/patients", "a=b", h{"Content-Type": {"application/x-www-form-urlencoded"}}, 415, "unsupported-media-type", ""},
		"WrongCharset":         {"POST", "/patients", "{}", h{"Content-Type": {"application/json; charset=latin1"}}, 415, "unsupported-media-type", ""},
		"RightCharset":         {"POST", "/patients", `{"first_name":"A","last_name":"B"}`, h{"Content-Type": {"application/json; charset=UTF-8"}}, 201, "", ""},
		"NotAcceptable":        {"GET", patient, nil, h{"Accept": {"text/html, application/json;q=0"}}, 406, "not-acceptable", ""},
		"AcceptAny":            {"GET", patient, nil, h{"Accept": {"text/html, */*;q=0.1"}}, 200, "", ""},
		"AcceptRange":          {"GET", patient, nil, h{"Accept": {"application/*"}}, 200, "", ""},
		"AcceptBroken":         {"GET", patient, nil, h{"Accept": {";;"}}, 406, "not-acceptable", ""},
		"IfMatchBroken":        {"DELETE", patient, nil, h{"If-Match": {"1"}}, 422, "validation-failed", "If-Match pattern"},
		"IfMatchWeak":          {"DELETE", patient, nil, h{"If-Match": {`W/"1"`}}, 412, "precondition-failed", ""},
		"IfMatchForeign":       {"DELETE", patient, nil, h{"If-Match": {`"abc"`}}, 412, "precondition-failed", ""},
		"GetWithBody":          {"GET", patient, "ignored", h{"Content-Type": {"text/plain"}}, 200, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			header := test.header
			r := f.Send(contracttest.Request{Method: test.method, Path: test.path, Body: test.body, Header: header}).Want(t, test.status, test.problemType)
			if test.violation != "" {
				if vs := r.Violations(t); !slices.Contains(vs, test.violation) {
					t.Errorf("violations %v, want %s", vs, test.violation)
				}
			}
			switch test.status {
			case 405:
				if r.Header.Get("Allow") == "" {
					t.Errorf("405 with headers %v, want an Allow", r.Header)
				}
			case 415:
				if r.Header.Get("Accept")+r.Header.Get("Accept-Patch") == "" {
					t.Errorf("415 with headers %v, want an Accept or Accept-Patch", r.Header)
				}
			}
		})
	}
}

// No appointment ends after the last instant of the contract.
func TestEndsBeforeTheYear9999(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	patient, doctor := f.patient(), f.doctor()
	body := object{"patient_id": patient, "doctor_id": doctor, "start_time": "9998-12-31T23:29:00Z", "duration_minutes": 30}
	var a api.Appointment
	f.Post("/appointments", body).Want(t, 201, "").Decode(t, &a)
	last := object{"patient_id": f.patient(), "doctor_id": f.doctor(), "start_time": "9998-12-31T23:45:00Z", "duration_minutes": 30}
	for path, body := range map[string]object{"/appointments": last, "/holds": last} {
		if vs := f.Post(path, body).Want(t, 422, "validation-failed").Violations(t); !slices.Equal(vs, []string{"#/start_time maximum"}) {
			t.Errorf("POST %s: violations %v, want [#/start_time maximum]", path, vs)
		}
	}
	path := fmt.Sprintf("/appointments/%d/reschedule", a.ID)
	if vs := f.Post(path, object{"start_time": "9998-12-31T23:59:00Z"}).Want(t, 422, "validation-failed").Violations(t); !slices.Equal(vs, []string{"#/start_time maximum"}) {
		t.Errorf("POST %s: violations %v, want [#/start_time maximum]", path, vs)
	}
}

func TestPatients(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	r := f.Post("/patients", object{
		"first_name": " Zoe\u0308 ", "last_name": "Muster", "email": " Zoe@Example.org ", "phone": "+41 44 555 01 23 ", "birth_date": "1984-02-29",
	}).Want(t, 201, "")
	path := r.Header.Get("Location")
	var p api.Patient
	r.Decode(t, &p)
	if p.FirstName != "Zoë" || p.Email.MustGet() != "Zoe@Example.org" || p.Phone.MustGet() != "+41 44 555 01 23" || p.BirthDate.MustGet().String() != "1984-02-29" {
		t.Errorf("registered patient = %s, want names and contacts trimmed and normalised", r.Body)
	}
	alone := bytes.Replace(r.Body, []byte(`"possible_duplicates":[],`), nil, 1)
	if got := f.Get(path); !bytes.Equal(got.Body, alone) {
		t.Errorf("read patient = %s, want it as registered: %s", got.Body, alone)
	}
	for _, same := range []string{"zoe@example.org", "ZOE@EXAMPLE.ORG", "\tzoe@example.ORG "} {
		taken := f.Post("/patients", object{"first_name": "A", "last_name": "B", "email": same}).Want(t, 409, "email-taken")
		if strings.Contains(string(taken.Body), "Muster") || strings.Contains(string(taken.Body), path) {
			t.Errorf("409 email-taken: %s, want it without the other patient's name and id", taken.Body)
		}
	}
	r = f.Patch(path, object{"email": nil, "last_name": "Meier"}).Want(t, 200, "")
	p = api.Patient{}
	r.Decode(t, &p)
	if !p.Email.IsNull() || p.LastName != "Meier" || p.Phone.MustGet() != "+41 44 555 01 23" || r.Header.Get("ETag") != `"2"` {
		t.Errorf("patched patient = %s %s, want version 2, named Meier, without an e-mail address",
			r.Header.Get("ETag"), r.Body)
	}
	f.Post("/patients", object{"first_name": "A", "last_name": "B", "email": "zoe@example.org"}).Want(t, 201, "") // free again
	f.Patch(path, object{"email": "Zoe@example.org"}).Want(t, 409, "email-taken")
	stale := http.Header{"If-Match": {`"1"`}, "Content-Type": {"application/merge-patch+json"}}
	f.Send(contracttest.Request{Method: "PATCH", Path: path, Body: object{"phone": nil}, Header: stale}).Want(t, 412, "precondition-failed")
	f.Send(contracttest.Request{Method: "DELETE", Path: path, Header: http.Header{"If-Match": {"*"}}}).Want(t, 204, "")
	f.Delete(path).Want(t, 404, "patient-not-found")

	used := f.patient()
	a := f.booked(used, f.doctor(), "2027-03-02T10:00:00Z", 15)
	f.Post(fmt.Sprintf("/appointments/%d/cancel", a.ID), object{"reason": "other"}).Want(t, 200, "")
	f.Delete(fmt.Sprintf("/patients/%d", used)).Want(t, 409, "has-appointments") // a cancelled one counts
	f.Delete(fmt.Sprintf("/doctors/%d", a.DoctorID)).Want(t, 409, "has-appointments")
	f.Delete(fmt.Sprintf("/doctors/%d", f.doctor())).Want(t, 204, "")
}

// Fifty clients register the same address at once, in different spellings.
func TestEmailIsUniqueUnderRace(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	clients := []*fixture{f, setupOn(t, f.db, "UTC")}
	spellings := []string{"ann@example.org", "ANN@example.org", " Ann@Example.Org", "ann@EXAMPLE.org  ", "aNN@example.org"}
	statuses := make([]int, 50)
	together(50, func(i int) {
		r := clients[i%2].Post("/patients", object{"first_name": "Ann", "last_name": "M", "email": spellings[i%len(spellings)]})
		statuses[i] = r.Status
		if r.Status != 201 {
			r.Want(t, 409, "email-taken")
		}
	})
	created := 0
	for _, s := range statuses {
		if s == 201 {
			created++
		}
	}
	if created != 1 {
		t.Errorf("%d created, want 1", created)
	}
}

func TestSystem(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich")
	f.Get("/healthz").Want(t, 200, "")
	f.Get("/readyz").Want(t, 200, "")
	var v api.Version
	f.Get("/version").Want(t, 200, "").Decode(t, &v)
	if v.TimeZone != "Europe/Zurich" || v.ContractVersion == "" {
		t.Errorf("version = %+v, want the zone Europe/Zurich and a contract version", v)
	}
	contract, err := os.ReadFile("../../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Get("/openapi.yaml").Want(t, 200, ""); !bytes.Equal(got.Body, contract) {
		t.Errorf("/openapi.yaml = %d bytes, want the %d of openapi.yaml, byte for byte",
			len(got.Body), len(contract))
	}
	if got := f.Get("/docs").Want(t, 200, ""); !strings.Contains(string(got.Body), "/docs/scalar.js") || !strings.Contains(got.Header.Get("Content-Security-Policy"), "default-src 'self'") {
		t.Errorf("/docs = %s %s, want its scripts, and a policy of 'self'", got.Header, got.Body)
	}
	// Styles are allowed by a nonce, a new one for each response, and nothing else inline.
	nonces := map[string]bool{}
	for range 2 {
		page := f.Get("/docs")
		policy := page.Header.Get("Content-Security-Policy")
		nonce := regexp.MustCompile(`'nonce-([A-Z2-7]{26})'`).FindStringSubmatch(policy)
		if nonce == nil || !strings.Contains(string(page.Body), `nonce="`+nonce[1]+`"`) || nonces[nonce[1]] {
			t.Fatalf("policy = %s, want a new nonce that the page has:\n%s", policy, page.Body)
		}
		nonces[nonce[1]] = true
	}
	for _, path := range []string{"/docs", "/problems", "/problems/not-found", "/doctors", "/none", "/docs/scalar.js"} {
		policy := f.Get(path).Header.Get("Content-Security-Policy")
		if policy == "" || strings.Contains(policy, "unsafe") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("policy of %s = %q, want no unsafe source and frame-ancestors 'none'", path, policy)
		}
	}
	f.Get("/").Want(t, 302, "")
	for _, path := range []string{"/docs/init.js", "/docs/styles.js", "/docs/style.css", "/docs/scalar.js"} {
		plain := f.Send(contracttest.Request{Method: "GET", Path: path, Header: http.Header{"Accept-Encoding": {"identity"}}}).Want(t, 200, "")
		packed := f.Send(contracttest.Request{Method: "GET", Path: path, Header: http.Header{"Accept-Encoding": {"gzip"}}}).Want(t, 200, "")
		body := packed.Body
		if packed.Header.Get("Content-Encoding") == "gzip" {
			r, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if body, err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
		}
		if len(body) == 0 || !bytes.Equal(body, plain.Body) {
			t.Errorf("%s: %d bytes compressed and %d plain, want the same text", path, len(body), len(plain.Body))
		}
	}
	all := f.Get("/problems").Want(t, 200, "")
	for slug := range problemSlugs(t) {
		page := f.Get("/problems/"+slug).Want(t, 200, "")
		if !strings.Contains(string(page.Body), slug) || !strings.Contains(string(all.Body), slug) {
			t.Errorf("pages of problems lack %s, want it on its own page and in the list", slug)
		}
	}
	f.Get("/problems/unheard-of").Want(t, 422, "validation-failed")

	head := f.Send(contracttest.Request{Method: "HEAD", Path: "/doctors"}).Want(t, 200, "")
	if len(head.Body) != 0 || head.Header.Get("Content-Type") != "application/json" {
		t.Errorf("HEAD = %v %q, want no body and application/json", head.Header, head.Body)
	}
	named := f.Send(contracttest.Request{Method: "GET", Path: "/healthz", Header: http.Header{"X-Request-Id": {"abc-1"}}})
	forged := f.Send(contracttest.Request{Method: "GET", Path: "/healthz", Header: http.Header{"X-Request-Id": {"a b"}}})
	if named.Header.Get("X-Request-ID") != "abc-1" || forged.Header.Get("X-Request-ID") == "a b" {
		t.Errorf("X-Request-ID = %q and %q, want abc-1 kept and %q replaced",
			named.Header.Get("X-Request-ID"), forged.Header.Get("X-Request-ID"), "a b")
	}
}

// A condition that an operation does not check, and a body that it does not take, are rejected: if
// they were ignored, their sender would believe that they applied. What generic clients send
// without meaning anything by it is accepted.
func TestWhatIsNotSupportedIsRejected(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	patient := fmt.Sprintf("/patients/%d", f.patient())
	confirm := fmt.Sprintf("/appointments/%d/confirm", f.booked(f.patient(), f.doctor(), "2027-03-02T10:00:00Z", 30).ID)
	type h = http.Header
	merge := func(name, value string) h { return h{"Content-Type": {"application/merge-patch+json"}, name: {value}} }
	for name, test := range map[string]struct {
		oddRequest

		text string // in the response
	}{
		"NoneMatchOnPatch":  {oddRequest{"PATCH", patient, object{"last_name": "X"}, merge("If-None-Match", `"1"`), 422, "validation-failed", "If-None-Match unknown"}, "as If-Match"},
		"NoneMatchOnDelete": {oddRequest{"DELETE", patient, nil, h{"If-None-Match": {"*"}}, 422, "validation-failed", "If-None-Match unknown"}, "as If-Match"},
		"MatchOnCreate":     {oddRequest{"POST", "/rooms", object{"name": "A"}, h{"Content-Type": {"application/json"}, "If-Match": {`"1"`}}, 422, "validation-failed", "If-Match unknown"}, "leave it out"},
		"MatchOnRead":       {oddRequest{"GET", patient, nil, h{"If-Match": {`"1"`}}, 200, "", ""}, ""},
		"NoneMatchOnRead":   {oddRequest{"GET", patient, nil, h{"If-None-Match": {`"1"`}}, 200, "", ""}, ""},
		"MatchUnquoted":     {oddRequest{"PATCH", patient, object{"last_name": "X"}, merge("If-Match", "1"), 422, "validation-failed", "If-Match pattern"}, "in double quotes"},
		"MatchWeak":         {oddRequest{"PATCH", patient, object{"last_name": "X"}, merge("If-Match", `W/"1"`), 412, "precondition-failed", ""}, "without W/"},
		"MatchStale":        {oddRequest{"PATCH", patient, object{"last_name": "X"}, merge("If-Match", `"7"`), 412, "precondition-failed", ""}, "Read the record again"},
		"Body":              {oddRequest{"POST", confirm, object{"note": "by phone"}, nil, 422, "validation-failed", "# unknown"}, "takes no body"},
		"BodyLong":          {oddRequest{"POST", confirm, object{"note": strings.Repeat("x", 100_000)}, nil, 422, "validation-failed", "# unknown"}, "takes no body"},
		"BodyOfSpaces":      {oddRequest{"POST", confirm, strings.Repeat(" ", 1000), nil, 422, "validation-failed", "# unknown"}, "takes no body"},
		"BodyOnDelete":      {oddRequest{"DELETE", patient, object{"reason": "x"}, nil, 422, "validation-failed", "# unknown"}, "takes no body"},
		"EmptyObject":       {oddRequest{"POST", confirm, " {}\n", nil, 200, "", ""}, ""},
		"TooLarge":          {oddRequest{"POST", "/patients", object{"first_name": strings.Repeat("x", 70_000)}, nil, 413, "payload-too-large", ""}, "more than 65536 bytes"},
		"FHIRPath":          {oddRequest{"GET", "/fhir/Observation", nil, nil, 404, "", ""}, "/fhir/metadata"},
		"Webhook":           {oddRequest{"POST", "/webhooks", object{"url": "http://partner.example.org"}, nil, 422, "validation-failed", "#/url pattern"}, "MEMS_WEBHOOK_NETWORKS"},
	} {
		t.Run(name, func(t *testing.T) {
			r := f.Send(contracttest.Request{Method: test.method, Path: test.path, Body: test.body, Header: test.header})
			if r.Status != test.status {
				t.Fatalf("status %d, want %d: %s", r.Status, test.status, r.Body)
			}
			if test.problemType != "" {
				r.Want(t, test.status, test.problemType)
			}
			if test.violation != "" {
				if vs := r.Violations(t); !slices.Equal(vs, []string{test.violation}) {
					t.Errorf("violations %v, want %s", vs, test.violation)
				}
			}
			if !strings.Contains(string(r.Body), test.text) {
				t.Errorf("problem = %s, want it to say %q", r.Body, test.text)
			}
		})
	}
}
