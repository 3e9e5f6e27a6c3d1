package store_test

import (
	"slices"
	"testing"
	"time"

	"mems/internal/clinic"
	"mems/internal/store"
)

// A record's doctors are those whose guards its changes take: for a series, also the doctor to whom
// a date was rescheduled.
func TestDoctorsOf(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 3, 1)
	const rule = "FREQ=WEEKLY;COUNT=3"
	series, _, err := f.store.CreateSeries(t.Context(), store.SystemRequest(), clinic.SeriesBooking{Booking: f.booking(24*60, 30), Rule: rule, Zone: new("UTC")})
	if err != nil {
		t.Fatal(err)
	}
	moved := series.Appointments[1].ID
	if _, err := f.store.RescheduleAppointment(t.Context(), store.SystemRequest(), moved, clinic.Reschedule{DoctorID: f.doctors[2]}, nil); err != nil {
		t.Fatal(err)
	}
	hold, err := f.store.CreateHold(t.Context(), store.SystemRequest(), clinic.Booking{DoctorID: f.doctors[1], Start: now.Add(time.Hour), Duration: time.Hour}, nil, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		kind clinic.Kind
		id   int64
		want []int64
	}{
		{clinic.KindAppointment, series.Appointments[0].ID, f.doctors[:1]},
		{clinic.KindAppointment, moved, f.doctors[2:]},
		{clinic.KindAppointment, 999_999, nil},
		{clinic.KindSeries, series.ID, []int64{f.doctors[0], f.doctors[2]}},
		{clinic.KindHold, hold.ID, f.doctors[1:2]},
		{clinic.KindPlan, 1, nil},
		{clinic.KindTicket, 1, nil},
		{clinic.KindWaitlistEntry, 1, nil},
	} {
		got, err := f.store.DoctorsOf(t.Context(), c.kind, c.id)
		slices.Sort(got)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s %d: %v, %v; want %v", c.kind, c.id, got, err, c.want)
		}
	}
}
