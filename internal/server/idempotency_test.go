package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mems/gen/api"
	"mems/internal/contracttest"
)

// once sends a POST with an Idempotency-Key.
func once(c *contracttest.Client, key, path string, body any) *contracttest.Response {
	return c.Send(contracttest.Request{Method: http.MethodPost, Path: path, Body: body, Header: http.Header{"Idempotency-Key": {key}}})
}

// same compares a replayed response with the first one.
func same(t *testing.T, first, again *contracttest.Response) {
	t.Helper()
	if first.Status != again.Status {
		t.Errorf("replay = %d %s, want %d %s", again.Status, again.Body, first.Status, first.Body)
		return
	}
	if first.Status >= 400 {
		var members [2]map[string]any
		for i, r := range []*contracttest.Response{first, again} {
			r.Decode(t, &members[i])
			delete(members[i], "request_id") // of its own
		}
		if diff := cmp.Diff(members[0], members[1]); diff != "" {
			t.Errorf("replayed problem (-first +replayed):\n%s", diff)
		}
		return
	}
	if string(first.Body) != string(again.Body) || first.Header.Get("Location") != again.Header.Get("Location") || first.Header.Get("ETag") != again.Header.Get("ETag") {
		t.Errorf("replay = %s %s, want %s %s", again.Header, again.Body, first.Header, first.Body)
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich")
	patient, doctor := f.patient(), f.doctor()
	body := object{"patient_id": patient, "doctor_id": doctor, "start_time": "2027-03-01T20:00:00Z", "duration_minutes": 30}
	first := once(f.Client, "k1", "/appointments", body).Want(t, 201, "")
	same(t, first, once(f.Client, "k1", "/appointments", body))
	// The formatting of the body does not matter.
	same(t, first, once(f.Client, "k1", "/appointments",
		fmt.Sprintf(` {"duration_minutes":30, "start_time":"2027-03-01T20:00:00Z","doctor_id":%d,"patient_id":%d}`, doctor, patient)))
	other := object{"patient_id": patient, "doctor_id": doctor, "start_time": "2027-03-02T11:00:00Z", "duration_minutes": 30}
	once(f.Client, "k1", "/appointments", other).Want(t, 422, "idempotency-key-reused")
	once(f.Client, "k1", "/doctors", object{"full_name": "D", "specialization": "S"}).Want(t, 422, "idempotency-key-reused")

	// The first response is replayed although the appointment has changed, or its time has passed.
	var booked api.Appointment
	first.Decode(t, &booked)
	f.Post(fmt.Sprintf("/appointments/%d/cancel", booked.ID), object{"reason": "other"}).Want(t, 200, "")
	same(t, first, once(f.Client, "k1", "/appointments", body))

	// A refusal is replayed, too, even when the time is free again.
	f.booked(f.patient(), doctor, "2027-03-02T12:00:00Z", 30)
	clash := object{"patient_id": patient, "doctor_id": doctor, "start_time": "2027-03-02T12:00:00Z", "duration_minutes": 30}
	refused := once(f.Client, "k2", "/appointments", clash).Want(t, 409, "doctor-overlap")
	if _, err := f.db.DB.Exec(`UPDATE appointments SET status = 'cancelled', cancellation_reason = 'other', cancelled_at = created_at WHERE start_time = '2027-03-02 12:00:00'`); err != nil {
		t.Fatal(err)
	}
	again := f.problem(once(f.Client, "k2", "/appointments", clash), 409, "doctor-overlap")
	if again.Conflict == nil || len(again.Alternatives) == 0 {
		t.Errorf("replay of the refusal %s = %+v, want a conflict and alternatives", refused.Body, again)
	}
	once(f.Client, "k3", "/appointments", clash).Want(t, 201, "")

	// A request that does not match the contract was never executed: it can be corrected and sent
	// again with the key.
	once(f.Client, "k4", "/appointments", object{"patient_id": patient}).Want(t, 422, "validation-failed")
	once(f.Client, "k4", "/appointments", other).Want(t, 201, "")
	for _, key := range []string{" ", "a b", "ä", strings.Repeat("k", 256)} {
		if r := once(f.Client, key, "/appointments", body); r.Status != 422 || !strings.Contains(string(r.Body), "Idempotency-Key") {
			t.Errorf("Idempotency-Key %q = %d %s, want 422 about the Idempotency-Key", key, r.Status, r.Body)
		}
	}
	// A response is kept for 24 hours; then the key is new.
	f.pass(24*time.Hour - time.Second)
	same(t, first, once(f.Client, "k1", "/appointments", body))
	f.pass(time.Second)
	once(f.Client, "k1", "/appointments", body).Want(t, 422, "start-in-past")
}

// Keys are separate for each caller.
func TestIdempotencyKeysOfTwoCallers(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, nil)
	a, _ := s.key("receptionist", nil)
	b, _ := s.key("receptionist", nil)
	person := object{"first_name": "Ann", "last_name": "Muster"}
	var one, two api.Patient
	once(a, "k", "/patients", person).Want(t, 201, "").Decode(t, &one)
	once(b, "k", "/patients", person).Want(t, 201, "").Decode(t, &two)
	if one.ID == two.ID {
		t.Errorf("two callers with one key got the same patient %d, want one each", one.ID)
	}
	// A replay repeats a new API key, which is stored nowhere in plain text.
	key := object{"name": "x", "role": "partner"}
	first := once(s.admin, "k", "/api-keys", key).Want(t, 201, "")
	same(t, first, once(s.admin, "k", "/api-keys", key))
	var made api.APIKeyCreated
	first.Decode(t, &made)
	var answers []string
	if err := s.db.DB.Select(&answers, `SELECT answer FROM idempotency_keys`); err != nil {
		t.Fatal(err)
	}
	for _, text := range answers {
		if strings.Contains(text, made.Key) || strings.Contains(text, "Muster") {
			t.Errorf("stored answer: %q, want the key and the name encrypted", text)
		}
	}
}

