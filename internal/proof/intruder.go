package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/go-sql-driver/mysql"
)

// intrude is a script that writes into the tables past the program, until ctx ends: a
// second appointment in a time that one takes. The backstop's triggers must refuse it.
func (f *field) intrude(ctx context.Context, random *rand.Rand, day time.Time) check {
	c := check{name: "the backstop refuses other writers"}
	var last error // of a try that the triggers had no part in
	for ctx.Err() == nil {
		pause(ctx, between(random, 100*time.Millisecond, 500*time.Millisecond))
		db, err := f.ground.open(ctx)
		if err != nil {
			continue // down, as it may be
		}
		id, err := bookTwice(ctx, db, day)
		_ = db.Close()
		refused, isRefused := errors.AsType[*mysql.MySQLError](err)
		switch {
		case isRefused && refused.Number >= 45001 && refused.Number <= 45003:
			c.examined++
		case err != nil: // nothing stands yet, the database is down, or another one has the lock
			last = err
		default:
			c.fault("an INSERT past the program took the time of appointment %d once more", id)
		}
	}
	if c.examined == 0 && len(c.faults) == 0 {
		_, _ = fmt.Fprintf(f.say, "the backstop was never asked: %v\n", last)
	}
	return c
}

// bookTwice inserts a copy of an appointment that stands, and takes it back. The row is
// chosen without a lock and locked by its id: a locking search through rows that clients
// insert ends in a deadlock nearly every time.
func bookTwice(ctx context.Context, db *sql.DB, day time.Time) (id int64, err error) {
	if err := db.QueryRowContext(ctx, `SELECT id FROM appointments WHERE status = 'scheduled' AND start_time >= ? ORDER BY id DESC LIMIT 1`, day).Scan(&id); err != nil {
		return 0, err
	}
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return id, err
	}
	defer func() { _ = tx.Rollback() }() // always
	if err := tx.QueryRowContext(ctx, `SELECT id FROM appointments WHERE id = ? AND status = 'scheduled' FOR UPDATE`, id).Scan(&id); err != nil {
		return id, err // cancelled meanwhile
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO appointments (doctor_id, patient_id, start_time, end_time, duration_minutes, status, version, created_at, updated_at)
		SELECT doctor_id, patient_id, start_time, end_time, duration_minutes, 'scheduled', 1, created_at, updated_at
		FROM appointments WHERE id = ?`, id)
	return id, err
}
