package store_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"mems/internal/clinic"
	"mems/internal/store"
)

// statements lists what a pool sends to the database.
type statements struct {
	mu   sync.Mutex
	sent []string
}

func (l *statements) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	sent := l.sent
	l.sent = nil
	return sent
}

// listed makes connections that list what is sent over them.
type listed struct {
	driver.Connector
	to *statements
}

func (c listed) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return listedConn{conn, c.to}, nil
}

type listedConn struct {
	driver.Conn
	to *statements
}

func (c listedConn) add(query string) {
	c.to.mu.Lock()
	defer c.to.mu.Unlock()
	c.to.sent = append(c.to.sent, query)
}

func (c listedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
	if !errors.Is(err, driver.ErrSkip) {
		c.add(query)
	}
	return rows, err
}

func (c listedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	result, err := c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
	if !errors.Is(err, driver.ErrSkip) {
		c.add(query)
	}
	return result, err
}

func (c listedConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
}

func (c listedConn) ResetSession(ctx context.Context) error {
	return c.Conn.(driver.SessionResetter).ResetSession(ctx)
}

func (c listedConn) CheckNamedValue(v *driver.NamedValue) error {
	return c.Conn.(driver.NamedValueChecker).CheckNamedValue(v)
}

// listing opens a store whose statements are listed.
func (f *fixture) listing(t *testing.T) (*store.Store, *statements) {
	t.Helper()
	list := &statements{}
	s, err := store.Open(store.Config{
		DSN: f.DSN, Now: fixedClock, Zone: time.UTC, Log: slog.New(slog.DiscardHandler),
		OpenDB: func(c driver.Connector) *sql.DB { return sql.OpenDB(listed{c, list}) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	list.take()
	return s, list
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

// With hundreds of colleagues whose calendars are full, a refusal takes no guard,
// sends a bounded number of statements and looks at a bounded number of doctors.
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
	if _, err := s.BookAppointment(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if n := guards(list.take()); n != 2 {
		t.Errorf("a booking takes %d guards", n)
	}
	b.PatientID = f.patients[1]
	for name, try := range map[string]func() error{
		"book": func() error { _, err := s.BookAppointment(t.Context(), b); return err },
		"hold": func() error { _, err := s.CreateHold(t.Context(), b, nil, time.Minute); return err },
		"book with a key": func() error {
			_, err := s.BookAppointment(store.WithOnce(t.Context(), store.Once{Key: "k"}), b)
			return err
		},
	} {
		list.take()
		err := try()
		sent := list.take()
		if !isConflict(err, clinic.CodeDoctorOverlap) {
			t.Fatalf("%s: %v", name, err)
		}
		refusal, _ := errors.AsType[*clinic.Error](err)
		if len(refusal.Alternatives) != 6 {
			t.Errorf("%s: %d alternatives", name, len(refusal.Alternatives))
		}
		if n := guards(sent); n != 0 {
			t.Errorf("%s: takes %d guards", name, n)
		}
		if len(sent) > 24 {
			t.Errorf("%s: sends %d statements:\n%s", name, len(sent), strings.Join(sent, "\n"))
		}
	}
	// All of the clinic is closed for three weeks: nothing is found anywhere.
	if _, err := f.DB.Exec(`INSERT INTO closures (start_time, end_time, name, created_at, updated_at) VALUES (?, ?, 'Closed', ?, ?)`, now.Add(2*time.Hour), now.AddDate(0, 0, 21), now, now); err != nil {
		t.Fatal(err)
	}
	list.take()
	_, err := s.BookAppointment(t.Context(), f.booking(180, 30))
	sent := list.take()
	if !isConflict(err, clinic.CodeTimeOff) {
		t.Fatal(err)
	}
	if len(sent) > 48 {
		t.Errorf("a search that finds nothing sends %d statements:\n%s", len(sent), strings.Join(sent, "\n"))
	}
}

// Of many who want one time at once, one gets it, and nobody is told anything else
// than that it is taken.
func TestRaceForOneTime(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 3, 64)
	s, list := f.listing(t)
	errs := make([]error, 64)
	var wg sync.WaitGroup
	for i := range errs {
		b := f.booking(60, 30)
		b.PatientID = f.patients[i]
		wg.Go(func() { _, errs[i] = s.BookAppointment(t.Context(), b) })
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
		t.Errorf("%d booked", booked)
	}
	if sent := list.take(); len(sent) > 64*40 {
		t.Errorf("%d statements for 64 requests", len(sent))
	}
}

// What a plain read shows must not be held against whoever may have the time: their
// own hold, their own appointment, an override, and a request that was answered.
func TestEarlyRefusalSparesOwnTime(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 2, 3)
	b := f.booking(60, 30)
	hold, err := f.store.CreateHold(t.Context(), b, nil, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.BookAppointment(t.Context(), b); !isConflict(err, clinic.CodeDoctorOverlap) {
		t.Fatalf("a time that others hold: %v", err)
	}
	b.Hold = hold.Token
	once := store.WithOnce(t.Context(), store.Once{Key: "mine"})
	a, err := f.store.BookAppointment(once, b)
	if err != nil {
		t.Fatalf("with the hold: %v", err)
	}
	if again, err := f.store.BookAppointment(once, b); err != nil || again.ID != a.ID {
		t.Errorf("the same request: %v %v", again.ID, err)
	}
	other := store.WithOnce(t.Context(), store.Once{Key: "mine", Request: [32]byte{1}})
	if _, err := f.store.BookAppointment(other, b); !errors.Is(err, clinic.ErrIdempotencyReused) {
		t.Errorf("the key of another request: %v", err)
	}
	later := b.Start.Add(10 * time.Minute)
	if a, err = f.store.RescheduleAppointment(t.Context(), a.ID, clinic.Reschedule{Start: &later}, nil); err != nil {
		t.Errorf("into its own time: %v", err)
	}
	second := f.booking(120, 30)
	second.PatientID = f.patients[1]
	blocked, err := f.store.BookAppointment(t.Context(), second)
	if err != nil {
		t.Fatal(err)
	}
	s, list := f.listing(t)
	_, err = s.RescheduleAppointment(t.Context(), a.ID, clinic.Reschedule{Start: &blocked.Time.Start}, nil)
	if !isConflict(err, clinic.CodeDoctorOverlap) {
		t.Errorf("into another's time: %v", err)
	}
	if n := guards(list.take()); n != 0 {
		t.Errorf("a refused reschedule takes %d guards", n)
	}
	_, err = s.RescheduleAppointment(t.Context(), a.ID, clinic.Reschedule{Start: &blocked.Time.Start}, store.Versions{99})
	if !errors.Is(err, clinic.ErrPreconditionFailed) {
		t.Errorf("of another version: %v", err)
	}
	over := f.booking(120, 30)
	over.PatientID, over.Override = f.patients[2], clinic.Override{Rules: []clinic.Rule{clinic.RuleDoctorOverlap}, Reason: "urgent"}
	if _, err := f.DB.Exec(`UPDATE doctors SET overbook_cap = 1`); err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.BookAppointment(t.Context(), over); err != nil {
		t.Errorf("an overbooking: %v", err)
	}
}

// A series of a hundred dates reads as much as a booking; what it sends beyond that are
// its inserts. A refused one takes no guard.
func TestSeriesIsBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 2, 3)
	s, list := f.listing(t)
	rule, err := clinic.ParseRecurrence("FREQ=DAILY;COUNT=100")
	if err != nil {
		t.Fatal(err)
	}
	series := func(patient int, skip bool) (int, []string, error) {
		list.take()
		b := f.booking(60, 30)
		b.PatientID = f.patients[patient]
		_, dates, err := s.CreateSeries(t.Context(), b, rule, time.UTC, skip)
		booked := 0
		for _, d := range dates {
			if d.Appointment != nil {
				booked++
			}
		}
		return booked, list.take(), err
	}
	last := f.booking(60, 30)
	last.PatientID, last.Start = f.patients[2], last.Start.AddDate(0, 0, 99)
	if _, err := f.store.BookAppointment(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	_, sent, err := series(0, false)
	refusal, _ := errors.AsType[*clinic.Error](err)
	if !isConflict(err, clinic.CodeSeriesConflict) || len(refusal.Dates) != 100 || refusal.Dates[99].Refusal == nil || len(refusal.Dates[99].Refusal.Alternatives) != 6 {
		t.Fatalf("all or none: %v", err)
	}
	if guards(sent) != 0 || len(sent) > 40 {
		t.Errorf("a refused series takes %d guards and sends %d statements", guards(sent), len(sent))
	}
	booked, sent, err := series(0, true)
	if err != nil || booked != 99 {
		t.Fatalf("leaving out: %d booked, %v", booked, err)
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
		t.Errorf("a series takes %d guards, sends %d reads and %d inserts", guards(sent), reads, inserts)
	}
	// Every date refused: alternatives are looked for at the first few.
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
		t.Errorf("takes %d guards, sends %d statements, offers alternatives at %d of %d dates", guards(sent), len(sent), offered, len(refusal.Dates))
	}
}

// A time that is taken between the look and the guards is refused under them, with the
// whole report all the same.
func TestSeriesRefusedUnderGuards(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 16)
	rule, err := clinic.ParseRecurrence("FREQ=DAILY;COUNT=10")
	if err != nil {
		t.Fatal(err)
	}
	errs := make([]error, len(f.patients))
	var wg sync.WaitGroup
	for i, patient := range f.patients {
		b := f.booking(60, 30)
		b.PatientID = patient
		wg.Go(func() { _, _, errs[i] = f.store.CreateSeries(t.Context(), b, rule, time.UTC, false) })
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
			t.Errorf("reports %d dates", len(refusal.Dates))
		}
	}
	if n := f.overlaps(t); booked != 1 || n != 0 {
		t.Errorf("%d booked, %d overlaps", booked, n)
	}
}

