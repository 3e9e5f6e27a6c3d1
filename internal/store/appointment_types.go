package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// CreateAppointmentType adds an appointment type and returns the record as stored.
//
// Errors: clinic.ErrDoctorNotFound, clinic.ErrRoomNotFound (one that it lists),
// clinic.ErrNameTaken, clinic.CodeValidationFailed.
func (s *Store) CreateAppointmentType(ctx context.Context, req Request, k clinic.AppointmentType) (clinic.AppointmentType, error) {
	k.Normalize()
	if err := k.Validate(); err != nil {
		return clinic.AppointmentType{}, err
	}
	err := s.inTx(ctx, req, "create appointment type", func(t *tx) error {
		if err := t.lockListed(ctx, k.DoctorIDs, k.RoomIDs); err != nil {
			return err
		}
		k.Version, k.CreatedAt, k.UpdatedAt = 1, t.now, t.now
		var err error
		k.ID, err = t.insert(ctx, `
			INSERT INTO appointment_types (name, duration_minutes, buffer_before_minutes, buffer_after_minutes, colour,
			                               specializations, doctor_ids, needs_room, room_ids, is_active,
			                               version, created_at, updated_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, append(typeArgs(k), k.CreatedAt, k.UpdatedAt)...)
		t.record(clinic.Created(clinic.KindAppointmentType, k.ID, k))
		return err
	}, &k)
	return k, err
}

// AppointmentType returns one appointment type. Errors: clinic.ErrTypeNotFound.
func (s *Store) AppointmentType(ctx context.Context, id int64) (clinic.AppointmentType, error) {
	k, state, err := readTypeForBooking(ctx, s.db, id)
	if state == clinic.Missing {
		return k, clinic.ErrTypeNotFound
	}
	return k, translate(ctx, "read appointment type", err)
}

// ListAppointmentTypes reads a page of appointment types by id.
func (s *Store) ListAppointmentTypes(ctx context.Context, active *bool, after int64, limit int) (Page[clinic.AppointmentType], error) {
	var rows []typeRow
	err := s.db.SelectContext(ctx, &rows, `
		SELECT `+typeColumns+`
		FROM appointment_types
		WHERE id > ? AND (? IS NULL OR is_active = ?)
		ORDER BY id
		LIMIT ?`, after, active, active, limit+1)
	if err != nil {
		return Page[clinic.AppointmentType]{}, translate(ctx, "list appointment types", err)
	}
	items := make([]clinic.AppointmentType, len(rows))
	for i := range rows {
		if items[i], err = rows[i].appointmentType(); err != nil {
			return Page[clinic.AppointmentType]{}, err
		}
	}
	return page(items, limit), nil
}

// UpdateAppointmentType makes the change and returns the record as it is now. What is
// booked keeps the duration and the buffers it was booked with; what lies ahead and
// no longer fits is in the list, by start, at most maxAffected.
//
// Lock order: the guards of all doctors when something may no longer fit (a booking
// reads the type under its guard, so it is made by the new rules or in the list), the
// doctors and the rooms that the change names, the type.
//
// Errors: clinic.ErrTypeNotFound, clinic.ErrPreconditionFailed,
// clinic.ErrDoctorNotFound, clinic.ErrRoomNotFound, clinic.ErrNameTaken,
// clinic.CodeValidationFailed.
func (s *Store) UpdateAppointmentType(ctx context.Context, req Request, id int64, c clinic.AppointmentTypePatch, match Versions) (clinic.AppointmentType, []clinic.Appointment, error) {
	var k clinic.AppointmentType
	var affected []clinic.Appointment
	err := s.inTx(ctx, req, "update appointment type", func(t *tx) error {
		if c.Restricts() {
			if err := t.guardAllDoctors(ctx); err != nil {
				return err
			}
		}
		named := t.lockListed(ctx, c.DoctorIDs.Value, c.RoomIDs.Value)
		if named != nil && !errors.Is(named, clinic.ErrDoctorNotFound) && !errors.Is(named, clinic.ErrRoomNotFound) {
			return named
		}
		var err error
		if k, err = lockType(ctx, t, id); err != nil {
			return err
		}
		if err := match.check(k.Version); err != nil {
			return err
		}
		before := k
		c.Apply(&k)
		if err := k.Validate(); err != nil {
			return err
		}
		if named != nil {
			return named
		}
		if t.leaves(before, k) {
			k = before
			return nil
		}
		k.Version++
		k.UpdatedAt = t.now
		t.freeByRule(0)
		if err := updateType(ctx, t, before, k); err != nil || !c.Restricts() {
			return err
		}
		affected, err = t.affectedByType(ctx, before, k)
		return err
	})
	return k, affected, err
}

// updateType writes a type whose row is locked, and records the change.
func updateType(ctx context.Context, t *tx, before, k clinic.AppointmentType) error {
	t.record(clinic.Changed(clinic.KindAppointmentType, k.ID, before, k))
	_, err := t.exec(ctx, `
		UPDATE appointment_types
		SET name = ?, duration_minutes = ?, buffer_before_minutes = ?, buffer_after_minutes = ?, colour = ?,
		    specializations = ?, doctor_ids = ?, needs_room = ?, room_ids = ?, is_active = ?,
		    version = ?, updated_at = ?
		WHERE id = ?`, append(typeArgs(k), k.UpdatedAt, k.ID)...)
	return err
}

// DeleteAppointmentType deletes a type of which there never was an appointment. Locks its
// row; the foreign key decides.
//
// Errors: clinic.ErrTypeNotFound, clinic.ErrPreconditionFailed,
// clinic.ErrHasAppointments.
func (s *Store) DeleteAppointmentType(ctx context.Context, req Request, id int64, match Versions) error {
	return s.inTx(ctx, req, "delete appointment type", func(t *tx) error {
		k, err := lockType(ctx, t, id)
		if err != nil {
			return err
		}
		if err := match.check(k.Version); err != nil {
			return err
		}
		if err := freeHoldsOf(ctx, t, "type_id", id); err != nil {
			return err
		}
		if err := t.recordCascade(ctx, clinic.KindAppointmentType, id); err != nil {
			return err
		}
		t.record(clinic.Deleted(clinic.KindAppointmentType, id, k))
		_, err = t.exec(ctx, `DELETE FROM appointment_types WHERE id = ?`, id)
		return err
	})
}

// Primary key; exclusive lock on the row.
func lockType(ctx context.Context, t *tx, id int64) (clinic.AppointmentType, error) {
	var row typeRow
	err := t.GetContext(ctx, &row, `SELECT `+typeColumns+` FROM appointment_types WHERE id = ? FOR UPDATE`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return clinic.AppointmentType{}, clinic.ErrTypeNotFound
	}
	if err != nil {
		return clinic.AppointmentType{}, err
	}
	return row.appointmentType()
}

// checkDoctors refuses ids that are no doctor's: clinic.ErrDoctorNotFound.
func checkDoctors(ctx context.Context, t *tx, ids ...int64) error {
	return checkExist(ctx, t, `SELECT COUNT(*) FROM doctors WHERE id IN (?)`, ids, clinic.ErrDoctorNotFound)
}

// checkExist returns missing unless a count of ids finds every one.
func checkExist(ctx context.Context, t *tx, count string, ids []int64, missing error) error {
	if len(ids) == 0 {
		return nil
	}
	statement, args, err := sqlx.In(count, ids)
	if err != nil {
		return err
	}
	var n int
	if err := t.GetContext(ctx, &n, statement, args...); err != nil {
		return err
	}
	if n != len(ids) {
		return missing
	}
	return nil
}

// typeArgs are the values of a type in the order in which both statements that
// write one have them, up to its version.
func typeArgs(k clinic.AppointmentType) []any {
	return []any{
		k.Name, k.Duration / time.Minute, k.Buffers.Before / time.Minute, k.Buffers.After / time.Minute, k.Colour,
		list(k.Specializations), list(k.DoctorIDs), k.NeedsRoom, list(k.RoomIDs), k.IsActive, k.Version,
	}
}

// list is a JSON array, [] for nil.
func list[T string | int64](items []T) string {
	if items == nil {
		items = []T{}
	}
	text, err := json.Marshal(items)
	if err != nil { // no text or number does that
		return fmt.Sprintf("cannot be written: %v", err) // which no JSON column takes
	}
	return string(text)
}
