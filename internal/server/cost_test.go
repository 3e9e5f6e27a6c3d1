package server_test

import (
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/contracttest"
	"mems/internal/server"
	"mems/internal/store"
)

// left returns the remaining tokens from a response's header.
func left(t *testing.T, r *contracttest.Response) int {
	t.Helper()
	var n, back int
	if _, err := fmt.Sscanf(r.Header.Get("RateLimit"), `"caller";r=%d;t=%d`, &n, &back); err != nil {
		t.Fatalf("scan the RateLimit header of %v: %v, want no error", r.Header, err)
	}
	return n
}

// A request costs one token for each started unit of its work, as the contract states, whether or
// not it is refused, and its own response has the remaining tokens.
func TestRequestsAreWeighed(t *testing.T) {
	t.Parallel()
	const limit = 1000
	s := setupSecured(t, func(c *server.Config) { c.RateLimit = limit })
	patient, doctor := s.patient(), s.doctor()
	taken := func(what string, want int, send func(c *contracttest.Client) *contracttest.Response) {
		t.Helper()
		c, _ := s.key("admin", nil)
		if r := send(c); limit-left(t, r) != want {
			t.Errorf("%s takes %d tokens, want %d: %d %s", what, limit-left(t, r), want, r.Status, r.Header.Get("RateLimit"))
		}
	}
	series := func(c *contracttest.Client, rule string, members object) *contracttest.Response {
		body := object{"patient_id": patient, "doctor_id": doctor, "start_time": "2027-03-16T09:00:00Z", "rule": rule, "duration_minutes": 30}
		maps.Copy(body, members)
		return c.Post("/appointment-series", body)
	}
	var path string
	taken("a series of 100 dates", 20, func(c *contracttest.Client) *contracttest.Response {
		r := series(c, "FREQ=DAILY;COUNT=100", object{"on_conflict": "fail"}).Want(t, 201, "")
		path = r.Header.Get("Location")
		return r
	})
	taken("a refused series", 20, func(c *contracttest.Client) *contracttest.Response {
		return series(c, "FREQ=DAILY;COUNT=100", object{"on_conflict": "fail"}).Want(t, 409, "series-conflict")
	})
	taken("a small series", 1, func(c *contracttest.Client) *contracttest.Response {
		return series(c, "FREQ=DAILY;COUNT=5", object{"start_time": "2027-03-16T11:00:00Z"}).Want(t, 201, "")
	})
	taken("a series of the wrong shape", 1, func(c *contracttest.Client) *contracttest.Response {
		return series(c, "FREQ=DAILY;COUNT=100", object{"no": 1}).Want(t, 422, "validation-failed")
	})
	taken("moving a series", 20, func(c *contracttest.Client) *contracttest.Response {
		return c.Post(path+"/reschedule", object{"start_time_of_day": "13:00"}).Want(t, 200, "")
	})
	taken("cancelling a series", 20, func(c *contracttest.Client) *contracttest.Response {
		return c.Post(path+"/cancel", object{"reason": "patient_request"}).Want(t, 200, "")
	})
	taken("an appointment", 1, func(c *contracttest.Client) *contracttest.Response { return c.Get("/appointments/1").Want(t, 200, "") })

	for range 10 {
		s.hours(s.doctor(), "UTC") // never at work
	}
	s.hours(doctor, "UTC")
	week := "from=2027-04-01T00:00:00Z&to=2027-04-08T00:00:00Z"
	taken("free times of 11 doctors in a week", 1, func(c *contracttest.Client) *contracttest.Response {
		return c.Get("/availability?duration_minutes=30&"+week).Want(t, 200, "")
	})
	taken("free times of 11 doctors in 92 days", 11, func(c *contracttest.Client) *contracttest.Response {
		return c.Get("/availability?duration_minutes=30&from=2027-04-01T00:00:00Z&to=2027-07-02T00:00:00Z").Want(t, 200, "")
	})
	taken("the next free times of 11 doctors", 10, func(c *contracttest.Client) *contracttest.Response {
		return c.Get("/availability/next?duration_minutes=30").Want(t, 200, "")
	})
	taken("FHIR slots of 11 doctors in 61 days", 7, func(c *contracttest.Client) *contracttest.Response {
		return c.Get("/fhir/Slot?start=ge2027-04-01&start=lt2027-06-01").Want(t, 200, "")
	})
	taken("a usual page", 1, func(c *contracttest.Client) *contracttest.Response { return c.Get("/patients").Want(t, 200, "") })
	taken("a large page", 2, func(c *contracttest.Client) *contracttest.Response {
		return c.Get("/appointments?limit=200&"+week).Want(t, 200, "")
	})
	taken("a large page of FHIR", 2, func(c *contracttest.Client) *contracttest.Response {
		return c.Get("/fhir/Patient?_count=99999&name=a").Want(t, 200, "")
	})
	taken("a FHIR total", 20, func(c *contracttest.Client) *contracttest.Response {
		return c.Get("/fhir/Appointment?_count=0&date=ge2027-04-01").Want(t, 200, "")
	})
	taken("an export", exported(t, s, patient), func(c *contracttest.Client) *contracttest.Response {
		return c.Get(fmt.Sprintf("/patients/%d/export", patient)).Want(t, 200, "")
	})
}

// exported returns what an export of the patient costs.
func exported(t *testing.T, s *secured, patient int64) int {
	t.Helper()
	st := s.db.Open(t, s.clock.now, time.UTC)
	admin := store.Request{Access: clinic.Access{Caller: clinic.Admin(), Reach: clinic.Reach{All: true}}}
	f, err := st.ExportPatient(t.Context(), admin, patient)
	if err != nil {
		t.Fatal(err)
	}
	n := 1 + len(f.Appointments) + len(f.Events) + len(f.Series) + len(f.Audit)
	if n < 300 {
		t.Fatalf("the export has %d records, want at least 300", n)
	}
	return (n + 1 + 99) / 100 // the next export is in its own trail
}

