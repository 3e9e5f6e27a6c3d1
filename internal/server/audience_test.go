package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/contracttest"
)

// staffWords fill every marked free-text member of the clinic below.
const staffWords = "Words of staff 7c1f."

// confidential is a clinic in which every marked member has a value.
type confidential struct {
	*secured
	doctors [2]int64
	patient int64 // whom the partner registered
	// ids are the ids of the records of a collection, by its path.
	ids     map[string][]string
	callers map[string]*contracttest.Client
	partner *contracttest.Client // reaches what it made
	// appointments of the patient: one whose rules were broken, a cancelled one.
	overridden, cancelled int64
}

func newConfidential(t *testing.T) *confidential {
	t.Helper()
	s := setupSecured(t, nil)
	c := &confidential{
		secured: s, doctors: [2]int64{s.doctor(), s.doctor()}, ids: map[string][]string{}, callers: map[string]*contracttest.Client{},
	}
	own := slices.DeleteFunc(clinic.Scopes(), func(scope string) bool { return scope == clinic.ScopeRecordsAll })
	c.partner, _ = s.key("partner", object{"scopes": own})
	for _, role := range clinic.Roles() {
		switch role {
		case clinic.RolePartner:
			c.callers["partner"] = c.partner
			c.callers["partner with every scope"], _ = s.key("partner", object{"scopes": clinic.Scopes()})
		case clinic.RoleDoctor:
			c.callers["doctor"], _ = s.key("doctor", object{"doctor_id": c.doctors[0]})
		default:
			c.callers[string(role)], _ = s.key(string(role), nil)
		}
	}
	c.patient = c.made(c.partner, "/patients", object{"first_name": "Ann", "last_name": "Muster"})
	other := c.made(s.admin, "/patients", object{"first_name": "Bea", "last_name": "Beispiel"})
	c.ids["/patients"] = []string{fmt.Sprint(c.patient)}
	c.ids["/doctors"] = []string{fmt.Sprint(c.doctors[0]), fmt.Sprint(c.doctors[1])}

	book := func(doctor int64, start string) int64 {
		return c.made(c.partner, "/appointments", object{
			"patient_id": c.patient, "doctor_id": doctor, "start_time": start, "duration_minutes": 30, "note": staffWords,
		})
	}
	book(c.doctors[1], "2027-03-02T09:00:00Z")
	c.overridden = book(c.doctors[0], "2027-03-02T10:00:00Z")
	s.admin.Post(fmt.Sprintf("/appointments/%d/reschedule", c.overridden), object{
		"start_time": "2027-03-02T09:00:00Z", "override": object{"rules": []string{"patient-overlap"}, "reason": staffWords},
	}).Want(t, 200, "")
	c.cancelled = book(c.doctors[0], "2027-03-03T09:00:00Z")
	cancel := object{"reason": "patient_request", "note": staffWords}
	s.admin.Post(fmt.Sprintf("/appointments/%d/cancel", c.cancelled), cancel).Want(t, 200, "")
	series := c.made(c.partner, "/appointment-series", object{
		"patient_id": c.patient, "doctor_id": c.doctors[0], "start_time": "2027-03-09T09:00:00Z",
		"rule": "FREQ=WEEKLY;COUNT=2", "duration_minutes": 30,
	})
	s.admin.Post(fmt.Sprintf("/appointment-series/%d/cancel", series), cancel).Want(t, 200, "")
	c.ids["/appointment-series"] = []string{fmt.Sprint(series)}

	for i, doctor := range c.doctors {
		path := fmt.Sprintf("/doctors/%d/time-off", doctor)
		day := fmt.Sprintf("2027-03-%02d", 4+i)
		away := object{"first_date": day, "last_date": day, "reason": "illness", "note": staffWords}
		c.ids[path] = []string{fmt.Sprint(c.made(s.admin, path, away))}
		s.hours(doctor, "UTC", "08:00-18:00")
	}
	for path, body := range map[string]object{
		"/closures":          {"first_date": "2027-03-06", "last_date": "2027-03-06", "name": "Works"},
		"/plans":             {"doctor_id": c.doctors[0], "first_date": "2027-03-02", "last_date": "2027-03-02"},
		"/walk-ins":          {"patient_id": c.patient, "doctor_id": c.doctors[0], "note": staffWords},
		"/webhooks":          {"url": "https://hooks.example.org/mems"},
		"/rooms":             {"name": "Room 1"},
		"/appointment-types": {"name": "Check-up", "duration_minutes": 30},
	} {
		c.ids[strings.Replace(path, "walk-ins", "tickets", 1)] = []string{fmt.Sprint(c.made(s.admin, path, body))}
	}
	c.ids["/holds"] = []string{fmt.Sprint(c.made(c.partner, "/holds", object{
		"doctor_id": c.doctors[1], "start_time": "2027-03-02T15:00:00Z", "duration_minutes": 30,
	}))}
	c.ids["/waitlist"] = []string{fmt.Sprint(c.made(c.partner, "/waitlist", object{
		"patient_id": c.patient, "doctor_ids": []int64{c.doctors[0]}, "duration_minutes": 30,
		"from": "2027-03-20T00:00:00Z", "to": "2027-03-21T00:00:00Z", "note": staffWords,
	}))}
	var feed api.CalendarFeedCreated
	s.admin.Post("/calendar-feeds", object{"name": "Phone", "doctor_id": c.doctors[0]}).Want(t, 201, "").Decode(t, &feed)
	c.ids["/calendar-feeds"] = []string{fmt.Sprint(feed.ID)}
	c.ids["/calendars"] = []string{strings.TrimPrefix(feed.URL, "/calendars/")}
	c.ids["/api-keys"] = []string{"1"}
	c.ids["/appointments"] = []string{fmt.Sprint(c.overridden), fmt.Sprint(c.cancelled)}
	c.ids["/problems"] = []string{"not-found"}
	for resource, collection := range map[string]string{
		"Patient": "/patients", "Practitioner": "/doctors", "Schedule": "/doctors", "Appointment": "/appointments",
	} {
		c.ids["/fhir/"+resource] = c.ids[collection]
	}
	c.ids["/fhir/Slot"] = []string{fmt.Sprintf("%d-20270302T1200Z-30", c.doctors[0])}
	s.admin.Post(fmt.Sprintf("/patients/%d/erase", other), object{"reason": staffWords}).Want(t, 200, "")
	return c
}

