package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"mems/internal/clinic"
)

// ChangeAppointmentStatus applies an action that changes only the status: confirm, check in,
// start, complete, no-show or leave.
//
// Statements, in lock order, of this and the other methods of this file: read the parties
// (no lock), write the guard rows of the doctor and the patient, read the appointment,
// update it, insert the event, update the ticket, insert the freed time (freed.go).
//
// Errors: clinic.ErrAppointmentNotFound, clinic.ErrPreconditionFailed,
// clinic.CodeInvalidTransition.
func (s *Store) ChangeAppointmentStatus(ctx context.Context, req Request, id int64, action clinic.Action, match Versions) (clinic.Appointment, error) {
	return s.changeAppointment(ctx, req, id, action, match, lockAppointmentOfAny, func(t *tx, a *clinic.Appointment) error {
		return a.ChangeStatus(t.now, s.zone, action)
	})
}

// CancelAppointment cancels an appointment and frees its time. Errors: those of
// ChangeAppointmentStatus, and clinic.CodeValidationFailed (the note is too long once
// normalised).
func (s *Store) CancelAppointment(ctx context.Context, req Request, id int64, reason clinic.CancellationReason, note *string, match Versions) (clinic.Appointment, error) {
	lock := lockAppointmentOfAny
	if note != nil {
		lock = lockAppointment
	}
	return s.changeAppointment(ctx, req, id, clinic.ActionCancel, match, lock, func(t *tx, a *clinic.Appointment) error {
		return a.Cancel(t.now, reason, note)
	})
}

// UpdateAppointment changes what an appointment is for, or its note, in any status.
// Errors: clinic.CodeForbidden; those of ChangeAppointmentStatus except for the transition;
// clinic.CodeValidationFailed (a text is too long once normalised).
func (s *Store) UpdateAppointment(ctx context.Context, req Request, id int64, c clinic.AppointmentPatch, match Versions) (clinic.Appointment, error) {
	if err := c.CheckAccess(req.Access); err != nil {
		return clinic.Appointment{}, err
	}
	return s.changeAppointment(ctx, req, id, clinic.ActionUpdate, match, lockAppointment, func(t *tx, a *clinic.Appointment) error {
		return a.Update(t.now, c)
	})
}

// UndoAppointment undoes the last change, including a reschedule, if it was made today or
// within clinic.UndoWindow. If the undo occupies time, it is decided like a booking. Errors:
// those of ChangeAppointmentStatus and of decide.
func (s *Store) UndoAppointment(ctx context.Context, req Request, id int64, match Versions) (clinic.Appointment, error) {
	var a clinic.Appointment
	err := s.runUseCase(ctx, req, useCase{
		act: "undo last change of appointment",
		body: func(t *tx) error {
			doctor, err := doctorBefore(ctx, t, id)
			if err != nil {
				return err
			}
			if a, err = lockAppointment(ctx, t, id, doctor); err != nil {
				return err
			}
			if err := match.check(a.Version); err != nil {
				return err
			}
			before := a
			b, decide, err := s.undo(ctx, &t.queries, &a)
			if err != nil {
				return err
			}
			if a.DoctorID != before.DoctorID && a.DoctorID != doctor {
				return errStale // the guards taken are not those it needs now
			}
			if decide {
				if err := withdrawOffers(ctx, t, b, always); err != nil {
					return err
				}
				if a.Broken, err = s.decide(ctx, t, guardedParties, &b, a.ID); err != nil {
					return err
				}
				if !a.Broken.Any() {
					a.OverrideReason = nil
				}
			}
			return s.saveChange(ctx, t, clinic.ActionUndo, before, a)
		},
		explain: func(q *snapshot) error {
			return s.explainUndo(ctx, q, id, match)
		},
	}, &a)
	return a, err
}

// guardedParties are the parties of an appointment whose guards are held: they exist.
var guardedParties = clinic.Calendar{Doctor: clinic.Active, Patient: clinic.Active}

