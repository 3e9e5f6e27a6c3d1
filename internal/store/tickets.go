package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// positionOf sets the position of a waiting ticket, from 1.
// Index tickets_open.
func positionOf(ctx context.Context, q sqlx.QueryerContext, k *clinic.Ticket) error {
	if k.Status != clinic.TicketWaiting {
		return nil
	}
	return sqlx.GetContext(ctx, q, &k.Position, `
		SELECT COUNT(*)
		FROM tickets
		WHERE doctor_id = ? AND status = 'waiting' AND (day < ? OR day = ? AND number <= ?)`,
		k.DoctorID, k.Day.String(), k.Day.String(), k.Number)
}

// Ticket reads one ticket. Errors: clinic.ErrTicketNotFound.
func (s *Store) Ticket(ctx context.Context, req Request, id int64) (clinic.Ticket, error) {
	var row ticketRow
	err := s.db.GetContext(ctx, &row, `SELECT `+ticketColumns+` FROM tickets WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return clinic.Ticket{}, clinic.ErrTicketNotFound
	}
	if err != nil {
		return clinic.Ticket{}, translate(ctx, "read ticket", err)
	}
	k := row.ticket()
	if !req.Access.Reach.Calendar(k.DoctorID) {
		return clinic.Ticket{}, clinic.ErrTicketNotFound
	}
	if err := positionOf(ctx, s.db, &k); err != nil {
		return k, translate(ctx, "read ticket", err)
	}
	return k, s.recordRead(ctx, req, clinic.KindTicket, k.ID, k.PatientID)
}

// sameRecord reports whether two references are to the same record, or both nil.
func sameRecord(a, b *int64) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

// lockTicket takes the guards of the ticket's doctor, its appointment's doctor, otherDoctor
// unless 0, and the patient, and then reads the ticket and the appointment.
func lockTicket(ctx context.Context, t *tx, id, otherDoctor int64) (clinic.Ticket, *clinic.Appointment, error) {
	var party struct {
		Doctor  int64  `db:"doctor_id"`
		Visits  *int64 `db:"visits"`
		Visit   *int64 `db:"appointment_id"`
		Patient int64  `db:"patient_id"`
	}
	err := t.GetContext(ctx, &party, `
		SELECT k.doctor_id, k.patient_id, k.appointment_id, a.doctor_id AS visits
		FROM tickets AS k
		LEFT JOIN appointments AS a ON a.id = k.appointment_id
		WHERE k.id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !t.req.Access.Reach.Calendar(party.Doctor) {
		return clinic.Ticket{}, nil, clinic.ErrTicketNotFound
	}
	if err != nil {
		return clinic.Ticket{}, nil, err
	}
	doctors := []int64{party.Doctor}
	if party.Visits != nil {
		doctors = append(doctors, *party.Visits)
	}
	if otherDoctor != 0 {
		doctors = append(doctors, otherDoctor)
	}
	slices.Sort(doctors)
	for _, d := range slices.Compact(doctors) {
		if _, err := t.guardDoctor(ctx, d); err != nil {
			return clinic.Ticket{}, nil, err
		}
	}
	if _, err := t.guardPatientOf(ctx, party.Patient); err != nil {
		return clinic.Ticket{}, nil, err
	}
	var row ticketRow
	if err := t.GetContext(ctx, &row, `SELECT `+ticketColumns+` FROM tickets WHERE id = ? FOR UPDATE`, id); err != nil {
		return clinic.Ticket{}, nil, err
	}
	if row.DoctorID != party.Doctor || row.PatientID != party.Patient || !sameRecord(row.AppointmentID, party.Visit) {
		return clinic.Ticket{}, nil, errStale // the guards taken are not those it needs now
	}
	if party.Visit == nil {
		return row.ticket(), nil, nil
	}
	visit, err := readAppointment(ctx, t, *party.Visit)
	if err == nil && visit.DoctorID != *party.Visits {
		err = errStale
	}
	return row.ticket(), &visit, err
}

// followVisit updates the queue after an appointment's status has changed: a check-in creates
// a ticket, other changes update it. The caller holds the appointment's guards.
func (s *Store) followVisit(ctx context.Context, t *tx, a clinic.Appointment) error {
	var row ticketRow
	err := t.GetContext(ctx, &row, `
		SELECT `+ticketColumns+`
		FROM tickets
		WHERE appointment_id = ? AND status NOT IN ('transferred', 'withdrawn')
		ORDER BY id DESC
		LIMIT 1
		FOR UPDATE`, a.ID)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		if a.Status != clinic.StatusCheckedIn {
			return nil
		}
		k := clinic.Ticket{
			DoctorID: a.DoctorID, Day: clinic.DateOf(t.now.In(s.zone)), PatientID: a.PatientID, AppointmentID: &a.ID,
			Status: clinic.TicketWaiting,
		}
		return s.insertTicket(ctx, t, &k)
	case err != nil:
		return err
	}
	k := row.ticket()
	before := k
	k.Follow(t.now, a.Status)
	return updateTicket(ctx, t, before, k)
}