// made returns the id of a record that a client creates.
func (c *confidential) made(client *contracttest.Client, path string, body object) int64 {
	c.t.Helper()
	answer := client.Post(path, body)
	if answer.Status != http.StatusCreated {
		c.t.Fatalf("POST %s = %d %s, want 201", path, answer.Status, answer.Body)
	}
	location := answer.Header.Get("Location")
	var id int64
	if _, err := fmt.Sscan(location[strings.LastIndexByte(location, '/')+1:], &id); err != nil {
		c.t.Fatalf("POST %s: Location %q, want one that ends with the id", path, location)
	}
	return id
}

// addresses are the URLs of a path of the contract, with the queries that make it return something.
func (c *confidential) addresses(path string) []string {
	found := []string{""}
	for part := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		var longer []string
		for _, address := range found {
			if !strings.HasPrefix(part, "{") {
				longer = append(longer, address+"/"+part)
				continue
			}
			for _, id := range c.ids[address] {
				longer = append(longer, address+"/"+id)
			}
		}
		found = longer
	}
	duplicate := c.made(c.admin, "/patients", object{"first_name": "Cy", "last_name": "Dup"})
	queries := map[string][]string{
		"/patients/{id}/merge-preview": {fmt.Sprintf("?duplicate_id=%d", duplicate)},
		"/availability":                {"?from=2027-03-02T00:00:00Z&to=2027-03-08T00:00:00Z&duration_minutes=30"},
		"/availability/next":           {"?duration_minutes=30"},
		"/appointments": {
			"?date=2027-03-02", fmt.Sprintf("?patient_id=%d&include=patient,doctor", c.patient),
			fmt.Sprintf("?doctor_id=%d&from=2027-03-01T00:00:00Z&to=2027-03-20T00:00:00Z", c.doctors[0]),
		},
		"/schedule": {
			fmt.Sprintf("?doctor_id=%d,%d&first_date=2027-03-01&last_date=2027-03-20", c.doctors[0], c.doctors[1]),
			fmt.Sprintf("?doctor_id=%d&first_date=2027-03-01&last_date=2027-03-20&include=patient,doctor", c.doctors[0]),
		},
		"/patients":               {"?name=Muster"},
		"/appointments/{id}":      {"", "?include=patient,doctor"},
		"/queue":                  {fmt.Sprintf("?doctor_id=%d", c.doctors[0])},
		"/changes":                {"", "?include=record&limit=200"},
		"/fhir/Patient":           {"?name=Muster"},
		"/fhir/Slot":              {fmt.Sprintf("?schedule=Schedule/%d&start=ge2027-03-02&start=lt2027-03-03&duration=30", c.doctors[0])},
		"/fhir/Appointment/$find": {fmt.Sprintf("?practitioner=Practitioner/%d&start=ge2027-03-02&start=lt2027-03-03&duration=30", c.doctors[0])},
		"/fhir/Appointment":       {fmt.Sprintf("?patient=Patient/%d", c.patient)},
		"/audit":                  {"?limit=200", "?operation=erasePatient"},
	}[path]
	if queries == nil {
		return found
	}
	var whole []string
	for _, address := range found {
		for _, query := range queries {
			whole = append(whole, address+query)
		}
	}
	return whole
}

