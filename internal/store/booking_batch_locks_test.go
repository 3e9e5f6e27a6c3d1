package store_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"mems/internal/clinic"
	"mems/internal/store"
	"mems/internal/storetest"
)

// heldGuard is a guard that a raw connection holds until released.
func (f *fixture) heldGuard(t *testing.T, table string, id int64) (release func()) {
	t.Helper()
	held, err := f.DB.BeginTxx(background, nil)
	if err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(func() { _ = held.Rollback() })
	t.Cleanup(release)
	if _, err := held.Exec(`UPDATE `+table+` SET calendar_rev = calendar_rev + 1 WHERE id = ?`, id); err != nil {
		t.Fatal(err)
	}
	return release
}

// A guard that another transaction holds keeps only those bookings of a batch waiting that want it:
// the others are booked together, before it is released.
func TestBatchDoesNotWaitForGuards(t *testing.T) {
	t.Parallel()
	for _, table := range []string{"doctors", "patients", "rooms"} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, 5, 4)
			s, list := f.listing(t)
			var bookings []clinic.Booking
			held := map[string]int64{"doctors": f.doctors[0], "patients": f.patients[0]}
			for i := range 4 {
				room, err := s.CreateRoom(background, store.SystemRequest(), clinic.Room{Name: string(rune('A' + i)), IsActive: true})
				if err != nil {
					t.Fatal(err)
				}
				if i == 0 {
					held["rooms"] = room.ID
				}
				b := f.booking(60*(i+1), 30)
				b.PatientID, b.DoctorID, b.RoomID = f.patients[i], f.doctors[min(2*i, 4)], &room.ID // of one combiner
				bookings = append(bookings, b)
			}
			release := f.heldGuard(t, table, held[table])
			list.Take()
			all, got := members(bookings...), make([]outcome, 4)
			var ended atomic.Int64
			var delayed, others sync.WaitGroup
			s.Gather(len(all), func(i int) {
				line := &others
				if i == 0 {
					line = &delayed
				}
				line.Go(func() {
					got[i].made, got[i].err = s.BookAppointment(all[i].ctx, all[i].req, all[i].booking)
					ended.Add(1)
				})
			}, func() int { return int(ended.Load()) })
			others.Wait()
			if n := ended.Load(); n != 3 {
				t.Errorf("%d bookings ended before the guard was released, want 3", n)
			}
			if inserts := sent(list, "INSERT INTO appointments "); inserts != 1 {
				t.Errorf("%d statements inserted appointments before the guard was released, want one", inserts)
			}
			release()
			delayed.Wait()
			if n := f.checkBooked(t, all, got); n != 4 {
				t.Errorf("%d booked, want all: %v", n, got)
			}
		})
	}
}

// A booking that waits for a guard, alone, does not keep its combiner's others waiting.
func TestCombinerDoesNotWaitForGuard(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 3, 4)
	s := (&storetest.Database{DSN: f.DSN}).Open(t, fixedClock, nil)
	s.DecideTogether()
	release := f.heldGuard(t, "doctors", f.doctors[0])
	all, got := members(f.booking(60, 30), f.booking(120, 30), f.booking(180, 30), f.booking(240, 30)), make([]outcome, 4)
	var ended atomic.Int64
	var delayed, others sync.WaitGroup
	for i := range all {
		all[i].booking.PatientID = f.patients[i]
		if i > 0 {
			all[i].booking.DoctorID = f.doctors[2]
		}
	}
	book := func(i int) {
		got[i].made, got[i].err = s.BookAppointment(all[i].ctx, all[i].req, all[i].booking)
		ended.Add(1)
	}
	delayed.Go(func() { book(0) })
	f.WaitForStatements(t, 1)
	for i := 1; i < 4; i++ {
		others.Go(func() { book(i) })
	}
	others.Wait()
	if n := ended.Load(); n != 3 {
		t.Errorf("%d bookings ended before the guard was released, want 3", n)
	}
	release()
	delayed.Wait()
	for i, o := range got {
		if o.err != nil {
			t.Errorf("booking %d: %v", i, o.err)
		}
	}
	if n := f.checkBooked(t, all, got); n != 4 {
		t.Errorf("%d booked, want all", n)
	}
}
