package store_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"mems/internal/clinic"
	"mems/internal/store"
)

// A series of 100 dates reads as much as one booking, and otherwise sends only its inserts. A
// refused one takes no guard.
func TestSeriesIsBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 2, 3)
	s, list := f.listing(t)
	const rule = "FREQ=DAILY;COUNT=100"
	series := func(patient int, skip bool) (int, []string, error) {
		list.Take()
		b := f.booking(60, 30)
		b.PatientID = f.patients[patient]
		_, dates, err := s.CreateSeries(t.Context(), store.SystemRequest(), clinic.SeriesBooking{Booking: b, Rule: rule, Zone: new("UTC"), Skip: skip})
		booked := 0
		for _, d := range dates {
			if d.Appointment != nil {
				booked++
			}
		}
		return booked, list.Take(), err
	}
	last := f.booking(60, 30)
	last.PatientID, last.Start = f.patients[2], last.Start.AddDate(0, 0, 99)
	if _, err := f.store.BookAppointment(t.Context(), store.SystemRequest(), last); err != nil {
		t.Fatal(err)
	}
	_, sent, err := series(0, false)
	refusal, _ := errors.AsType[*clinic.Error](err)
	if !isConflict(err, clinic.CodeSeriesConflict) || len(refusal.Dates) != 100 || refusal.Dates[99].Refusal == nil || len(refusal.Dates[99].Refusal.Alternatives) != 6 {
		t.Fatalf("all or none: error %v, want a series conflict that reports 100 dates, the last with 6 alternatives", err)
	}
	if guards(sent) != 0 || len(sent) > 40 {
		t.Errorf("a refused series takes %d guards and sends %d statements, want none and at most 40", guards(sent), len(sent))
	}
	booked, sent, err := series(0, true)
	if err != nil || booked != 99 {
		t.Fatalf("with skip: %d booked, error %v; want 99 and none", booked, err)
	}
	reads, inserts := 0, 0
	for _, statement := range sent {
		if strings.HasPrefix(strings.TrimSpace(statement), "INSERT") {
			inserts++
		} else {
			reads++
		}
	}
	if guards(sent) != 2 || reads > 20 || inserts > 3*99 {
		t.Errorf("a series takes %d guards, sends %d reads and %d inserts; want 2, at most 20 and 3 for each date", guards(sent), reads, inserts)
	}
	// Every date is refused: alternatives are searched for the first few only.
	_, sent, err = series(1, false)
	if refusal, _ = errors.AsType[*clinic.Error](err); !isConflict(err, clinic.CodeSeriesConflict) {
		t.Fatal(err)
	}
	offered := 0
	for _, d := range refusal.Dates {
		if d.Refusal != nil && len(d.Refusal.Alternatives) > 0 {
			offered++
		}
	}
	if guards(sent) != 0 || len(sent) > 100 || offered != 5 || len(refusal.Dates) != 100 {
		t.Errorf("takes %d guards, sends %d statements, offers alternatives at %d of %d dates; want 0, at most 100, 5 of 100", guards(sent), len(sent), offered, len(refusal.Dates))
	}
}

// A time that is taken between the first read and the guards is refused under them, with the
// complete report.
func TestSeriesRefusedUnderGuards(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 16)
	const rule = "FREQ=DAILY;COUNT=10"
	errs := make([]error, len(f.patients))
	var wg sync.WaitGroup
	for i, patient := range f.patients {
		b := f.booking(60, 30)
		b.PatientID = patient
		wg.Go(func() {
			_, _, errs[i] = f.store.CreateSeries(t.Context(), store.SystemRequest(), clinic.SeriesBooking{Booking: b, Rule: rule, Zone: new("UTC")})
		})
	}
	wg.Wait()
	booked := 0
	for _, err := range errs {
		refusal, _ := errors.AsType[*clinic.Error](err)
		switch {
		case err == nil:
			booked++
		case !isConflict(err, clinic.CodeSeriesConflict):
			t.Error(err)
		case len(refusal.Dates) != 10:
			t.Errorf("reports %d dates, want 10", len(refusal.Dates))
		}
	}
	if n := f.overlaps(t); booked != 1 || n != 0 {
		t.Errorf("%d booked, %d overlaps; want 1 and 0", booked, n)
	}
}

