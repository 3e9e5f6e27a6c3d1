package store_test

import (
	"strings"
	"testing"
	"time"

	"mems/internal/clinic"
	"mems/internal/store"
)

// A schedule has more than one page only when it must, and sends few statements whatever it covers.
func TestScheduleOfManyAppointments(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 3, 4)
	first := time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)
	want := 0
	for _, doctor := range f.doctors {
		var as []clinic.Appointment
		for i := range 400 {
			start := first.AddDate(0, 0, i/40).Add(time.Duration(i%40) * 30 * time.Minute)
			as = append(as, clinic.Appointment{
				PatientID: f.patients[i%4], Status: clinic.StatusCancelled,
				Cancellation: &clinic.Cancellation{Reason: "other", At: first},
				Time:         clinic.Interval{Start: start, End: start.Add(30 * time.Minute)},
			})
		}
		if _, err := f.store.ImportAppointments(t.Context(), store.SystemRequest(), doctor, as); err != nil {
			t.Fatal(err)
		}
		want += len(as)
	}
	s, list := f.listing(t)
	req := store.Request{Access: clinic.Access{Caller: clinic.Admin(), Reach: clinic.Reach{All: true}}}
	q := store.ScheduleQuery{
		Window: clinic.Interval{Start: first, End: first.AddDate(0, 0, 10)}, DoctorIDs: f.doctors, Patients: true, Doctors: true,
	}
	seen, counted := map[int64]bool{}, 0
	req.Meter = func(_ clinic.Work, n int) { counted += n }
	for page := 1; ; page++ {
		got, err := s.Schedule(t.Context(), req, q)
		if err != nil {
			t.Fatal(err)
		}
		sent := list.Take()
		reads := 0
		for _, statement := range sent {
			if strings.HasPrefix(strings.TrimSpace(statement), "SELECT") {
				reads++
			}
		}
		if reads > 9 {
			t.Errorf("page %d sends %d reads, want at most 9:\n%s", page, reads, strings.Join(sent, "\n"))
		}
		if (got.Calendars != nil) != (page == 1) || len(got.Patients) != 4 || len(got.Doctors) != 3 {
			t.Errorf("page %d: %d calendars, %d patients, %d doctors; want calendars on page 1 only, 4 and 3", page, len(got.Calendars), len(got.Patients), len(got.Doctors))
		}
		for _, a := range got.Appointments.Items {
			if seen[a.ID] {
				t.Errorf("appointment %d is listed twice, want once", a.ID)
			}
			seen[a.ID] = true
			q.After = store.After{Start: a.Time.Start, ID: a.ID}
		}
		if !got.Appointments.More {
			break
		}
	}
	if len(seen) != want || counted != want+len(f.doctors) {
		t.Errorf("%d appointments, want %d; %d records counted", len(seen), want, counted)
	}
	t.Run("TooManyAbsences", func(t *testing.T) {
		f.DB.MustExec(`
			INSERT INTO closures (start_time, end_time, name, version, created_at, updated_at)
			SELECT '2027-03-02', '2027-03-03', 'x', 1, '2027-01-01', '2027-01-01' FROM appointments AS a, (SELECT 1 UNION ALL SELECT 2) AS b LIMIT 2001`)
		q.After = store.After{}
		if _, err := s.Schedule(t.Context(), req, q); !isConflict(err, clinic.CodeValidationFailed) {
			t.Errorf("%v, want a refusal", err)
		}
	})
}

// What is committed between a schedule's statements is not in it: it reads one snapshot.
func TestScheduleIsOneSnapshot(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 1)
	s, list := f.listing(t)
	req := store.Request{Access: clinic.Access{Caller: clinic.Admin(), Reach: clinic.Reach{All: true}}}
	start := time.Date(2027, 3, 2, 9, 0, 0, 0, time.UTC)
	booked := false
	list.After = func(statement string) {
		if booked || !strings.Contains(statement, "FROM closures") {
			return
		}
		booked = true
		if _, err := f.store.BookAppointment(t.Context(), store.SystemRequest(), clinic.Booking{
			PatientID: f.patients[0], DoctorID: f.doctors[0], Start: start, Duration: 30 * time.Minute,
		}); err != nil {
			t.Error(err)
		}
	}
	got, err := s.Schedule(t.Context(), req, store.ScheduleQuery{
		Window: clinic.Interval{Start: start, End: start.Add(time.Hour)}, DoctorIDs: f.doctors,
	})
	if err != nil || !booked || len(got.Appointments.Items) != 0 {
		t.Errorf("error %v, booked: %t, %d appointments; want none, true, 0", err, booked, len(got.Appointments.Items))
	}
}
