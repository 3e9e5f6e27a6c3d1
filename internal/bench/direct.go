package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
	"mems/internal/localdb"
)

// The statements of a booking, copied from internal/store (a test compares them) and run
// without the server.
const (
	guardDoctorSQL  = `UPDATE doctors SET calendar_rev = calendar_rev + 1 WHERE id = ?`
	guardPatientSQL = `UPDATE patients SET calendar_rev = calendar_rev + 1 WHERE id = ? AND merged_into IS NULL AND erased_at IS NULL`
	doctorFactsSQL  = `
		SELECT id, is_active, specialization, hours_time_zone, overbook_cap
		FROM doctors
		WHERE id = ?`
	// The reads of the decision, as in internal/store/testdata/booking_statements.sql.
	doctorTimesSQL = `
		SELECT 0, start_time, end_time, 0, 0
		FROM time_off
		WHERE doctor_id = ? AND end_time > ? AND start_time < ?
		UNION ALL
		SELECT 0, start_time, end_time, 0, 0
		FROM closures
		WHERE end_time > ? AND start_time < ?
		UNION ALL
		SELECT -1, start_time, end_time, buffer_before_minutes, buffer_after_minutes
		FROM holds FORCE INDEX (holds_doctor)
		WHERE doctor_id = ? AND start_time > ? AND start_time < ? AND expires_at > ? AND token <> ?
		UNION ALL (SELECT doctor_id, start_time, end_time, buffer_before_minutes, buffer_after_minutes
		FROM appointments FORCE INDEX (appointments_doctor)
		WHERE doctor_id = ?
		  AND (start_time > ? AND start_time < ?
		  AND start_time - INTERVAL buffer_before_minutes MINUTE < ?
		  AND end_time + INTERVAL buffer_after_minutes MINUTE > ?)
		  AND status NOT IN ('cancelled', 'no_show', 'left_without_being_seen')
		  AND id <> ?
		FOR UPDATE)`
	busyPatientSQL = `
		SELECT patient_id, start_time, end_time, 0, 0
		FROM appointments FORCE INDEX (appointments_patient)
		WHERE patient_id = ?
		  AND (start_time > ? AND start_time < ? AND end_time > ?)
		  AND status NOT IN ('cancelled', 'no_show', 'left_without_being_seen')
		  AND id <> ?
		FOR UPDATE`
	insertSQL = `
		INSERT INTO appointments (patient_id, doctor_id, type_id, room_id, series_id, start_time, end_time, duration_minutes,
		                          buffer_before_minutes, buffer_after_minutes, status, doctor_overbooked,
		                          patient_overbooked, outside_hours, override_reason, reason, note, made_by_key, version, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	insertEventSQL = `
		INSERT INTO appointment_events (appointment_id, version, at, action, actor, from_status, to_status, reason, note,
		                                start_time, duration_minutes, doctor_id, patient_id, room_id)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	insertAuditSQL = `
		INSERT INTO audit_entries (chain, seq, at, subject, address, request_id, operation, action, object, object_id,
		                           patient_id, patient_ids, details, secret, mac_key, hash)
		VALUES ((SELECT ? FROM installation WHERE id = 1 AND COALESCE(data_id, '') = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	insertChangeSQL = `
			INSERT INTO changes (at, type, object, object_id, doctor_id, left_doctor, made_by_key)
			VALUES (?, ?, ?, ?, ?, ?, ?)`
)

// openDirect opens a pool with the store's session settings (configureSession and Open in
// internal/store/open.go).
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

// bookDirectly runs the transaction of a booking and nothing else. dataID is that of the
// installation, which the insert of the audit entry compares.
func bookDirectly(ctx context.Context, db *sqlx.DB, dataID string, b clinic.Booking) error {
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
	from, to := want.Start.Add(-clinic.MaxDuration-clinic.MaxBuffer), want.End.Add(clinic.MaxBuffer)
	now := clinic.Instant(time.Now())
	for _, read := range []struct {
		statement string
		args      []any
		expected  bool // to return a row
	}{
		{doctorFactsSQL, []any{b.DoctorID}, true},
		{doctorTimesSQL, []any{
			b.DoctorID, want.Start, want.End, want.Start, want.End, b.DoctorID, from, to, now, "",
			b.DoctorID, from, to, want.End, want.Start, 0,
		}, false},
		{busyPatientSQL, []any{b.PatientID, want.Start.Add(-clinic.MaxDuration), want.End, want.Start, 0}, false},
	} {
		found, err := anyRow(ctx, t, read.statement, read.args...)
		if err != nil {
			return err
		}
		if found != read.expected {
			return fmt.Errorf("doctor %d or patient %d is not free at %s", b.DoctorID, b.PatientID, want.Start)
		}
	}
	minutes := b.Duration / time.Minute
	result, err := t.ExecContext(ctx, insertSQL, b.PatientID, b.DoctorID, nil, nil, nil, want.Start, want.End, minutes,
		0, 0, "scheduled", false, false, false, nil, nil, nil, nil, 1, now, now)
	if err != nil {
		return err
	}
	id, err := result.LastInsertId()
	if err != nil {
		return err
	}
	if _, err := t.ExecContext(ctx, insertEventSQL, id, 1, now, "book", nil, nil, "scheduled", nil, nil,
		want.Start, minutes, b.DoctorID, b.PatientID, nil); err != nil {
		return err
	}
	seq := directSeq.Add(1)
	if _, err := t.ExecContext(ctx, insertAuditSQL, 1, dataID, seq, now, "bench", nil, nil, "bookAppointment", "create", "appointment", id,
		b.PatientID, nil, []byte(`{"changes":[{"member":"status","before":null,"after":"scheduled"}]}`), false, nil, make([]byte, 32)); err != nil {
		return err
	}
	if _, err := t.ExecContext(ctx, insertChangeSQL, now, "appointment.booked", "appointment", id, b.DoctorID, nil, nil); err != nil {
		return err
	}
	return t.Commit()
}

// directSeq is the last sequence number of the audit entries inserted directly.
var directSeq atomic.Int64

func anyRow(ctx context.Context, t *sqlx.Tx, statement string, args ...any) (bool, error) {
	rows, err := t.QueryContext(ctx, statement, args...)
	if err != nil {
		return false, err
	}
	defer func() { _ = rows.Close() }() // rows.Err below reports failures
	return rows.Next(), rows.Err()
}
