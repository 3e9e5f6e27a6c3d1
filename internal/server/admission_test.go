package server_test

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/contracttest"
	"mems/internal/server"
)

// Clients who send slowly keep nobody waiting, however many they are.
func TestSlowClientsHoldNothing(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, func(c *server.Config) { c.MaxAtOnce, c.Open = 1, true })
	u, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		conn, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := fmt.Fprintf(conn, "POST /patients HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"first"); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		s.Get("/patients").Want(t, 200, "")
	}
}

// When more is written than can be, the writes that have waited for too long are
// told when to come again; reads go on, and what had begun is finished.
func TestOverloadIsShed(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, func(c *server.Config) { c.MaxAtOnce = 2 })
	patient, doctor := s.patient(), s.doctor()
	feed := s.feed(doctor)
	free := s.holdDoctor(doctor)
	client := *s.Client
	client.Allow5xx = true
	began := make(chan *contracttest.Response)
	go func() { began <- client.Post("/appointments", booking(patient, doctor, "2027-03-03T09:00:00Z")) }()
	s.db.WaitForStatements(t, 1)
	together(12, func(i int) {
		r := client.Post("/patients", object{"first_name": "Ann", "last_name": fmt.Sprint("Muster ", i)}).Want(t, 503, "unavailable")
		if seconds, err := strconv.Atoi(r.Header.Get("Retry-After")); err != nil || seconds < 1 || seconds > 30 {
			t.Errorf("Retry-After: %q", r.Header.Get("Retry-After"))
		}
	})
	s.Get("/patients").Want(t, 200, "")
	s.Get(feed.URL).Want(t, 200, "")
	s.Get("/healthz").Want(t, 200, "")
	free()
	(<-began).Want(t, 201, "")
	s.Post("/patients", object{"first_name": "Ann", "last_name": "Muster"}).Want(t, 201, "")
}

func booking(patient, doctor int64, start string) object {
	return object{"patient_id": patient, "doctor_id": doctor, "start_time": start, "duration_minutes": 30}
}

// holdDoctor holds the doctor's row in the database until free is called.
func (f *fixture) holdDoctor(doctor int64) (free func()) {
	f.t.Helper()
	tx, err := f.db.DB.Begin()
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := tx.Exec(`UPDATE doctors SET calendar_rev = calendar_rev + 1 WHERE id = ?`, doctor); err != nil {
		f.t.Fatal(err)
	}
	free = sync.OnceFunc(func() { _ = tx.Rollback() })
	f.t.Cleanup(free)
	return free
}

// lineCounts counts what the lines say.
type lineCounts struct {
	mu                         sync.Mutex
	waiting, working, admitted map[string]int
}

func (l *lineCounts) observer() server.LineObserver {
	l.waiting, l.working, l.admitted = map[string]int{}, map[string]int{}, map[string]int{}
	count := func(of map[string]int) func(string, int) {
		return func(line string, change int) {
			l.mu.Lock()
			defer l.mu.Unlock()
			of[line] += change
		}
	}
	admitted := count(l.admitted)
	return server.LineObserver{
		Waiting: count(l.waiting), Working: count(l.working), Admitted: func(line string, _ time.Duration) { admitted(line, 1) },
	}
}

// until waits for so many who wait in a line.
func (l *lineCounts) until(t *testing.T, line string, n int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		l.mu.Lock()
		waiting := l.waiting[line]
		l.mu.Unlock()
		if waiting == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d wait in %s, not %d", waiting, line, n)
		}
	}
}

