package store_test

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"mems/internal/clinic"
	"mems/internal/store"
	"mems/internal/storetest"
)

const rawInsert = `
	INSERT INTO appointments (patient_id, doctor_id, start_time, end_time, duration_minutes, status, created_at, updated_at)
	VALUES (?, ?, ?, ? + INTERVAL ? MINUTE, ?, 'scheduled', '2027-01-01', '2027-01-01')`

// The backstop holds against writers that do not take guards, at every isolation level, with a
// snapshot taken before the decision.
func TestBackstopAgainstRawWriters(t *testing.T) {
	t.Parallel()
	for name, level := range map[string]sql.IsolationLevel{
		"ReadUncommitted": sql.LevelReadUncommitted,
		"ReadCommitted":   sql.LevelReadCommitted,
		"RepeatableRead":  sql.LevelRepeatableRead,
		"Serializable":    sql.LevelSerializable,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, 3, 6)
			var inserted, refused, transient atomic.Int64
			together(16, func(worker int) {
				random := rand.New(rand.NewPCG(7, uint64(worker)))
				for range 15 {
					err := f.insertRaw(level, random)
					var e *mysql.MySQLError
					switch {
					case err == nil:
						inserted.Add(1)
					case errors.As(err, &e) && (e.Number == 45001 || e.Number == 45002):
						refused.Add(1)
					case errors.As(err, &e) && (e.Number == 1213 || e.Number == 1205 || e.Number == 1020):
						transient.Add(1)
					default:
						t.Errorf("INSERT of a racing appointment: %v, want success, a trigger's error, a deadlock or a timeout",
							err)
					}
				}
			})
			t.Logf("%d inserted, %d refused, %d deadlocked or timed out", inserted.Load(), refused.Load(), transient.Load())
			if inserted.Load() == 0 || refused.Load() == 0 {
				t.Error("inserted or refused none, want some of both, or there was no race")
			}
			if n := f.overlaps(t); n != 0 {
				t.Errorf("%d overlaps, want 0", n)
			}
			if n := f.mirrorDifferences(t); n != 0 {
				t.Errorf("the mirror differs in %d rows, want 0", n)
			}
		})
	}
}

// insertRaw does what the worst script would: read, decide, then insert.
func (f *fixture) insertRaw(level sql.IsolationLevel, random *rand.Rand) error {
	t, err := f.DB.BeginTx(background, &sql.TxOptions{Isolation: level})
	if err != nil {
		return err
	}
	defer func() { _ = t.Rollback() }()
	var n int
	if err := t.QueryRow(`SELECT COUNT(*) FROM appointments`).Scan(&n); err != nil { // fixes the snapshot
		return err
	}
	start := now.Add(time.Duration(random.IntN(600)) * time.Minute)
	minutes := 15 + random.IntN(60)
	if _, err := t.Exec(rawInsert, f.patients[random.IntN(len(f.patients))], f.doctors[random.IntN(len(f.doctors))],
		start, start, minutes, minutes); err != nil {
		return err
	}
	return t.Commit()
}

// Every statement that occupies time is checked, not only INSERT.
func TestBackstopWatchesUpdates(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 2, 3)
	insert := func(patient, doctor int64, minutes int) int64 {
		start := now.Add(time.Duration(minutes) * time.Minute)
		r, err := f.DB.Exec(rawInsert, patient, doctor, start, start, 30, 30)
		if err != nil {
			t.Fatal(err)
		}
		id, _ := r.LastInsertId()
		return id
	}
	d, p := f.doctors, f.patients
	first := insert(p[0], d[0], 60)
	second := insert(p[1], d[0], 120)
	third := insert(p[2], d[1], 60)
	cancelled := insert(p[1], d[1], 200)
	exec := func(statement string, args ...any) error {
		_, err := f.DB.Exec(statement, args...)
		return err
	}
	if err := exec(`UPDATE appointments SET status = 'cancelled', cancellation_reason = 'other', cancelled_at = created_at WHERE id = ?`, cancelled); err != nil {
		t.Fatal(err)
	}
	insert(p[2], d[1], 210) // in the time that was freed
	for name, test := range map[string]struct {
		statement string
		args      []any
		want      uint16
	}{
		"MovedOntoAnother": {
			`UPDATE appointments SET start_time = ?, end_time = ? WHERE id = ?`,
			[]any{now.Add(70 * time.Minute), now.Add(100 * time.Minute), second},
			45001,
		},
		"GivenToBusyDoctor":  {`UPDATE appointments SET doctor_id = ? WHERE id = ?`, []any{d[0], third}, 45001},
		"GivenToBusyPatient": {`UPDATE appointments SET patient_id = ? WHERE id = ?`, []any{p[0], third}, 45002},
		"Reactivated": {
			`UPDATE appointments SET status = 'scheduled', cancellation_reason = NULL, cancelled_at = NULL WHERE id = ?`,
			[]any{cancelled},
			45001,
		},
		"MovedAside": {
			`UPDATE appointments SET start_time = ?, end_time = ? WHERE id = ?`,
			[]any{now.Add(65 * time.Minute), now.Add(95 * time.Minute), first},
			0,
		},
		"Confirmed": {`UPDATE appointments SET status = 'confirmed' WHERE id = ?`, []any{second}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			err := exec(test.statement, test.args...)
			var e *mysql.MySQLError
			if test.want == 0 && err != nil || test.want != 0 && (!errors.As(err, &e) || e.Number != test.want) {
				t.Errorf("error %v, want number %d", err, test.want)
			}
		})
	}
	if err := exec(`DELETE FROM appointments WHERE id = ?`, second); err != nil {
		t.Errorf("DELETE of appointment %d: %v, want success", second, err)
	}
	if n := f.overlaps(t) + f.mirrorDifferences(t); n != 0 {
		t.Errorf("%d overlaps and differences of the mirror, want 0", n)
	}
}

