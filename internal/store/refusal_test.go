package store_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"mems/internal/clinic"
	"mems/internal/store"
	"mems/internal/storetest"
)

// listing opens a store and lists its statements.
func (f *fixture) listing(t *testing.T) (*store.Store, *storetest.Statements) {
	t.Helper()
	list := &storetest.Statements{}
	s, err := store.Open(store.Config{
		DSN: f.DSN, Now: fixedClock, Zone: time.UTC, Log: slog.New(slog.DiscardHandler),
		OpenDB: list.Open,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	list.Take()
	return s, list
}

// withKey returns a request of the server with an idempotency key.
func withKey(key store.IdempotencyKey) store.Request {
	req := store.SystemRequest()
	req.Idempotency = &key
	return req
}

func guards(sent []string) (n int) {
	for _, statement := range sent {
		if strings.Contains(statement, "calendar_rev + 1") {
			n++
		}
	}
	return n
}

func isConflict(err error, code clinic.Code) bool {
	refusal, ok := errors.AsType[*clinic.Error](err)
	return ok && refusal.Code == code
}

// With hundreds of colleagues, all refusals but the first take no guard, and each sends a bounded
// number of statements.
func TestRefusalIsBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 2, 2)
	var rows []string
	for i := range 951 {
		rows = append(rows, fmt.Sprintf("('Dr. X%03d','Any','2026-01-01','2026-01-01')", i))
	}
	if _, err := f.DB.Exec(`INSERT INTO doctors (full_name, specialization, created_at, updated_at) VALUES ` + strings.Join(rows, ",")); err != nil {
		t.Fatal(err)
	}
	s, list := f.listing(t)
	b := f.booking(60, 30)
	if _, err := s.BookAppointment(t.Context(), store.SystemRequest(), b); err != nil {
		t.Fatal(err)
	}
	if n := guards(list.Take()); n != 2 {
		t.Errorf("a booking takes %d guards, want 2", n)
	}
	b.PatientID = f.patients[1]
	// The first refusal may be decided under the guards.
	if _, err := s.BookAppointment(t.Context(), store.SystemRequest(), b); !isConflict(err, clinic.CodeDoctorOverlap) || guards(list.Take()) != 2 {
		t.Fatal(err)
	}
	for name, try := range map[string]func() error{
		"book": func() error { _, err := s.BookAppointment(t.Context(), store.SystemRequest(), b); return err },
		"hold": func() error {
			_, err := s.CreateHold(t.Context(), store.SystemRequest(), b, nil, time.Minute)
			return err
		},
		"book with a key": func() error {
			_, err := s.BookAppointment(t.Context(), withKey(store.IdempotencyKey{Key: "k"}), b)
			return err
		},
	} {
		list.Take()
		err := try()
		sent := list.Take()
		if !isConflict(err, clinic.CodeDoctorOverlap) {
			t.Fatalf("%s at a taken time: %v, want %s", name, err, clinic.CodeDoctorOverlap)
		}
		refusal, _ := errors.AsType[*clinic.Error](err)
		if len(refusal.Alternatives) != 6 {
			t.Errorf("%s: %d alternatives, want 6", name, len(refusal.Alternatives))
		}
		if n := guards(sent); n != 0 {
			t.Errorf("%s: takes %d guards, want 0", name, n)
		}
		if len(sent) > 24 {
			t.Errorf("%s: sends %d statements, want at most 24:\n%s", name, len(sent), strings.Join(sent, "\n"))
		}
	}
	// The whole clinic is closed for three weeks: no time is free anywhere.
	if _, err := f.DB.Exec(`INSERT INTO closures (start_time, end_time, name, created_at, updated_at) VALUES (?, ?, 'Closed', ?, ?)`, now.Add(2*time.Hour), now.AddDate(0, 0, 21), now, now); err != nil {
		t.Fatal(err)
	}
	list.Take()
	_, err := s.BookAppointment(t.Context(), store.SystemRequest(), f.booking(180, 30))
	sent := list.Take()
	if !isConflict(err, clinic.CodeTimeOff) {
		t.Fatal(err)
	}
	if len(sent) > 48 {
		t.Errorf("a search that finds nothing sends %d statements, want at most 48:\n%s",
			len(sent), strings.Join(sent, "\n"))
	}
}

// Of many bookings of one time at once, one succeeds, and all others are refused because it is
// taken.
func TestRaceForOneTime(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 3, 64)
	s, list := f.listing(t)
	errs := make([]error, 64)
	var wg sync.WaitGroup
	for i := range errs {
		b := f.booking(60, 30)
		b.PatientID = f.patients[i]
		wg.Go(func() { _, errs[i] = s.BookAppointment(t.Context(), store.SystemRequest(), b) })
	}
	wg.Wait()
	booked := 0
	for _, err := range errs {
		switch {
		case err == nil:
			booked++
		case !isConflict(err, clinic.CodeDoctorOverlap):
			t.Error(err)
		}
	}
	if booked != 1 {
		t.Errorf("%d of the racing requests booked, want 1", booked)
	}
	if sent := list.Take(); len(sent) > 64*40 {
		t.Errorf("64 requests for one time sent %d statements, want at most %d", len(sent), 64*40)
	}
}

