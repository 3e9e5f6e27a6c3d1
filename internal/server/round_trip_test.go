package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"mems/gen/api"
	"mems/internal/contracttest"
)

// roundTrip is a kind of record whose members are sent and must come back wherever the record is
// returned.
type roundTrip struct {
	// operations are those that send the members: the first creates the record, unless it replaces
	// one, the second changes it.
	operations []string
	create     string // path; of a record that is replaced, its own
	get        string // path with the id; "": the record has none
	list       string // path; "": the record is in no list
	answer     string // member of the creating answer that has the record; "": all of it
	feed       string // its kind in the feed; "": in no feed
	export     string // member of a patient's export
	// send are the bodies; together they have every member except those in requests, which are
	// instructions and no part of the record, each with the reason.
	send, change []object
	requests     map[string]string
	// returned are members that come back with another value than was sent.
	returned object
	// fhir are the resources that return the record, and what each member becomes there; "" for
	// what FHIR does not have.
	fhirPaths []string
	fhir      map[string]string
}

// parties are the records that those of roundTrips refer to.
type parties struct{ patient, doctor, colleague, room, apptType int64 }

func roundTrips(p parties) []roundTrip {
	const start, end, later = "2027-03-02T09:00:00Z", "2027-03-02T10:00:00Z", "2027-03-03T09:00:00Z"
	chooses := "lets the server choose room_id"
	return []roundTrip{
		{
			operations: []string{"createPatient", "updatePatient"},
			create:     "/patients", get: "/patients/%d", list: "/patients", feed: "patient", export: "patient",
			send: []object{{
				"first_name": "Zoe", "last_name": "Trip", "email": "zoe@example.org", "phone": "+41 44 555 01 23", "birth_date": "1984-02-29",
				"identifiers": []object{{"system": "ahv", "value": "756.1234.5678.97"}},
			}},
			change: []object{{
				"first_name": "Ida", "last_name": "Return", "email": "ida@example.org", "phone": "+41 44 555 01 24", "birth_date": "1985-03-01",
				"identifiers": []object{{"system": "ahv", "value": "756.1234.5678.00"}},
			}},
			requests:  map[string]string{"on_possible_duplicate": "says whether to refuse"},
			fhirPaths: []string{"/fhir/Patient/%d"},
			fhir: map[string]string{
				"first_name": `"%v"`, "last_name": `"%v"`, "email": `"%v"`, "phone": `"%v"`, "birth_date": `"%v"`, "identifiers": `"756.`,
			},
		},
		{
			operations: []string{"createDoctor", "updateDoctor"},
			create:     "/doctors", get: "/doctors/%d", list: "/doctors", feed: "doctor",
			send:      []object{{"full_name": "Dr. Trip", "specialization": "Surgery", "is_active": true, "overbook_cap": 2}},
			change:    []object{{"full_name": "Dr. Return", "specialization": "Dentistry", "is_active": false, "overbook_cap": 3}},
			fhirPaths: []string{"/fhir/Practitioner/%d", "/fhir/Schedule/%d"},
			fhir:      map[string]string{"full_name": `"%v"`, "specialization": `"%v"`, "is_active": `"active":%v`, "overbook_cap": ""},
		},
		{
			operations: []string{"replaceWorkingHours"},
			create:     fmt.Sprintf("/doctors/%d/working-hours", p.colleague), get: "/doctors/%d/working-hours", feed: "working_hours",
			send: []object{{
				"time_zone": "Europe/Zurich",
				"timetables": []object{{
					"effective_from": "2020-01-01", "blocks": []object{{"weekday": 1, "start": "08:00", "end": "18:00"}},
				}},
				"exceptions": []object{},
			}},
		},
		{
			operations: []string{"createTimeOff"},
			create:     fmt.Sprintf("/doctors/%d/time-off", p.colleague), answer: "time_off", feed: "time_off",
			get:  fmt.Sprintf("/doctors/%d/time-off/", p.colleague) + "%d",
			list: fmt.Sprintf("/doctors/%d/time-off", p.colleague),
			send: []object{
				{"start_time": start, "end_time": end, "reason": "illness", "note": "Back on Thursday."},
				{"first_date": "2027-06-01", "last_date": "2027-06-02", "reason": "vacation"},
			},
			returned: object{"first_date": object{"start_time": "2027-06-01T00:00:00Z"}, "last_date": object{"end_time": "2027-06-03T00:00:00Z"}},
		},
		{
			operations: []string{"createClosure"},
			create:     "/closures", get: "/closures/%d", list: "/closures", answer: "closure", feed: "closure",
			send: []object{
				{"start_time": "2027-05-02T09:00:00Z", "end_time": "2027-05-02T10:00:00Z", "name": "Move"},
				{"first_date": "2027-07-01", "last_date": "2027-07-02", "name": "Holiday"},
			},
			returned: object{"first_date": object{"start_time": "2027-07-01T00:00:00Z"}, "last_date": object{"end_time": "2027-07-03T00:00:00Z"}},
		},
		{
			operations: []string{"createRoom", "updateRoom"},
			create:     "/rooms", get: "/rooms/%d", list: "/rooms", feed: "room",
			send: []object{{"name": "Trip", "is_active": true}}, change: []object{{"name": "Return", "is_active": false}},
		},
		{
			operations: []string{"createAppointmentType", "updateAppointmentType"},
			create:     "/appointment-types", get: "/appointment-types/%d", list: "/appointment-types", feed: "appointment_type",
			send: []object{{
				"name": "Trip", "duration_minutes": 45, "buffer_before_minutes": 5, "buffer_after_minutes": 10, "colour": "#2e7d32",
				"specializations": []string{"Surgery"}, "doctor_ids": []int64{p.doctor}, "needs_room": true, "room_ids": []int64{p.room}, "is_active": true,
			}},
			change: []object{{
				"name": "Return", "duration_minutes": 30, "buffer_before_minutes": 10, "buffer_after_minutes": 15, "colour": "#2e7d33",
				"specializations": []string{"Dentistry"}, "doctor_ids": []int64{p.colleague}, "needs_room": false, "room_ids": []int64{}, "is_active": false,
			}},
		},
		{
			operations: []string{"bookAppointment", "updateAppointment"},
			create:     "/appointments", get: "/appointments/%d", list: fmt.Sprintf("/appointments?patient_id=%d", p.patient), feed: "appointment", export: "appointments",
			send: []object{
				{"patient_id": p.patient, "doctor_id": p.doctor, "start_time": start, "duration_minutes": 45, "type_id": p.apptType, "room_id": p.room, "reason": "Knee pain", "note": "Bring the X-ray"},
				{
					"patient_id": p.patient, "doctor_id": p.doctor, "start_time": "2027-03-03T21:00:00Z", "duration_minutes": 30,
					"override": object{"rules": []string{"outside-working-hours"}, "reason": "Urgent"},
				},
			},
			change:    []object{{"reason": "Back pain", "note": "Bring a friend"}},
			returned:  object{"override": object{}}, // only rules that were broken are kept
			requests:  map[string]string{"any_room": chooses, "hold_token": "uses up a hold"},
			fhirPaths: []string{"/fhir/Appointment/%d"},
			fhir: map[string]string{
				"patient_id": `"Patient/%v"`, "doctor_id": `"Practitioner/%v"`, "start_time": `"%v"`, "duration_minutes": `"minutesDuration":%v`,
				"type_id": `"code":"%v"`, "room_id": "", "override": "", "reason": `"description":"%v"`, "note": "",
			},
		},
		{
			operations: []string{"createSeries"},
			create:     "/appointment-series", get: "/appointment-series/%d", answer: "series", feed: "series", export: "series",
			send: []object{{
				"patient_id": p.patient, "doctor_id": p.doctor, "start_time": "2027-08-03T09:00:00Z", "time_zone": "Europe/Zurich",
				"rule": "FREQ=WEEKLY;COUNT=2;BYDAY=TU", "duration_minutes": 45, "type_id": p.apptType, "room_id": p.room,
				"reason": "Dressing change", "note": "Brings a friend.",
			}},
			returned: object{"type_id": object{}, "room_id": object{}, "reason": object{}, "note": object{}}, // its appointments have them
			requests: map[string]string{
				"any_room": chooses, "override": "its appointments have it", "on_conflict": "says what to do about conflicts",
				"dry_run": "books nothing",
			},
		},
		{
			operations: []string{"createHold"},
			create:     "/holds", get: "/holds/%d", feed: "hold", export: "holds",
			send: []object{{
				"doctor_id": p.doctor, "patient_id": p.patient, "start_time": "2027-03-04T09:00:00Z", "duration_minutes": 45,
				"type_id": p.apptType, "room_id": p.room,
			}},
			requests: map[string]string{"any_room": chooses, "seconds": "comes back as expires_at"},
		},
		{
			operations: []string{"createPlan"},
			create:     "/plans", get: "/plans/%d",
			send: []object{
				{"doctor_id": p.colleague, "start_time": start, "end_time": end},
				{"doctor_id": p.colleague, "first_date": "2027-06-01", "last_date": "2027-06-02"},
			},
			returned: object{"first_date": object{"start_time": "2027-06-01T00:00:00Z"}, "last_date": object{"end_time": "2027-06-03T00:00:00Z"}},
			requests: map[string]string{"horizon_days": "bounds the search"},
		},
		{
			operations: []string{"createWalkIn"},
			create:     "/walk-ins", get: "/tickets/%d", list: fmt.Sprintf("/queue?doctor_id=%d", p.doctor), feed: "ticket", export: "tickets",
			send:     []object{{"patient_id": p.patient, "doctor_id": p.doctor, "note": "Rash since yesterday evening."}},
			requests: map[string]string{"specialization": "lets the server choose doctor_id"},
		},
		{
			operations: []string{"createWaitlistEntry"},
			create:     "/waitlist", get: "/waitlist/%d", list: "/waitlist", feed: "waitlist_entry", export: "waitlist",
			send: []object{
				{"patient_id": p.patient, "doctor_ids": []int64{p.doctor}, "type_id": p.apptType, "from": "2027-09-01T00:00:00Z", "to": "2027-09-01T00:15:00Z", "note": "Mornings"},
				{"patient_id": p.patient, "specialization": "Dermatology", "duration_minutes": 30, "from": "2027-09-02T00:00:00Z", "to": "2027-09-02T00:15:00Z"},
			},
		},
		{
			operations: []string{"createApiKey"},
			create:     "/api-keys", get: "/api-keys/%d", list: "/api-keys",
			send: []object{
				{"name": "Doctor", "role": "doctor", "doctor_id": p.doctor, "expires_at": later},
				{"name": "Portal", "role": "partner", "scopes": []string{"patients:read"}},
			},
		},
		{
			operations: []string{"createWebhook", "updateWebhook"},
			create:     "/webhooks", get: "/webhooks/%d", list: "/webhooks",
			send:   []object{{"url": "https://partner.example.org/mems", "description": "Portal", "types": []string{"appointment.booked"}}},
			change: []object{{"url": "https://partner.example.org/two", "description": "Two", "types": []string{"patient.*"}, "enabled": false}},
		},
		{
			operations: []string{"createCalendarFeed"},
			create:     "/calendar-feeds", get: "/calendar-feeds/%d", list: "/calendar-feeds",
			send: []object{{"doctor_id": p.doctor, "name": "Phone", "expires_at": later}},
		},
	}
}