// A search through more calendars than one request examines goes on with the next
// page, and finds what is behind the bound.
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
		list.take()
		page, err := s.Availability(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(list.take()); n > 20 {
			t.Errorf("page %d takes %d statements", pages, n)
		}
		if len(page.Items) > 0 {
			if first := page.Items[0].Time.Start; !first.Equal(now.AddDate(0, 0, 15)) || len(page.Items) != 100 {
				t.Errorf("%d times, the first at %s", len(page.Items), first)
			}
			break
		}
		if !page.More || page.Resume.ID == 0 {
			t.Fatalf("ends on page %d without anything", pages)
		}
		q.After = page.Resume
	}
	if pages != 1 {
		t.Errorf("%d empty pages", pages)
	}
	free, searched, err := s.NextAvailable(t.Context(), nil, q)
	if err != nil {
		t.Fatal(err)
	}
	if want := now.AddDate(0, 0, 10); len(free) != len(rows)+1 || free[0].Slot != nil || searched.After(want.Add(time.Second)) || searched.Before(want) {
		t.Errorf("%d doctors, searched to %s, want %s", len(free), searched, want)
	}
	// One who is free early costs no more from then on.
	f.DB.MustExec(`UPDATE doctors SET is_active = (id <= 100)`)
	free, searched, err = s.NextAvailable(t.Context(), nil, q)
	if err != nil || len(free) != 100 || free[0].Slot == nil || searched.Before(now.Add(clinic.MaxAhead)) {
		t.Errorf("%d doctors, searched to %s: %v", len(free), searched, err)
	}
}