// Without the triggers, the same race double-books: this shows that the test above can fail.
func TestRawRaceDoublesWithoutBackstop(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 40)
	for _, name := range []string{"before_insert", "after_insert", "before_change", "after_update"} {
		if _, err := f.DB.Exec(`DROP TRIGGER appointments_` + name); err != nil {
			t.Fatal(err)
		}
	}
	together(16, func(worker int) {
		random := rand.New(rand.NewPCG(7, uint64(worker)))
		for range 15 {
			_ = f.insertRaw(sql.LevelReadCommitted, random)
		}
	})
	if f.overlaps(t) == 0 {
		t.Error("no overlap without the backstop, want some, or the race proves nothing")
	}
}

// CHECK constraints and foreign keys apply the domain's rules to every writer.
func TestConstraints(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 1)
	d, p := f.doctors[0], f.patients[0]
	const check = -1 // 3819 on MySQL, 4025 on MariaDB
	for name, test := range map[string]struct {
		statement string
		args      []any
		want      int
	}{
		"DurationTooShort":          {rawInsert, []any{p, d, now, now, 14, 14}, check},
		"DurationTooLong":           {rawInsert, []any{p, d, now, now, 181, 181}, check},
		"EndIsNotStartPlusDuration": {rawInsert, []any{p, d, now, now, 45, 30}, check},
		"UnknownPatient":            {rawInsert, []any{999_999, d, now, now, 30, 30}, 1452},
		"UnknownDoctor":             {rawInsert, []any{p, 999_999, now, now, 30, 30}, 1452},
		"UnknownStatus": {`INSERT INTO appointments (patient_id, doctor_id, start_time, end_time, duration_minutes, status, created_at, updated_at)
			VALUES (?, ?, '2027-01-01 10:00', '2027-01-01 10:30', 30, 'lost', '2027-01-01', '2027-01-01')`, []any{p, d}, check},
		"CancelledWithoutReason": {`INSERT INTO appointments (patient_id, doctor_id, start_time, end_time, duration_minutes, status, cancelled_at, created_at, updated_at)
			VALUES (?, ?, '2027-01-01 10:00', '2027-01-01 10:30', 30, 'cancelled', '2027-01-01', '2027-01-01', '2027-01-01')`, []any{p, d}, check},
		"EmptyName":           {`UPDATE patients SET last_name = '' WHERE id = ?`, []any{p}, check},
		"EmailWithoutKey":     {`UPDATE patients SET email = 'a@example.org' WHERE id = ?`, []any{p}, check},
		"EmptySpecialization": {`UPDATE doctors SET specialization = '' WHERE id = ?`, []any{d}, check},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := f.DB.Exec(test.statement, test.args...)
			var e *mysql.MySQLError
			if !errors.As(err, &e) {
				t.Fatalf("error %v, want one of the server", err)
			}
			if test.want == check && e.Number != 3819 && e.Number != 4025 || test.want != check && int(e.Number) != test.want {
				t.Errorf("error %v, want number %d", err, test.want)
			}
		})
	}
}