// A request sent many times at once with one key is executed once: the others get its response, or
// that it is in progress.
func TestIdempotencyRace(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	patient, doctor := f.patient(), f.doctor()
	for round := range 10 {
		body := object{"patient_id": patient, "doctor_id": doctor, "start_time": fmt.Sprintf("2027-04-%02dT10:00:00Z", round+1), "duration_minutes": 30}
		var made, inUse atomic.Int64
		var locations [16]string
		together(len(locations), func(i int) {
			r := once(f.Client, fmt.Sprint("race", round), "/appointments", body)
			switch r.Status {
			case 201:
				made.Add(1)
				locations[i] = r.Header.Get("Location")
			case 409:
				inUse.Add(1)
				if !strings.Contains(string(r.Body), "idempotency-key-in-use") {
					t.Errorf("409 of a request with the same key: %s, want idempotency-key-in-use", r.Body)
				}
			default:
				t.Errorf("request with the same key = %d %s, want 201 or 409", r.Status, r.Body)
			}
		})
		given := slices.DeleteFunc(locations[:], func(l string) bool { return l == "" })
		slices.Sort(given)
		if made.Load() == 0 || len(slices.Compact(given)) != 1 {
			t.Errorf("%d answered 201 and %d refused, with the locations %v; want at least one 201 and one location",
				made.Load(), inUse.Load(), given)
		}
	}
	var n int
	if err := f.db.DB.Get(&n, `SELECT COUNT(*) FROM appointments`); err != nil || n != 10 {
		t.Errorf("%d appointments (%v), want 10: one for each key", n, err)
	}
}