// A search through more calendars than one request may examine continues on the next page, and
// finds what lies beyond the limit.
func TestAvailabilityIsBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 1)
	var rows []string
	for i := range store.MaxDoctorDays/10 - 1 { // ten days of all of them
		rows = append(rows, fmt.Sprintf("('Dr. X%04d','Any','2026-01-01','2026-01-01')", i))
	}
	f.DB.MustExec(`INSERT INTO doctors (full_name, specialization, created_at, updated_at) VALUES ` + strings.Join(rows, ","))
	f.DB.MustExec(`INSERT INTO closures (start_time, end_time, name, created_at, updated_at) VALUES (?, ?, 'Closed', ?, ?)`, now.AddDate(0, 0, -1), now.AddDate(0, 0, 15), now, now)
	s, list := f.listing(t)
	q := store.AvailabilityQuery{
		Window: clinic.Interval{Start: now, End: now.AddDate(0, 0, 40)}, Duration: 30 * time.Minute, Step: 15 * time.Minute, Limit: 100,
	}
	pages := 0
	for ; ; pages++ {
		list.Take()
		page, err := s.ListAvailability(t.Context(), store.SystemRequest(), q)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(list.Take()); n > 20 {
			t.Errorf("page %d takes %d statements, want at most 20", pages, n)
		}
		if len(page.Items) > 0 {
			if first := page.Items[0].Time.Start; !first.Equal(now.AddDate(0, 0, 15)) || len(page.Items) != 100 {
				t.Errorf("%d times, the first at %s; want 100, from the 15th day on", len(page.Items), first)
			}
			break
		}
		if !page.More || page.Resume.ID == 0 {
			t.Fatalf("the list ends on the empty page %d, want more", pages)
		}
		q.After = page.Resume
	}
	if pages != 1 {
		t.Errorf("%d empty pages, want 1", pages)
	}
	free, searched, err := s.ListNextAvailable(t.Context(), store.SystemRequest(), nil, q)
	if err != nil {
		t.Fatal(err)
	}
	if want := now.AddDate(0, 0, 10); len(free) != len(rows)+1 || free[0].Slot != nil || searched.After(want.Add(time.Second)) || searched.Before(want) {
		t.Errorf("%d doctors, searched to %s, want %s", len(free), searched, want)
	}
	// An early free time stops the search, so it costs no more.
	f.DB.MustExec(`UPDATE doctors SET is_active = (id <= 100)`)
	free, searched, err = s.ListNextAvailable(t.Context(), store.SystemRequest(), nil, q)
	if err != nil || len(free) != 100 || free[0].Slot == nil || searched.Before(now.Add(clinic.MaxAhead)) {
		t.Errorf("%d doctors, searched to %s, error %v; want 100, the first one free, searched to the end", len(free), searched, err)
	}
}

// A waitlist entry that matches many doctors is searched for in bounded parts, one call after the
// other, until it has an offer.
func TestWaitlistSearchIsBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 1)
	var rows []string
	for i := range 499 { // four days of all of them
		rows = append(rows, fmt.Sprintf("('Dr. X%04d','Any','2026-01-01','2026-01-01')", i))
	}
	f.DB.MustExec(`INSERT INTO doctors (full_name, specialization, created_at, updated_at) VALUES ` + strings.Join(rows, ","))
	f.DB.MustExec(`INSERT INTO closures (start_time, end_time, name, created_at, updated_at) VALUES (?, ?, 'Closed', ?, ?)`, now.AddDate(0, 0, -1), now.AddDate(0, 0, 15), now, now)
	s, list := f.listing(t)
	specialization := "Any"
	e, err := s.CreateWaitlistEntry(t.Context(), store.SystemRequest(), clinic.WaitlistEntry{
		PatientID: f.patients[0], Specialization: &specialization, Duration: 30 * time.Minute,
		Window: clinic.Interval{Start: now, End: clinic.MaxInstant.AddDate(-1, 0, 0)},
	})
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	for ; e.Status == clinic.WaitlistWaiting && calls < 20; calls++ {
		if n := len(list.Take()); n > 100 {
			t.Errorf("call %d sends %d statements, want at most 100", calls, n)
		}
		if e, err = s.WaitlistEntry(t.Context(), store.SystemRequest(), e.ID); err != nil {
			t.Fatal(err)
		}
	}
	if e.Status != clinic.WaitlistOffered || e.Offer.Slot.Time.Start.Before(now.AddDate(0, 0, 15)) {
		t.Errorf("after %d calls the entry is %s with offer %v, want an offer from the 15th day on", calls, e.Status, e.Offer)
	}
	if calls < 2 {
		t.Errorf("found by %d calls, want at least 2", calls)
	}
}

