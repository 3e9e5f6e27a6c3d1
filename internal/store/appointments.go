package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// Appointment returns an appointment. Errors: clinic.ErrAppointmentNotFound.
func (s *Store) Appointment(ctx context.Context, req Request, id int64) (clinic.Appointment, error) {
	var row appointmentRow
	err := s.db.GetContext(ctx, &row, `
		SELECT `+appointmentColumns+`
		FROM appointments
		WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return clinic.Appointment{}, clinic.ErrAppointmentNotFound
	}
	if err != nil {
		return clinic.Appointment{}, translate(ctx, "read appointment", err)
	}
	a := row.appointment()
	if !req.Access.Reach.Record(a.DoctorID, a.MadeBy) {
		return clinic.Appointment{}, clinic.ErrAppointmentNotFound
	}
	return a, s.recordRead(ctx, req, clinic.KindAppointment, a.ID, a.PatientID)
}

// People returns the patients and the doctors with these ids that exist, by primary key.
func (s *Store) People(ctx context.Context, req Request, patientIDs, doctorIDs []int64) (map[int64]clinic.Patient, map[int64]clinic.Doctor, error) {
	patients, err := readPatients(ctx, s.db, patientIDs)
	if err != nil {
		return nil, nil, translate(ctx, "read names", err)
	}
	if len(patientIDs) > 0 {
		if err := s.recordRead(ctx, req, clinic.KindPatient, 0, patientIDs...); err != nil {
			return nil, nil, err
		}
	}
	doctors, err := readDoctors(ctx, s.db, doctorIDs)
	return patients, doctors, translate(ctx, "read names", err)
}

// readPatients reads the patients with these ids that exist. Primary keys.
func readPatients(ctx context.Context, q sqlx.QueryerContext, ids []int64) (map[int64]clinic.Patient, error) {
	patients := map[int64]clinic.Patient{}
	if len(ids) == 0 {
		return patients, nil
	}
	statement, args, err := sqlx.In(`SELECT `+patientColumns+` FROM patients WHERE id IN (?)`, ids)
	if err != nil {
		return nil, err
	}
	var rows []patientRow
	if err := sqlx.SelectContext(ctx, q, &rows, statement, args...); err != nil {
		return nil, err
	}
	ps := make([]clinic.Patient, len(rows))
	for i, r := range rows {
		ps[i] = r.patient()
	}
	if err := withIdentifiers(ctx, q, ps); err != nil {
		return nil, err
	}
	for _, p := range ps {
		patients[p.ID] = p
	}
	return patients, nil
}

// readDoctors reads the doctors with these ids that exist. Primary keys.
func readDoctors(ctx context.Context, q sqlx.QueryerContext, ids []int64) (map[int64]clinic.Doctor, error) {
	doctors := map[int64]clinic.Doctor{}
	if len(ids) == 0 {
		return doctors, nil
	}
	statement, args, err := sqlx.In(`SELECT `+doctorColumns+` FROM doctors WHERE id IN (?)`, ids)
	if err != nil {
		return nil, err
	}
	var rows []doctorRow
	if err := sqlx.SelectContext(ctx, q, &rows, statement, args...); err != nil {
		return nil, err
	}
	for _, r := range rows {
		doctors[r.ID] = r.doctor()
	}
	return doctors, nil
}

// AppointmentQuery selects a page of appointments.
type AppointmentQuery struct {
	ID        int64   // 0: any
	IDs       []int64 // empty: any
	Window    clinic.Window
	DoctorID  int64           // 0: any
	DoctorIDs []int64         // empty: any
	PatientID int64           // 0: any
	Statuses  []clinic.Status // empty: any
	After     After           // the previous page's last item; zero: first page
	Limit     int

	reach   clinic.Reach
	through After // the last row to examine; zero: the window's last
}

// maxScanned bounds the appointments that one page examines.
const maxScanned = 50_000

// boundScan sets the last row to examine of a list by appointments_start in which not every
// row matches: a caller's few, or those of a status. The statement reads only the index.
func (s *Store) boundScan(ctx context.Context, q *AppointmentQuery, most int) error {
	if q.ID != 0 || len(q.IDs) > 0 || q.DoctorID != 0 || q.PatientID != 0 || q.Window.Unbounded || q.reach.All && len(q.Statuses) == 0 {
		return nil
	}
	statement, args := scanEndSQL(*q, most)
	err := s.db.QueryRowContext(ctx, statement, args...).Scan(&q.through.Start, &q.through.ID)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}

func scanEndSQL(q AppointmentQuery, rows int) (string, []any) {
	everything := AppointmentQuery{Window: q.Window, After: q.After, reach: clinic.Reach{All: true}}
	if !q.Window.ByStart { // the end of a row is not in the index
		everything.Window.ByStart, everything.Window.Start = true, q.Window.Start.Add(-clinic.MaxDuration)
	}
	where, args := appointmentConditions(everything)
	return `
		SELECT start_time, id
		FROM appointments FORCE INDEX (appointments_start)
		WHERE ` + where + `
		ORDER BY start_time, id
		LIMIT 1 OFFSET ?`, append(args, rows-1)
}

// After is a position in a list.
type After struct {
	Start time.Time
	ID    int64
}

// Page is one page of a list. More reports whether another one follows: after the last item
// or, if a search had to stop, after Resume, which is otherwise zero.
type Page[T any] struct {
	Items  []T
	More   bool
	Resume After
}

// page returns a page from the rows read, one more than the limit.
func page[T any](items []T, limit int) Page[T] {
	if len(items) > limit {
		return Page[T]{Items: items[:limit], More: true}
	}
	return Page[T]{Items: items}
}

// ListAppointments returns a page of appointments by start and id.
//
// Index: appointments_doctor with a doctor, else appointments_patient with a patient, else
// appointments_start; each ends with the primary key, so the order comes from the index.
// Conditions on start_time are bounded on both sides: an appointment that extends into the
// window starts at most MaxDuration before it. If few of many rows match, a page can be
// short.
func (s *Store) ListAppointments(ctx context.Context, req Request, q AppointmentQuery) (Page[clinic.Appointment], error) {
	q.reach = req.Access.Reach
	if q.PatientID != 0 {
		var err error
		if q.PatientID, err = survivorOf(ctx, s.db, q.PatientID); err != nil {
			return Page[clinic.Appointment]{}, translate(ctx, "list appointments", err)
		}
	}
	if err := s.boundScan(ctx, &q, s.maxScanned); err != nil {
		return Page[clinic.Appointment]{}, translate(ctx, "list appointments", err)
	}
	statement, args := appointmentListSQL(q)
	var rows []appointmentRow
	if err := s.db.SelectContext(ctx, &rows, statement, args...); err != nil {
		return Page[clinic.Appointment]{}, translate(ctx, "list appointments", err)
	}
	items := make([]clinic.Appointment, len(rows))
	for i, row := range rows {
		items[i] = row.appointment()
	}
	p := page(items, q.Limit)
	if !p.More && q.through.ID != 0 {
		p.More, p.Resume = true, q.through
	}
	return p, s.recordRead(ctx, req, clinic.KindAppointment, 0, idsOf(p.Items, func(a clinic.Appointment) int64 { return a.PatientID })...)
}

// appointmentListSQL returns the statement and arguments of ListAppointments.
//
// Safety: the text is put together from the constants below only; every value
// is an argument.
func appointmentListSQL(q AppointmentQuery) (string, []any) {
	where, args := appointmentConditions(q)
	return `
		SELECT ` + appointmentColumns + `
		FROM appointments
		WHERE ` + where + `
		ORDER BY start_time, id
		LIMIT ?`, append(args, q.Limit+1)
}

func appointmentConditions(q AppointmentQuery) (string, []any) {
	var where []string
	var args []any
	and := func(condition string, values ...any) {
		where = append(where, condition)
		args = append(args, values...)
	}
	if q.ID != 0 {
		and(`id = ?`, q.ID)
	}
	if len(q.IDs) > 0 {
		condition, values := inIDs(q.IDs)
		and(condition, values...)
	}
	if q.DoctorID != 0 {
		and(`doctor_id = ?`, q.DoctorID)
	}
	if len(q.DoctorIDs) > 0 {
		condition, values := inIDs(q.DoctorIDs)
		and(`doctor_`+condition, values...)
	}
	if q.PatientID != 0 {
		and(`patient_id = ?`, q.PatientID)
	}
	if len(q.Statuses) > 0 {
		values := make([]any, len(q.Statuses))
		for i, status := range q.Statuses {
			values[i] = string(status)
		}
		and(`status IN (?`+strings.Repeat(`, ?`, len(values)-1)+`)`, values...)
	}
	if condition, values := recordReach(q.reach); condition != "" {
		and(condition, values...)
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
	if q.through.ID != 0 {
		and(`start_time <= ? AND (start_time < ? OR id <= ?)`, q.through.Start, q.through.Start, q.through.ID)
	}
	return strings.Join(where, ` AND `), args
}

// appointmentColumns are those of appointmentRow.
const appointmentColumns = `id, patient_id, doctor_id, type_id, room_id, series_id, start_time, end_time,
		       buffer_before_minutes, buffer_after_minutes, status, cancellation_reason, cancellation_note, cancelled_at,
		       doctor_overbooked, patient_overbooked, outside_hours, override_reason, reason, note, made_by_key, version, created_at, updated_at`

type appointmentRow struct {
	ID                 int64      `db:"id"`
	PatientID          int64      `db:"patient_id"`
	DoctorID           int64      `db:"doctor_id"`
	TypeID             *int64     `db:"type_id"`
	RoomID             *int64     `db:"room_id"`
	SeriesID           *int64     `db:"series_id"`
	Start              time.Time  `db:"start_time"`
	End                time.Time  `db:"end_time"`
	BufferBefore       minutes    `db:"buffer_before_minutes"`
	BufferAfter        minutes    `db:"buffer_after_minutes"`
	Status             string     `db:"status"`
	CancellationReason *string    `db:"cancellation_reason"`
	CancellationNote   *string    `db:"cancellation_note"`
	CancelledAt        *time.Time `db:"cancelled_at"`
	DoctorOverbooked   bool       `db:"doctor_overbooked"`
	PatientOverbooked  bool       `db:"patient_overbooked"`
	OutsideHours       bool       `db:"outside_hours"`
	OverrideReason     *string    `db:"override_reason"`
	Reason             *string    `db:"reason"`
	Note               *string    `db:"note"`
	MadeBy             *int64     `db:"made_by_key"`
	Version            int64      `db:"version"`
	CreatedAt          time.Time  `db:"created_at"`
	UpdatedAt          time.Time  `db:"updated_at"`
}

func (r *appointmentRow) appointment() clinic.Appointment {
	a := clinic.Appointment{
		ID: r.ID, PatientID: r.PatientID, DoctorID: r.DoctorID, TypeID: r.TypeID, RoomID: r.RoomID, SeriesID: r.SeriesID,
		Time:    clinic.Interval{Start: r.Start, End: r.End},
		Buffers: clinic.Buffers{Before: r.BufferBefore.duration(), After: r.BufferAfter.duration()},
		Status:  clinic.Status(r.Status),
		Broken: clinic.Broken{
			OutsideHours: r.OutsideHours, DoctorOverlap: r.DoctorOverbooked, PatientOverlap: r.PatientOverbooked,
		},
		OverrideReason: r.OverrideReason, Reason: r.Reason, Note: r.Note, MadeBy: r.MadeBy,
		Version: r.Version, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
	if r.CancelledAt != nil && r.CancellationReason != nil {
		a.Cancellation = &clinic.Cancellation{
			Reason: clinic.CancellationReason(*r.CancellationReason), Note: r.CancellationNote, At: *r.CancelledAt,
		}
	}
	return a
}