// actions are the operations with a body that do not write a record's members: they have tests of
// their own.
var actions = []string{
	"mergePatients", "erasePatient", "cancelAppointment", "rescheduleAppointment", "cancelSeries", "rescheduleSeries", "applyPlan",
	"callNext", "transferTicket",
}

// Every member that a create or a patch of the contract takes comes back in the response, from GET,
// in the list, the feed, a patient's export and, where mapped, FHIR. A new member fails this test
// until it does, or until roundTrips says why not.
func TestEveryMemberComesBack(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	p := parties{patient: f.patient(), doctor: f.doctor(), colleague: f.doctor(), room: f.room()}
	f.hours(p.doctor, "UTC", "06:00-20:00")
	p.apptType = f.kind(object{"needs_room": true, "duration_minutes": 45})
	bodies := bodiesOfContract(t)
	for _, r := range roundTrips(p) {
		for i, operation := range r.operations {
			holdsEveryMember(t, operation, bodies[operation], r, [][]object{r.send, r.change}[i])
			delete(bodies, operation)
		}
		t.Run(r.operations[0], func(t *testing.T) {
			f := *f
			f.t = t
			for _, body := range r.send {
				answer := f.make(r, body)
				record := decoded(t, answer)
				if r.answer != "" {
					record = memberOf[map[string]any](t, record, r.answer)
				}
				id := p.colleague // of working hours
				if record["id"] != nil {
					id = int64(memberOf[float64](t, record, "id"))
				}
				r.compare(t, "the answer", body, record)
				f.compareEverywhere(r, id, p.patient, body)
				for _, change := range r.change {
					r.compare(t, "the answer to a change", change, decoded(t, f.Patch(fmt.Sprintf(r.get, id), change).Want(t, 200, "")))
					f.compareEverywhere(r, id, p.patient, change)
				}
			}
		})
	}
	for _, action := range actions {
		if bodies[action] == nil {
			t.Errorf("actions has %s, which takes no body", action)
		}
		delete(bodies, action)
	}
	for operation := range bodies {
		t.Errorf("%s takes a body: add it to roundTrips or to actions", operation)
	}
}

