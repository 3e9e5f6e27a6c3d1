package store_test

import (
	"errors"
	"testing"
	"time"

	"mems/internal/clinic"
	"mems/internal/database"
	"mems/internal/store"
)

// A use case that finds the slot taken only under the guards reports the broken rule, the conflict
// and the alternatives.
func TestSlotRefusalsAreExplained(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		want clinic.Code
		try  func(*testing.T, *fixture) error
	}{
		{"Undo", clinic.CodeDoctorOverlap, refusedUndo},
		{"AcceptOffer", clinic.CodePatientOverlap, refusedOffer},
		{"Plan", clinic.CodePatientOverlap, refusedPlan},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := test.try(t, newFixture(t, 3, 2))
			refusal, ok := errors.AsType[*clinic.Error](err)
			if !ok || refusal.Code != test.want {
				t.Fatalf("got %v, want %s", err, test.want)
			}
			if refusal.Conflict.Start.IsZero() || len(refusal.Alternatives) == 0 {
				t.Errorf("got the conflict %v and %d alternatives, want both", refusal.Conflict, len(refusal.Alternatives))
			}
		})
	}
}

// refusedUndo undoes a cancellation whose time has been booked by another patient.
func refusedUndo(t *testing.T, f *fixture) error {
	t.Helper()
	a := f.book(t, f.booking(60, 30))
	if _, err := f.store.CancelAppointment(t.Context(), store.SystemRequest(), a.ID, clinic.ReasonPatientRequest, nil, nil); err != nil {
		t.Fatal(err)
	}
	other := f.booking(60, 30)
	other.PatientID = f.patients[1]
	f.book(t, other)
	_, err := f.store.UndoAppointment(t.Context(), store.SystemRequest(), a.ID, nil)
	return err
}

// refusedOffer accepts an offer at whose time the patient now has an appointment.
func refusedOffer(t *testing.T, f *fixture) error {
	t.Helper()
	entry, err := f.store.CreateWaitlistEntry(t.Context(), store.SystemRequest(), clinic.WaitlistEntry{
		PatientID: f.patients[1], DoctorIDs: f.doctors[:1], Duration: 30 * time.Minute,
		Window: clinic.Interval{Start: now.Add(time.Hour), End: now.Add(3 * time.Hour)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.ExpireOffers(t.Context(), store.SystemRequest()); err != nil {
		t.Fatal(err)
	}
	if entry, err = f.store.WaitlistEntry(t.Context(), store.SystemRequest(), entry.ID); err != nil || entry.Offer == nil {
		t.Fatalf("waitlist entry after a time was freed: %+v (%v), want one with an offer", entry, err)
	}
	elsewhere := clinic.Booking{
		PatientID: f.patients[1], DoctorID: f.doctors[1],
		Start: entry.Offer.Slot.Time.Start, Duration: 30 * time.Minute,
	}
	f.book(t, elsewhere)
	_, err = f.store.AcceptOffer(t.Context(), store.SystemRequest(), entry.ID, 0, nil)
	return err
}

// refusedPlan applies a plan, appointment by appointment, whose patient now has another one at the
// proposed time.
func refusedPlan(t *testing.T, f *fixture) error {
	t.Helper()
	f.book(t, f.booking(60, 30))
	away := clinic.Interval{Start: now.Add(time.Hour), End: now.Add(2 * time.Hour)}
	plan, err := f.store.CreatePlan(t.Context(), store.SystemRequest(), f.doctors[0], away, 24*time.Hour)
	if err != nil || len(plan.Items) != 1 || plan.Items[0].Proposal == nil {
		t.Fatalf("plan: %+v (%v), want one item with a proposal", plan, err)
	}
	proposed := plan.Items[0].Proposal
	i := 1
	if f.doctors[i] == proposed.DoctorID {
		i = 2
	}
	f.book(t, clinic.Booking{
		PatientID: f.patients[0], DoctorID: f.doctors[i], Start: proposed.Time.Start, Duration: 30 * time.Minute,
		Override: clinic.Override{Rules: []clinic.Rule{clinic.RulePatientOverlap}, Reason: "both"},
	})
	if plan, err = f.store.ApplyPlan(t.Context(), store.SystemRequest(), plan.ID, store.PlanSelection{}, nil); err != nil {
		t.Fatal(err)
	}
	if plan.Items[0].Refusal == nil {
		return nil
	}
	return plan.Items[0].Refusal
}

func (f *fixture) book(t *testing.T, b clinic.Booking) clinic.Appointment {
	t.Helper()
	a, err := f.store.BookAppointment(t.Context(), store.SystemRequest(), b)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A migration may change a table while a refusal is explained on an older snapshot. Such a booking once failed
// with 500, because the explanation was not retried.
func TestSnapshotOlderThanTheTable(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 0)
	err := f.store.OnSnapshot(t.Context(), func(read func(string) error) error {
		if err := read(`SELECT COUNT(*) FROM doctors`); err != nil {
			return err
		}
		f.DB.MustExec(`ALTER TABLE appointments ADD COLUMN later INT NULL, FORCE`)
		return read(`SELECT COUNT(*) FROM appointments`)
	})
	if number, _ := database.ErrorNumber(err); number != 1412 || !database.IsTransient(err) {
		t.Errorf("read of a table that was changed since: %v, want the error 1412, which may be gone the next time", err)
	}
}