// What a plain read finds must not be held against a caller who may have the time: because of their
// own hold, their own appointment, an override, or a request that was already answered.
func TestEarlyRefusalSparesOwnTime(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 2, 3)
	b := f.booking(60, 30)
	hold, err := f.store.CreateHold(t.Context(), store.SystemRequest(), b, nil, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.BookAppointment(t.Context(), store.SystemRequest(), b); !isConflict(err, clinic.CodeDoctorOverlap) {
		t.Fatalf("booking a time that is held for another: %v, want %s", err, clinic.CodeDoctorOverlap)
	}
	b.Hold = hold.Token
	keyed := withKey(store.IdempotencyKey{Key: "mine"})
	a, err := f.store.BookAppointment(t.Context(), keyed, b)
	if err != nil {
		t.Fatalf("booking with the hold: %v, want success", err)
	}
	if again, err := f.store.BookAppointment(t.Context(), keyed, b); err != nil || again.ID != a.ID {
		t.Errorf("booking again with the same key: appointment %d (%v), want %d", again.ID, err, a.ID)
	}
	other := withKey(store.IdempotencyKey{Key: "mine", Request: [32]byte{1}})
	if _, err := f.store.BookAppointment(t.Context(), other, b); !errors.Is(err, clinic.ErrIdempotencyReused) {
		t.Errorf("booking with the key of another request: %v, want %v", err, clinic.ErrIdempotencyReused)
	}
	later := b.Start.Add(10 * time.Minute)
	if a, err = f.store.RescheduleAppointment(t.Context(), store.SystemRequest(), a.ID, clinic.Reschedule{Start: &later}, nil); err != nil {
		t.Errorf("rescheduling into a time that overlaps the appointment itself: %v, want success", err)
	}
	second := f.booking(120, 30)
	second.PatientID = f.patients[1]
	blocked, err := f.store.BookAppointment(t.Context(), store.SystemRequest(), second)
	if err != nil {
		t.Fatal(err)
	}
	s, list := f.listing(t)
	_, _ = s.RescheduleAppointment(t.Context(), store.SystemRequest(), a.ID, clinic.Reschedule{Start: &blocked.Time.Start}, nil) // the first
	list.Take()
	_, err = s.RescheduleAppointment(t.Context(), store.SystemRequest(), a.ID, clinic.Reschedule{Start: &blocked.Time.Start}, nil)
	if !isConflict(err, clinic.CodeDoctorOverlap) {
		t.Errorf("rescheduling into a taken time: %v, want %s", err, clinic.CodeDoctorOverlap)
	}
	if n := guards(list.Take()); n != 0 {
		t.Errorf("a refused reschedule takes %d guards, want none", n)
	}
	_, err = s.RescheduleAppointment(t.Context(), store.SystemRequest(), a.ID, clinic.Reschedule{Start: &blocked.Time.Start}, store.Versions{99})
	if !errors.Is(err, clinic.ErrPreconditionFailed) {
		t.Errorf("rescheduling another version: %v, want %v", err, clinic.ErrPreconditionFailed)
	}
	over := f.booking(120, 30)
	over.PatientID, over.Override = f.patients[2], clinic.Override{Rules: []clinic.Rule{clinic.RuleDoctorOverlap}, Reason: "urgent"}
	if _, err := f.DB.Exec(`UPDATE doctors SET overbook_cap = 1`); err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.BookAppointment(t.Context(), store.SystemRequest(), over); err != nil {
		t.Errorf("booking with an override: %v, want success", err)
	}
}

// Bookings pay for the read before the guards only where it is useful, and what is remembered for
// it is bounded in time and number.
func TestReadBeforeGuardsIsForContendedDoctors(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 2, 2)
	s, list := f.listing(t)
	reads := func(b clinic.Booking) (n int) {
		list.Take()
		_, _ = s.BookAppointment(t.Context(), store.SystemRequest(), b)
		for _, statement := range list.Take() {
			if strings.Contains(statement, "SELECT EXISTS (") {
				n++
			}
		}
		return n
	}
	other := f.booking(120, 30)
	other.DoctorID = f.doctors[1]
	for i, want := range []int{0, 0, 1} { // booked, refused, refused early
		if n := reads(f.booking(60, 30)); n != want {
			t.Errorf("request %d: %d reads before the guards, want %d", i, n, want)
		}
	}
	if n := reads(other); n != 0 {
		t.Errorf("a booking for another doctor: %d reads, want none", n)
	}
}