// A freed time that fits none of many waiting entries is compared with a bounded number of them in
// one transaction, and in the end with all.
func TestOffersAreBounded(t *testing.T) {
	t.Parallel()
	const waiting = 120
	f := newFixture(t, 1, waiting+2)
	s, list := f.listing(t)
	b := f.booking(60, 30)
	a, err := s.BookAppointment(t.Context(), store.SystemRequest(), b)
	if err != nil {
		t.Fatal(err)
	}
	for i := range waiting {
		length := 60 * time.Minute // does not fit
		if i == waiting-1 {
			length = 30 * time.Minute
		}
		_, err := s.CreateWaitlistEntry(t.Context(), store.SystemRequest(), clinic.WaitlistEntry{
			PatientID: f.patients[i+1], DoctorIDs: f.doctors[:1], Duration: length,
			Window: clinic.Interval{Start: a.Time.Start, End: a.Time.Start.Add(10 * time.Minute)},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	other := f.booking(90, 30)
	other.PatientID = f.patients[waiting+1]
	if _, err := s.BookAppointment(t.Context(), store.SystemRequest(), other); err != nil {
		t.Fatal(err)
	}
	list.Take()
	if _, err := s.CancelAppointment(t.Context(), store.SystemRequest(), a.ID, clinic.ReasonPatientRequest, nil, nil); err != nil {
		t.Fatal(err)
	}
	held := 0 // statements since the last guard of the doctor
	for _, statement := range list.Take() {
		if held++; strings.HasPrefix(statement, "UPDATE doctors SET calendar_rev") {
			held = 0
		}
		if held > 400 {
			t.Fatalf("%d statements since the doctor's guard was taken, want at most 400", held)
		}
	}
	var offered int
	if err := f.DB.Get(&offered, `SELECT COUNT(*) FROM waitlist WHERE status = 'offered'`); err != nil || offered != 1 {
		t.Errorf("%d entries offered, error %v; want 1 and none", offered, err)
	}
}

// A page of the few appointments that a caller can access examines a bounded number of all, and the
// pages together return each of them once.
func TestAppointmentListIsBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 6, 6)
	s, list := f.listing(t)
	s.SetMaxScanned(7)
	want := 0
	for i := range 40 {
		b := f.booking(60*(1+i/6), 30) // six at a time
		b.DoctorID, b.PatientID = f.doctors[i%6], f.patients[i%6]
		a, err := s.BookAppointment(t.Context(), store.SystemRequest(), b)
		if err != nil {
			t.Fatal(err)
		}
		if i%9 == 4 {
			want++
			if _, err := s.CancelAppointment(t.Context(), store.SystemRequest(), a.ID, clinic.ReasonPatientRequest, nil, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, byStart := range []bool{true, false} {
		q := store.AppointmentQuery{
			Window:   clinic.Window{ByStart: byStart, Interval: clinic.Interval{Start: clinic.MinInstant.AddDate(1, 0, 0), End: clinic.MaxInstant.AddDate(-1, 0, 0)}},
			Statuses: []clinic.Status{clinic.StatusCancelled}, Limit: 3,
		}
		seen := map[int64]bool{}
		pages := 0
		for {
			list.Take()
			page, err := s.ListAppointments(t.Context(), store.SystemRequest(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range page.Items {
				if seen[a.ID] {
					t.Errorf("appointment %d is listed twice, want once", a.ID)
				}
				seen[a.ID] = true
			}
			pages++
			if !page.More {
				break
			}
			if q.After = page.Resume; q.After.ID == 0 {
				last := page.Items[len(page.Items)-1]
				q.After = store.After{Start: last.Time.Start, ID: last.ID}
			}
		}
		if len(seen) != want || pages < 40/7 || pages > 40/7+3 {
			t.Errorf("read %d appointments on %d pages, want %d appointments on %d to %d pages",
				len(seen), pages, want, 40/7, 40/7+3)
		}
	}
	window := clinic.Window{ByStart: true, Interval: clinic.Interval{Start: now, End: now.AddDate(0, 0, 7)}}
	count := func(statuses ...clinic.Status) int64 {
		n, err := s.CountAppointments(t.Context(), store.SystemRequest(), store.AppointmentQuery{Window: window, Statuses: statuses})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(clinic.StatusCancelled); int(n) != want {
		t.Errorf("counts %d, want %d", n, want)
	}
	s.SetMaxScanned(1)
	if n := count(clinic.StatusCancelled); n != store.MaxCountedAppointments+1 {
		t.Errorf("counts %d, want one more than MaxCountedAppointments", n)
	}
	if n := count(); n != 40 {
		t.Errorf("counts %d, want 40", n)
	}
}

// Rescheduling a series decides date by date, like as many single reschedules.
func TestMovingSeriesIsBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 1)
	s, list := f.listing(t)
	const rule = "FREQ=DAILY;COUNT=100"
	series, _, err := s.CreateSeries(t.Context(), store.SystemRequest(), clinic.SeriesBooking{Booking: f.booking(60, 30), Rule: rule, Zone: new("UTC")})
	if err != nil {
		t.Fatal(err)
	}
	list.Take()
	minute := 15 * 60
	_, dates, err := s.RescheduleSeries(t.Context(), store.SystemRequest(), series.ID, clinic.SeriesScope{}, clinic.SeriesChange{MinuteOfDay: &minute}, nil)
	if sent := list.Take(); err != nil || len(dates) != 100 || guards(sent) != 2 || len(sent) > 100*12+100 {
		t.Errorf("error %v, %d dates, %d guards, %d statements; want none, 100, 2, at most 12 for each date and 100 more", err, len(dates), guards(sent), len(sent))
	}
}