// check fails the test if a response has a marked member that the caller may not read, and returns
// the marked members that it has.
func (c *confidential) check(name string, op *openapi3.Operation, answer *contracttest.Response) []sight {
	c.t.Helper()
	response := op.Responses.Value(fmt.Sprint(answer.Status))
	if response == nil {
		return nil // the client that sent it has failed the test
	}
	seen := sightings(c.t, response.Value, answer)
	for _, s := range seen {
		switch {
		case strings.HasPrefix(name, "partner"), name == "nobody":
			c.t.Errorf("%s by %s shows %s, want it left out", op.OperationID, name, s)
		case name == "doctor" && s.doctor != 0 && s.doctor != c.doctors[0]:
			c.t.Errorf("%s by a doctor shows a colleague's %s, want it left out", op.OperationID, s)
		}
	}
	outside := strings.HasPrefix(name, "partner") || name == "nobody" || op.OperationID == "getCalendar"
	body := string(answer.Body)
	shows := strings.Contains(body, staffWords) || strings.Contains(body, "illness")
	if outside && shows && !slices.Contains(op.Tags, "System") {
		c.t.Errorf("%s by %s = %s, want no texts of staff", op.OperationID, name, body)
	}
	return seen
}

// Every role reads every GET of the contract: a caller outside the audience of a marked member
// never sees it, a caller inside always does. A member that no record of this clinic shows fails
// the test.
func TestStaffWordsByEveryRole(t *testing.T) {
	t.Parallel()
	c := newConfidential(t)
	c.callers["nobody"] = contracttest.New(t, c.url)
	shown := map[string]map[string]bool{} // by caller
	for path, item := range spec(t).Paths.Map() {
		op := item.Get
		if op == nil {
			continue
		}
		read := false
		addresses := c.addresses(path)
		for _, address := range addresses {
			whole := c.check("admin", op, c.admin.Get(address))
			for name, client := range c.callers {
				answer := client.Get(address)
				read = read || answer.Status == 200
				if answer.Status >= 400 && answer.Status != 401 && answer.Status != 403 && answer.Status != 404 {
					t.Errorf("GET %s by %s = %d %s, want success, 401, 403 or 404",
						address, name, answer.Status, answer.Body)
				}
				seen := c.check(name, op, answer)
				for _, s := range seen {
					if shown[name] == nil {
						shown[name] = map[string]bool{}
					}
					shown[name][s.member] = shown[name][s.member] || s.value != nil
				}
				all := answer.Status == 200 && (name == "receptionist" || name == "manager")
				if all && len(seen) != len(whole) && path != "/patients/{id}/export" { // every reading adds to its audit trail
					t.Errorf("GET %s by %s shows %d members for staff, want the %d that an administrator sees",
						address, name, len(seen), len(whole))
				}
			}
		}
		if !read {
			t.Errorf("GET %s was readable by no caller, want one: addresses %v", path, addresses)
		}
	}
	answered(t, func(operation string, m member, _ bool) {
		if m.audience() == "staff" && !shown["admin"][m.name] {
			t.Errorf("%s of %s is for staff and in no answer to an administrator, want one: this test does not cover it",
				m.name, operation)
		}
	})
	for _, own := range []string{
		"TimeOff.reason", "TimeOff.note", "Cancellation.note", "AppointmentOverride.reason", "AppointmentEvent.note", "Ticket.note",
		"Appointment.note",
	} {
		if !shown["doctor"][own] {
			t.Errorf("answers to a doctor lack %s, want it for their own calendar", own)
		}
	}
	if !shown["auditor"]["AuditEntry.reason"] || !shown["auditor"]["AuditChange.after"] {
		t.Error("answers to an auditor lack AuditEntry.reason or AuditChange.after, want both")
	}
}

