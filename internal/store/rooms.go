package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"mems/internal/clinic"
)

// CreateRoom adds r and returns the record as stored. Errors:
// clinic.ErrNameTaken, clinic.CodeValidationFailed.
func (s *Store) CreateRoom(ctx context.Context, req Request, r clinic.Room) (clinic.Room, error) {
	r.Normalize()
	if err := r.Validate(); err != nil {
		return clinic.Room{}, err
	}
	err := s.inTx(ctx, req, "create room", func(t *tx) error {
		r.Version, r.CreatedAt, r.UpdatedAt = 1, t.now, t.now
		var err error
		r.ID, err = t.insert(ctx, `
			INSERT INTO rooms (name, is_active, version, created_at, updated_at)
			VALUES (?, ?, ?, ?, ?)`, r.Name, r.IsActive, r.Version, r.CreatedAt, r.UpdatedAt)
		t.record(clinic.Created(clinic.KindRoom, r.ID, r))
		t.freeByRule(0)
		return err
	}, &r)
	return r, err
}

// Room reads one room. Errors: clinic.ErrRoomNotFound.
func (s *Store) Room(ctx context.Context, id int64) (clinic.Room, error) {
	var row roomRow
	err := s.db.GetContext(ctx, &row, `SELECT `+roomColumns+` FROM rooms WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return clinic.Room{}, clinic.ErrRoomNotFound
	}
	return clinic.Room(row), translate(ctx, "read room", err)
}

// ListRooms reads a page of rooms by id.
func (s *Store) ListRooms(ctx context.Context, active *bool, after int64, limit int) (Page[clinic.Room], error) {
	var rows []roomRow
	err := s.db.SelectContext(ctx, &rows, `
		SELECT `+roomColumns+`
		FROM rooms
		WHERE id > ? AND (? IS NULL OR is_active = ?)
		ORDER BY id
		LIMIT ?`, after, active, active, limit+1)
	if err != nil {
		return Page[clinic.Room]{}, translate(ctx, "list rooms", err)
	}
	items := make([]clinic.Room, len(rows))
	for i, row := range rows {
		items[i] = clinic.Room(row)
	}
	return page(items, limit), nil
}

// UpdateRoom applies a patch and returns the record as stored. Locks the room's row, which
// every booking of the room writes: no booking succeeds after a deactivation has committed.
//
// Errors: clinic.ErrRoomNotFound, clinic.ErrPreconditionFailed,
// clinic.ErrNameTaken, clinic.CodeValidationFailed.
func (s *Store) UpdateRoom(ctx context.Context, req Request, id int64, c clinic.RoomPatch, match Versions) (clinic.Room, []clinic.Appointment, error) {
	var r clinic.Room
	var affected []clinic.Appointment
	err := s.inTx(ctx, req, "update room", func(t *tx) error {
		var err error
		if r, err = lockRoom(ctx, t, id); err != nil {
			return err
		}
		if err := match.check(r.Version); err != nil {
			return err
		}
		before := r
		c.Apply(&r)
		if err := r.Validate(); err != nil {
			return err
		}
		if t.leaves(before, r) {
			r = before
			return nil
		}
		t.record(clinic.Changed(clinic.KindRoom, r.ID, before, r))
		if r.IsActive && !before.IsActive {
			t.freeByRule(0)
		}
		r.Version++
		r.UpdatedAt = t.now
		_, err = t.exec(ctx, `
			UPDATE rooms
			SET name = ?, is_active = ?, version = ?, updated_at = ?, calendar_rev = calendar_rev + 1
			WHERE id = ?`, r.Name, r.IsActive, r.Version, r.UpdatedAt, r.ID)
		if err != nil || r.IsActive || !before.IsActive {
			return err
		}
		affected, err = t.affectedAhead(ctx, `room_id`, r.ID, nothingFits)
		return err
	})
	return r, affected, err
}

// DeleteRoom deletes a room that never had an appointment, and removes it from the lists of
// types. Locks the room's row; the foreign key decides.
//
// Errors: clinic.ErrRoomNotFound, clinic.ErrPreconditionFailed,
// clinic.ErrHasAppointments.
func (s *Store) DeleteRoom(ctx context.Context, req Request, id int64, match Versions) error {
	return s.inTx(ctx, req, "delete room", func(t *tx) error {
		r, err := lockRoom(ctx, t, id)
		if err != nil {
			return err
		}
		if err := match.check(r.Version); err != nil {
			return err
		}
		if err := freeHoldsOf(ctx, t, "room_id", id); err != nil {
			return err
		}
		if err := t.recordCascade(ctx, clinic.KindRoom, id); err != nil {
			return err
		}
		if err := unlistRoom(ctx, t, id); err != nil {
			return err
		}
		t.record(clinic.Deleted(clinic.KindRoom, id, r))
		_, err = t.exec(ctx, `DELETE FROM rooms WHERE id = ?`, id)
		return err
	})
}

// Primary key; exclusive lock on the row.
func lockRoom(ctx context.Context, t *tx, id int64) (clinic.Room, error) {
	var row roomRow
	err := t.GetContext(ctx, &row, `SELECT `+roomColumns+` FROM rooms WHERE id = ? FOR UPDATE`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return clinic.Room{}, clinic.ErrRoomNotFound
	}
	return clinic.Room(row), err
}

// roomColumns are those of roomRow.
const roomColumns = `id, name, is_active, version, created_at, updated_at`

type roomRow struct {
	ID        int64     `db:"id"`
	Name      string    `db:"name"`
	IsActive  bool      `db:"is_active"`
	Version   int64     `db:"version"`
	CreatedAt time.Time `db:"created_at"`
	UpdatedAt time.Time `db:"updated_at"`
}
