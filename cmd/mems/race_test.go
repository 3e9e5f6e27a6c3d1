package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/contracttest"
	"mems/internal/storetest"
)

// clinicForRace is a clinic behind several server processes on one database.
type clinicForRace struct {
	*storetest.Database
	clients  []*contracttest.Client
	doctors  []int64
	patients []int64
}

func newClinicForRace(t *testing.T, processes, doctors, patients int) *clinicForRace {
	t.Helper()
	c := &clinicForRace{Database: storetest.New(t)}
	for range processes {
		c.clients = append(c.clients, contracttest.New(t, startMEMS(t, "MEMS_DATABASE_URL="+c.DSN, "MEMS_REQUEST_TIMEOUT=1m", "MEMS_MAX_AT_ONCE=200").URL)) // even on a slow machine
	}
	if processes > 0 {
		c.fill(t, c.clients[0], doctors, patients)
	}
	return c
}

// fill creates doctors and patients.
func (c *clinicForRace) fill(t *testing.T, client *contracttest.Client, doctors, patients int) {
	t.Helper()
	for i := range doctors {
		var d api.Doctor
		client.Post("/doctors", map[string]any{"full_name": fmt.Sprintf("Dr. %d", i), "specialization": "Any"}).
			Want(t, http.StatusCreated, "").Decode(t, &d)
		c.doctors = append(c.doctors, d.ID)
	}
	for i := range patients {
		var p api.Patient
		client.Post("/patients", map[string]any{"first_name": "P", "last_name": fmt.Sprint(i)}).
			Want(t, http.StatusCreated, "").Decode(t, &p)
		c.patients = append(c.patients, p.ID)
	}
}

func booking(patient, doctor int64, start time.Time, minutes int) map[string]any {
	return map[string]any{
		"patient_id": patient, "doctor_id": doctor, "start_time": start.Format(time.RFC3339Nano), "duration_minutes": minutes,
	}
}

// record collects the responses that clients received.
type record struct {
	mu       sync.Mutex
	booked   []api.Appointment
	statuses map[string]int
}

func (r *record) add(t *testing.T, response *contracttest.Response) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.statuses == nil {
		r.statuses = map[string]int{}
	}
	r.statuses[fmt.Sprintf("%d %s", response.Status, response.Type())]++
	if response.Status == http.StatusCreated {
		var a api.Appointment
		response.Decode(t, &a)
		r.booked = append(r.booked, a)
	}
}

// waitForBookings waits until the load has made n bookings.
func (r *record) waitForBookings(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		r.mu.Lock()
		booked := len(r.booked)
		r.mu.Unlock()
		if booked >= n {
			return
		}
	}
	t.Fatalf("fewer than %d bookings in time, want as many", n)
}

// verify checks responses and database: there are no overlaps, and every acknowledged
// booking exists as acknowledged.
func (c *clinicForRace) verify(t *testing.T, r *record) {
	t.Helper()
	var overlaps int
	if err := c.DB.Get(&overlaps, `
		SELECT COUNT(*)
		FROM appointments a
		JOIN appointments b ON a.id < b.id
		 AND a.start_time < b.end_time AND b.start_time < a.end_time
		 AND (a.doctor_id = b.doctor_id OR a.patient_id = b.patient_id)
		WHERE a.status = 'scheduled' AND b.status = 'scheduled'`); err != nil {
		t.Fatal(err)
	}
	if overlaps != 0 {
		t.Errorf("%d appointments in the database overlap, want none", overlaps)
	}
	for i, a := range r.booked {
		for _, b := range r.booked[i+1:] {
			if (a.DoctorID == b.DoctorID || a.PatientID == b.PatientID) && a.StartTime.Before(b.EndTime) && b.StartTime.Before(a.EndTime) {
				t.Errorf("acknowledged bookings %d and %d overlap, want no overlap", a.ID, b.ID)
			}
		}
		var kept struct {
			Patient int64     `db:"patient_id"`
			Doctor  int64     `db:"doctor_id"`
			Start   time.Time `db:"start_time"`
			End     time.Time `db:"end_time"`
		}
		if err := c.DB.Get(&kept, `SELECT patient_id, doctor_id, start_time, end_time FROM appointments WHERE id = ?`, a.ID); err != nil {
			t.Errorf("read the acknowledged booking %d: %v, want it kept", a.ID, err)
			continue
		}
		if kept.Patient != a.PatientID || kept.Doctor != a.DoctorID || !kept.Start.Equal(a.StartTime) || !kept.End.Equal(a.EndTime) {
			t.Errorf("acknowledged booking %d is kept as %+v, want %+v", a.ID, kept, a)
		}
	}
}