// Every write of a doctor's calendar waits for its turn outside of the places, by
// whatever operation it comes, so that the rest of the clinic is served.
func TestWritesOfOneDoctorQueueOutside(t *testing.T) {
	t.Parallel()
	var lines lineCounts
	s := setupSecured(t, func(c *server.Config) {
		c.Open, c.RequestTimeout, c.Lines = true, time.Minute, lines.observer()
	})
	s.Client = contracttest.New(t, s.url) // nobody in particular, who has no share
	doctor, other := s.doctor(), s.doctor()
	s.hours(doctor, "UTC", "06:00-23:00")
	s.hours(other, "UTC", "06:00-23:00")
	day := func(i int) string { return fmt.Sprintf("2027-03-02T%02d:00:00Z", i) }
	visit := func(i int) string {
		return fmt.Sprintf("/appointments/%d", s.booked(s.patient(), doctor, day(i), 30).ID)
	}
	var hold api.Hold
	s.Post("/holds", object{"doctor_id": doctor, "start_time": day(20), "duration_minutes": 30}).Want(t, 201, "").Decode(t, &hold)
	var series api.SeriesBooked
	s.Post("/appointment-series", object{
		"patient_id": s.patient(), "doctor_id": doctor, "start_time": "2027-04-05T09:00:00Z", "duration_minutes": 30, "rule": "FREQ=WEEKLY;COUNT=2",
	}).Want(t, 201, "").Decode(t, &series)
	var ticket api.Ticket
	s.Post("/walk-ins", object{"patient_id": s.patient(), "doctor_id": doctor}).Want(t, 201, "").Decode(t, &ticket)
	var entry api.WaitlistEntry
	s.Post("/waitlist", object{
		"patient_id": s.patient(), "doctor_ids": []int64{doctor}, "duration_minutes": 30, "from": "2027-05-03T09:00:00Z", "to": "2027-05-03T12:00:00Z",
	}).Want(t, 201, "").Decode(t, &entry)
	var plan api.Plan
	s.Post("/plans", object{"doctor_id": doctor, "start_time": "2027-03-02T00:00:00Z", "end_time": "2027-03-03T00:00:00Z"}).Want(t, 201, "").Decode(t, &plan)
	requests := map[string]contracttest.Request{}
	add := func(name, path string, body any) {
		requests[name] = contracttest.Request{Method: "POST", Path: path, Body: body}
	}
	add("book", "/appointments", booking(s.patient(), doctor, day(10)))
	add("book by FHIR", "/fhir/Appointment/$book", object{
		"resourceType": "Appointment", "status": "proposed", "start": day(11), "end": "2027-03-02T11:30:00Z", "participant": []object{
			{"actor": object{"reference": fmt.Sprintf("Patient/%d", s.patient())}, "status": "needs-action"},
			{"actor": object{"reference": fmt.Sprintf("Practitioner/%d", doctor)}, "status": "needs-action"},
		},
	})
	add("hold", "/holds", object{"doctor_id": doctor, "start_time": day(12), "duration_minutes": 30})
	add("series", "/appointment-series", object{
		"patient_id": s.patient(), "doctor_id": doctor, "start_time": "2027-06-07T09:00:00Z", "duration_minutes": 30, "rule": "FREQ=WEEKLY;COUNT=2",
	})
	add("move to another", visit(13)+"/reschedule", object{"doctor_id": other})
	add("move here", fmt.Sprintf("/appointments/%d/reschedule", s.booked(s.patient(), other, day(14), 30).ID), object{"doctor_id": doctor})
	add("cancel", visit(15)+"/cancel", object{"reason": "other"})
	add("confirm", visit(16)+"/confirm", nil)
	add("cancel a series", fmt.Sprintf("/appointment-series/%d/cancel", series.Series.ID), object{"reason": "other"})
	add("walk-in", "/walk-ins", object{"patient_id": s.patient(), "doctor_id": doctor})
	add("call next", "/queue/call-next", object{"doctor_id": doctor})
	add("transfer", fmt.Sprintf("/tickets/%d/transfer", ticket.ID), object{"doctor_id": other})
	add("waitlist", "/waitlist", object{
		"patient_id": s.patient(), "doctor_ids": []int64{doctor}, "duration_minutes": 30, "from": "2027-05-04T09:00:00Z", "to": "2027-05-04T12:00:00Z",
	})
	add("accept", fmt.Sprintf("/waitlist/%d/accept", entry.ID), nil)
	add("plan", fmt.Sprintf("/plans/%d/apply", plan.ID), object{"mode": "all_or_nothing"})
	add("time off", fmt.Sprintf("/doctors/%d/time-off", doctor), object{"start_time": "2027-08-02T00:00:00Z", "end_time": "2027-08-03T00:00:00Z", "reason": "vacation"})
	requests["give back"] = contracttest.Request{Method: "DELETE", Path: fmt.Sprintf("/holds/%d", hold.ID)}

	free := s.holdDoctor(doctor)
	answers := make(chan *contracttest.Response)
	const first = 3 // have their turn, and wait in the database
	for i := range first {
		body := booking(s.patient(), doctor, fmt.Sprintf("2027-03-1%dT09:00:00Z", i))
		go func() { answers <- s.Post("/appointments", body) }()
	}
	s.db.WaitForStatements(t, first)
	waiting := 0
	for name, r := range requests {
		go func() { answers <- s.Send(r) }()
		waiting++
		t.Log(name)
		lines.until(t, server.LineDoctors, waiting)
	}
	s.booked(s.patient(), other, day(18), 30)
	s.Get("/doctors").Want(t, 200, "")
	free()
	for range first + waiting {
		if r := <-answers; r.Status >= 500 || r.Status == 422 {
			t.Errorf("%d %s", r.Status, r.Body)
		}
	}
	lines.until(t, server.LineDoctors, 0)
	for line, n := range lines.working {
		if n != 0 {
			t.Errorf("%d still work in %s", n, line)
		}
	}
}

