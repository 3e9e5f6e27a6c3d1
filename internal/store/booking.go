package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"mems/internal/clinic"
)

// BookAppointment books a time of a doctor for a patient. When it returns
// without an error, the booking is durable and no part of its time has been or
// will be given to anybody else while it stands.
//
// Statements, in lock order: write the doctor's guard row, write the patient's
// guard row, read the doctor's times near the booking (locking), read the
// patient's (locking), insert, commit. The guard rows are written before
// anything is read, so whoever comes second waits, and then reads what the
// first one wrote. db/README.md has the evidence for each part of this.
//
// Errors, in the order of the contract: clinic.ErrStartInPast,
// clinic.ErrPatientNotFound, clinic.ErrDoctorNotFound,
// clinic.ErrDoctorInactive, clinic.ErrDoctorOverlap, clinic.ErrPatientOverlap
// (both with the Conflict); clinic.ErrUnavailable, clinic.ErrOutcomeUnknown.
func (s *Store) BookAppointment(ctx context.Context, b clinic.Booking) (clinic.Appointment, error) {
	b.Start = clinic.Instant(b.Start)
	if err := clinic.CheckStart(s.now(), b); err != nil {
		return clinic.Appointment{}, err
	}
	var a clinic.Appointment
	err := s.inTx(ctx, func(t *tx) error {
		c, err := readCalendar(ctx, t, b)
		if err != nil {
			return err
		}
		if err := clinic.CanBook(c, b); err != nil {
			return err
		}
		a = clinic.Appointment{
			PatientID: b.PatientID, DoctorID: b.DoctorID, Time: b.Time(), Status: clinic.StatusScheduled,
			Version: 1, CreatedAt: t.now, UpdatedAt: t.now,
		}
		a.ID, err = insertAppointment(ctx, t, a)
		return err
	})
	return a, err
}

// readCalendar takes the guards of both parties and reads what the decision
// needs. It reads no further than the first rule that is already broken.
func readCalendar(ctx context.Context, t *tx, b clinic.Booking) (clinic.Calendar, error) {
	var c clinic.Calendar
	var err error
	if c.Doctor, err = guardDoctor(ctx, t, b.DoctorID); err != nil {
		return c, err
	}
	if c.PatientExists, err = guardPatient(ctx, t, b.PatientID); err != nil {
		return c, err
	}
	if !c.PatientExists || c.Doctor != clinic.DoctorActive {
		return c, nil
	}
	if c.DoctorBusy, err = busyTimesOfDoctor(ctx, t, b.DoctorID, b.Time()); err != nil || len(c.DoctorBusy) > 0 {
		// What was found stays locked until the end. Whoever held it and went on
		// to the patient's times could meet another one doing the same crosswise.
		return c, err
	}
	c.PatientBusy, err = busyTimesOfPatient(ctx, t, b.PatientID, b.Time())
	return c, err
}

// guardDoctor makes this transaction the only one that may change the doctor's
// calendar until it ends, and tells whether the doctor can be booked.
//
// It must write, and must change a value: certification-based engines (Galera,
// Group Replication) notice neither SELECT ... FOR UPDATE nor a no-op. Primary
// key; exclusive lock on the row.
func guardDoctor(ctx context.Context, t *tx, id int64) (clinic.DoctorState, error) {
	n, err := t.exec(ctx, `
		UPDATE doctors
		SET calendar_rev = calendar_rev + 1
		WHERE id = ? AND is_active = 1`, id)
	if err != nil {
		return clinic.DoctorMissing, err
	}
	if n == 1 {
		return clinic.DoctorActive, nil
	}
	var active bool
	err = t.GetContext(ctx, &active, `SELECT is_active FROM doctors WHERE id = ? FOR UPDATE`, id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return clinic.DoctorMissing, nil
	case err != nil:
		return clinic.DoctorMissing, err
	case active: // became active between the two statements
		return clinic.DoctorMissing, errMoved
	}
	return clinic.DoctorInactive, nil
}

// guardPatient is guardDoctor for the patient, always taken second.
func guardPatient(ctx context.Context, t *tx, id int64) (exists bool, err error) {
	n, err := t.exec(ctx, `UPDATE patients SET calendar_rev = calendar_rev + 1 WHERE id = ?`, id)
	return n == 1, err
}

// busyTimesOfDoctorSQL finds the occupied times that overlap an interval.
//
// Index appointments_doctor (doctor_id, start_time), bounded on both sides by
// the longest appointment there can be, so the cost does not grow with history.
// Locking, because a plain read may come from a snapshot older than the guard.
const busyTimesOfDoctorSQL = `
	SELECT start_time, end_time
	FROM appointments
	WHERE doctor_id = ?
	  AND start_time > ? AND start_time < ? AND end_time > ?
	  AND status NOT IN ('cancelled', 'no_show', 'left_without_being_seen')
	FOR UPDATE`

func busyTimesOfDoctor(ctx context.Context, t *tx, id int64, want clinic.Interval) ([]clinic.Interval, error) {
	return t.intervals(ctx, busyTimesOfDoctorSQL, id, want.Start.Add(-clinic.MaxDuration), want.End, want.Start)
}

// busyTimesOfPatientSQL is busyTimesOfDoctorSQL for the patient, by index
// appointments_patient (patient_id, start_time).
const busyTimesOfPatientSQL = `
	SELECT start_time, end_time
	FROM appointments
	WHERE patient_id = ?
	  AND start_time > ? AND start_time < ? AND end_time > ?
	  AND status NOT IN ('cancelled', 'no_show', 'left_without_being_seen')
	FOR UPDATE`

func busyTimesOfPatient(ctx context.Context, t *tx, id int64, want clinic.Interval) ([]clinic.Interval, error) {
	return t.intervals(ctx, busyTimesOfPatientSQL, id, want.Start.Add(-clinic.MaxDuration), want.End, want.Start)
}

func insertAppointment(ctx context.Context, t *tx, a clinic.Appointment) (int64, error) {
	return t.insert(ctx, `
		INSERT INTO appointments (patient_id, doctor_id, start_time, end_time, duration_minutes, status,
		                          version, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		a.PatientID, a.DoctorID, a.Time.Start, a.Time.End, a.Time.End.Sub(a.Time.Start)/time.Minute, string(a.Status),
		a.Version, a.CreatedAt, a.UpdatedAt)
}

func (t *tx) intervals(ctx context.Context, query string, args ...any) ([]clinic.Interval, error) {
	rows, err := t.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err below has what matters
	var times []clinic.Interval
	for rows.Next() {
		var i clinic.Interval
		if err := rows.Scan(&i.Start, &i.End); err != nil {
			return nil, err
		}
		times = append(times, i)
	}
	return times, rows.Err()
}
