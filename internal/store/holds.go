package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"time"

	"mems/internal/clinic"
)

// CreateHold reserves a time for a limited period, under the rules and locks of a booking.
// If a patient is given, the patient's time is checked but not held: only an appointment
// occupies a patient. It also deletes the doctor's holds that expired an hour ago.
//
// Errors: those of BookAppointment, clinic.ErrTooManyHolds.
func (s *Store) CreateHold(ctx context.Context, req Request, b clinic.Booking, patient *int64, lasts time.Duration) (clinic.Hold, error) {
	b.Normalize()
	if err := b.Validate(); err != nil {
		return clinic.Hold{}, err
	}
	if err := req.Access.Reach.CheckCalendar(b.DoctorID); err != nil {
		return clinic.Hold{}, err
	}
	var h clinic.Hold
	if patient != nil {
		b.PatientID = *patient
	}
	err := s.runUseCase(ctx, req, useCase{
		act:    "create hold",
		wanted: wantedOf(b),
		shared: sharesRefusal(req, b), booking: b,
		body: func(t *tx) error {
			b := b // another attempt starts from what was asked for
			if err := s.checkStart(req, t.now, b); err != nil {
				return err
			}
			if err := checkHolds(ctx, &t.queries); err != nil { // again below, when nothing can change it
				return err
			}
			guardParties := t.guardParties
			if patient == nil {
				guardParties = withoutPatient(t.guardDoctor)
			}
			c, err := guardParties(ctx, b)
			if err != nil {
				return err
			}
			if _, err := s.decide(ctx, t, c, &b, 0); err != nil {
				return err
			}
			if err := deleteExpiredHolds(ctx, t, b.DoctorID); err != nil {
				return err
			}
			if err := t.guardKey(ctx); err != nil {
				return err
			}
			if err := checkHolds(ctx, &t.queries); err != nil {
				return err
			}
			h = clinic.Hold{
				Token: rand.Text(), DoctorID: b.DoctorID, PatientID: patient, TypeID: b.TypeID, RoomID: b.RoomID,
				Time: b.Time(), Buffers: b.Buffers, ExpiresAt: t.now.Add(lasts), CreatedAt: t.now,
				MadeBy: req.Access.MadeBy(),
			}
			if h.ID, err = insertHold(ctx, t, h); err != nil {
				return err
			}
			t.record(clinic.Created(clinic.KindHold, h.ID, withoutToken(h)))
			t.freeLater(h.DoctorID, h.Busy(), h.ExpiresAt)
			return nil
		},
		explain: func(q *snapshot) error {
			if err := s.checkStart(req, q.now, b); err != nil {
				return err
			}
			if err := checkHolds(ctx, &q.queries); err != nil {
				return err
			}
			parties := q.parties
			if patient == nil {
				parties = withoutPatient(q.doctorExists)
			}
			c, err := parties(ctx, b)
			if err != nil {
				return err
			}
			return s.explainBooking(ctx, q, c, b, 0)
		},
	}, &h)
	return h, err
}

// withoutPatient reads whether the doctor of a hold exists; the hold has no patient.
func withoutPatient(doctorExists func(context.Context, int64) (bool, error)) func(context.Context, clinic.Booking) (clinic.Calendar, error) {
	return func(ctx context.Context, b clinic.Booking) (clinic.Calendar, error) {
		c := clinic.Calendar{Doctor: clinic.Missing, Patient: clinic.Active}
		exists, err := doctorExists(ctx, b.DoctorID)
		if exists {
			c.Doctor = clinic.Active
		}
		return c, err
	}
}

// checkHolds returns clinic.ErrTooManyHolds for a partner that has reached its limit of
// live holds. Index holds_made_by.
func checkHolds(ctx context.Context, q *queries) error {
	access := q.req.Access
	if !access.IsPartner() {
		return nil
	}
	var live int
	err := q.GetContext(ctx, &live, `SELECT COUNT(*) FROM holds WHERE made_by_key = ? AND expires_at > ?`, access.Reach.KeyID, q.now)
	if err == nil && live >= clinic.MaxPartnerHolds {
		return clinic.ErrTooManyHolds
	}
	return err
}

// Hold reads a hold that has not expired. Errors: clinic.ErrHoldNotFound.
func (s *Store) Hold(ctx context.Context, req Request, id int64) (clinic.Hold, error) {
	var row holdRow
	err := s.db.GetContext(ctx, &row, `SELECT `+holdColumns+` FROM holds WHERE id = ? AND expires_at > ?`, id, clinic.Instant(s.now()))
	if errors.Is(err, sql.ErrNoRows) {
		return clinic.Hold{}, clinic.ErrHoldNotFound
	}
	if err != nil {
		return clinic.Hold{}, translate(ctx, "read hold", err)
	}
	h := row.hold()
	if !req.Access.Reach.Record(h.DoctorID, h.MadeBy) {
		return clinic.Hold{}, clinic.ErrHoldNotFound
	}
	if h.PatientID != nil {
		err = s.recordRead(ctx, req, clinic.KindHold, h.ID, *h.PatientID)
	}
	return h, err
}

