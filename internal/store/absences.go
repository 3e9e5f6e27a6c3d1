package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"mems/internal/clinic"
)

// maxAffected bounds the appointments that a new time off or closure lists.
const maxAffected = 1000

// CreateTimeOff creates a doctor's time off and returns the appointments that lie in it, by
// start, at most maxAffected. They stay. Once it has returned, no booking in it succeeds;
// earlier bookings are in the list.
//
// Statements, in lock order: write the doctor's guard row, insert, read the
// appointments (no lock: the guard keeps them).
//
// Errors: clinic.ErrDoctorNotFound, clinic.CodeValidationFailed.
func (s *Store) CreateTimeOff(ctx context.Context, req Request, o clinic.TimeOff) (clinic.TimeOff, []clinic.Appointment, error) {
	o.Normalize()
	if err := o.Validate(); err != nil {
		return o, nil, err
	}
	if err := req.Access.Reach.CheckCalendar(o.DoctorID); err != nil {
		return o, nil, err
	}
	var affected []clinic.Appointment
	err := s.inTx(ctx, req, "create time off", func(t *tx) error {
		if exists, err := t.guardDoctor(ctx, o.DoctorID); err != nil || !exists {
			return firstError(err, clinic.ErrDoctorNotFound)
		}
		o.Version, o.CreatedAt, o.UpdatedAt = 1, t.now, t.now
		var err error
		if o.ID, err = insertTimeOff(ctx, t, o); err != nil {
			return err
		}
		t.record(clinic.Created(clinic.KindTimeOff, o.ID, o))
		affected, err = t.affected(ctx, o.Time, o.DoctorID)
		return err
	}, &o, &affected)
	return o, affected, err
}

// TimeOff returns a doctor's time off. Errors: clinic.ErrTimeOffNotFound.
func (s *Store) TimeOff(ctx context.Context, doctorID, id int64) (clinic.TimeOff, error) {
	var row timeOffRow
	err := s.db.GetContext(ctx, &row, `SELECT `+timeOffColumns+` FROM time_off WHERE id = ? AND doctor_id = ?`, id, doctorID)
	if errors.Is(err, sql.ErrNoRows) {
		return clinic.TimeOff{}, clinic.ErrTimeOffNotFound
	}
	return row.timeOff(), translate(ctx, "read time off", err)
}

// ListTimeOff returns a page of a doctor's time off that ends at from or later, by end and
// id. Index: time_off_doctor (doctor_id, end_time).
//
// Errors: clinic.ErrDoctorNotFound.
func (s *Store) ListTimeOff(ctx context.Context, doctorID int64, from *time.Time, after After, limit int) (Page[clinic.TimeOff], error) {
	if _, err := s.Doctor(ctx, doctorID); err != nil {
		return Page[clinic.TimeOff]{}, err
	}
	place := s.startOf(from, after)
	var rows []timeOffRow
	err := s.db.SelectContext(ctx, &rows, `
		SELECT `+timeOffColumns+`
		FROM time_off
		WHERE doctor_id = ? AND end_time >= ? AND (end_time > ? OR id > ?)
		ORDER BY end_time, id
		LIMIT ?`, doctorID, place.Start, place.Start, place.ID, limit+1)
	if err != nil {
		return Page[clinic.TimeOff]{}, translate(ctx, "list time off", err)
	}
	items := make([]clinic.TimeOff, len(rows))
	for i, row := range rows {
		items[i] = row.timeOff()
	}
	return page(items, limit), nil
}

// startOf returns the position after which a list by end begins: the previous page's last
// item, otherwise from, otherwise now.
func (s *Store) startOf(from *time.Time, after After) After {
	switch {
	case after.ID != 0:
		return after
	case from != nil:
		return After{Start: *from}
	}
	return After{Start: clinic.Instant(s.now())}
}

