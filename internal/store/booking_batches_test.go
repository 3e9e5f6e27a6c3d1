package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mems/internal/clinic"
	"mems/internal/store"
	"mems/internal/storetest"
)

// outcome is what became of a booking.
type outcome struct {
	made clinic.Appointment
	err  error
}

// member is a booking with who asks for it.
type member struct {
	ctx     context.Context
	req     store.Request
	booking clinic.Booking
}

func members(bookings ...clinic.Booking) []member {
	all := make([]member, len(bookings))
	for i, b := range bookings {
		all[i] = member{background, store.SystemRequest(), b}
	}
	return all
}

// bookTogether has bookings of one combiner arrive together, in this order.
func bookTogether(s *store.Store, all []member) []outcome {
	got := make([]outcome, len(all))
	var done sync.WaitGroup
	var ended atomic.Int64
	s.Gather(len(all), func(i int) {
		done.Go(func() {
			got[i].made, got[i].err = s.BookAppointment(all[i].ctx, all[i].req, all[i].booking)
			ended.Add(1)
		})
	}, func() int { return int(ended.Load()) })
	done.Wait()
	return got
}

// checkBooked compares what was answered with what the database has.
func (f *fixture) checkBooked(t *testing.T, all []member, got []outcome) (booked int) {
	t.Helper()
	for i, o := range got {
		if o.err != nil {
			continue
		}
		booked++
		kept, err := f.store.Appointment(background, store.SystemRequest(), o.made.ID)
		if err != nil {
			t.Errorf("booking %d: %v", i, err)
			continue
		}
		b := all[i].booking
		if kept.PatientID != b.PatientID || kept.DoctorID != b.DoctorID || !kept.Time.Start.Equal(b.Start) {
			t.Errorf("booking %d was answered with appointment %d, which is another one's", i, o.made.ID)
		}
		events, err := f.store.AppointmentHistory(background, store.SystemRequest(), o.made.ID)
		if err != nil || len(events) != 1 {
			t.Errorf("booking %d has %d events, %v", i, len(events), err)
		}
	}
	var kept, changes int
	if err := f.DB.Get(&kept, `SELECT COUNT(*) FROM appointments WHERE status <> 'cancelled'`); err != nil {
		t.Fatal(err)
	}
	if err := f.DB.Get(&changes, `SELECT COUNT(DISTINCT object_id) FROM changes WHERE object = 'appointment'`); err != nil {
		t.Fatal(err)
	}
	if kept != booked || changes != booked {
		t.Errorf("%d booked, %d kept, %d announced", booked, kept, changes)
	}
	if n := f.overlaps(t); n != 0 {
		t.Errorf("%d overlaps", n)
	}
	if n := f.mirrorDifferences(t); n != 0 {
		t.Errorf("the mirror differs in %d rows", n)
	}
	if report := verifyTrail(t, f.Database); len(report.Faults) > 0 {
		t.Errorf("the audit trail: %v", report.Faults)
	}
	return booked
}

// Each booking of a batch has its own outcome, and no other's.
func TestBatchDecidesEach(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 8)
	s, list := f.listing(t)
	room, err := s.CreateRoom(background, store.SystemRequest(), clinic.Room{Name: "1", IsActive: true})
	if err != nil {
		t.Fatal(err)
	}
	at := func(patient, minutes int) clinic.Booking {
		b := f.booking(minutes, 30)
		b.PatientID = f.patients[patient]
		return b
	}
	keyed := withKey(store.IdempotencyKey{Key: "before"})
	before, err := s.BookAppointment(background, keyed, at(7, 600))
	if err != nil {
		t.Fatal(err)
	}
	inRoom, past, nobody, noRoom := at(3, 120), at(4, -60), at(4, 180), at(5, 240)
	missing := int64(1 << 40)
	inRoom.RoomID, nobody.PatientID, noRoom.RoomID = &room.ID, missing, &missing
	all := members(at(0, 60), at(1, 75), inRoom, past, nobody, noRoom, at(0, 300), at(7, 600), at(6, 330), at(6, 360), at(6, 330))
	all[7].req = keyed
	all[8].req = withKey(store.IdempotencyKey{Key: "new"})
	all[10].req = all[8].req // the same request again
	list.Take()
	got := bookTogether(s, all)
	for i, want := range []error{
		nil, clinic.ErrDoctorOverlap, nil, clinic.ErrStartInPast, clinic.ErrPatientNotFound, clinic.ErrRoomNotFound, nil, nil, nil, nil, nil,
	} {
		if !errors.Is(got[i].err, want) {
			t.Errorf("booking %d: %v, want %v", i, got[i].err, want)
		}
	}
	if got[7].made.ID != before.ID || got[10].made.ID != got[8].made.ID || got[8].made.ID == 0 {
		t.Errorf("replayed %d and %d, want %d and %d", got[7].made.ID, got[10].made.ID, before.ID, got[8].made.ID)
	}
	if inserts := sent(list, "INSERT INTO appointments "); inserts != 1 {
		t.Errorf("%d statements inserted appointments, want one", inserts)
	}
	if n := f.overlaps(t); n != 0 {
		t.Errorf("%d overlaps", n)
	}
	if report := verifyTrail(t, f.Database); len(report.Faults) > 0 {
		t.Errorf("the audit trail: %v", report.Faults)
	}
}