// Every POST can be repeated: each operation replays its first response and does nothing more.
func TestEveryPostIsIdempotent(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	patient, doctor, other := f.patient(), f.doctor(), f.doctor()
	f.hours(doctor, "UTC", "00:00-24:00")
	f.hours(other, "UTC", "00:00-24:00")
	n := 0
	post := func(path string, body any, want int) *contracttest.Response {
		t.Helper()
		n++
		key := fmt.Sprint("every", n)
		first := once(f.Client, key, path, body)
		if first.Status != want {
			t.Fatalf("POST %s: %d %s, want %d", path, first.Status, first.Body, want)
		}
		before := f.entries()
		same(t, first, once(f.Client, key, path, body))
		if after := f.entries(); after != before {
			t.Errorf("replay of POST %s: %d audit entries of changes, want %d as before", path, after, before)
		}
		return first
	}
	id := func(r *contracttest.Response) int64 {
		t.Helper()
		var it struct{ ID int64 }
		r.Decode(t, &it)
		return it.ID
	}
	book := func(at string) string {
		return fmt.Sprintf("/appointments/%d", id(post("/appointments", object{"patient_id": patient, "doctor_id": doctor, "start_time": at, "duration_minutes": 30}, 201)))
	}
	duplicate := id(post("/patients", object{"first_name": "Dup", "last_name": "Licate"}, 201))
	post(fmt.Sprintf("/patients/%d/merge", patient), object{"duplicate_id": duplicate}, 200)
	post("/doctors", object{"full_name": "D", "specialization": "S"}, 201)
	post("/rooms", object{"name": "Room"}, 201)
	post("/appointment-types", object{"name": "Type", "duration_minutes": 30}, 201)
	post(fmt.Sprintf("/doctors/%d/time-off", doctor), object{"start_time": "2027-08-01T00:00:00Z", "end_time": "2027-08-02T00:00:00Z", "reason": "vacation"}, 201)
	post("/closures", object{"start_time": "2027-09-01T00:00:00Z", "end_time": "2027-09-02T00:00:00Z", "name": "Inventory"}, 201)
	visit := book("2027-03-01T09:00:00Z")
	for _, step := range []string{"/confirm", "/check-in", "/start", "/complete", "/undo"} {
		post(visit+step, nil, 200)
	}
	moved := book("2027-03-03T09:00:00Z")
	post(moved+"/reschedule", object{"start_time": "2027-03-03T11:00:00Z"}, 200)
	post(moved+"/cancel", object{"reason": "other"}, 200)
	left := book("2027-03-01T13:00:00Z")
	post(left+"/check-in", nil, 200)
	post(left+"/leave", nil, 200)
	var series api.SeriesBooked
	post("/appointment-series", object{"patient_id": patient, "doctor_id": doctor, "start_time": "2027-05-03T09:00:00Z", "duration_minutes": 30, "rule": "FREQ=WEEKLY;COUNT=3"}, 201).Decode(t, &series)
	path := fmt.Sprintf("/appointment-series/%d", series.Series.ID)
	post(path+"/reschedule", object{"shift_days": 1}, 200)
	post(path+"/reschedule", object{"doctor_id": 999}, 404)
	post(path+"/cancel", object{"reason": "other"}, 200)
	post("/holds", object{"doctor_id": doctor, "start_time": "2027-06-01T09:00:00Z", "duration_minutes": 30}, 201)
	ticket := id(post("/walk-ins", object{"patient_id": f.patient(), "doctor_id": doctor}, 201))
	post("/queue/call-next", object{"doctor_id": doctor}, 200)
	k := fmt.Sprintf("/tickets/%d", ticket)
	next := id(post(k+"/transfer", object{"doctor_id": other}, 201))
	post(fmt.Sprintf("/tickets/%d/call", next), nil, 200)
	post(fmt.Sprintf("/tickets/%d/start", next), nil, 200)
	post(fmt.Sprintf("/tickets/%d/complete", next), nil, 200)
	post(fmt.Sprintf("/tickets/%d/leave", next), nil, 409)
	for _, answer := range []string{"/decline", "/accept"} {
		at := map[string]string{"/decline": "2027-07-01", "/accept": "2027-07-02"}[answer]
		busy := book(at + "T09:00:00Z")
		entry := id(post("/waitlist", object{"patient_id": patient, "from": at + "T08:00:00Z", "to": at + "T12:00:00Z", "duration_minutes": 30, "doctor_ids": []int64{doctor}}, 201))
		post(busy+"/cancel", object{"reason": "other"}, 200)
		post(fmt.Sprintf("/waitlist/%d%s", entry, answer), nil, map[string]int{"/decline": 200, "/accept": 201}[answer])
	}
	planned := book("2027-07-20T09:00:00Z")
	plan := id(post("/plans", object{"doctor_id": doctor, "start_time": "2027-07-20T00:00:00Z", "end_time": "2027-07-21T00:00:00Z"}, 201))
	post(fmt.Sprintf("/plans/%d/apply", plan), object{"mode": "all_or_nothing"}, 200)
	post(planned+"/no-show", nil, 409)
	// Refusals that have a report replay it.
	taken := object{"patient_id": patient, "doctor_id": doctor, "start_time": "2027-10-04T09:00:00Z", "duration_minutes": 30}
	post("/appointments", taken, 201)
	post("/appointments", taken, 409)
	weekly := object{"patient_id": f.patient(), "doctor_id": doctor, "start_time": "2027-09-27T09:00:00Z", "duration_minutes": 30, "rule": "FREQ=WEEKLY;COUNT=2"}
	post("/appointment-series", weekly, 409)
	weekly["start_time"] = "2027-09-27T10:00:00Z"
	post("/appointment-series", weekly, 201).Decode(t, &series)
	post(fmt.Sprintf("/appointment-series/%d/reschedule", series.Series.ID), object{"start_time_of_day": "09:00"}, 409)
	book("2027-10-06T09:00:00Z")
	book("2027-10-06T10:00:00Z")
	plan = id(post("/plans", object{"doctor_id": doctor, "start_time": "2027-10-06T00:00:00Z", "end_time": "2027-10-07T00:00:00Z"}, 201))
	var proposed api.Plan
	f.Get(fmt.Sprintf("/plans/%d", plan)).Want(t, 200, "").Decode(t, &proposed)
	slot := proposed.Items[1].Proposal.MustGet()
	f.booked(f.patient(), slot.DoctorID, slot.StartTime.Format(time.RFC3339), 30)
	post(fmt.Sprintf("/plans/%d/apply", plan), object{"mode": "all_or_nothing"}, 409)
	kept := id(post("/api-keys", object{"name": "x", "role": "partner"}, 201))
	post(fmt.Sprintf("/api-keys/%d/revoke", kept), nil, 200)
	feed := id(post("/calendar-feeds", object{"doctor_id": doctor, "name": "x"}, 201))
	post(fmt.Sprintf("/calendar-feeds/%d/revoke", feed), nil, 200)
	gone := id(post("/patients", object{"first_name": "Gone", "last_name": "Soon"}, 201))
	post(fmt.Sprintf("/patients/%d/erase", gone), object{"reason": "asked"}, 200)
}

// entries counts the audit entries of changes.
func (f *fixture) entries() int {
	f.t.Helper()
	var n int
	if err := f.db.DB.Get(&n, `SELECT COUNT(*) FROM audit_entries WHERE action <> 'read'`); err != nil {
		f.t.Fatal(err)
	}
	return n
}