// DeleteTimeOff deletes time off. Locks: the doctor's guard row, then the row. Errors:
// clinic.ErrTimeOffNotFound, clinic.ErrPreconditionFailed.
func (s *Store) DeleteTimeOff(ctx context.Context, req Request, doctorID, id int64, match Versions) error {
	if err := req.Access.Reach.CheckCalendar(doctorID); err != nil {
		return err
	}
	return s.inTx(ctx, req, "delete time off", func(t *tx) error {
		if exists, err := t.guardDoctor(ctx, doctorID); err != nil || !exists {
			return firstError(err, clinic.ErrTimeOffNotFound)
		}
		var version int64
		err := t.GetContext(ctx, &version, `SELECT version FROM time_off WHERE id = ? AND doctor_id = ? FOR UPDATE`, id, doctorID)
		if errors.Is(err, sql.ErrNoRows) {
			return clinic.ErrTimeOffNotFound
		}
		if err != nil {
			return err
		}
		if err := match.check(version); err != nil {
			return err
		}
		t.record(clinic.Deleted(clinic.KindTimeOff, id, clinic.Members{"doctor_id": doctorID}).For(clinic.Audience{DoctorID: &doctorID}))
		t.freeByRule(doctorID)
		_, err = t.exec(ctx, `DELETE FROM time_off WHERE id = ?`, id)
		return err
	})
}

// CreateClosure creates a closure and returns the appointments that lie in it, by start, at
// most maxAffected. They stay. Once it has returned, no booking in it succeeds.
//
// Statements, in lock order: write the guard row of every doctor (ids ascending:
// the statement walks the primary key), insert, read the appointments.
//
// Errors: clinic.CodeValidationFailed.
func (s *Store) CreateClosure(ctx context.Context, req Request, c clinic.Closure) (clinic.Closure, []clinic.Appointment, error) {
	c.Normalize()
	if err := c.Validate(); err != nil {
		return c, nil, err
	}
	var affected []clinic.Appointment
	err := s.inTx(ctx, req, "create closure", func(t *tx) error {
		if err := t.guardAllDoctors(ctx); err != nil {
			return err
		}
		c.Version, c.CreatedAt, c.UpdatedAt = 1, t.now, t.now
		var err error
		c.ID, err = t.insert(ctx, `
			INSERT INTO closures (start_time, end_time, name, version, created_at, updated_at)
			VALUES (?, ?, ?, ?, ?, ?)`, c.Time.Start, c.Time.End, c.Name, c.Version, c.CreatedAt, c.UpdatedAt)
		if err != nil {
			return err
		}
		t.record(clinic.Created(clinic.KindClosure, c.ID, c))
		affected, err = t.affected(ctx, c.Time, 0)
		return err
	}, &c, &affected)
	return c, affected, err
}

