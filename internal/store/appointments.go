package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"mems/internal/clinic"
)

// Appointment reads one appointment. Errors: clinic.ErrAppointmentNotFound.
func (s *Store) Appointment(ctx context.Context, id int64) (clinic.Appointment, error) {
	var row appointmentRow
	err := s.db.GetContext(ctx, &row, `
		SELECT id, patient_id, doctor_id, start_time, end_time, status,
		       cancellation_reason, cancellation_note, cancelled_at, version, created_at, updated_at
		FROM appointments
		WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return clinic.Appointment{}, clinic.ErrAppointmentNotFound
	}
	return row.appointment(), translate(ctx, err)
}

// CancelAppointment cancels an appointment and frees its time.
//
// Statements, in lock order: read whose it is (no lock), write the doctor's
// guard row, write the patient's, lock the appointment, update it.
//
// Errors: clinic.ErrAppointmentNotFound, clinic.ErrPreconditionFailed,
// clinic.CodeInvalidTransition.
func (s *Store) CancelAppointment(ctx context.Context, id int64, reason clinic.CancellationReason, note *string, match Versions) (clinic.Appointment, error) {
	var a clinic.Appointment
	err := s.inTx(ctx, func(t *tx) error {
		var err error
		if a, err = lockAppointment(ctx, t, id); err != nil {
			return err
		}
		if err := match.check(a.Version); err != nil {
			return err
		}
		if err := a.Cancel(t.now, reason, note); err != nil {
			return err
		}
		return updateCancelled(ctx, t, a)
	})
	return a, err
}

// lockAppointment takes the guards of the appointment's parties and then the
// appointment itself, so that no booking can decide on the old state while this
// transaction changes it.
func lockAppointment(ctx context.Context, t *tx, id int64) (clinic.Appointment, error) {
	var party struct {
		Doctor  int64 `db:"doctor_id"`
		Patient int64 `db:"patient_id"`
	}
	err := t.GetContext(ctx, &party, `SELECT doctor_id, patient_id FROM appointments WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return clinic.Appointment{}, clinic.ErrAppointmentNotFound
	}
	if err != nil {
		return clinic.Appointment{}, err
	}
	// Unlike a booking, this is allowed with a doctor who takes none any more.
	if _, err := t.exec(ctx, `UPDATE doctors SET calendar_rev = calendar_rev + 1 WHERE id = ?`, party.Doctor); err != nil {
		return clinic.Appointment{}, err
	}
	if _, err := guardPatient(ctx, t, party.Patient); err != nil {
		return clinic.Appointment{}, err
	}
	var row appointmentRow
	err = t.GetContext(ctx, &row, `
		SELECT id, patient_id, doctor_id, start_time, end_time, status,
		       cancellation_reason, cancellation_note, cancelled_at, version, created_at, updated_at
		FROM appointments
		WHERE id = ?
		FOR UPDATE`, id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return clinic.Appointment{}, clinic.ErrAppointmentNotFound
	case err != nil:
		return clinic.Appointment{}, err
	case row.DoctorID != party.Doctor || row.PatientID != party.Patient:
		return clinic.Appointment{}, errMoved // the guards taken are not those it needs now
	}
	return row.appointment(), nil
}

func updateCancelled(ctx context.Context, t *tx, a clinic.Appointment) error {
	_, err := t.exec(ctx, `
		UPDATE appointments
		SET status = ?, cancellation_reason = ?, cancellation_note = ?, cancelled_at = ?, version = ?, updated_at = ?
		WHERE id = ?`,
		string(a.Status), string(a.Cancellation.Reason), a.Cancellation.Note, a.Cancellation.At, a.Version, a.UpdatedAt, a.ID)
	return err
}

// AppointmentQuery chooses a page of appointments.
type AppointmentQuery struct {
	Window    clinic.Window
	DoctorID  int64 // 0: any
	PatientID int64 // 0: any
	After     After // the last item of the page before; zero: first page
	Limit     int
}