// A database user with the rights of db/grants.sql can book, but not bypass the backstop.
func TestBackstopCannotBeDisarmedByTheApplication(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 1)
	user := storetest.Grant(t, f.Database)
	for _, statement := range []string{
		`DROP TRIGGER appointments_before_insert`,
		`DELETE FROM occupied_times`,
		`INSERT INTO occupied_times VALUES ('doctor', 1, '2027-01-01', '2027-01-02', 1)`,
		`DELETE FROM appointments`,
		`ALTER TABLE appointments DROP FOREIGN KEY appointments_doctor_exists`,
		`UPDATE installation SET disposable = 1`,
	} {
		_, err := user.DB.ExecContext(context.Background(), statement)
		var e *mysql.MySQLError
		if !errors.As(err, &e) || e.Number != 1142 {
			t.Errorf("%s: %v, want a refusal (1142)", statement, err)
		}
	}
	s := user.Open(t, fixedClock, nil)
	if _, err := s.BookAppointment(t.Context(), store.SystemRequest(), f.booking(60, 30)); err != nil {
		t.Errorf("book as the application's user: %v", err)
	}
	if _, err := s.Ready(t.Context()); err != nil {
		t.Errorf("ready as the application's user: %v", err)
	}
	if err := s.DeleteDoctor(t.Context(), store.SystemRequest(), f.doctors[0], nil); err == nil {
		t.Error("deleted a doctor with appointments, want an error")
	}
}

// What is final stays final for that user: revocations, and the texts of the history, which can be
// erased but not rewritten.
func TestTheApplicationCannotUndoWhatIsFinal(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 1)
	user := storetest.Grant(t, f.Database)
	s := user.Open(t, fixedClock, nil)
	k, _, err := s.CreateAPIKey(t.Context(), store.SystemRequest(), clinic.APIKey{Name: "Desk", Role: clinic.RoleManager, ExpiresAt: fixedClock().AddDate(1, 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.RevokeAPIKey(t.Context(), store.SystemRequest(), k.ID); err != nil {
		t.Fatal(err)
	}
	a, err := s.BookAppointment(t.Context(), store.SystemRequest(), f.booking(60, 30))
	if err != nil {
		t.Fatal(err)
	}
	must := func(statement string, args ...any) {
		t.Helper()
		if _, err := user.DB.Exec(statement, args...); err != nil {
			t.Errorf("%s: %v", statement, err)
		}
	}
	must(`INSERT INTO appointment_events (appointment_id, version, at, action, to_status, note, start_time, duration_minutes, doctor_id, patient_id)
		SELECT id, 99, start_time, 'cancelled', 'cancelled', 'their words', start_time, 30, doctor_id, patient_id FROM appointments WHERE id = ?`, a.ID)
	must(`INSERT INTO appointment_event_overrides VALUES (?, 99, 1, 0, 0, 'their reason')`, a.ID)
	must(`INSERT INTO calendar_feeds (name, secret_hash, created_by, created_at, revoked_at) VALUES ('f', REPEAT('x', 32), 'x', '2027-01-01', '2027-01-02')`)
	for statement, want := range map[string]uint16{
		`UPDATE api_keys SET revoked_at = NULL`:                                 45004,
		`UPDATE api_keys SET revoked_at = '2999-01-01'`:                         45004,
		`UPDATE calendar_feeds SET revoked_at = NULL`:                           45004,
		`UPDATE appointment_events SET note = 'mine' WHERE version = 99`:        45005,
		`UPDATE appointment_events SET note = 'THEIR WORDS' WHERE version = 99`: 45005,
		`UPDATE appointment_event_overrides SET reason = 'mine'`:                45005,
		`UPDATE appointment_event_overrides SET reason = 'Their reason'`:        45005,
		`UPDATE api_keys SET role = 'admin'`:                                    1143,
		`DELETE FROM api_keys`:                                                  1142,
		`UPDATE appointment_events SET actor = 'x'`:                             1143,
		`DROP TRIGGER api_keys_before_update`:                                   1142,
	} {
		_, err := user.DB.Exec(statement)
		if e, ok := errors.AsType[*mysql.MySQLError](err); !ok || e.Number != want {
			t.Errorf("%s: %v, want %d", statement, err, want)
		}
	}
	must(`UPDATE api_keys SET last_used_at = NOW(6)`)
	must(`UPDATE appointment_events SET note = NULL`)
	must(`UPDATE appointment_event_overrides SET reason = 'erased'`)
}