// always allows an offer to be withdrawn.
func always() (bool, error) { return true, nil }

// undo undoes the last change in a. It returns the restored booking, and whether the booking
// occupies time and must be decided.
func (s *Store) undo(ctx context.Context, q *queries, a *clinic.Appointment) (clinic.Booking, bool, error) {
	history, err := readHistory(ctx, q, a.ID)
	if err != nil {
		return clinic.Booking{}, false, err
	}
	doctor := a.DoctorID
	b, decide, err := a.Undo(q.now, s.zone, history)
	if err == nil && a.DoctorID != doctor {
		err = q.req.Access.Reach.CheckCalendar(a.DoctorID)
	}
	return b, decide, err
}

// explainUndo returns what prevents undoing the last change.
func (s *Store) explainUndo(ctx context.Context, q *snapshot, id int64, match Versions) error {
	a, err := q.findAppointment(ctx, id)
	if err != nil {
		return err
	}
	if err := match.check(a.Version); err != nil {
		return err
	}
	b, decide, err := s.undo(ctx, &q.queries, &a)
	if err != nil || !decide {
		return err
	}
	if _, err := q.offersInTheWay(ctx, b, always); err != nil {
		return err
	}
	return s.explainBooking(ctx, q, guardedParties, b, a.ID)
}

// doctorBefore returns the doctor to whom undoing a reschedule may return the appointment, 0
// for none. No lock: the undo itself is decided under the guards.
func doctorBefore(ctx context.Context, t *tx, id int64) (int64, error) {
	history, err := readHistory(ctx, t, id)
	if err != nil || len(history) == 0 {
		return 0, err
	}
	return clinic.DoctorBefore(history), nil
}

// lockFunc is lockAppointment or lockAppointmentOfAny.
type lockFunc func(ctx context.Context, t *tx, id, otherDoctor int64) (clinic.Appointment, error)

// changeAppointment runs change on a locked appointment and saves the result.
func (s *Store) changeAppointment(ctx context.Context, req Request, id int64, action clinic.Action, match Versions, lock lockFunc, change func(*tx, *clinic.Appointment) error) (clinic.Appointment, error) {
	var a clinic.Appointment
	var unchanged bool
	err := s.inTx(ctx, req, "change appointment", func(t *tx) error {
		var err error
		if a, err = lock(ctx, t, id, 0); err != nil {
			return err
		}
		if err := match.check(a.Version); err != nil {
			return err
		}
		before := a
		if err := change(t, &a); err != nil {
			return err
		}
		if unchanged = t.leaves(before, a); unchanged { // only a patch
			a = before
			return nil
		}
		return s.saveChange(ctx, t, action, before, a)
	}, &a)
	if err == nil && unchanged {
		err = s.recordRead(ctx, req, clinic.KindAppointment, a.ID, a.PatientID)
	}
	return a, err
}

// saveChange writes a changed appointment with its event, updates its ticket, and records
// the time that it freed.
func (s *Store) saveChange(ctx context.Context, t *tx, action clinic.Action, before, a clinic.Appointment) error {
	t.record(clinic.Changed(clinic.KindAppointment, a.ID, before, a))
	if err := updateAppointment(ctx, t, a); err != nil {
		return err
	}
	if err := insertEvent(ctx, t, a.ID, a.Event(t.req.actor(), action, &before.Status)); err != nil {
		return err
	}
	if err := s.followVisit(ctx, t, a); err != nil {
		return err
	}
	t.freeOf(before, a)
	return nil
}

// findAppointment reads an appointment within reach. Errors: clinic.ErrAppointmentNotFound.
func (q *queries) findAppointment(ctx context.Context, id int64) (clinic.Appointment, error) {
	a, err := readAppointment(ctx, q, id)
	if err == nil && !q.req.Access.Reach.Record(a.DoctorID, a.MadeBy) {
		return clinic.Appointment{}, clinic.ErrAppointmentNotFound
	}
	return a, err
}

