package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
	"mems/internal/database"
	"mems/internal/store"
)

// The filled clinic: on the measured day every doctor has twenty appointments, on the weekdays
// around it two: some days ahead, and as far back as the number of appointments requires. A
// million reach back nine years. The measured day is the same at every size.
const (
	doctors      = 200
	withHours    = 50
	slotsADay    = 20
	slotsSparse  = 2
	maxAhead     = 20 // weekdays, four weeks
	slotLength   = 20 * time.Minute
	firstSlot    = 8 * time.Hour
	rowsAtOnce   = 2000
	patientStep  = 7919 // coprime with patients: spreads bookings over them
	created      = "2026-01-01"
	percentEvery = 10
)

// patients is the number of patients: more than doctors * slotsADay, so that none has two
// appointments at once. A quick run has fewer, because it spends most of its time filling.
var patients int64 = 200_000

const quickPatients = 20_000

// fill creates the clinic's records in the first version of the schema. The later migrations
// add the triggers of the backstop: they copy the rows far faster than the triggers do.
func fill(ctx context.Context, dsn string, size int) error {
	schema, err := database.OpenSchema(dsn, store.RekeyPatients)
	if err != nil {
		return err
	}
	defer func() { _ = schema.Close() }()
	ignore := func(database.Migration) {}
	if err := schema.UpTo(ctx, 1, ignore); err != nil {
		return err
	}
	db, err := sqlx.ConnectContext(ctx, "mysql", dsn)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1) // the settings below are the session's
	// The rows are valid by construction, and the migration below fails on an overlap, so
	// constraint checks can be off.
	if _, err := db.ExecContext(ctx, `SET SESSION foreign_key_checks = 0, unique_checks = 0`); err != nil {
		return err
	}
	started := time.Now()
	if err := insert(ctx, db, `INSERT INTO doctors (full_name, specialization, created_at, updated_at) VALUES `, doctors, func(i int) string {
		return fmt.Sprintf("('Dr. %03d','Field %d','%s','%s')", i, i%10, created, created)
	}); err != nil {
		return err
	}
	if err := insert(ctx, db, `INSERT INTO patients (first_name, last_name, email, email_key, phone, phone_key, created_at, updated_at) VALUES `, int(patients), func(i int) string {
		return fmt.Sprintf("('First%d','Last%d','p%d@example.org','p%d@example.org','+41 44 %07d','%s','%s','%s')", i%997, i, i, i, i, clinic.PhoneKey(fmt.Sprintf("+41 44 %07d", i)), created, created)
	}); err != nil {
		return err
	}
	today := weekdaysBack(time.Now().UTC(), 1)[0]
	days := calendar(today, size)
	if err := insert(ctx, db, `INSERT INTO appointments (patient_id, doctor_id, start_time, end_time, duration_minutes, status, created_at, updated_at) VALUES `, size, func(i int) string {
		day, slot := place(i)
		start := days[day].Add(firstSlot + time.Duration(slot)*slotLength)
		status := "completed"
		if start.After(today.AddDate(0, 0, 1)) {
			status = "scheduled"
		}
		return fmt.Sprintf("(%d,%d,'%s','%s',20,'%s','%s','%s')", 1+i%int(patients), 1+i%doctors,
			start.Format(time.DateTime), start.Add(slotLength).Format(time.DateTime), status, created, created)
	}); err != nil {
		return err
	}
	if err := schema.Up(ctx, ignore); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, `UPDATE patients SET birth_date = '1940-01-01' + INTERVAL id % 25000 DAY`); err != nil {
		return err
	}
	if err := fillHours(ctx, db); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, `ANALYZE TABLE appointments, patients, patient_names, doctors, occupied_times`); err != nil {
		return err
	}
	// MySQL starts a new binary log, instead of appending to the gigabyte from filling.
	if _, err := db.ExecContext(ctx, `FLUSH BINARY LOGS`); err != nil {
		return err
	}
	say("filled %d appointments in %s", size, time.Since(started).Round(time.Second))
	return nil
}

// fillHours gives the doctors of availability searches working hours from 8 to 12 and 13 to 17
// on weekdays. Bookings use the other doctors.
func fillHours(ctx context.Context, db *sqlx.DB) error {
	if _, err := db.ExecContext(ctx, `UPDATE doctors SET hours_time_zone = 'Europe/Zurich' WHERE id <= ?`, withHours); err != nil {
		return err
	}
	return insert(ctx, db, `INSERT INTO working_hours (doctor_id, weekday, valid_from, start_minute, end_minute) VALUES `, withHours*10, func(i int) string {
		half := i % 2
		return fmt.Sprintf("(%d,%d,'2020-01-01',%d,%d)", 1+i/10, 1+i/2%5, 480+half*300, 720+half*300)
	})
}

func insert(ctx context.Context, db *sqlx.DB, head string, n int, row func(i int) string) error {
	var values []string
	for i := range n {
		values = append(values, row(i))
		if len(values) == rowsAtOnce || i == n-1 {
			// Injection-safe: built from the numbers and constants above.
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

// place returns the day of the calendar and the slot of the i-th appointment.
func place(i int) (day, slot int) {
	if i < doctors*slotsADay {
		return 0, i / doctors
	}
	i -= doctors * slotsADay
	return 1 + i/(doctors*slotsSparse), i / doctors % slotsSparse
}

// calendar returns the days that size appointments need: the measured day, the days after it,
// then the days before it.
func calendar(measured time.Time, size int) []time.Time {
	last, _ := place(size - 1)
	back := weekdaysBack(measured, last+1)
	// A small clinic needs past appointments, too.
	ahead := min(maxAhead, last/4)
	days := []time.Time{measured}
	for day := measured; len(days) <= ahead; {
		day = day.AddDate(0, 0, 1)
		if isWeekday(day) {
			days = append(days, day)
		}
	}
	return append(days, back[1:1+last-ahead]...)
}

func isWeekday(day time.Time) bool {
	return day.Weekday() != time.Saturday && day.Weekday() != time.Sunday
}

// weekdaysBack returns the midnights of n weekdays, latest first.
func weekdaysBack(from time.Time, n int) []time.Time {
	day := from.Truncate(24 * time.Hour)
	var days []time.Time
	for len(days) < n {
		if isWeekday(day) {
			days = append(days, day)
		}
		day = day.AddDate(0, 0, -1)
	}
	return days
}
