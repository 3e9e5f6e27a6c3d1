package store_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mems/internal/clinic"
	"mems/internal/store"
	"mems/internal/storetest"
)

// searches counts the searches for alternatives since the last call.
func searches(list *storetest.Statements) int {
	return sent(list, "FORCE INDEX (doctors_specialization)")
}

// refuseTogether has bookings of one taken time be refused at once.
func refuseTogether(s *store.Store, all []member, ready func()) []outcome {
	got := make([]outcome, len(all))
	var done sync.WaitGroup
	s.GatherRefusals(all[0].booking, len(all), func(i int) {
		done.Go(func() { got[i].made, got[i].err = s.BookAppointment(all[i].ctx, all[i].req, all[i].booking) })
	}, ready)
	done.Wait()
	return got
}

func refusalOf(t *testing.T, err error) *clinic.Error {
	t.Helper()
	refusal, ok := errors.AsType[*clinic.Error](err)
	if !ok {
		t.Fatalf("not refused: %v", err)
	}
	return refusal
}

// takenTime books one time, has another booking of it refused, so that further ones are refused
// early, and returns a booking of it for every patient.
func (f *fixture) takenTime(t *testing.T, s *store.Store, b clinic.Booking) (a clinic.Appointment, all []member) {
	t.Helper()
	a, err := s.BookAppointment(background, store.SystemRequest(), b)
	if err != nil {
		t.Fatal(err)
	}
	for _, patient := range f.patients {
		b.PatientID = patient
		all = append(all, members(b)...)
	}
	if _, err := s.BookAppointment(background, store.SystemRequest(), all[0].booking); !errors.Is(err, clinic.ErrDoctorOverlap) {
		t.Fatal(err)
	}
	return a, all
}

// Equal refusals share one search, and each patient is offered what the search alone offers.
func TestEqualRefusalsShareASearch(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 4, 24)
	s, list := f.listing(t)
	_, all := f.takenTime(t, s, f.booking(300, 30))
	random := rand.New(rand.NewPCG(3, 9))
	for i, m := range all[1:] { // some have appointments near that time, some many
		for range i % 4 {
			b := m.booking
			b.DoctorID = f.doctors[3]
			b.Start = now.Add(time.Duration(15*(1+random.IntN(60))) * time.Minute)
			_, _ = s.BookAppointment(background, store.SystemRequest(), b)
		}
	}
	crowded := all[23].booking // nothing that the shared search finds is left to this one
	for hour := range 23 {
		b := crowded
		b.DoctorID, b.Duration = f.doctors[2], time.Hour
		b.Start = now.Add(time.Duration(1+hour) * time.Hour)
		_, _ = s.BookAppointment(background, store.SystemRequest(), b)
	}
	list.Take()
	got := refuseTogether(s, all, func() {})
	if n := searches(list); n > 3 {
		t.Errorf("%d refusals searched %d times, want once, and once for those who have many appointments", len(all), n)
	}
	for i, o := range got {
		together := refusalOf(t, o.err)
		_, err := s.BookAppointment(background, store.SystemRequest(), all[i].booking)
		alone := refusalOf(t, err)
		if together.Code != alone.Code || together.Conflict != alone.Conflict || together.Held != alone.Held ||
			!slices.Equal(together.Alternatives, alone.Alternatives) {
			t.Errorf("booking %d: refused together with %+v, alone with %+v", i, *together, *alone)
		}
		if i > 0 && len(together.Alternatives) == 0 {
			t.Errorf("booking %d: no alternatives", i)
		}
	}
}

// Nobody is refused because of what was read before they asked.
func TestSharedRefusalIsNew(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 8)
	a, all := f.takenTime(t, f.store, f.booking(60, 30))
	got := refuseTogether(f.store, all, func() {
		if _, err := f.store.CancelAppointment(background, store.SystemRequest(), a.ID, clinic.ReasonOther, nil, nil); err != nil {
			t.Error(err)
		}
	})
	booked := 0
	for i, o := range got {
		if o.err == nil {
			booked++
		} else if !errors.Is(o.err, clinic.ErrDoctorOverlap) {
			t.Errorf("booking %d: %v", i, o.err)
		}
	}
	if booked != 1 || f.overlaps(t) != 0 {
		t.Errorf("%d booked the time that was free again, want one", booked)
	}
}

// What is particular to one of equal bookings is no other's.
func TestSharedRefusalIsOfEach(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 8)
	_, all := f.takenTime(t, f.store, f.booking(60, 30))
	gone, cancel := context.WithCancel(background)
	defer cancel()
	all[0].ctx = gone // of the one that leads
	all[1].booking.PatientID = 1 << 40
	all[2].req = withKey(store.IdempotencyKey{Key: "one"})
	all[3].req = all[2].req
	got := refuseTogether(f.store, all, cancel)
	for i, want := range map[int]error{
		1: clinic.ErrPatientNotFound, 4: clinic.ErrDoctorOverlap, 5: clinic.ErrDoctorOverlap,
		6: clinic.ErrDoctorOverlap, 7: clinic.ErrDoctorOverlap,
	} {
		if !errors.Is(got[i].err, want) {
			t.Errorf("booking %d: %v, want %v", i, got[i].err, want)
		}
	}
	for _, i := range []int{2, 3} { // one key
		if !errors.Is(got[i].err, clinic.ErrDoctorOverlap) && !errors.Is(got[i].err, clinic.ErrIdempotencyInUse) {
			t.Errorf("booking %d: %v", i, got[i].err)
		}
	}
	first, second := refusalOf(t, got[4].err), refusalOf(t, got[5].err)
	if len(first.Alternatives) == 0 {
		t.Fatal("no alternatives")
	}
	first.Alternatives[0].DoctorID = -1
	if second.Alternatives[0].DoctorID == -1 {
		t.Error("two refusals have one list of alternatives")
	}
}

// The patients' times of a shared refusal are found by their index.
func TestSharedRefusalReadsByIndex(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 8)
	s, list := f.listing(t)
	_, all := f.takenTime(t, s, f.booking(60, 30))
	list.Take()
	refuseTogether(s, all, func() {})
	var reads, statements int
	for _, statement := range list.Take() {
		statements++
		if strings.Contains(statement, "FORCE INDEX (appointments_patient)") {
			reads++
		}
	}
	if reads != 1 || statements > 24 {
		t.Errorf("8 refusals sent %d statements, and read the patients' times with %d, want one", statements, reads)
	}
}