// withoutToken returns a hold as it is recorded: its token would let a reader of the
// trail book the time.
func withoutToken(h clinic.Hold) clinic.Hold {
	h.Token = ""
	return h
}

// DeleteHold releases a hold. Locks: the doctor's guard row, then the hold.
// Errors: clinic.ErrHoldNotFound (also if it has expired), clinic.ErrPreconditionFailed.
func (s *Store) DeleteHold(ctx context.Context, req Request, id int64, match Versions) error {
	return s.inTx(ctx, req, "delete hold", func(t *tx) error {
		var row holdRow
		err := t.GetContext(ctx, &row, `SELECT `+holdColumns+` FROM holds WHERE id = ? AND expires_at > ?`, id, t.now)
		if errors.Is(err, sql.ErrNoRows) {
			return clinic.ErrHoldNotFound
		}
		if err != nil {
			return err
		}
		h := row.hold()
		if !req.Access.Reach.Record(h.DoctorID, h.MadeBy) {
			return clinic.ErrHoldNotFound
		}
		if err := match.check(clinic.HoldVersion); err != nil {
			return err
		}
		if _, err := t.guardDoctor(ctx, h.DoctorID); err != nil {
			return err
		}
		t.record(clinic.Deleted(clinic.KindHold, h.ID, withoutToken(h)))
		n, err := t.exec(ctx, `DELETE FROM holds WHERE id = ?`, id)
		if err == nil && n == 0 {
			return clinic.ErrHoldNotFound // used or released meanwhile
		}
		t.freeHold(h, true)
		return err
	})
}

// Index holds_doctor. An hour, so that a server
// whose clock is slow never misses a hold that it considers live.
func deleteExpiredHolds(ctx context.Context, t *tx, doctor int64) error {
	_, err := t.exec(ctx, `DELETE FROM holds WHERE doctor_id = ? AND expires_at < ?`, doctor, t.now.Add(-time.Hour))
	return err
}

func insertHold(ctx context.Context, t *tx, h clinic.Hold) (int64, error) {
	return t.insert(ctx, `
		INSERT INTO holds (token, doctor_id, patient_id, type_id, room_id, start_time, end_time, duration_minutes,
		                   buffer_before_minutes, buffer_after_minutes, expires_at, created_at, made_by_key)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		h.Token, h.DoctorID, h.PatientID, h.TypeID, h.RoomID, h.Time.Start, h.Time.End, h.Time.End.Sub(h.Time.Start)/time.Minute,
		h.Buffers.Before/time.Minute, h.Buffers.After/time.Minute, h.ExpiresAt, h.CreatedAt, h.MadeBy)
}

// holdColumns are those of holdRow.
const holdColumns = `id, token, doctor_id, patient_id, type_id, room_id, start_time, end_time,
	buffer_before_minutes, buffer_after_minutes, expires_at, created_at, made_by_key`

type holdRow struct {
	ID           int64     `db:"id"`
	Token        string    `db:"token"`
	DoctorID     int64     `db:"doctor_id"`
	PatientID    *int64    `db:"patient_id"`
	TypeID       *int64    `db:"type_id"`
	RoomID       *int64    `db:"room_id"`
	StartTime    time.Time `db:"start_time"`
	EndTime      time.Time `db:"end_time"`
	BufferBefore minutes   `db:"buffer_before_minutes"`
	BufferAfter  minutes   `db:"buffer_after_minutes"`
	ExpiresAt    time.Time `db:"expires_at"`
	CreatedAt    time.Time `db:"created_at"`
	MadeBy       *int64    `db:"made_by_key"`
}

func (r holdRow) hold() clinic.Hold {
	return clinic.Hold{
		ID: r.ID, Token: r.Token, DoctorID: r.DoctorID, PatientID: r.PatientID, TypeID: r.TypeID, RoomID: r.RoomID,
		Time:      clinic.Interval{Start: r.StartTime, End: r.EndTime},
		Buffers:   clinic.Buffers{Before: r.BufferBefore.duration(), After: r.BufferAfter.duration()},
		ExpiresAt: r.ExpiresAt, CreatedAt: r.CreatedAt, MadeBy: r.MadeBy,
	}
}
