package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"mems/internal/clinic"
	"mems/internal/store"
	"mems/internal/storetest"
)

// now is the time at which most tests of this package take place.
var now = time.Date(2027, 3, 1, 8, 0, 0, 0, time.UTC)

func fixedClock() time.Time { return now }

// fixture is a clinic with some doctors and patients.
type fixture struct {
	*storetest.Database
	store    *store.Store
	doctors  []int64
	patients []int64
}

func newFixture(t *testing.T, doctors, patients int) *fixture {
	t.Helper()
	f := &fixture{Database: storetest.New(t)}
	f.store = f.Open(t, fixedClock, time.UTC)
	for i := range doctors {
		d, err := f.store.CreateDoctor(t.Context(), store.SystemRequest(), clinic.Doctor{FullName: fmt.Sprintf("Dr. %d", i), Specialization: "Any", IsActive: true})
		if err != nil {
			t.Fatal(err)
		}
		f.doctors = append(f.doctors, d.ID)
	}
	ps := make([]clinic.Patient, patients)
	for i := range ps {
		ps[i] = clinic.Patient{FirstName: "P", LastName: fmt.Sprintf("%04d", i)}
	}
	var err error
	if f.patients, err = f.store.CreatePatients(t.Context(), store.SystemRequest(), ps); err != nil {
		t.Fatal(err)
	}
	return f
}

// booking is one of the first doctor and patient, so many minutes after now.
func (f *fixture) booking(minutes, duration int) clinic.Booking {
	return clinic.Booking{
		PatientID: f.patients[0], DoctorID: f.doctors[0],
		Start: now.Add(time.Duration(minutes) * time.Minute), Duration: time.Duration(duration) * time.Minute,
	}
}

// overlaps counts the pairs of overlapping appointments in the database, which must be none.
func (f *fixture) overlaps(t *testing.T) int {
	t.Helper()
	var n int
	err := f.DB.Get(&n, `
		SELECT COUNT(*)
		FROM appointments a
		JOIN appointments b ON a.id < b.id
		 AND a.start_time < b.end_time AND b.start_time < a.end_time
		 AND (a.doctor_id = b.doctor_id OR a.patient_id = b.patient_id)
		WHERE a.status NOT IN ('cancelled', 'no_show', 'left_without_being_seen')
		  AND b.status NOT IN ('cancelled', 'no_show', 'left_without_being_seen')`)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// mirrorDifferences counts missing and surplus rows of the backstop's mirror.
func (f *fixture) mirrorDifferences(t *testing.T) int {
	t.Helper()
	var wrong, missing int
	err := f.DB.Get(&wrong, `
		SELECT COUNT(*)
		FROM occupied_times o
		LEFT JOIN appointments a ON a.id = o.appointment_id
		 AND o.start_time = a.start_time - INTERVAL IF(o.party = 'patient', 0, a.buffer_before_minutes) MINUTE
		 AND o.end_time = a.end_time + INTERVAL IF(o.party = 'patient', 0, a.buffer_after_minutes) MINUTE
		 AND o.party_id = CASE o.party WHEN 'doctor' THEN a.doctor_id WHEN 'patient' THEN a.patient_id ELSE a.room_id END
		 AND a.status NOT IN ('cancelled', 'no_show', 'left_without_being_seen')
		WHERE a.id IS NULL`)
	if err != nil {
		t.Fatal(err)
	}
	err = f.DB.Get(&missing, `
		SELECT COUNT(*)
		FROM appointments a
		WHERE a.status NOT IN ('cancelled', 'no_show', 'left_without_being_seen')
		  AND (SELECT COUNT(*) FROM occupied_times o WHERE o.appointment_id = a.id) <> 2 + (a.room_id IS NOT NULL)`)
	if err != nil {
		t.Fatal(err)
	}
	return wrong + missing
}

// together runs work n times at once and waits for all.
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

func wantErr(t *testing.T, err error, want *clinic.Error) {
	t.Helper()
	if want == nil && err == nil {
		return
	}
	if want == nil || !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

var background = context.Background()