// lockAppointment is lockAppointmentOfAny for what brings an appointment back or writes text
// about the patient: for an erased patient's it returns clinic.ErrAppointmentNotFound, since
// no erasure would remove that again.
func lockAppointment(ctx context.Context, t *tx, id, otherDoctor int64) (clinic.Appointment, error) {
	a, erased, err := lockWithPatient(ctx, t, id, otherDoctor)
	if err == nil && erased {
		err = clinic.ErrAppointmentNotFound
	}
	return a, err
}

// lockAppointmentOfAny locks an appointment, also an erased patient's: one that was open when
// an erasure was applied again to a restored backup can be cancelled.
func lockAppointmentOfAny(ctx context.Context, t *tx, id, otherDoctor int64) (clinic.Appointment, error) {
	a, _, err := lockWithPatient(ctx, t, id, otherDoctor)
	return a, err
}

// lockWithPatient takes the guards of the appointment's parties, and of otherDoctor unless
// it is 0, and then reads the appointment and whether its patient was erased. Every
// transaction that changes an appointment holds both guards, so the row needs no lock, and a
// room's guard can still be taken later in the lock order.
func lockWithPatient(ctx context.Context, t *tx, id, otherDoctor int64) (a clinic.Appointment, erased bool, err error) {
	var party struct {
		Doctor  int64  `db:"doctor_id"`
		Patient int64  `db:"patient_id"`
		MadeBy  *int64 `db:"made_by_key"`
	}
	err = t.GetContext(ctx, &party, `SELECT doctor_id, patient_id, made_by_key FROM appointments WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !t.req.Access.Reach.Record(party.Doctor, party.MadeBy) {
		return a, false, clinic.ErrAppointmentNotFound
	}
	if err != nil {
		return a, false, err
	}
	doctors := []int64{party.Doctor}
	if otherDoctor != 0 {
		doctors = append(doctors, otherDoctor)
	}
	slices.Sort(doctors)
	for _, d := range slices.Compact(doctors) {
		// Unlike for a booking, the doctor may be inactive.
		if _, err := t.guardDoctor(ctx, d); err != nil {
			return a, false, err
		}
	}
	known, err := t.guardPatientOf(ctx, party.Patient)
	if err != nil {
		return a, false, err
	}
	var row appointmentRow
	err = t.GetContext(ctx, &row, `
		SELECT `+appointmentColumns+`
		FROM appointments
		WHERE id = ?`, id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return a, false, clinic.ErrAppointmentNotFound
	case err != nil:
		return a, false, err
	case row.DoctorID != party.Doctor || row.PatientID != party.Patient:
		return a, false, errStale // the guards taken are not those it needs now
	}
	return row.appointment(), !known, nil
}

// updateAppointment writes all columns of an appointment that can change.
func updateAppointment(ctx context.Context, t *tx, a clinic.Appointment) error {
	var reason, note *string
	var at *time.Time
	if c := a.Cancellation; c != nil {
		coded := string(c.Reason)
		reason, note, at = &coded, c.Note, &c.At
	}
	_, err := t.exec(ctx, `
		UPDATE appointments
		SET doctor_id = ?, room_id = ?, start_time = ?, end_time = ?, duration_minutes = ?, status = ?,
		    cancellation_reason = ?, cancellation_note = ?, cancelled_at = ?,
		    doctor_overbooked = ?, patient_overbooked = ?, outside_hours = ?, override_reason = ?,
		    reason = ?, note = ?, version = ?, updated_at = ?
		WHERE id = ?`,
		a.DoctorID, a.RoomID, a.Time.Start, a.Time.End, a.Time.End.Sub(a.Time.Start)/time.Minute, string(a.Status),
		reason, note, at, a.Broken.DoctorOverlap, a.Broken.PatientOverlap, a.Broken.OutsideHours, a.OverrideReason,
		a.Reason, a.Note, a.Version, a.UpdatedAt, a.ID)
	return err
}