// bodiesOfContract returns the JSON bodies of the contract's requests by operationId, except those
// of FHIR, which are FHIR Parameters.
func bodiesOfContract(t *testing.T) map[string]*openapi3.Schema {
	t.Helper()
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	bodies := map[string]*openapi3.Schema{}
	for path, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			if op.RequestBody == nil || strings.HasPrefix(path, "/fhir/") {
				continue
			}
			for _, media := range op.RequestBody.Value.Content {
				bodies[op.OperationID] = media.Schema.Value
			}
		}
	}
	return bodies
}

// holdsEveryMember fails the test unless the bodies together have each member of the schema, except
// those in requests.
func holdsEveryMember(t *testing.T, operation string, schema *openapi3.Schema, r roundTrip, bodies []object) {
	t.Helper()
	if schema == nil {
		t.Fatalf("%s in the contract has no request body, want one", operation)
	}
	sent := object{}
	for _, body := range bodies {
		maps.Copy(sent, body)
	}
	for name := range schema.Properties {
		if _, ok := sent[name]; !ok && r.requests[name] == "" {
			t.Errorf("%s takes %s, which roundTrips does not send", operation, name)
		}
	}
	for name := range sent {
		if schema.Properties[name] == nil {
			t.Errorf("roundTrips sends %s, which %s does not take", name, operation)
		}
		if _, ok := r.fhir[name]; !ok && r.fhir != nil {
			t.Errorf("roundTrips does not say where FHIR has %s", name)
		}
	}
}

