package store_test

import (
	"database/sql"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"mems/internal/clinic"
	"mems/internal/store"
)

// rawAppointment is a row as a user at a SQL prompt would write it.
type rawAppointment struct {
	patient, doctor int64
	room            *int64
	start           time.Time
	minutes         int
	before, after   int
	overbooked      bool // the doctor
	doubled         bool // the patient
}

const rawInsertWithRoom = `
	INSERT INTO appointments (patient_id, doctor_id, room_id, start_time, end_time, duration_minutes,
	                          buffer_before_minutes, buffer_after_minutes, doctor_overbooked, patient_overbooked,
	                          override_reason, status, created_at, updated_at)
	VALUES (?, ?, ?, ?, ? + INTERVAL ? MINUTE, ?, ?, ?, ?, ?, 'raw', 'scheduled', '2027-01-01', '2027-01-01')`

func (a rawAppointment) args() []any {
	return []any{a.patient, a.doctor, a.room, a.start, a.start, a.minutes, a.minutes, a.before, a.after, a.overbooked, a.doubled}
}

// The database itself enforces rooms, buffers and a doctor's overbooking cap.
func TestBackstopKnowsRoomsAndOverbooking(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 4, 8)
	room, err := f.store.CreateRoom(t.Context(), store.SystemRequest(), clinic.Room{Name: "x", IsActive: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.DB.Exec(`UPDATE doctors SET overbook_cap = 1 WHERE id = ?`, f.doctors[0]); err != nil {
		t.Fatal(err)
	}
	at := func(minutes int) time.Time { return now.Add(time.Duration(minutes) * time.Minute) }
	d, p := f.doctors, f.patients
	for _, step := range []struct {
		name string
		a    rawAppointment
		want uint16
	}{
		{"First", rawAppointment{patient: p[0], doctor: d[0], room: &room.ID, start: at(60), minutes: 30, before: 10, after: 15}, 0},
		{"BufferBefore", rawAppointment{patient: p[1], doctor: d[0], start: at(21), minutes: 30}, 45001},
		{"BufferAfter", rawAppointment{patient: p[1], doctor: d[0], start: at(104), minutes: 30}, 45001},
		{"ItsOwnBuffer", rawAppointment{patient: p[1], doctor: d[0], start: at(110), minutes: 30, before: 6}, 45001},
		{"NextToTheBuffers", rawAppointment{patient: p[1], doctor: d[0], start: at(105), minutes: 15}, 0},
		{"PatientHasNoBuffers", rawAppointment{patient: p[0], doctor: d[1], start: at(90), minutes: 15, before: 60}, 0},
		{"Room", rawAppointment{patient: p[2], doctor: d[2], room: &room.ID, start: at(104), minutes: 15}, 45003},
		{"RoomBackToBack", rawAppointment{patient: p[2], doctor: d[2], room: &room.ID, start: at(105), minutes: 15}, 0},
		{"OverbookedWithinTheCap", rawAppointment{patient: p[3], doctor: d[0], start: at(60), minutes: 15, overbooked: true}, 0},
		{"OverbookedBeyondIt", rawAppointment{patient: p[4], doctor: d[0], start: at(65), minutes: 15, overbooked: true}, 45001},
		{"NoCap", rawAppointment{patient: p[4], doctor: d[1], start: at(90), minutes: 15, overbooked: true}, 45001},
		{"NotFlagged", rawAppointment{patient: p[4], doctor: d[0], start: at(80), minutes: 15}, 45001},
		{"PatientTwice", rawAppointment{patient: p[0], doctor: d[3], start: at(60), minutes: 30}, 45002},
		{"PatientTwiceOnPurpose", rawAppointment{patient: p[0], doctor: d[3], start: at(60), minutes: 30, doubled: true}, 0},
	} {
		_, err := f.DB.Exec(rawInsertWithRoom, step.a.args()...)
		var e *mysql.MySQLError
		if step.want == 0 && err != nil || step.want != 0 && (!errors.As(err, &e) || e.Number != step.want) {
			t.Errorf("%s: error %v, want number %d", step.name, err, step.want)
		}
	}
	// A deliberate overbooking cannot become an ordinary appointment while it overlaps.
	_, err = f.DB.Exec(`UPDATE appointments SET patient_overbooked = 0 WHERE patient_overbooked = 1`)
	var e *mysql.MySQLError
	if !errors.As(err, &e) || e.Number != 45002 {
		t.Errorf("clearing patient_overbooked: error %v, want number 45002", err)
	}
	_, err = f.DB.Exec(`UPDATE appointments SET room_id = ? WHERE patient_id = ?`, room.ID, p[3])
	if !errors.As(err, &e) || e.Number != 45003 {
		t.Errorf("changing to a room in use: error %v, want number 45003", err)
	}
	if n := f.mirrorDifferences(t); n != 0 {
		t.Errorf("the mirror differs in %d rows, want 0", n)
	}
}

// Raw writers race for two rooms and one doctor with a cap of two, at every isolation level, each
// with a snapshot taken before it decides.
func TestBackstopRoomsAgainstRawWriters(t *testing.T) {
	t.Parallel()
	for name, level := range map[string]sql.IsolationLevel{
		"ReadUncommitted": sql.LevelReadUncommitted, "ReadCommitted": sql.LevelReadCommitted,
		"RepeatableRead": sql.LevelRepeatableRead, "Serializable": sql.LevelSerializable,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, 17, 16)
			if _, err := f.DB.Exec(`UPDATE doctors SET overbook_cap = 2 WHERE id = ?`, f.doctors[16]); err != nil {
				t.Fatal(err)
			}
			var rooms [2]int64
			for i := range rooms {
				r, err := f.store.CreateRoom(t.Context(), store.SystemRequest(), clinic.Room{Name: string(rune('a' + i)), IsActive: true})
				if err != nil {
					t.Fatal(err)
				}
				rooms[i] = r.ID
			}
			var inserted, refused atomic.Int64
			together(16, func(worker int) {
				random := rand.New(rand.NewPCG(7, uint64(worker)))
				for k := range 12 {
					a := rawAppointment{
						patient: f.patients[worker], doctor: f.doctors[worker], minutes: 15 + random.IntN(30), doubled: true,
						start: now.Add(time.Duration(random.IntN(240)) * time.Minute), after: random.IntN(15),
					}
					if k%2 == 0 {
						a.room = &rooms[random.IntN(2)] // of doctors who have nothing else in common
					} else {
						a.doctor, a.overbooked = f.doctors[16], true
					}
					err := f.inTransaction(level, rawInsertWithRoom, a.args()...)
					var e *mysql.MySQLError
					switch {
					case err == nil:
						inserted.Add(1)
					case errors.As(err, &e) && (e.Number == 45001 || e.Number == 45003):
						refused.Add(1)
					case errors.As(err, &e) && (e.Number == 1213 || e.Number == 1205 || e.Number == 1020): // deadlocked or timed out
					default:
						t.Errorf("INSERT of a racing appointment: %v, want success, a trigger's error, a deadlock or a timeout",
							err)
					}
				}
			})
			if inserted.Load() == 0 || refused.Load() == 0 {
				t.Errorf("%d inserted, %d refused; want some of both, or there was no race", inserted.Load(), refused.Load())
			}
			var overlaps, most int
			if err := f.DB.Get(&overlaps, `
				SELECT COUNT(*) FROM occupied_times a JOIN occupied_times b
				ON a.party = 'room' AND b.party = 'room' AND a.party_id = b.party_id AND a.appointment_id < b.appointment_id
				AND a.start_time < b.end_time AND b.start_time < a.end_time`); err != nil {
				t.Fatal(err)
			}
			if err := f.DB.Get(&most, `
				SELECT MAX(n) FROM (
				  SELECT COUNT(*) AS n FROM occupied_times a JOIN occupied_times b
				  ON a.party = 'doctor' AND b.party = 'doctor' AND a.party_id = ? AND b.party_id = a.party_id
				  AND b.start_time <= a.start_time AND a.start_time < b.end_time GROUP BY a.appointment_id) AS at_starts`, f.doctors[16]); err != nil {
				t.Fatal(err)
			}
			if overlaps != 0 || most > 3 {
				t.Errorf("%d overlaps in rooms, want 0; %d appointments at once of a doctor, want at most 3", overlaps, most)
			}
			if n := f.mirrorDifferences(t); n != 0 {
				t.Errorf("the mirror differs in %d rows, want 0", n)
			}
		})
	}
}

// inTransaction reads first, which fixes the snapshot, and then writes.
func (f *fixture) inTransaction(level sql.IsolationLevel, statement string, args ...any) error {
	t, err := f.DB.BeginTx(background, &sql.TxOptions{Isolation: level})
	if err != nil {
		return err
	}
	defer func() { _ = t.Rollback() }()
	var n int
	if err := t.QueryRow(`SELECT COUNT(*) FROM appointments`).Scan(&n); err != nil {
		return err
	}
	if _, err := t.Exec(statement, args...); err != nil {
		return err
	}
	return t.Commit()
}
