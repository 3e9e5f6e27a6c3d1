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

// intrude writes to the tables directly until ctx ends: a second appointment in an occupied
// time, which the backstop's triggers must refuse.
func (f *field) intrude(ctx context.Context, random *rand.Rand, day time.Time) check {
	c := check{name: "the backstop refuses other writers"}
	var last error // of an attempt that did not reach the triggers
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
		case err != nil: // no appointment yet, the database is down, or a client has the lock
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

// bookTwice inserts a copy of an existing appointment and rolls back. The row is selected
// without a lock and locked by its id: a locking search through rows that clients insert
// deadlocks nearly every time.
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
