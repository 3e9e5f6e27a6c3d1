package store_test

import (
	"context"
	"errors"
	"fmt"
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

// Shared refusals are stored under their idempotency keys by one statement, and replayed as such.
func TestSharedRefusalsAreStoredTogether(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 8)
	s, list := f.listing(t)
	a, all := f.takenTime(t, s, f.booking(60, 30))
	for i := range all {
		all[i].req = withKey(store.IdempotencyKey{Key: fmt.Sprint("key ", i), Request: [32]byte{byte(i)}})
	}
	all[7].req = all[6].req // one key, twice
	list.Take()
	got := refuseTogether(s, all, func() {})
	if n := sent(list, "INSERT INTO idempotency_keys"); n != 1 {
		t.Errorf("8 refusals were stored by %d statements, want 1", n)
	}
	if _, err := s.CancelAppointment(background, store.SystemRequest(), a.ID, clinic.ReasonOther, nil, nil); err != nil {
		t.Fatal(err)
	}
	for i, m := range all {
		first := refusalOf(t, got[i].err)
		if first.Code != clinic.CodeDoctorOverlap {
			t.Errorf("booking %d: refused for %s, want %s", i, first.Code, clinic.CodeDoctorOverlap)
		}
		_, err := s.BookAppointment(m.ctx, m.req, m.booking)
		if again := refusalOf(t, err); again.Code != first.Code || !slices.Equal(again.Alternatives, first.Alternatives) {
			t.Errorf("booking %d, repeated when the time is free: %+v, want what it was answered first, %+v", i, again, first)
		}
	}
	other := *all[0].req.Idempotency
	other.Request = [32]byte{99}
	if _, err := s.BookAppointment(background, withKey(other), all[0].booking); !errors.Is(err, clinic.ErrIdempotencyReused) {
		t.Errorf("another request under the key of a shared refusal: %v, want %v", err, clinic.ErrIdempotencyReused)
	}
}

// A key that is known already is replayed, and keeps no other refusal from being stored.
func TestSharedRefusalUnderKnownKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 4)
	_, all := f.takenTime(t, f.store, f.booking(60, 30))
	for i := range all {
		all[i].req = withKey(store.IdempotencyKey{Key: fmt.Sprint("key ", i)})
	}
	free := f.booking(600, 30)
	var made clinic.Appointment
	got := refuseTogether(f.store, all, func() {
		var err error // the same key, answered while the others wait
		if made, err = f.store.BookAppointment(background, all[1].req, free); err != nil {
			t.Error(err)
		}
	})
	if got[1].err != nil || got[1].made.ID != made.ID {
		t.Errorf("the key that was used meanwhile: %+v, %v, want appointment %d", got[1].made, got[1].err, made.ID)
	}
	for _, i := range []int{0, 2, 3} {
		if !errors.Is(got[i].err, clinic.ErrDoctorOverlap) {
			t.Errorf("booking %d: %v, want %v", i, got[i].err, clinic.ErrDoctorOverlap)
		}
	}
	var n int
	if err := f.DB.Get(&n, `SELECT COUNT(*) FROM idempotency_keys WHERE refused = 1`); err != nil || n != 3 {
		t.Errorf("%d refusals are stored (%v), want 3", n, err)
	}
}

// placeNotes is a place that notes what is done with it.
type placeNotes struct {
	mu    sync.Mutex
	notes []string
}

func (p *placeNotes) note(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notes = append(p.notes, what)
}

func (p *placeNotes) Leave()  { p.note("leave") }
func (p *placeNotes) Resume() { p.note("resume") }
func (p *placeNotes) Enter(context.Context) error {
	p.note("enter")
	return nil
}

// Who waits for a shared refusal leaves its place to others; the one that explains has it back.
func TestSharedRefusalLeavesPlaces(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 8)
	_, all := f.takenTime(t, f.store, f.booking(60, 30))
	places := make([]placeNotes, len(all))
	for i := range all {
		all[i].req.Place = &places[i]
	}
	refuseTogether(f.store, all, func() {
		for i := range places {
			places[i].mu.Lock()
			if got, want := fmt.Sprint(places[i].notes), "[leave]"; got != want {
				t.Errorf("booking %d, while it waits: %s, want %s", i, got, want)
			}
			places[i].mu.Unlock()
		}
	})
	for i := range places {
		want := "[leave]"
		if i == 0 { // which leads
			want = "[leave resume]"
		}
		if got := fmt.Sprint(places[i].notes); got != want {
			t.Errorf("booking %d: %s, want %s", i, got, want)
		}
	}
	if _, err := f.store.BookAppointment(background, all[0].req, f.booking(600, 30)); err != nil {
		t.Fatal(err)
	}
	// It read whether the time is taken, and booked.
	if got, want := fmt.Sprint(places[0].notes), "[leave resume enter enter]"; got != want {
		t.Errorf("a booking that need not wait: %s, want %s", got, want)
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
