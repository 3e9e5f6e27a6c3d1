package store_test

import (
	"errors"
	"testing"

	"mems/db"
	"mems/internal/clinic"
	"mems/internal/database"
	"mems/internal/storetest"
)

func ignore(database.Migration) {}

// The migration of the backstop includes existing appointments.
func TestBackstopOverExistingAppointments(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 1)
	sc := f.OpenSchema(t)
	if _, err := sc.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	start := now
	if _, err := f.DB.Exec(rawInsert, f.patients[0], f.doctors[0], start, start, 30, 30); err != nil {
		t.Fatal(err)
	}
	if err := sc.Up(t.Context(), ignore); err != nil {
		t.Fatal(err)
	}
	if n := f.mirrorDifferences(t); n != 0 {
		t.Errorf("the mirror of occupied times differs in %d rows, want none", n)
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	d := storetest.Empty(t)
	s := d.Open(t, fixedClock, nil)
	sc := d.OpenSchema(t)

	_, err := s.Ready(t.Context())
	wantErr(t, err, clinic.ErrUnavailable)
	if err := sc.Up(t.Context(), ignore); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Ready(t.Context()); err != nil || v != db.Latest {
		t.Errorf("version %d (%v), want %d", v, err, db.Latest)
	}
	if _, err := sc.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = d.Open(t, fixedClock, nil).Ready(t.Context()) // s remembers its last result for a second
	wantErr(t, err, clinic.ErrUnavailable)
}

func TestReset(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 1)
	sc := f.OpenSchema(t)
	if err := sc.Reset(t.Context(), ignore); !errors.Is(err, database.ErrNotDisposable) {
		t.Fatalf("Reset of a database that is not disposable: %v, want %v", err, database.ErrNotDisposable)
	}
	if _, err := f.store.Doctor(t.Context(), f.doctors[0]); err != nil {
		t.Fatalf("doctor after a refused reset: %v, want it unchanged", err)
	}
	if err := sc.MarkDisposable(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := sc.Reset(t.Context(), ignore); err != nil {
		t.Fatal(err)
	}
	_, err := f.store.Doctor(t.Context(), f.doctors[0])
	wantErr(t, err, clinic.ErrDoctorNotFound)
	if disposable, err := sc.Disposable(t.Context()); err != nil || !disposable {
		t.Errorf("Disposable after a reset = %v, %v, want true", disposable, err)
	}
}
