package server_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	_ "time/tzdata"

	"mems/gen/api"
	"mems/internal/contracttest"
	"mems/internal/server"
	"mems/internal/storetest"
)

// now is the time at which the tests of this package take place.
var now = time.Date(2027, 3, 1, 8, 0, 0, 0, time.UTC)

// fixture is a clinic behind HTTP.
type fixture struct {
	*contracttest.Client
	t     *testing.T
	db    *storetest.Database
	url   string
	clock *clock
}

// clock is the time as the server sees it. It starts at now.
type clock struct{ passed atomic.Int64 }

func (c *clock) now() time.Time { return now.Add(time.Duration(c.passed.Load())) }

// pass advances the clock.
func (f *fixture) pass(d time.Duration) { f.clock.passed.Add(int64(d)) }

var serial atomic.Int64

// setup starts a server on a database of its own, at now.
func setup(t *testing.T, zone string) *fixture {
	t.Helper()
	return setupOn(t, storetest.New(t), zone)
}

// setupOn starts one more server on a database.
func setupOn(t *testing.T, db *storetest.Database, zone string) *fixture {
	t.Helper()
	location, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{}
	s, err := server.New(server.Config{
		Store: db.Open(t, c.now, location), Zone: location, Open: true, Now: c.now,
		Version: "test", Commit: "test", Log: slog.New(slog.DiscardHandler),
		RequestTimeout: 30 * time.Second, // races are answered by the rules, however slow the machine
	})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return &fixture{Client: contracttest.New(t, h.URL), t: t, db: db, url: h.URL, clock: c}
}

type object = map[string]any

// patient registers a patient and returns the id.
func (f *fixture) patient() int64 {
	f.t.Helper()
	var p api.Patient
	f.Post("/patients", object{"first_name": "Ann", "last_name": fmt.Sprintf("Muster %d", serial.Add(1))}).Want(f.t, 201, "").Decode(f.t, &p)
	return p.ID
}

// doctor adds a doctor and returns the id.
func (f *fixture) doctor() int64 {
	f.t.Helper()
	var d api.Doctor
	f.Post("/doctors", object{"full_name": "Dr. Noor Haddad", "specialization": "Dermatology"}).Want(f.t, 201, "").Decode(f.t, &d)
	return d.ID
}

// book books a time and returns the response, whatever it is.
func (f *fixture) book(patient, doctor int64, start string, minutes any) *contracttest.Response {
	f.t.Helper()
	return f.Post("/appointments", object{"patient_id": patient, "doctor_id": doctor, "start_time": start, "duration_minutes": minutes})
}

// booked books a time, which must succeed.
func (f *fixture) booked(patient, doctor int64, start string, minutes int) api.Appointment {
	f.t.Helper()
	var a api.Appointment
	f.book(patient, doctor, start, minutes).Want(f.t, 201, "").Decode(f.t, &a)
	return a
}

// doctorOf adds a doctor of a specialization and returns the id.
func (f *fixture) doctorOf(specialization string) int64 {
	f.t.Helper()
	var d api.Doctor
	f.Post("/doctors", object{"full_name": "Dr. Noor Haddad", "specialization": specialization}).Want(f.t, 201, "").Decode(f.t, &d)
	return d.ID
}

// put sends a PUT with a JSON body.
func (f *fixture) put(path string, body any) *contracttest.Response {
	f.t.Helper()
	return f.Send(contracttest.Request{Method: http.MethodPut, Path: path, Body: body})
}

// hours sets a doctor's hours: the same blocks ("08:00-12:00") on every day.
func (f *fixture) hours(doctor int64, zone string, blocks ...string) {
	f.t.Helper()
	week := []object{}
	for weekday := 1; weekday <= 7; weekday++ {
		for _, b := range blocks {
			start, end, _ := strings.Cut(b, "-")
			week = append(week, object{"weekday": weekday, "start": start, "end": end})
		}
	}
	f.put(fmt.Sprintf("/doctors/%d/working-hours", doctor), object{
		"time_zone": zone, "timetables": []object{{"effective_from": "2020-01-01", "blocks": week}}, "exceptions": []object{},
	}).Want(f.t, 200, "")
}

// problem decodes a response that must be a problem of this type.
func (f *fixture) problem(r *contracttest.Response, status int, problemType string) api.Problem {
	f.t.Helper()
	var p api.Problem
	r.Want(f.t, status, problemType).Decode(f.t, &p)
	return p
}

// act changes an appointment's status and returns the response, whatever it is.
func (f *fixture) act(id int64, action string) *contracttest.Response {
	f.t.Helper()
	return f.Post(fmt.Sprintf("/appointments/%d/%s", id, action), nil)
}

// together runs work n times at once.
func together(n int, work func(i int)) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			work(i)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
}
