package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/contracttest"
)

// missingID is an id that no record has.
const missingID = 999_999

// reachable lists the records of a clinic by the collection that serves them: for each state of a
// foreign record, its id.
type reachable map[string]map[string]int64

// patientReference is a FHIR reference to a patient.
var patientReference = regexp.MustCompile(`Patient/[0-9]+`)

// unrestricted collections hold no records of patients: every caller with the permission can access
// all of them.
var unrestricted = []string{
	"/doctors", "/doctors/{id}/time-off", "/closures", "/rooms", "/appointment-types", "/plans", "/api-keys", "/calendars", "/problems",
	"/fhir/Practitioner", "/fhir/Schedule", "/fhir/Slot", "/webhooks/{id}/deliveries",
}

// collectionOf returns the collection of a path with a parameter: /appointments for
// /appointments/{id}/cancel.
func collectionOf(path string) string {
	if i := strings.LastIndex(path, "/{"); i >= 0 {
		return path[:i]
	}
	return ""
}

// recordMembers are members of request bodies, and query parameters, that name a record of limited
// reach, with the collection that serves it.
var recordMembers = map[string]string{
	"patient_id": "/patients", "duplicate_id": "/patients", "appointment_id": "/appointments", "from_appointment_id": "/appointments", "hold_id": "/holds", "ticket_id": "/tickets",
	"waitlist_id": "/waitlist", "series_id": "/appointment-series",
	"patient": "/patients", "actor": "/patients",
}

// TestEveryOperationAnswersForeignLikeMissing sends the id of a foreign, a merged and an erased record to each
// operation that takes a record's id, and compares the response with that to an unknown id.
func TestEveryOperationAnswersForeignLikeMissing(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, nil)
	mine, other := s.doctor(), s.doctor()
	scopes := slices.DeleteFunc(clinic.Scopes(), func(s string) bool { return s == clinic.ScopeRecordsAll })
	clients := map[string]*contracttest.Client{}
	clients["partner"], _ = s.key("partner", object{"scopes": scopes})
	clients["doctor"], _ = s.key("doctor", object{"doctor_id": mine})
	records := s.foreignRecords(other)
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	walked := 0
	for _, path := range slices.Sorted(maps.Keys(doc.Paths.Map())) {
		operations := doc.Paths.Find(path).Operations()
		for _, method := range slices.Sorted(maps.Keys(operations)) {
			op := operations[method]
			collection := collectionOf(path)
			if collection == "/webhooks/{id}/deliveries" {
				collection = "/webhooks"
			}
			compare := func(where, collection string, request func(id int64) contracttest.Request) {
				for who, client := range clients {
					answer := func(id int64) string {
						a := client.Send(request(id))
						text := string(a.Body)
						text = strings.ReplaceAll(text, a.Header.Get("X-Request-ID"), "")
						return fmt.Sprintf("%d %s", a.Status, strings.NewReplacer(fmt.Sprint(id), "ID", fmt.Sprint(missingID), "ID").Replace(text))
					}
					want := answer(missingID)
					if strings.HasPrefix(want, "400 ") || strings.HasPrefix(want, "422 ") {
						t.Errorf("%s (%s) by %s for no record = %s, want a refusal that depends on the record",
							op.OperationID, where, who, want)
					}
					for _, what := range slices.Sorted(maps.Keys(records[collection])) {
						walked++
						if got := answer(records[collection][what]); got != want {
							t.Errorf("%s (%s) by %s for a %s record = %s\nwant as for no record: %s",
								op.OperationID, where, who, what, got, want)
						}
					}
				}
			}
			body := s.bodyFor(op, mine)
			if collection != "" && !slices.Contains(unrestricted, collection) {
				if records[collection] == nil {
					t.Errorf("%s: no foreign records of %s; add some to foreignRecords, or the collection to unrestricted", op.OperationID, collection)
				}
				compare("path", collection, func(id int64) contracttest.Request {
					return contracttest.Request{Method: method, Path: filled(path, id), Body: body}
				})
			}
			for _, p := range op.Parameters {
				if strings.HasPrefix(path, "/fhir/Schedule") {
					continue // an actor of schedules is a practitioner
				}
				if in := recordMembers[p.Value.Name]; p.Value.In == openapi3.ParameterInQuery && in != "" {
					compare("query "+p.Value.Name, in, func(id int64) contracttest.Request {
						query := p.Value.Name + "=" + fmt.Sprint(id)
						if p.Value.Name == "actor" {
							query = "actor=Patient/" + fmt.Sprint(id)
						}
						if strings.HasPrefix(path, "/availability") {
							query += "&duration_minutes=30"
						}
						if path == "/availability" {
							query += "&from=2027-03-02T00:00:00Z&to=2027-03-03T00:00:00Z"
						}
						return contracttest.Request{Method: method, Path: filled(path, missingID) + "?" + query}
					})
				}
			}
			members, isObject := body.(object)
			if !isObject || op.RequestBody == nil {
				continue
			}
			if text, err := json.Marshal(body); err == nil && patientReference.Match(text) {
				compare("reference", "/patients", func(id int64) contracttest.Request {
					var changed any
					if err := json.Unmarshal(patientReference.ReplaceAll(text, fmt.Appendf(nil, "Patient/%d", id)), &changed); err != nil {
						t.Fatal(err)
					}
					return contracttest.Request{Method: method, Path: filled(path, missingID), Body: changed}
				})
			}
			for _, name := range bodyMembers(op) {
				in := recordMembers[name]
				if in == "" && strings.HasSuffix(name, "_id") && !slices.Contains([]string{"doctor_id", "type_id", "room_id"}, name) {
					t.Errorf("%s takes %s, want it in a table of this test", op.OperationID, name)
				}
				if in == "" {
					continue
				}
				compare("member "+name, in, func(id int64) contracttest.Request {
					changed := maps.Clone(members)
					changed[name] = id
					return contracttest.Request{Method: method, Path: filled(path, missingID), Body: changed}
				})
			}
		}
	}
	if walked < 100 {
		t.Errorf("compared %d answers, want at least 100", walked)
	}
	t.Logf("%d answers compared", walked)
}