// Closure returns a closure. Errors: clinic.ErrClosureNotFound.
func (s *Store) Closure(ctx context.Context, id int64) (clinic.Closure, error) {
	var row closureRow
	err := s.db.GetContext(ctx, &row, `SELECT `+closureColumns+` FROM closures WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return clinic.Closure{}, clinic.ErrClosureNotFound
	}
	return row.closure(), translate(ctx, "read closure", err)
}

// ListClosures returns a page of the closures that end at from or later, by end and id.
// Index: closures_end (end_time).
func (s *Store) ListClosures(ctx context.Context, from *time.Time, after After, limit int) (Page[clinic.Closure], error) {
	place := s.startOf(from, after)
	var rows []closureRow
	err := s.db.SelectContext(ctx, &rows, `
		SELECT `+closureColumns+`
		FROM closures
		WHERE end_time >= ? AND (end_time > ? OR id > ?)
		ORDER BY end_time, id
		LIMIT ?`, place.Start, place.Start, place.ID, limit+1)
	if err != nil {
		return Page[clinic.Closure]{}, translate(ctx, "list closures", err)
	}
	items := make([]clinic.Closure, len(rows))
	for i, row := range rows {
		items[i] = row.closure()
	}
	return page(items, limit), nil
}

// DeleteClosure deletes a closure. Locks only its row: no booking can rely on its absence
// before it is deleted. Errors: clinic.ErrClosureNotFound, clinic.ErrPreconditionFailed.
func (s *Store) DeleteClosure(ctx context.Context, req Request, id int64, match Versions) error {
	return s.inTx(ctx, req, "delete closure", func(t *tx) error {
		var version int64
		err := t.GetContext(ctx, &version, `SELECT version FROM closures WHERE id = ? FOR UPDATE`, id)
		if errors.Is(err, sql.ErrNoRows) {
			return clinic.ErrClosureNotFound
		}
		if err != nil {
			return err
		}
		if err := match.check(version); err != nil {
			return err
		}
		t.record(clinic.Deleted(clinic.KindClosure, id, nil))
		t.freeByRule(0)
		_, err = t.exec(ctx, `DELETE FROM closures WHERE id = ?`, id)
		return err
	})
}

// affected returns the appointments that overlap a time, of one doctor or, with 0, of all.
// Index appointments_doctor or appointments_start.
func (t *tx) affected(ctx context.Context, time clinic.Interval, doctorID int64) ([]clinic.Appointment, error) {
	where, args := ``, []any{time.Start.Add(-clinic.MaxDuration), time.End, time.Start}
	if doctorID != 0 {
		where, args = ` AND doctor_id = ?`, append(args, doctorID)
	}
	var rows []appointmentRow
	// Safety: the text is one of two constants.
	err := t.SelectContext(ctx, &rows, `
		SELECT `+appointmentColumns+`
		FROM appointments
		WHERE start_time > ? AND start_time < ? AND end_time > ?
		  AND status IN ('scheduled', 'confirmed', 'checked_in', 'in_progress')`+where+`
		ORDER BY start_time, id
		LIMIT ?`, append(args, maxAffected)...)
	items := make([]clinic.Appointment, len(rows))
	for i := range rows {
		items[i] = rows[i].appointment()
	}
	return items, err
}

func insertTimeOff(ctx context.Context, t *tx, o clinic.TimeOff) (int64, error) {
	return t.insert(ctx, `
		INSERT INTO time_off (doctor_id, start_time, end_time, reason, note, version, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		o.DoctorID, o.Time.Start, o.Time.End, string(o.Reason), o.Note, o.Version, o.CreatedAt, o.UpdatedAt)
}

// timeOffColumns are those of timeOffRow.
const timeOffColumns = `id, doctor_id, start_time, end_time, reason, note, version, created_at, updated_at`

type timeOffRow struct {
	ID        int64     `db:"id"`
	DoctorID  int64     `db:"doctor_id"`
	Start     time.Time `db:"start_time"`
	End       time.Time `db:"end_time"`
	Reason    string    `db:"reason"`
	Note      *string   `db:"note"`
	Version   int64     `db:"version"`
	CreatedAt time.Time `db:"created_at"`
	UpdatedAt time.Time `db:"updated_at"`
}

func (r timeOffRow) timeOff() clinic.TimeOff {
	return clinic.TimeOff{
		ID: r.ID, DoctorID: r.DoctorID, Time: clinic.Interval{Start: r.Start, End: r.End},
		Reason: clinic.TimeOffReason(r.Reason), Note: r.Note, Version: r.Version, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
}

// closureColumns are those of closureRow.
const closureColumns = `id, start_time, end_time, name, version, created_at, updated_at`

type closureRow struct {
	ID        int64     `db:"id"`
	Start     time.Time `db:"start_time"`
	End       time.Time `db:"end_time"`
	Name      string    `db:"name"`
	Version   int64     `db:"version"`
	CreatedAt time.Time `db:"created_at"`
	UpdatedAt time.Time `db:"updated_at"`
}

func (r closureRow) closure() clinic.Closure {
	return clinic.Closure{
		ID: r.ID, Time: clinic.Interval{Start: r.Start, End: r.End}, Name: r.Name,
		Version: r.Version, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
}
