package main

import (
	"context"
	"fmt"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
	"mems/internal/localdb"
)

// The statements of a booking, word for word those of internal/store/booking.go
// (a test compares them), run with nothing around them.
const (
	guardDoctorSQL = `
		UPDATE doctors
		SET calendar_rev = calendar_rev + 1
		WHERE id = ? AND is_active = 1`
	guardPatientSQL = `UPDATE patients SET calendar_rev = calendar_rev + 1 WHERE id = ?`
	busyDoctorSQL   = `
	SELECT start_time, end_time
	FROM appointments
	WHERE doctor_id = ?
	  AND start_time > ? AND start_time < ? AND end_time > ?
	  AND status NOT IN ('cancelled', 'no_show', 'left_without_being_seen')
	FOR UPDATE`
	busyPatientSQL = `
	SELECT start_time, end_time
	FROM appointments
	WHERE patient_id = ?
	  AND start_time > ? AND start_time < ? AND end_time > ?
	  AND status NOT IN ('cancelled', 'no_show', 'left_without_being_seen')
	FOR UPDATE`
	insertSQL = `
		INSERT INTO appointments (patient_id, doctor_id, start_time, end_time, duration_minutes, status,
		                          version, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`
)

// openDirect opens a pool whose sessions are set as the store's are (configureSession
// and Open in internal/store/open.go).
func openDirect(ctx context.Context, dsn string, engine localdb.Engine, conns int) (*sqlx.DB, error) {
	c, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, err
	}
	c.ParseTime, c.Loc, c.InterpolateParams, c.ClientFoundRows = true, time.UTC, true, true
	c.Collation = "utf8mb4_unicode_ci"
	isolation := "transaction_isolation"
	if engine == localdb.MariaDB {
		isolation = "tx_isolation"
	}
	c.Params = map[string]string{
		"time_zone": "'+00:00'", isolation: "'READ-COMMITTED'", "innodb_lock_wait_timeout": "3",
		"sql_mode": "'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
	}
	db, err := sqlx.ConnectContext(ctx, "mysql", c.FormatDSN())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// bookDirectly is the ceiling: the transaction of a booking and nothing else.
func bookDirectly(ctx context.Context, db *sqlx.DB, b clinic.Booking) error {
	t, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = t.Rollback() }() // does nothing after a commit
	if _, err := t.ExecContext(ctx, guardDoctorSQL, b.DoctorID); err != nil {
		return err
	}
	if _, err := t.ExecContext(ctx, guardPatientSQL, b.PatientID); err != nil {
		return err
	}
	want := b.Time()
	for _, busy := range []struct {
		statement string
		id        int64
	}{{busyDoctorSQL, b.DoctorID}, {busyPatientSQL, b.PatientID}} {
		taken, err := anyRow(ctx, t, busy.statement, busy.id, want.Start.Add(-clinic.MaxDuration), want.End, want.Start)
		if err != nil {
			return err
		}
		if taken {
			return fmt.Errorf("doctor %d or patient %d is not free at %s", b.DoctorID, b.PatientID, want.Start)
		}
	}
	now := clinic.Instant(time.Now())
	if _, err := t.ExecContext(ctx, insertSQL, b.PatientID, b.DoctorID, want.Start, want.End, b.Duration/time.Minute,
		"scheduled", 1, now, now); err != nil {
		return err
	}
	return t.Commit()
}

func anyRow(ctx context.Context, t *sqlx.Tx, statement string, args ...any) (bool, error) {
	rows, err := t.QueryContext(ctx, statement, args...)
	if err != nil {
		return false, err
	}
	defer func() { _ = rows.Close() }() // rows.Err below has what matters
	return rows.Next(), rows.Err()
}