// A caller who goes before its booking is decided has none, and the others of the batch theirs.
func TestBatchLosesACaller(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 4)
	var bookings []clinic.Booking
	for i := range 4 {
		b := f.booking(60*(i+1), 30)
		b.PatientID = f.patients[i]
		bookings = append(bookings, b)
	}
	all := members(bookings...)
	gone, cancel := context.WithCancel(background)
	all[0].ctx = gone // of the one that leads
	var ended atomic.Int64
	got := make([]outcome, len(all))
	var done sync.WaitGroup
	f.store.Gather(len(all), func(i int) {
		done.Go(func() {
			got[i].made, got[i].err = f.store.BookAppointment(all[i].ctx, all[i].req, all[i].booking)
			ended.Add(1)
		})
		if i == 3 {
			cancel()
		}
	}, func() int { return int(ended.Load()) })
	done.Wait()
	if !errors.Is(got[0].err, context.Canceled) {
		t.Errorf("the lost one: %v", got[0].err)
	}
	if n := f.checkBooked(t, all, got); n != 3 {
		t.Errorf("%d booked, want 3", n)
	}
}

// Of many equal bookings of a batch one is made, with the statements of one batch, and the others
// are refused with alternatives. With a type, whose length a decision fills in, one process once panicked.
func TestBatchOfEqualBookings(t *testing.T) {
	t.Parallel()
	for name, typed := range map[string]bool{"Length": false, "Type": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			batchOfEqualBookings(t, typed)
		})
	}
}

