package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mems/internal/clinic"
	"mems/internal/store"
)

// begin adds to the clinic's day: a series, waitlist entries, walk-ins if a doctor works
// now, an appointment after hours, and a plan for an absent doctor.
func begin(ctx context.Context, st *store.Store, o Options, doctorIDs, patientIDs []int64) error {
	patient := func(i int) int64 { return patientIDs[i%len(patientIDs)] }
	free, _, err := st.ListNextAvailable(ctx, store.SystemRequest(), nil, store.AvailabilityQuery{
		DoctorIDs: doctorIDs[:1], Duration: 30 * time.Minute, Step: 15 * time.Minute,
	})
	if err != nil {
		return fmt.Errorf("next free time: %w", err)
	}
	if slot := free[0].Slot; slot != nil {
		_, _, err := st.CreateSeries(ctx, store.SystemRequest(), clinic.SeriesBooking{
			Booking: clinic.Booking{
				PatientID: patient(0), DoctorID: doctorIDs[0], Start: slot.Time.Start, Duration: 30 * time.Minute,
			},
			Rule: "FREQ=WEEKLY;COUNT=6", Zone: new(o.Zone.String()), Skip: true,
		})
		if err := butRefusals(err); err != nil {
			return fmt.Errorf("series: %w", err)
		}
	}
	for i, field := range []string{general.name, cardiology.name, general.name} {
		_, err := st.CreateWaitlistEntry(ctx, store.SystemRequest(), clinic.WaitlistEntry{
			PatientID: patient(1 + i), Specialization: &field, Duration: 20 * time.Minute,
			Window: clinic.Interval{Start: clinic.Instant(o.Now), End: clinic.Instant(o.Now.AddDate(0, 0, 14))},
		})
		if err != nil {
			return fmt.Errorf("waitlist: %w", err)
		}
		// Only while the clinic is open.
		_, err = st.CreateWalkIn(ctx, store.SystemRequest(), clinic.WalkIn{PatientID: patient(10 + i), Specialization: general.name})
		if err := butRefusals(err); err != nil {
			return fmt.Errorf("walk-in: %w", err)
		}
	}
	tomorrow := clinic.DateOf(o.Now.In(o.Zone)).Next()
	if err := bookLate(ctx, st, clinic.Day(tomorrow, o.Zone).Start.Add(19*time.Hour), doctorIDs[0], patient(20)); err != nil {
		return err
	}
	if _, err := st.CreateHold(ctx, store.SystemRequest(), clinic.Booking{
		DoctorID: doctorIDs[0], Start: clinic.Day(tomorrow, o.Zone).End.Add(-4 * time.Hour), Duration: 15 * time.Minute,
	}, nil, clinic.MaxHold); butRefusals(err) != nil {
		return fmt.Errorf("hold: %w", err)
	}
	_, err = st.CreatePlan(ctx, store.SystemRequest(), doctorIDs[len(doctorIDs)-1], clinic.Day(tomorrow, o.Zone), 14*24*time.Hour)
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	return nil
}

// bookLate books an appointment after hours by override.
func bookLate(ctx context.Context, st *store.Store, start time.Time, doctor, patient int64) error {
	_, err := st.BookAppointment(ctx, store.SystemRequest(), clinic.Booking{
		PatientID: patient, DoctorID: doctor, Start: start, Duration: 20 * time.Minute,
		Override: clinic.Override{Rules: []clinic.Rule{clinic.RuleOutsideHours}, Reason: "Can only come after work."},
	})
	if err := butRefusals(err); err != nil {
		return fmt.Errorf("visit after hours: %w", err)
	}
	return nil
}

// butRefusals ignores refusals by rules, because the demo is created at any hour.
func butRefusals(err error) error {
	if refusal, ok := errors.AsType[*clinic.Error](err); ok && refusal.Code != clinic.CodeUnavailable && refusal.Code != clinic.CodeOutcomeUnknown {
		return nil
	}
	return err
}
