package store_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
	"mems/internal/store"
)

// A booking reads a handful of rows, however long the history of its doctor and patient is, in the
// checks under the guards and in the backstop. The server counts the rows, so the result does not
// depend on how it explains its plans.
func TestBookingDoesNotReadHistory(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 1)
	var history []clinic.Appointment
	for i := range 400 {
		start := now.AddDate(0, 0, -i-1)
		history = append(history, clinic.Appointment{
			PatientID: f.patients[0], Status: clinic.StatusCompleted,
			Time: clinic.Interval{Start: start, End: start.Add(30 * time.Minute)},
		})
	}
	if _, err := f.store.ImportAppointments(t.Context(), store.SystemRequest(), f.doctors[0], history); err != nil {
		t.Fatal(err)
	}
	one, err := sqlx.Connect("mysql", f.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = one.Close() }()
	one.SetMaxOpenConns(1) // the counters are the session's
	before := rowsRead(t, one)
	start := now.Add(time.Hour)
	if _, err := one.ExecContext(context.Background(), rawInsert, f.patients[0], f.doctors[0], start, start, 30, 30); err != nil {
		t.Fatal(err)
	}
	if n := rowsRead(t, one) - before; n > 120 {
		// Some are the server's own, on first use; their number does not depend on the history.
		t.Errorf("the triggers read %d rows, want at most 120 of the 400 of history", n)
	}
	before = rowsRead(t, one)
	if _, err := one.ExecContext(context.Background(),
		`UPDATE appointments SET start_time = start_time + INTERVAL 1 HOUR, end_time = end_time + INTERVAL 1 HOUR WHERE start_time = ?`, start); err != nil {
		t.Fatal(err)
	}
	if n := rowsRead(t, one) - before; n > 120 {
		t.Errorf("the triggers of a reschedule read %d rows, want at most 120 of the 400 of history", n)
	}
}

// rowsRead returns the session's count of rows that the engine has returned.
func rowsRead(t *testing.T, db *sqlx.DB) (n int) {
	t.Helper()
	rows, err := db.Query(`SHOW SESSION STATUS LIKE 'Handler_read%'`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			t.Fatal(err)
		}
		if name == "Handler_read_rnd_deleted" {
			continue
		}
		count, err := strconv.Atoi(value)
		if err != nil {
			t.Fatal(err)
		}
		n += count
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}