func (c *clinicForRace) count(t *testing.T) (n int) {
	t.Helper()
	if err := c.DB.Get(&n, `SELECT COUNT(*) FROM appointments`); err != nil {
		t.Fatal(err)
	}
	return n
}

// together runs work n times concurrently.
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

func tomorrow() time.Time {
	return time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 2).Add(9 * time.Hour)
}

// 96 clients concurrently book the same doctor and time through two server processes: one
// succeeds.
func TestOneTimeManyClients(t *testing.T) {
	t.Parallel()
	c := newClinicForRace(t, 2, 1, 96)
	var r record
	together(96, func(i int) {
		r.add(t, c.clients[i%2].Post("/appointments", booking(c.patients[i], c.doctors[0], tomorrow(), 30)))
	})
	if r.statuses["201 "] != 1 || r.statuses["409 doctor-overlap"] != 95 {
		t.Errorf("answers %v, want one 201 and 95 of 409 doctor-overlap", r.statuses)
	}
	c.verify(t, &r)
}

// The same for one patient and 96 doctors.
func TestOnePatientManyDoctors(t *testing.T) {
	t.Parallel()
	c := newClinicForRace(t, 2, 64, 1)
	var r record
	together(64, func(i int) {
		r.add(t, c.clients[i%2].Post("/appointments", booking(c.patients[0], c.doctors[i], tomorrow(), 30)))
	})
	if r.statuses["201 "] != 1 || r.statuses["409 patient-overlap"] != 63 {
		t.Errorf("answers %v, want one 201 and 63 of 409 patient-overlap", r.statuses)
	}
	c.verify(t, &r)
}

// 5000 random bookings with a few doctors through three server processes: all get a
// response, none 500, and the database has exactly those that got 201.
func TestFiveThousandRandomBookings(t *testing.T) {
	t.Parallel()
	const workers, each = 50, 100
	c := newClinicForRace(t, 3, 5, 40)
	var r record
	together(workers, func(worker int) {
		random := rand.New(rand.NewPCG(42, uint64(worker)))
		for range each {
			start := tomorrow().Add(time.Duration(random.Int64N(int64(20 * 24 * time.Hour)))).Truncate(time.Microsecond)
			r.add(t, c.clients[random.IntN(len(c.clients))].Post("/appointments", booking(
				c.patients[random.IntN(len(c.patients))], c.doctors[random.IntN(len(c.doctors))], start, 15+random.IntN(166))))
		}
	})
	t.Logf("answers: %v", r.statuses)
	answered := 0
	for status, n := range r.statuses {
		answered += n
		if status != "201 " && status != "409 doctor-overlap" && status != "409 patient-overlap" {
			t.Errorf("%d answers of %q, want 201 or an overlap", n, status)
		}
	}
	if answered != workers*each {
		t.Errorf("%d answers, want %d: one for each request", answered, workers*each)
	}
	if kept := c.count(t); kept != len(r.booked) {
		t.Errorf("%d bookings are kept, want the %d acknowledged", kept, len(r.booked))
	}
	if len(r.booked) < 100 || r.statuses["409 doctor-overlap"] < 100 || r.statuses["409 patient-overlap"] == 0 {
		t.Errorf("%d booked, answers %v; want at least 100 booked, 100 overlaps of doctors and some of patients",
			len(r.booked), r.statuses)
	}
	c.verify(t, &r)
}
