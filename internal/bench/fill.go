package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/store"
)

// The filled clinic: every doctor sees twenty patients on each weekday, back
// from today, until the number of appointments is reached.
const (
	doctors      = 200
	slotsADay    = 20
	slotLength   = 20 * time.Minute
	firstSlot    = 8 * time.Hour
	patients     = 100_000 // more than doctors * slotsADay, so that nobody is in two places
	rowsAtOnce   = 2000
	patientStep  = 7919 // coprime with patients: spreads bookings over them
	created      = "2026-01-01"
	percentEvery = 10
)

// fill makes the clinic. The triggers of the backstop are put in afterwards:
// their migration copies what is there, far faster than row by row.
func fill(ctx context.Context, dsn string, size int) error {
	schema, err := store.OpenSchema(dsn)
	if err != nil {
		return err
	}
	defer func() { _ = schema.Close() }()
	ignore := func(store.Migration) {}
	if err := schema.Up(ctx, ignore); err != nil {
		return err
	}
	if _, err := schema.Down(ctx); err != nil {
		return err
	}
	db, err := sqlx.ConnectContext(ctx, "mysql", dsn)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1) // so that the session's settings stay
	// The rows are right by construction (and the migration below would fail on
	// an overlap), so the checks of keys may wait.
	if _, err := db.ExecContext(ctx, `SET SESSION foreign_key_checks = 0, unique_checks = 0`); err != nil {
		return err
	}
	started := time.Now()
	if err := insert(ctx, db, `INSERT INTO doctors (full_name, specialization, created_at, updated_at) VALUES `, doctors, func(i int) string {
		return fmt.Sprintf("('Dr. %03d','Field %d','%s','%s')", i, i%10, created, created)
	}); err != nil {
		return err
	}
	if err := insert(ctx, db, `INSERT INTO patients (first_name, last_name, email, email_key, created_at, updated_at) VALUES `, patients, func(i int) string {
		return fmt.Sprintf("('First%d','Last%d','p%d@example.org','p%d@example.org','%s','%s')", i%997, i, i, i, created, created)
	}); err != nil {
		return err
	}
	days := weekdaysBack(time.Now().UTC(), size/(doctors*slotsADay)+2)
	if err := insert(ctx, db, `INSERT INTO appointments (patient_id, doctor_id, start_time, end_time, duration_minutes, status, created_at, updated_at) VALUES `, size, func(i int) string {
		doctor, slot, day := i%doctors, i/doctors%slotsADay, i/(doctors*slotsADay)
		start := days[day].Add(firstSlot + time.Duration(slot)*slotLength)
		return fmt.Sprintf("(%d,%d,'%s','%s',20,'completed','%s','%s')", 1+i%patients, 1+doctor,
			start.Format(time.DateTime), start.Add(slotLength).Format(time.DateTime), created, created)
	}); err != nil {
		return err
	}
	if err := schema.Up(ctx, ignore); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, `ANALYZE TABLE appointments, patients, doctors, occupied_times`); err != nil {
		return err
	}
	// MySQL writes to a fresh binary log from here on, not behind the gigabyte
	// that the filling was.
	if _, err := db.ExecContext(ctx, `FLUSH BINARY LOGS`); err != nil {
		return err
	}
	if err := settle(ctx, db); err != nil {
		return err
	}
	say("filled %d appointments in %s", size, time.Since(started).Round(time.Second))
	return nil
}

// settle waits until the database has written what the filling left in memory:
// otherwise the first minutes would measure the disk finishing that work.
func settle(ctx context.Context, db *sqlx.DB) error {
	var keep, keepLow float64
	if err := db.QueryRowContext(ctx, `SELECT @@GLOBAL.innodb_max_dirty_pages_pct, @@GLOBAL.innodb_max_dirty_pages_pct_lwm`).Scan(&keep, &keepLow); err != nil {
		return err
	}
	for _, pct := range [][2]float64{{0, 0}, {keep, keepLow}} {
		if _, err := db.ExecContext(ctx, fmt.Sprintf(`SET GLOBAL innodb_max_dirty_pages_pct_lwm = %f`, pct[1])); err != nil {
			return err
		}
		if _, err := db.ExecContext(ctx, fmt.Sprintf(`SET GLOBAL innodb_max_dirty_pages_pct = %f`, pct[0])); err != nil {
			return err
		}
		for dirty := 1 << 30; pct[0] == 0 && dirty > 200; time.Sleep(100 * time.Millisecond) {
			var name string
			if err := db.QueryRowContext(ctx, `SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'`).Scan(&name, &dirty); err != nil {
				return err
			}
		}
	}
	return nil
}

func insert(ctx context.Context, db *sqlx.DB, head string, n int, row func(i int) string) error {
	var values []string
	for i := range n {
		values = append(values, row(i))
		if len(values) == rowsAtOnce || i == n-1 {
			// Safety: the text is made of numbers and constants above.
			if _, err := db.ExecContext(ctx, head+strings.Join(values, ",")); err != nil {
				return err
			}
			values = values[:0]
		}
		if n > 100_000 && i%(n/percentEvery) == 0 {
			say("  %d %%", 100*i/n)
		}
	}
	return nil
}

// weekdaysBack lists the midnights of n weekdays, the latest first.
func weekdaysBack(from time.Time, n int) []time.Time {
	day := from.Truncate(24 * time.Hour)
	var days []time.Time
	for len(days) < n {
		if day.Weekday() != time.Saturday && day.Weekday() != time.Sunday {
			days = append(days, day)
		}
		day = day.AddDate(0, 0, -1)
	}
	return days
}