// make sends the body that creates a record.
func (f *fixture) make(r roundTrip, body object) *contracttest.Response {
	f.t.Helper()
	if r.create == strings.ReplaceAll(r.get, "%d", lastNumber(r.create)) {
		return f.put(r.create, body).Want(f.t, http.StatusOK, "")
	}
	return f.Post(r.create, body).Want(f.t, http.StatusCreated, "")
}

// lastNumber returns the last number in a path, "" if there is none.
func lastNumber(path string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(path, "/"), func(part string) bool { return strings.Trim(part, "0123456789") != "" || part == "" }), "")
}

// compareEverywhere reads a record from each place that returns it.
func (f *fixture) compareEverywhere(r roundTrip, id, patient int64, sent object) {
	f.t.Helper()
	r.compare(f.t, "GET", sent, decoded(f.t, f.Get(fmt.Sprintf(r.get, id)).Want(f.t, 200, "")))
	if r.list != "" {
		sep := "?"
		if strings.Contains(r.list, "?") {
			sep = "&"
		}
		list := decoded(f.t, f.Get(r.list+sep+"limit=200").Want(f.t, 200, ""))
		r.compare(f.t, "the list", sent, withID(f.t, memberOf[[]any](f.t, list, "items"), id))
	}
	if r.feed != "" {
		r.compare(f.t, "the feed", sent, f.fromFeed(r.feed, id))
	}
	if r.export != "" {
		of := patient
		if r.export == "patient" {
			of = id
		}
		file := decoded(f.t, f.Get(fmt.Sprintf("/patients/%d/export", of)).Want(f.t, 200, ""))
		record, one := file[r.export].(map[string]any)
		if !one {
			record = withID(f.t, memberOf[[]any](f.t, file, r.export), id)
		}
		r.compare(f.t, "the export", sent, record)
	}
	var resources strings.Builder
	for _, path := range r.fhirPaths {
		resources.Write(f.Get(fmt.Sprintf(path, id)).Want(f.t, 200, "").Body)
	}
	for name, value := range sent {
		want := r.fhir[name]
		if strings.Contains(want, "%v") {
			want = fmt.Sprintf(want, value)
		}
		if !strings.Contains(resources.String(), want) {
			f.t.Errorf("FHIR has no %s for %s\n%s", want, name, resources.String())
		}
	}
}