// insertTicket assigns the next number of the doctor's day and inserts the ticket. The caller
// holds the doctor's guard. Index: the end of tickets_number.
func (s *Store) insertTicket(ctx context.Context, t *tx, k *clinic.Ticket) error {
	err := t.GetContext(ctx, &k.Number, `SELECT COALESCE(MAX(number), 0) + 1 FROM tickets WHERE doctor_id = ? AND day = ?`, k.DoctorID, k.Day.String())
	if err != nil {
		return err
	}
	k.Version, k.CreatedAt, k.UpdatedAt = 1, t.now, t.now
	k.ID, err = t.insert(ctx, `
		INSERT INTO tickets (doctor_id, day, number, patient_id, appointment_id, status, note, version, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		k.DoctorID, k.Day.String(), k.Number, k.PatientID, k.AppointmentID, string(k.Status), k.Note, k.Version, k.CreatedAt, k.UpdatedAt)
	if err != nil {
		return err
	}
	t.record(clinic.Created(clinic.KindTicket, k.ID, *k))
	return positionOf(ctx, t, k)
}

func updateTicket(ctx context.Context, t *tx, before, k clinic.Ticket) error {
	t.record(clinic.Changed(clinic.KindTicket, k.ID, before, k))
	_, err := t.exec(ctx, `
		UPDATE tickets
		SET status = ?, appointment_id = ?, note = ?, transferred_to = ?, called_at = ?, version = ?, updated_at = ?
		WHERE id = ?`, string(k.Status), k.AppointmentID, k.Note, k.TransferredTo, k.CalledAt, k.Version, k.UpdatedAt, k.ID)
	return err
}

// ticketColumns are those of ticketRow.
const ticketColumns = `id, doctor_id, day, number, patient_id, appointment_id, status, note, transferred_to,
	called_at, version, created_at, updated_at`

type ticketRow struct {
	ID            int64      `db:"id"`
	DoctorID      int64      `db:"doctor_id"`
	Day           time.Time  `db:"day"`
	Number        int        `db:"number"`
	PatientID     int64      `db:"patient_id"`
	AppointmentID *int64     `db:"appointment_id"`
	Status        string     `db:"status"`
	Note          *string    `db:"note"`
	TransferredTo *int64     `db:"transferred_to"`
	CalledAt      *time.Time `db:"called_at"`
	Version       int64      `db:"version"`
	CreatedAt     time.Time  `db:"created_at"`
	UpdatedAt     time.Time  `db:"updated_at"`
}

func (r ticketRow) ticket() clinic.Ticket {
	return clinic.Ticket{
		ID: r.ID, DoctorID: r.DoctorID, Day: clinic.DateOf(r.Day), Number: r.Number, PatientID: r.PatientID,
		AppointmentID: r.AppointmentID, Status: clinic.TicketStatus(r.Status), Note: r.Note, TransferredTo: r.TransferredTo,
		CalledAt: r.CalledAt, Version: r.Version, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
}
