package store_test

import (
	"context"
	"testing"
	"time"

	"mems/internal/clinic"
	"mems/internal/store"
)

// A request for a record whose patient is merged meanwhile applies to the record, which is the
// survivor's by then. It is not refused because of a patient whom it does not name.
func TestChangesGoOnWhileThePatientIsMerged(t *testing.T) {
	f := newFixture(t, 1, 2)
	survivor, duplicate := f.patients[0], f.patients[1]
	b := f.booking(60, 30)
	b.PatientID = duplicate
	a, err := f.store.BookAppointment(t.Context(), store.SystemRequest(), b)
	if err != nil {
		t.Fatal(err)
	}
	ticket, err := f.store.CreateWalkIn(t.Context(), store.SystemRequest(), clinic.WalkIn{PatientID: duplicate, DoctorID: f.doctors[0]})
	if err != nil {
		t.Fatal(err)
	}
	entry, err := f.store.CreateWaitlistEntry(t.Context(), store.SystemRequest(), clinic.WaitlistEntry{
		PatientID: duplicate, DoctorIDs: []int64{f.doctors[0]}, Duration: 30 * time.Minute,
		Window: clinic.Interval{Start: now.Add(24 * time.Hour), End: now.Add(25 * time.Hour)},
	})
	if err != nil {
		t.Fatal(err)
	}
	// The merge has the guards; the others have read which patients their records belong to, and
	// wait.
	tx, err := f.DB.Begin()
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`UPDATE doctors SET calendar_rev = calendar_rev + 1`,
		`UPDATE patients SET calendar_rev = calendar_rev + 1`,
	} {
		if _, err := tx.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	changes := map[string]func(context.Context) error{
		"confirm": func(ctx context.Context) error {
			_, err := f.store.ChangeAppointmentStatus(ctx, store.SystemRequest(), a.ID, clinic.ActionConfirm, nil)
			return err
		},
		"call": func(ctx context.Context) error {
			_, err := f.store.ChangeTicketStatus(ctx, store.SystemRequest(), ticket.ID, clinic.TicketCalled, nil)
			return err
		},
		"withdraw": func(ctx context.Context) error {
			return f.store.WithdrawWaitlistEntry(ctx, store.SystemRequest(), entry.ID, nil)
		},
	}
	type ended struct {
		name string
		err  error
	}
	results := make(chan ended)
	for name, change := range changes {
		go func() { results <- ended{name, change(t.Context())} }()
	}
	time.Sleep(300 * time.Millisecond) // one that has not begun by then finds everything merged
	for _, statement := range []string{
		`UPDATE patients SET merged_into = ? WHERE id = ?`,
		`UPDATE appointments SET patient_id = ? WHERE patient_id = ?`,
		`UPDATE tickets SET patient_id = ? WHERE patient_id = ?`,
		`UPDATE waitlist SET patient_id = ? WHERE patient_id = ?`,
	} {
		if _, err := tx.Exec(statement, survivor, duplicate); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	for range changes {
		if r := <-results; r.err != nil {
			t.Errorf("%s: %v", r.name, r.err)
		}
	}
}