// An entry that many doctors could see is searched for in bounded parts, by one call
// after the other, until it has its time.
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
	e, err := s.CreateWaitlistEntry(t.Context(), clinic.WaitlistEntry{
		PatientID: f.patients[0], Specialization: &specialization, Duration: 30 * time.Minute,
		Window: clinic.Interval{Start: now, End: clinic.MaxInstant.AddDate(-1, 0, 0)},
	})
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	for ; e.Status == clinic.WaitlistWaiting && calls < 20; calls++ {
		if n := len(list.take()); n > 100 {
			t.Errorf("call %d sends %d statements", calls, n)
		}
		if e, err = s.WaitlistEntry(t.Context(), e.ID); err != nil {
			t.Fatal(err)
		}
	}
	if e.Status != clinic.WaitlistOffered || e.Offer.Slot.Time.Start.Before(now.AddDate(0, 0, 15)) {
		t.Errorf("after %d calls it is %s, offered %v", calls, e.Status, e.Offer)
	}
	if calls < 2 {
		t.Errorf("found by %d calls", calls)
	}
}

// A freed time that many wait for, of whom none can have it, is looked at for a bounded
// number of them in one transaction, and in the end for all.
func TestOffersAreBounded(t *testing.T) {
	t.Parallel()
	const waiting = 120
	f := newFixture(t, 1, waiting+2)
	s, list := f.listing(t)
	b := f.booking(60, 30)
	a, err := s.BookAppointment(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	for i := range waiting {
		length := 60 * time.Minute // does not fit
		if i == waiting-1 {
			length = 30 * time.Minute
		}
		_, err := s.CreateWaitlistEntry(t.Context(), clinic.WaitlistEntry{
			PatientID: f.patients[i+1], DoctorIDs: f.doctors[:1], Duration: length,
			Window: clinic.Interval{Start: a.Time.Start, End: a.Time.Start.Add(10 * time.Minute)},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	other := f.booking(90, 30)
	other.PatientID = f.patients[waiting+1]
	if _, err := s.BookAppointment(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	list.take()
	if _, err := s.CancelAppointment(t.Context(), a.ID, clinic.ReasonPatientRequest, nil, nil); err != nil {
		t.Fatal(err)
	}
	held := 0 // statements since the last guard of the doctor
	for _, statement := range list.take() {
		if held++; strings.HasPrefix(statement, "UPDATE doctors SET calendar_rev") {
			held = 0
		}
		if held > 400 {
			t.Fatal("too many statements under one guard")
		}
	}
	var offered int
	if err := f.DB.Get(&offered, `SELECT COUNT(*) FROM waitlist WHERE status = 'offered'`); err != nil || offered != 1 {
		t.Errorf("%d offered: %v", offered, err)
	}
}
