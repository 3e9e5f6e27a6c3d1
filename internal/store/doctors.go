package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"mems/internal/clinic"
)

// CreateDoctor creates a doctor and returns the record as stored.
//
// Errors: clinic.CodeValidationFailed (text too long once normalised).
func (s *Store) CreateDoctor(ctx context.Context, req Request, d clinic.Doctor) (clinic.Doctor, error) {
	d.Normalize()
	if err := d.Validate(); err != nil {
		return clinic.Doctor{}, err
	}
	err := s.inTx(ctx, req, "create doctor", func(t *tx) error {
		d.Version, d.CreatedAt, d.UpdatedAt = 1, t.now, t.now
		var err error
		d.ID, err = insertDoctor(ctx, t, d)
		t.record(clinic.Created(clinic.KindDoctor, d.ID, d))
		t.freeByRule(d.ID)
		return err
	}, &d)
	return d, err
}

// Doctor returns a doctor. Errors: clinic.ErrDoctorNotFound.
func (s *Store) Doctor(ctx context.Context, id int64) (clinic.Doctor, error) {
	var row doctorRow
	err := s.db.GetContext(ctx, &row, `
		SELECT `+doctorColumns+`
		FROM doctors
		WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return clinic.Doctor{}, clinic.ErrDoctorNotFound
	}
	return row.doctor(), translate(ctx, "read doctor", err)
}

// UpdateDoctor applies the patch and returns the new record and the appointments that no
// longer fit. Locks the doctor's row, which every booking writes first: once a deactivation
// has returned, no booking succeeds.
//
// Errors: clinic.ErrDoctorNotFound, clinic.ErrPreconditionFailed,
// clinic.CodeValidationFailed.
func (s *Store) UpdateDoctor(ctx context.Context, req Request, id int64, c clinic.DoctorPatch, match Versions) (clinic.Doctor, []clinic.Appointment, error) {
	var d clinic.Doctor
	var affected []clinic.Appointment
	err := s.inTx(ctx, req, "update doctor", func(t *tx) error {
		var err error
		if d, err = lockDoctor(ctx, t, id); err != nil {
			return err
		}
		if err := match.check(d.Version); err != nil {
			return err
		}
		before := d
		c.Apply(&d)
		if err := d.Validate(); err != nil {
			return err
		}
		if t.leaves(before, d) {
			d = before
			return nil
		}
		d.Version++
		d.UpdatedAt = t.now
		t.record(clinic.Changed(clinic.KindDoctor, d.ID, before, d))
		if d.IsActive && (!before.IsActive || d.Specialization != before.Specialization) {
			t.freeByRule(d.ID)
		}
		if err := updateDoctor(ctx, t, d); err != nil {
			return err
		}
		affected, err = t.affectedByDoctor(ctx, before, d)
		return err
	})
	return d, affected, err
}

// DeleteDoctor deletes a doctor who never had an appointment, and removes the doctor from
// the lists of types and waitlist entries. Locks the doctor's row; the foreign key decides.
//
// Errors: clinic.ErrDoctorNotFound, clinic.ErrPreconditionFailed,
// clinic.ErrHasAppointments.
func (s *Store) DeleteDoctor(ctx context.Context, req Request, id int64, match Versions) error {
	return s.inTx(ctx, req, "delete doctor", func(t *tx) error {
		d, err := lockDoctor(ctx, t, id)
		if err != nil {
			return err
		}
		if err := match.check(d.Version); err != nil {
			return err
		}
		if err := t.recordCascade(ctx, clinic.KindDoctor, id); err != nil {
			return err
		}
		if err := s.unlistDoctor(ctx, t, id); err != nil {
			return err
		}
		t.record(clinic.Deleted(clinic.KindDoctor, id, d))
		_, err = t.exec(ctx, `DELETE FROM doctors WHERE id = ?`, id)
		return err
	})
}

func insertDoctor(ctx context.Context, t *tx, d clinic.Doctor) (int64, error) {
	return t.insert(ctx, `
		INSERT INTO doctors (full_name, specialization, is_active, overbook_cap, version, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?)`,
		d.FullName, d.Specialization, d.IsActive, d.OverbookCap, d.Version, d.CreatedAt, d.UpdatedAt)
}

// Primary key; exclusive lock on the row.
func lockDoctor(ctx context.Context, t *tx, id int64) (clinic.Doctor, error) {
	var row doctorRow
	err := t.GetContext(ctx, &row, `
		SELECT `+doctorColumns+`
		FROM doctors
		WHERE id = ?
		FOR UPDATE`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return clinic.Doctor{}, clinic.ErrDoctorNotFound
	}
	return row.doctor(), err
}

// calendar_rev changes, too: on an engine that certifies at commit, a booking that read the
// old is_active must conflict with this.
func updateDoctor(ctx context.Context, t *tx, d clinic.Doctor) error {
	_, err := t.exec(ctx, `
		UPDATE doctors
		SET full_name = ?, specialization = ?, is_active = ?, overbook_cap = ?, version = ?, updated_at = ?,
		    calendar_rev = calendar_rev + 1
		WHERE id = ?`,
		d.FullName, d.Specialization, d.IsActive, d.OverbookCap, d.Version, d.UpdatedAt, d.ID)
	return err
}

// doctorColumns are those of doctorRow.
const doctorColumns = `id, full_name, specialization, is_active, overbook_cap, version, created_at, updated_at`

type doctorRow struct {
	ID             int64     `db:"id"`
	FullName       string    `db:"full_name"`
	Specialization string    `db:"specialization"`
	IsActive       bool      `db:"is_active"`
	OverbookCap    int       `db:"overbook_cap"`
	Version        int64     `db:"version"`
	CreatedAt      time.Time `db:"created_at"`
	UpdatedAt      time.Time `db:"updated_at"`
}

func (r doctorRow) doctor() clinic.Doctor { return clinic.Doctor(r) }