// Responses to what a partner or a doctor changes omit the texts too, first and when the request is
// replayed with its Idempotency-Key, even texts that the partner wrote.
func TestStaffWordsInAnswersToChanges(t *testing.T) {
	t.Parallel()
	c := newConfidential(t)
	paths := spec(t).Paths
	doctor := c.callers["doctor"]
	toCancel := c.made(c.partner, "/appointments", object{
		"patient_id": c.patient, "doctor_id": c.doctors[0], "start_time": "2027-03-12T09:00:00Z", "duration_minutes": 30,
	})
	series := c.made(c.partner, "/appointment-series", object{
		"patient_id": c.patient, "doctor_id": c.doctors[0], "start_time": "2027-03-15T09:00:00Z",
		"rule": "FREQ=DAILY;COUNT=2", "duration_minutes": 30,
	})
	window := object{
		"patient_id": c.patient, "doctor_ids": []int64{c.doctors[1]}, "duration_minutes": 30,
		"from": "2027-04-20T00:00:00Z", "to": "2027-04-21T00:00:00Z", "note": staffWords,
	}
	away := object{"first_date": "2027-03-25", "last_date": "2027-03-25", "reason": "illness", "note": staffWords}
	cancel := object{"reason": "patient_request", "note": staffWords}
	for i, step := range []struct {
		by     string
		client *contracttest.Client
		path   string // of the contract
		id     int64
		body   object
		status int
		shows  []string
	}{
		{"partner", c.partner, "/waitlist", 0, window, 201, nil},
		{"partner", c.partner, "/appointments/{id}/confirm", c.overridden, nil, 200, nil},
		{"partner", c.partner, "/appointments/{id}/cancel", toCancel, cancel, 200, nil},
		{"partner", c.partner, "/appointment-series/{id}/cancel", series, cancel, 200, nil},
		{"partner", c.partner, "/appointments/{id}/cancel", c.cancelled, cancel, 409, nil},
		{"doctor", doctor, "/doctors/{id}/time-off", c.doctors[0], away, 201, []string{"TimeOff.note", "TimeOff.reason"}},
		{"doctor", doctor, "/appointments/{id}/confirm", c.overridden, nil, 200, []string{"Appointment.note", "AppointmentOverride.reason"}},
		{"partner", c.partner, "/appointments/{id}/reschedule", c.overridden, object{"start_time": "2027-03-02T11:00:00Z"}, 200, nil},
	} {
		op := paths.Value(step.path).Post
		request := contracttest.Request{
			Method: http.MethodPost, Path: strings.Replace(step.path, "{id}", fmt.Sprint(step.id), 1),
			Header: http.Header{"Idempotency-Key": {fmt.Sprint("step-", i)}},
		}
		if step.body != nil {
			request.Body = step.body
		}
		if step.by == "doctor" && strings.HasSuffix(step.path, "/confirm") {
			c.admin.Post(fmt.Sprintf("/appointments/%d/undo", step.id), nil).Want(t, 200, "")
		}
		first := step.client.Send(request)
		if first.Status != step.status {
			t.Errorf("POST %s by %s = %d %s, want %d", request.Path, step.by, first.Status, first.Body, step.status)
		}
		var members []string
		for _, s := range c.check(step.by, op, first) {
			members = append(members, s.member)
		}
		slices.Sort(members)
		if !slices.Equal(slices.Compact(members), step.shows) {
			t.Errorf("POST %s by %s shows %v, want %v", request.Path, step.by, members, step.shows)
		}
		again := step.client.Send(request)
		c.check(step.by, op, again)
		if string(again.Body) != string(first.Body) && first.Status < 400 {
			t.Errorf("replay of POST %s = %s, want %s", request.Path, again.Body, first.Body)
		}
	}
	// Staff see the text with which a partner cancelled.
	var a api.Appointment
	c.admin.Get(fmt.Sprintf("/appointments/%d", toCancel)).Want(t, 200, "").Decode(t, &a)
	if note, err := a.Cancellation.Note.Get(); err != nil || note != staffWords {
		t.Errorf("note of a cancellation, to an administrator = %q (%v), want %q", note, err, staffWords)
	}
}

// A stream tells every caller what changed, and none of the texts.
func TestStaffWordsInStreams(t *testing.T) {
	t.Parallel()
	c := newConfidential(t)
	for _, name := range []string{"partner", "partner with every scope", "doctor", "receptionist"} {
		client := c.callers[name]
		var first, all api.ChangeList
		client.Get("/changes", "limit", "1").Want(t, 200, "").Decode(t, &first)
		client.Get("/changes", "limit", "200").Want(t, 200, "").Decode(t, &all)
		if all.More || len(all.Items) < 5 {
			t.Fatalf("changes for %s: %d, more: %t; want at least 5 and no more", name, len(all.Items), all.More)
		}
		key := client.Header("X-API-Key")
		events, hang := listen(t, c.url, http.Header{"X-Api-Key": {key}, "Last-Event-Id": {first.NextCursor}})
		if hello := next(t, events); hello.name != "hello" {
			t.Fatalf("first event of the stream = %+v, want hello", hello)
		}
		for range len(all.Items) - 1 {
			e := next(t, events)
			if !json.Valid([]byte(e.data)) || strings.Contains(e.data, staffWords) || strings.Contains(e.data, "illness") {
				t.Errorf("event for %s: %+v, want valid JSON without words for staff", name, e)
			}
		}
		hang()
	}
}