// A request enters each line once, with its key and with what it asks, and leaves
// it however it is answered.
func TestRequestEntersOnce(t *testing.T) {
	t.Parallel()
	var lines lineCounts
	s := setupSecured(t, func(c *server.Config) { c.Lines = lines.observer() })
	visit := s.booked(s.patient(), s.doctor(), "2027-03-02T09:00:00Z", 30)
	partner, _ := s.key("partner", object{"scopes": []string{"calendar:read"}})
	nobody := contracttest.New(t, s.url)
	for name, c := range map[string]struct {
		send func() *contracttest.Response
		want int
		in   map[string]int // lines entered
	}{
		"read":          {func() *contracttest.Response { return s.Get("/doctors") }, 200, map[string]int{"reads": 1}},
		"not there":     {func() *contracttest.Response { return s.Get("/doctors/999999") }, 404, map[string]int{"reads": 1}},
		"not allowed":   {func() *contracttest.Response { return partner.Get("/audit") }, 403, map[string]int{"reads": 1}},
		"not a number":  {func() *contracttest.Response { return s.Get("/doctors?limit=x") }, 422, map[string]int{"reads": 1}},
		"no key":        {func() *contracttest.Response { return nobody.Get("/doctors") }, 401, map[string]int{}},
		"bad key":       {func() *contracttest.Response { return nobody.With("X-API-Key", "mems_1_x").Get("/doctors") }, 401, map[string]int{"reads": 1}},
		"public":        {func() *contracttest.Response { return nobody.Get("/version") }, 200, map[string]int{}},
		"write":         {func() *contracttest.Response { return s.Post("/patients", object{"first_name": "A", "last_name": "B"}) }, 201, map[string]int{"reads": 1, "writes": 1}},
		"of a calendar": {func() *contracttest.Response { return s.act(visit.ID, "confirm") }, 200, map[string]int{"reads": 1, "writes": 1, "doctors": 1}},
	} {
		clear(lines.admitted)
		if r := c.send(); r.Status != c.want {
			t.Errorf("%s: answered %d %s", name, r.Status, r.Body)
		}
		lines.mu.Lock()
		if !maps.Equal(lines.admitted, c.in) {
			t.Errorf("%s: entered %v, want %v", name, lines.admitted, c.in)
		}
		lines.mu.Unlock()
	}
	for line, n := range lines.working {
		if n != 0 {
			t.Errorf("%d still work in %s", n, line)
		}
	}
}
