package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"mems/internal/clinic"
)

// MaxImport bounds the appointments of one call of ImportAppointments, and so how long it
// holds a doctor's guard.
const MaxImport = 500

// ImportAppointments adds appointments of one doctor, in any status and also in the past,
// under the same guards as a booking. It skips those whose doctor, patient or room is
// occupied, adds all of the others or none, and returns how many it added.
//
// Statements, in lock order: write the doctor's guard row, write the patients'
// (ids ascending: the statement walks the primary key), the rooms', read the
// occupied times of all of them in the span of the appointments (locking),
// insert them and an event for each, and a ticket for each patient who is checked in.
//
// Errors: clinic.ErrDoctorNotFound, clinic.ErrPatientNotFound.
func (s *Store) ImportAppointments(ctx context.Context, req Request, doctorID int64, as []clinic.Appointment) (int, error) {
	if len(as) == 0 {
		return 0, nil
	}
	if len(as) > MaxImport {
		return 0, fmt.Errorf("store: %d appointments in one import, at most %d", len(as), MaxImport)
	}
	var patients []int64
	span := as[0].Time
	for _, a := range as {
		patients = append(patients, a.PatientID)
		if a.Time.Start.Before(span.Start) {
			span.Start = a.Time.Start
		}
		if a.Time.End.After(span.End) {
			span.End = a.Time.End
		}
	}
	slices.Sort(patients)
	patients = slices.Compact(patients)

	imported := 0
	err := s.inTx(ctx, req, "import appointments", func(t *tx) error {
		// An inactive doctor has a past, too.
		if exists, err := t.guardDoctor(ctx, doctorID); err != nil || !exists {
			return firstError(err, clinic.ErrDoctorNotFound)
		}
		if err := t.guardPatients(ctx, patients); err != nil {
			return err
		}
		roomBusy, err := t.guardRooms(ctx, as, span)
		if err != nil {
			return err
		}
		doctorBusy, err := t.occupied(ctx, doctorParty, doctorID, span, 0)
		if err != nil {
			return err
		}
		patientBusy, err := occupiedTimes{party: patientParty, ids: patients, overlapping: []clinic.Interval{span}, locking: true}.read(ctx, t)
		if err != nil {
			return err
		}
		var add []clinic.Appointment
		for _, a := range as {
			c := clinic.Calendar{
				Patient: clinic.Active, Doctor: clinic.Active,
				DoctorBusy: doctorBusy, PatientBusy: patientBusy[a.PatientID], RoomBusy: roomBusy[room(a)],
			}
			b := a.AsBooking()
			if _, err := clinic.CanBook(c, b); err != nil && a.Status.Occupies() {
				continue
			}
			if a.Status.Occupies() {
				doctorBusy = append(doctorBusy, b.Busy())
				patientBusy[a.PatientID] = append(patientBusy[a.PatientID], a.Time)
				if a.RoomID != nil {
					roomBusy[*a.RoomID] = append(roomBusy[*a.RoomID], b.Busy())
				}
			}
			a.DoctorID, a.Version, a.CreatedAt, a.UpdatedAt = doctorID, 1, t.now, t.now
			add = append(add, a)
		}
		imported = len(add)
		t.recordMany(clinic.AuditCreated, clinic.KindAppointment, idsOf(add, func(a clinic.Appointment) int64 { return a.PatientID }))
		first, err := insertAppointments(ctx, t, add)
		if err != nil || len(add) == 0 {
			return err
		}
		return s.insertImportedTickets(ctx, t, first, doctorID)
	})
	return imported, err
}

// insertImportedTickets adds the patients who are checked in to the doctor's queue, as their
// check-in would have, in the order of their appointments from id first on. The caller
// holds the doctor's guard. Primary key.
func (s *Store) insertImportedTickets(ctx context.Context, t *tx, first, doctorID int64) error {
	var rows []struct {
		ID        int64  `db:"id"`
		PatientID int64  `db:"patient_id"`
		Status    string `db:"status"`
	}
	err := t.SelectContext(ctx, &rows, `
		SELECT id, patient_id, status
		FROM appointments
		WHERE id >= ? AND doctor_id = ? AND status IN ('checked_in', 'in_progress')
		ORDER BY start_time, id`, first, doctorID)
	if err != nil {
		return err
	}
	for _, row := range rows {
		ticket := clinic.Ticket{
			DoctorID: doctorID, Day: clinic.DateOf(t.now.In(s.zone)), PatientID: row.PatientID, AppointmentID: &row.ID,
			Status: clinic.TicketWaiting,
		}
		if err := s.insertTicket(ctx, t, &ticket); err != nil {
			return err
		}
		before := ticket
		ticket.Follow(t.now, clinic.Status(row.Status))
		if ticket.Status == before.Status {
			continue
		}
		if err := updateTicket(ctx, t, before, ticket); err != nil {
			return err
		}
	}
	return nil
}

// room returns the id of an appointment's room, 0 for none.
func room(a clinic.Appointment) int64 {
	if a.RoomID == nil {
		return 0
	}
	return *a.RoomID
}

// insertAppointments returns the id of the first; those that follow belong to it.
func insertAppointments(ctx context.Context, t *tx, as []clinic.Appointment) (int64, error) {
	if len(as) == 0 {
		return 0, nil
	}
	var args []any
	for _, a := range as {
		var reason, note *string
		var at *time.Time
		if c := a.Cancellation; c != nil {
			r := string(c.Reason)
			reason, note, at = &r, c.Note, &c.At
		}
		args = append(args, a.PatientID, a.DoctorID, a.TypeID, a.RoomID, a.Time.Start, a.Time.End, a.Time.End.Sub(a.Time.Start)/time.Minute,
			a.Buffers.Before/time.Minute, a.Buffers.After/time.Minute, string(a.Status), reason, note, at, a.Reason, a.Note, a.Version, a.CreatedAt, a.UpdatedAt)
	}
	// Safety: the text is a constant and placeholders.
	first, err := t.insert(ctx, `
		INSERT INTO appointments (patient_id, doctor_id, type_id, room_id, start_time, end_time, duration_minutes,
		                          buffer_before_minutes, buffer_after_minutes, status,
		                          cancellation_reason, cancellation_note, cancelled_at, reason, note, version, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`+strings.Repeat(`, (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, len(as)-1), args...)
	if err != nil {
		return 0, err
	}
	// No other transaction adds appointments of this doctor while the guard is held, so
	// those from the first new id on are ours. Primary key.
	_, err = t.exec(ctx, `
		INSERT INTO appointment_events (appointment_id, version, at, action, to_status, start_time, duration_minutes,
		                                doctor_id, patient_id, room_id)
		SELECT id, version, created_at, ?, status, start_time, duration_minutes, doctor_id, patient_id, room_id
		FROM appointments
		WHERE id >= ? AND doctor_id = ?`, string(clinic.ActionImport), first, as[0].DoctorID)
	if err != nil {
		return 0, err
	}
	return first, t.announceRows(ctx, clinic.KindAppointment, clinic.VerbBooked,
		`SELECT id, doctor_id, made_by_key FROM appointments WHERE id >= ? AND doctor_id = ?`, first, as[0].DoctorID)
}
