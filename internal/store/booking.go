package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"mems/internal/clinic"
)

// BookAppointment books a time of a doctor for a patient. When it returns
// without an error, the booking is durable and no part of its time has been or
// will be given to anybody else while it stands.
//
// Statements, in lock order: write the doctor's guard row, the patient's, the
// room's; then read what decides (decide.go); insert the appointment and its
// first event; commit. The guard rows are written before anything is read, so
// the second one waits, and then reads what the first one wrote.
// db/README.md has the evidence for each part of this.
//
// Errors: clinic.CodeForbidden, clinic.ErrStartInPast, clinic.ErrHoldNotFound,
// clinic.ErrHoldNotUsable, those of decide; clinic.ErrUnavailable,
// clinic.ErrOutcomeUnknown.
func (s *Store) BookAppointment(ctx context.Context, req Request, b clinic.Booking) (clinic.Appointment, error) {
	b.Normalize()
	if err := b.Override.CheckAccess(req.Access); err != nil {
		return clinic.Appointment{}, err
	}
	if err := b.Validate(); err != nil {
		return clinic.Appointment{}, err
	}
	if err := req.Access.Reach.CheckCalendar(b.DoctorID); err != nil {
		return clinic.Appointment{}, err
	}
	var a clinic.Appointment
	err := s.runUseCase(ctx, req, useCase{
		act:     "book appointment",
		wanted:  wantedOf(b),
		batched: s.batchedBooking(ctx, req, b, &a),
		shared:  sharesRefusal(req, b), booking: b,
		body: func(t *tx) error {
			b := b // another attempt starts from what was asked for
			if err := s.checkStart(req, t.now, b); err != nil {
				return err
			}
			c, err := t.guardParties(ctx, b)
			if err != nil {
				return err
			}
			broken, err := s.decide(ctx, t, c, &b, 0)
			if err != nil {
				return err
			}
			if b.Hold != "" {
				if err := useHold(ctx, t, b); err != nil {
					return err
				}
			}
			a, err = placeBooking(ctx, t, b, broken)
			return err
		},
		explain: func(q *snapshot) error {
			if err := s.checkStart(req, q.now, b); err != nil {
				return err
			}
			c, err := q.parties(ctx, b)
			if err != nil {
				return err
			}
			return s.explainBooking(ctx, q, c, b, 0)
		},
	}, &a)
	return a, err
}

// checkStart rejects a start in the past, and one beyond what a partner may book.
// Errors: clinic.ErrStartInPast, clinic.CodeOutsideBookingWindow.
func (s *Store) checkStart(req Request, now time.Time, b clinic.Booking) error {
	if err := clinic.CheckStart(now, b); err != nil {
		return err
	}
	return s.partners.Check(now, req.Access, b.Start)
}

// placeBooking inserts a booking that was decided to be fine, with its first
// event.
func placeBooking(ctx context.Context, t *tx, b clinic.Booking, broken clinic.Broken) (clinic.Appointment, error) {
	a := newAppointment(t, b, broken)
	var err error
	if a.ID, err = insertBooked(ctx, t, []clinic.Appointment{a}); err != nil {
		return a, err
	}
	t.record(clinic.Created(clinic.KindAppointment, a.ID, a))
	return a, insertEvent(ctx, t, a.ID, a.Event(t.req.actor(), clinic.ActionBook, nil))
}

// newAppointment is the appointment of a booking, without an id.
func newAppointment(t *tx, b clinic.Booking, broken clinic.Broken) clinic.Appointment {
	a := clinic.Appointment{
		PatientID: b.PatientID, DoctorID: b.DoctorID, TypeID: b.TypeID, RoomID: b.RoomID, SeriesID: b.SeriesID,
		Time: b.Time(), Buffers: b.Buffers, Status: clinic.StatusScheduled, Broken: broken,
		Reason: b.Reason, Note: b.Note,
		MadeBy: t.req.Access.MadeBy(), Version: 1, CreatedAt: t.now, UpdatedAt: t.now,
	}
	if broken.Any() {
		a.OverrideReason = &b.Override.Reason
	}
	return a
}

// checkMerged returns clinic.CodePatientMerged for a record that was merged into
// another, if the caller can access either: to others it is not there.
func (q *queries) checkMerged(ctx context.Context, id int64) error {
	var into sql.NullInt64
	err := q.GetContext(ctx, &into, `SELECT merged_into FROM patients WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !into.Valid {
		return nil
	}
	if err != nil {
		return err
	}
	if survivor, err := q.reachedSurvivor(ctx, id); err != nil || survivor == 0 {
		return err
	}
	return &clinic.Error{Code: clinic.CodePatientMerged, MergedInto: into.Int64}
}

// insertBooked inserts one or more and returns the id of the first one. Those of the others
// need not follow it: another writer's can lie between them.
func insertBooked(ctx context.Context, t *tx, as []clinic.Appointment) (first int64, err error) {
	args := make([]any, 0, 21*len(as))
	for i := range as {
		a := &as[i]
		args = append(args, a.PatientID, a.DoctorID, a.TypeID, a.RoomID, a.SeriesID, a.Time.Start, a.Time.End,
			a.Time.End.Sub(a.Time.Start)/time.Minute, a.Buffers.Before/time.Minute, a.Buffers.After/time.Minute, string(a.Status),
			a.Broken.DoctorOverlap, a.Broken.PatientOverlap, a.Broken.OutsideHours, a.OverrideReason, a.Reason, a.Note, a.MadeBy, a.Version,
			a.CreatedAt, a.UpdatedAt)
	}
	// Safety: the text is a constant and placeholders.
	return t.insert(ctx, `
		INSERT INTO appointments (patient_id, doctor_id, type_id, room_id, series_id, start_time, end_time, duration_minutes,
		                          buffer_before_minutes, buffer_after_minutes, status, doctor_overbooked,
		                          patient_overbooked, outside_hours, override_reason, reason, note, made_by_key, version, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`+
		strings.Repeat(`, (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, len(as)-1), args...)
}

// useHold turns a live hold into the booking that it was made for: it goes, in
// the same transaction. Primary key; the doctor's guard, already taken, keeps
// others from using it too.
//
// Errors: clinic.ErrHoldNotFound, clinic.ErrHoldNotUsable (expired, or not for
// this time, doctor, patient or room).
func useHold(ctx context.Context, t *tx, b clinic.Booking) error {
	var row holdRow
	err := t.GetContext(ctx, &row, `SELECT `+holdColumns+` FROM holds WHERE token = ? FOR UPDATE`, b.Hold)
	if errors.Is(err, sql.ErrNoRows) {
		return clinic.ErrHoldNotFound
	}
	if err != nil {
		return err
	}
	if err := row.hold().CheckUse(t.now, b); err != nil {
		return err
	}
	t.announce(clinic.Deleted(clinic.KindHold, row.ID, row.hold()))
	_, err = t.exec(ctx, `DELETE FROM holds WHERE id = ?`, row.ID)
	return err
}