// fromFeed returns a record as in its last change in the feed.
func (f *fixture) fromFeed(kind string, id int64) map[string]any {
	f.t.Helper()
	var record map[string]any
	for cursor, more := "", true; more; {
		query := []string{"include", "record", "limit", "200", "objects", kind}
		if cursor != "" {
			query = append(query, "cursor", cursor)
		}
		page := decoded(f.t, f.Get("/changes", query...).Want(f.t, 200, ""))
		for _, item := range memberOf[[]any](f.t, page, "items") {
			change, _ := item.(map[string]any)
			if found, ok := change[kind].(map[string]any); ok && change["object_id"] == float64(id) {
				record = found
			}
		}
		cursor, more = memberOf[string](f.t, page, "next_cursor"), memberOf[bool](f.t, page, "more")
	}
	return record
}

// compare fails the test unless a record has the values that were sent.
func (r roundTrip) compare(t *testing.T, where string, sent object, record map[string]any) {
	t.Helper()
	if record == nil {
		t.Errorf("%s lacks the record, want it", where)
		return
	}
	want := object{}
	for name, value := range sent {
		if other, ok := r.returned[name].(object); ok {
			maps.Copy(want, other)
			continue
		}
		want[name] = value
	}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var plain map[string]any
	if err := json.Unmarshal(text, &plain); err != nil {
		t.Fatal(err)
	}
	for name, value := range plain {
		if diff := cmp.Diff(value, record[name]); diff != "" {
			t.Errorf("%s: %s (-sent +returned):\n%s", where, name, diff)
		}
	}
}

func decoded(t *testing.T, r *contracttest.Response) (record map[string]any) {
	t.Helper()
	r.Decode(t, &record)
	return record
}

// memberOf returns a member that must exist with this type.
func memberOf[T any](t *testing.T, record map[string]any, name string) T {
	t.Helper()
	value, ok := record[name].(T)
	if !ok {
		t.Fatalf("%s is %v, want a %T", name, record[name], value)
	}
	return value
}

// withID returns the record with an id, nil if there is none.
func withID(t *testing.T, records []any, id int64) map[string]any {
	t.Helper()
	for _, r := range records {
		if record, ok := r.(map[string]any); ok && record["id"] == float64(id) {
			return record
		}
	}
	return nil
}