func batchOfEqualBookings(t *testing.T, typed bool) {
	t.Helper()
	f := newFixture(t, 1, 32)
	s, list := f.listing(t)
	kind, err := s.CreateAppointmentType(background, store.SystemRequest(), clinic.AppointmentType{
		Name: "x", Duration: 30 * time.Minute, Buffers: clinic.Buffers{Before: 5 * time.Minute}, Colour: "#000000", IsActive: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	var bookings []clinic.Booking
	for i := range 32 {
		b := f.booking(60, 30)
		if typed {
			b.TypeID, b.Duration = &kind.ID, 0
		}
		b.PatientID = f.patients[i]
		bookings = append(bookings, b)
	}
	all := members(bookings...)
	list.Take()
	got := bookTogether(s, all)
	var guards, searches int
	for _, statement := range list.Take() {
		if strings.Contains(statement, "UPDATE doctors") {
			guards++
		}
		if strings.Contains(statement, "FORCE INDEX (doctors_specialization)") {
			searches++
		}
	}
	if guards != 1 || searches != 1 {
		t.Errorf("the doctor's guard was written %d times, and alternatives searched %d times, want once", guards, searches)
	}
	if got[0].err != nil {
		t.Errorf("the first: %v", got[0].err)
	}
	for _, o := range got[1:] {
		if refusal, ok := errors.AsType[*clinic.Error](o.err); !ok || refusal.Code != clinic.CodeDoctorOverlap || len(refusal.Alternatives) == 0 {
			t.Errorf("refused with %v", o.err)
		}
	}
	f.checkBooked(t, all, got)
}

// The backstop refuses one booking of a batch: the others are booked, each once.
func TestBatchMeetsTheBackstop(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 8)
	var bookings []clinic.Booking
	for i := range 8 {
		b := f.booking(60*(i+1), 30)
		b.PatientID = f.patients[i]
		bookings = append(bookings, b)
	}
	// A time that only the backstop knows.
	a, err := f.store.BookAppointment(background, store.SystemRequest(), bookings[3])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.CancelAppointment(background, store.SystemRequest(), a.ID, clinic.ReasonOther, nil, nil); err != nil {
		t.Fatal(err)
	}
	f.DB.MustExec(`INSERT INTO occupied_times (party, party_id, start_time, end_time, appointment_id) VALUES ('doctor', ?, ?, ?, ?)`,
		a.DoctorID, a.Time.Start, a.Time.End, a.ID)
	got := bookTogether(f.store, members(bookings...))
	for i, o := range got {
		want := error(nil)
		if i == 3 {
			want = clinic.ErrDoctorOverlap
		}
		if !errors.Is(o.err, want) {
			t.Errorf("booking %d: %v, want %v", i, o.err, want)
		}
	}
	var kept int
	if err := f.DB.Get(&kept, `SELECT COUNT(*) FROM appointments WHERE status = 'scheduled'`); err != nil || kept != 7 {
		t.Errorf("%d kept, %v", kept, err)
	}
}

// When a batch fails, its bookings are made one by one, each once; when the answer to its COMMIT
// is lost, the outcome is unknown of each.
func TestBatchFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]*cutter{
		"Deadlock": {refuse: 1213}, "CommitLost": {}, "AnswerLost": {forward: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, 1, 8)
			through := c.open(t, f.DSN)
			var bookings []clinic.Booking
			for i := range 8 {
				b := f.booking(60*(i+1), 30)
				b.PatientID = f.patients[i]
				bookings = append(bookings, b)
			}
			c.armed.Store(true)
			got := bookTogether(through, members(bookings...))
			var want error
			if c.refuse == 0 {
				want = clinic.ErrOutcomeUnknown
			}
			for i, o := range got {
				if !errors.Is(o.err, want) {
					t.Errorf("booking %d: %v, want %v", i, o.err, want)
				}
			}
			expected := map[string]int{"Deadlock": 8, "AnswerLost": 8}[name]
			var kept int
			for range 100 { // the database notices a lost connection a little later
				if err := f.DB.Get(&kept, `SELECT COUNT(*) FROM appointments`); err != nil {
					t.Fatal(err)
				}
				if kept == expected {
					break
				}
				time.Sleep(20 * time.Millisecond)
			}
			if kept != expected {
				t.Errorf("%d appointments, want %d", kept, expected)
			}
		})
	}
}

// Batches accept and refuse what the same bookings in the same order do alone. The database gives
// ids in steps, as in a cluster.
func TestBatchesDecideAsAlone(t *testing.T) {
	t.Parallel()
	f, alone := newFixture(t, 1, 6), newFixture(t, 1, 6)
	stepped := (&storetest.Database{DSN: f.DSN + map[bool]string{true: "&", false: "?"}[strings.Contains(f.DSN, "?")] + "auto_increment_increment=7"}).Open(t, fixedClock, nil)
	random := rand.New(rand.NewPCG(5, 7))
	var all []member
	var got []outcome
	for round := range 12 {
		var bookings []clinic.Booking
		for range 2 + random.IntN(30) {
			b := f.booking(15*(1+random.IntN(400)), 15*(1+random.IntN(4)))
			b.PatientID = f.patients[random.IntN(len(f.patients))]
			bookings = append(bookings, b)
		}
		batch := members(bookings...)
		outcomes := bookTogether(stepped, batch)
		for i, o := range outcomes {
			b := bookings[i]
			b.DoctorID = alone.doctors[0]
			for j, p := range f.patients {
				if p == bookings[i].PatientID {
					b.PatientID = alone.patients[j]
				}
			}
			_, err := alone.store.BookAppointment(background, store.SystemRequest(), b)
			if codeOf(err) != codeOf(o.err) {
				t.Errorf("round %d, booking %d: %v together, %v alone", round, i, o.err, err)
			}
		}
		all, got = append(all, batch...), append(got, outcomes...)
	}
	t.Logf("%d of %d booked", f.checkBooked(t, all, got), len(all))
}

func codeOf(err error) string {
	if refusal, ok := errors.AsType[*clinic.Error](err); ok {
		return string(refusal.Code)
	}
	return fmt.Sprint(err)
}

// sent counts the statements since the last call that contain a text.
func sent(list *storetest.Statements, text string) (n int) {
	for _, statement := range list.Take() {
		if strings.Contains(statement, text) {
			n++
		}
	}
	return n
}