// After is a place in a list of appointments.
type After struct {
	Start time.Time
	ID    int64
}

// Page is one page of a list. More tells whether another follows.
type Page[T any] struct {
	Items []T
	More  bool
}

// page cuts what was read, one more than asked for, to a page.
func page[T any](items []T, limit int) Page[T] {
	if len(items) > limit {
		return Page[T]{Items: items[:limit], More: true}
	}
	return Page[T]{Items: items}
}

// ListAppointments reads a page of appointments by start and id.
//
// Index: appointments_doctor with a doctor, else appointments_patient with a
// patient, else appointments_start; each ends with the primary key, so the
// order comes from the index. Conditions on start_time are bounded, also for an
// intersection: nothing that starts more than the longest appointment before
// the window can reach into it.
func (s *Store) ListAppointments(ctx context.Context, q AppointmentQuery) (Page[clinic.Appointment], error) {
	statement, args := appointmentListSQL(q)
	var rows []appointmentRow
	if err := s.db.SelectContext(ctx, &rows, statement, args...); err != nil {
		return Page[clinic.Appointment]{}, translate(ctx, err)
	}
	items := make([]clinic.Appointment, len(rows))
	for i, row := range rows {
		items[i] = row.appointment()
	}
	return page(items, q.Limit), nil
}

// appointmentListSQL is the statement and arguments of ListAppointments.
//
// Safety: the text is put together from the constants below only; every value
// is an argument.
func appointmentListSQL(q AppointmentQuery) (string, []any) {
	var where []string
	var args []any
	and := func(condition string, values ...any) {
		where = append(where, condition)
		args = append(args, values...)
	}
	if q.DoctorID != 0 {
		and(`doctor_id = ?`, q.DoctorID)
	}
	if q.PatientID != 0 {
		and(`patient_id = ?`, q.PatientID)
	}
	switch {
	case q.Window.Unbounded:
	case q.Window.ByStart:
		and(`start_time >= ? AND start_time < ?`, q.Window.Start, q.Window.End)
	default:
		and(`start_time > ? AND start_time < ? AND end_time > ?`,
			q.Window.Start.Add(-clinic.MaxDuration), q.Window.End, q.Window.Start)
	}
	if q.After.ID != 0 {
		and(`start_time >= ? AND (start_time > ? OR id > ?)`, q.After.Start, q.After.Start, q.After.ID)
	}
	return `
		SELECT id, patient_id, doctor_id, start_time, end_time, status,
		       cancellation_reason, cancellation_note, cancelled_at, version, created_at, updated_at
		FROM appointments
		WHERE ` + strings.Join(where, ` AND `) + `
		ORDER BY start_time, id
		LIMIT ?`, append(args, q.Limit+1)
}

type appointmentRow struct {
	ID                 int64      `db:"id"`
	PatientID          int64      `db:"patient_id"`
	DoctorID           int64      `db:"doctor_id"`
	Start              time.Time  `db:"start_time"`
	End                time.Time  `db:"end_time"`
	Status             string     `db:"status"`
	CancellationReason *string    `db:"cancellation_reason"`
	CancellationNote   *string    `db:"cancellation_note"`
	CancelledAt        *time.Time `db:"cancelled_at"`
	Version            int64      `db:"version"`
	CreatedAt          time.Time  `db:"created_at"`
	UpdatedAt          time.Time  `db:"updated_at"`
}

func (r appointmentRow) appointment() clinic.Appointment {
	a := clinic.Appointment{
		ID: r.ID, PatientID: r.PatientID, DoctorID: r.DoctorID,
		Time: clinic.Interval{Start: r.Start, End: r.End}, Status: clinic.Status(r.Status),
		Version: r.Version, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
	if r.CancelledAt != nil && r.CancellationReason != nil {
		a.Cancellation = &clinic.Cancellation{
			Reason: clinic.CancellationReason(*r.CancellationReason), Note: r.CancellationNote, At: *r.CancelledAt,
		}
	}
	return a
}
