package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/go-sql-driver/mysql"
)

// intrude is a script that writes into the tables past the program, until ctx ends: a
// second appointment in a time that one takes. The backstop's triggers must refuse it.
func (f *field) intrude(ctx context.Context, random *rand.Rand, day time.Time) check {
	c := check{name: "the backstop refuses other writers"}
	for ctx.Err() == nil {
		pause(ctx, between(random, 200*time.Millisecond, 800*time.Millisecond))
		db, err := f.ground.open(ctx)
		if err != nil {
			continue // down, as it may be
		}
		result, err := db.ExecContext(ctx, `
			INSERT INTO appointments (doctor_id, patient_id, start_time, end_time, duration_minutes, status, version, created_at, updated_at)
			SELECT doctor_id, patient_id, start_time, end_time, duration_minutes, 'scheduled', 1, created_at, updated_at
			FROM appointments WHERE status = 'scheduled' AND start_time >= ? ORDER BY id DESC LIMIT 1`, day)
		_ = db.Close()
		refused, isRefused := errors.AsType[*mysql.MySQLError](err)
		switch {
		case isRefused && refused.Number >= 45001 && refused.Number <= 45003:
			c.examined++
		case err != nil: // the database is down, or another one has the lock
		default:
			if n, err := result.RowsAffected(); err == nil && n > 0 {
				c.fault("an INSERT past the program booked a time twice")
			}
		}
	}
	return c
}