// A plan costs by the calendars that it examines, and by its appointments when it is applied.
func TestPlansAreWeighed(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, func(c *server.Config) { c.RateLimit = 1000 })
	doctor, room := s.doctor(), "2027-04-05"
	for i := range 6 {
		s.booked(s.patient(), doctor, fmt.Sprintf("%sT%02d:00:00Z", room, 9+i), 30)
	}
	for range 9 {
		s.doctor()
	}
	c, _ := s.key("admin", nil)
	r := c.Post("/plans", object{"doctor_id": doctor, "first_date": room, "last_date": room, "horizon_days": 30}).Want(t, 201, "")
	var p api.Plan
	r.Decode(t, &p)
	if n := 1000 - left(t, r); n < 2 || n > 5 {
		t.Errorf("a plan of ten doctors for a month took %d tokens, want 2 to 5", n)
	}
	before := left(t, r)
	if n := before - left(t, c.Post(fmt.Sprintf("/plans/%d/apply", p.ID), object{}).Want(t, 200, "")); n != 2 {
		t.Errorf("applying a plan of 6 visits takes %d tokens, want 2", n)
	}
}

// A debt is paid after exactly the time of Retry-After, and is a minute at most.
func TestDebtIsPaidInTime(t *testing.T) {
	t.Parallel()
	const limit = 60
	s := setupSecured(t, func(c *server.Config) { c.RateLimit = limit })
	patient, doctor := s.patient(), s.doctor()
	s.pass(time.Minute)
	c, _ := s.key("partner", object{"scopes": []string{"appointments:write", "records:all", "appointments:read", "patients:read"}})
	bomb := object{"patient_id": patient, "doctor_id": doctor, "start_time": "2027-03-16T09:00:00Z", "rule": "FREQ=DAILY;COUNT=100", "duration_minutes": 30}
	for range 50 {
		c.Get("/patients/1").Want(t, 200, "")
	}
	c.Post("/appointment-series", bomb).Want(t, 201, "") // costs 20, of which 10 are there
	for range 2 {
		r := c.Get("/patients/1").Want(t, 429, "rate-limited")
		if r.Header.Get("Retry-After") != "11" || left(t, r) != 0 {
			t.Errorf("headers %v, want Retry-After 11 and no token left", r.Header)
		}
	}
	c.Post("/appointment-series", object{"no": 1}).Want(t, 429, "rate-limited") // before its shape
	s.pass(10 * time.Second)
	c.Get("/patients/1").Want(t, 429, "rate-limited")
	s.pass(time.Second)
	c.Get("/patients/1").Want(t, 200, "")
	for range 3 { // each lets the next begin after its debt alone
		r := c.Get("/patients/1").Want(t, 429, "rate-limited")
		seconds, _ := strconv.Atoi(r.Header.Get("Retry-After"))
		if seconds < 1 || seconds > 60 {
			t.Errorf("Retry-After of %d seconds in %v, want 1 to 60", seconds, r.Header)
		}
		s.pass(time.Duration(seconds) * time.Second)
		c.Post("/appointment-series", bomb).Want(t, 409, "series-conflict")
	}
}

// A partner that sends many series of 100 dates at once is limited soon, however many wait when the
// first one is charged, and a receptionist is served meanwhile. The clock stands still, so no token
// comes back. Not parallel: the slower the machine, the more requests are rejected and retried at
// once.
func TestSeriesOfOnePartnerAreLimited(t *testing.T) {
	s := setupSecured(t, func(c *server.Config) { c.RateLimit = 1200 })
	patient, doctor := s.patient(), s.doctor()
	s.booked(s.patient(), doctor, "2027-06-23T09:00:00Z", 30) // in the way of the last date
	partner, _ := s.key("partner", object{"scopes": []string{"appointments:write", "records:all"}})
	desk, _ := s.key("receptionist", nil)
	partner.Allow5xx = true // more than a third of the places is not for one caller
	seen, served := map[int]int{}, map[int]int{}
	var mu sync.Mutex
	count := func(tally map[int]int, status int) int {
		mu.Lock()
		defer mu.Unlock()
		tally[status]++
		return status
	}
	var all sync.WaitGroup
	for range 45 {
		all.Go(func() {
			for status := 0; status != http.StatusTooManyRequests; {
				status = count(seen, partner.Post("/appointment-series", object{
					"patient_id": patient, "doctor_id": doctor, "start_time": "2027-03-16T09:00:00Z", "rule": "FREQ=DAILY;COUNT=100",
					"duration_minutes": 30, "on_conflict": "fail",
				}).Status)
			}
		})
		all.Go(func() { count(served, desk.Get(fmt.Sprintf("/patients/%d", patient)).Status) })
	}
	all.Wait()
	t.Logf("partner %v, receptionist %v", seen, served)
	// A series of 100 dates costs about 20 tokens, and a rejected request costs one.
	if spent := 20*seen[http.StatusConflict] + seen[http.StatusServiceUnavailable]; seen[http.StatusTooManyRequests] != 45 || spent < 1000 || spent > 1400 {
		t.Errorf("the partner spent %d tokens of 1200, and was answered %v; want 45 of 429", spent, seen)
	}
	if len(served) != 1 || served[http.StatusOK] != 45 {
		t.Errorf("answers to the receptionist by status = %v, want 45 of 200", served)
	}
}
