package store_test

import (
	"testing"
	"time"

	"mems/internal/clinic"
	"mems/internal/store"
)

// One statement reads what a decision needs of a calendar. It locks the appointments, which other
// bookings change, but not time off, closures or holds, whose writers hold the doctor's guard.
func TestDecisionLocksAppointmentsAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 1)
	room, err := f.store.CreateRoom(t.Context(), store.SystemRequest(), clinic.Room{Name: "Room 1", IsActive: true})
	if err != nil {
		t.Fatal(err)
	}
	b := f.booking(60, 30)
	b.RoomID = &room.ID
	booked, err := f.store.BookAppointment(t.Context(), store.SystemRequest(), b)
	if err != nil {
		t.Fatal(err)
	}
	start, end := b.Start, b.Start.Add(b.Duration)
	insert := func(statement string, args ...any) int64 {
		t.Helper()
		id, err := f.DB.MustExec(statement, args...).LastInsertId()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	off := insert(`INSERT INTO time_off (doctor_id, start_time, end_time, reason, created_at, updated_at) VALUES (?, ?, ?, 'meeting', ?, ?)`,
		b.DoctorID, start, end, now, now)
	closure := insert(`INSERT INTO closures (start_time, end_time, name, created_at, updated_at) VALUES (?, ?, 'Closed', ?, ?)`, start, end, now, now)
	hold := insert(`
		INSERT INTO holds (token, doctor_id, room_id, start_time, end_time, duration_minutes, expires_at, created_at)
		VALUES ('held', ?, ?, ?, ?, 30, ?, ?)`, b.DoctorID, room.ID, start, end, now.Add(time.Hour), now)

	c := f.store.ReadToDecide(t, b)
	if len(c.Off) != 2 || len(c.DoctorBusy) != 2 || len(c.RoomBusy) != 1 {
		t.Errorf("off %v, doctor occupied %v, room occupied %v; want 2, 2 and 1", c.Off, c.DoctorBusy, c.RoomBusy)
	}
	for table, row := range map[string]struct {
		id     int64
		locked bool
	}{
		"appointments": {booked.ID, true}, "time_off": {off, false}, "closures": {closure, false}, "holds": {hold, false},
	} {
		var id int64
		err := f.DB.Get(&id, `SELECT id FROM `+table+` WHERE id = ? FOR UPDATE NOWAIT`, row.id)
		if locked := err != nil; locked != row.locked {
			t.Errorf("%s: locked %v, want %v: %v", table, locked, row.locked, err)
		}
	}
}