func filled(path string, id int64) string {
	return strings.NewReplacer("{id}", fmt.Sprint(id), "{delivery_id}", "9", "{time_off_id}", "9", "{slug}", "not-found", "{token}", "x").Replace(path)
}

// bodyMembers returns the members of a request's JSON body.
func bodyMembers(op *openapi3.Operation) []string {
	var names []string
	for _, media := range op.RequestBody.Value.Content {
		if media.Schema == nil {
			continue
		}
		names = append(names, slices.Collect(maps.Keys(media.Schema.Value.Properties))...)
		for _, part := range media.Schema.Value.AllOf {
			names = append(names, slices.Collect(maps.Keys(part.Value.Properties))...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// bodyFor returns the example of an operation's body, with the caller's own doctor.
func (s *secured) bodyFor(op *openapi3.Operation, doctor int64) any {
	text, err := json.Marshal(exampleOf(op))
	if err != nil {
		s.t.Fatal(err)
	}
	var body any
	if err := json.Unmarshal(text, &body); err != nil {
		s.t.Fatal(err)
	}
	if members, ok := body.(object); ok {
		if _, has := members["doctor_id"]; has {
			members["doctor_id"] = doctor
		}
		delete(members, "hold_token")
		delete(members, "type_id")
		delete(members, "room_id")
	}
	return body
}

// foreignRecords creates records of every kind that belongs to a patient or caller and that only
// staff can access: of an ordinary patient, of a merged and of an erased one.
func (s *secured) foreignRecords(doctor int64) reachable {
	s.t.Helper()
	records := reachable{}
	// These ids occur in no other text.
	for i, table := range []string{"patients", "appointments", "appointment_series", "waitlist", "holds", "tickets", "webhooks", "calendar_feeds"} {
		if _, err := s.db.DB.Exec(fmt.Sprintf(`ALTER TABLE %s AUTO_INCREMENT = %d`, table, 700_001+10_000*i)); err != nil {
			s.t.Fatal(err)
		}
	}
	note := func(collection, what string, id int64) {
		if records[collection] == nil {
			records[collection] = map[string]int64{}
		}
		records[collection][what] = id
	}
	made := func(path string, body object) int64 {
		s.t.Helper()
		var record struct {
			ID     int64 `json:"id"`
			Series struct {
				ID int64 `json:"id"`
			} `json:"series"`
		}
		s.Post(path, body).Want(s.t, 201, "").Decode(s.t, &record)
		return max(record.ID, record.Series.ID)
	}
	for i, what := range []string{"foreign", "merged", "erased"} {
		patient := s.patient()
		day := fmt.Sprintf("2027-04-%02d", 10+5*i)
		note("/patients", what, patient)
		note("/fhir/Patient", what, patient)
		visit := s.booked(patient, doctor, day+"T09:00:00Z", 30).ID
		note("/appointments", what, visit)
		note("/fhir/Appointment", what, visit)
		note("/appointment-series", what, made("/appointment-series", object{"patient_id": patient, "doctor_id": doctor, "start_time": day + "T12:00:00Z", "duration_minutes": 30, "rule": "FREQ=DAILY;COUNT=2"}))
		note("/waitlist", what, made("/waitlist", object{"patient_id": patient, "from": "2027-05-01T00:00:00Z", "to": "2027-05-02T00:00:00Z", "duration_minutes": 30}))
		note("/holds", what, made("/holds", object{"patient_id": patient, "doctor_id": doctor, "start_time": day + "T15:00:00Z", "duration_minutes": 30, "seconds": 600}))
		note("/tickets", what, made("/walk-ins", object{"patient_id": patient, "doctor_id": doctor}))
		switch what {
		case "merged":
			s.Post(fmt.Sprintf("/patients/%d/merge", s.patient()), object{"duplicate_id": patient}).Want(s.t, 200, "")
		case "erased":
			s.Post(fmt.Sprintf("/tickets/%d/leave", records["/tickets"][what]), nil).Want(s.t, 200, "")
			s.Post(fmt.Sprintf("/appointments/%d/cancel", visit), object{"reason": "other"}).Want(s.t, 200, "")
			s.Post(fmt.Sprintf("/appointment-series/%d/cancel", records["/appointment-series"][what]), object{"reason": "other"}).Want(s.t, 200, "")
			s.Delete(fmt.Sprintf("/waitlist/%d", records["/waitlist"][what])).Want(s.t, 204, "")
			s.Post(fmt.Sprintf("/patients/%d/erase", patient), object{"reason": "asked"}).Want(s.t, 200, "")
		}
	}
	note("/webhooks", "foreign", made("/webhooks", object{"url": "https://example.org/mems"}))
	note("/calendar-feeds", "foreign", made("/calendar-feeds", object{"name": "x", "doctor_id": doctor}))
	return records
}
