package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// WorkingHours returns a doctor's working hours; without any, it has no timetables. Errors: clinic.ErrDoctorNotFound.
func (s *Store) WorkingHours(ctx context.Context, doctorID int64) (clinic.WorkingHours, error) {
	h, err := workingHours(ctx, s.db, doctorID)
	return h, translate(ctx, "read working hours", err)
}

func workingHours(ctx context.Context, q sqlx.QueryerContext, doctorID int64) (clinic.WorkingHours, error) {
	var row struct {
		Zone    *string `db:"hours_time_zone"`
		Version int64   `db:"hours_version"`
	}
	err := sqlx.GetContext(ctx, q, &row, `SELECT hours_time_zone, hours_version FROM doctors WHERE id = ?`, doctorID)
	if errors.Is(err, sql.ErrNoRows) {
		return clinic.WorkingHours{}, clinic.ErrDoctorNotFound
	}
	if err != nil {
		return clinic.WorkingHours{}, err
	}
	h := clinic.WorkingHours{}
	if row.Zone != nil {
		always := clinic.Interval{Start: clinic.MinInstant, End: clinic.MaxInstant}
		hours, err := readHours(ctx, q, map[int64]string{doctorID: *row.Zone}, always)
		if err != nil {
			return h, err
		}
		h = hours[doctorID]
	}
	h.Version = row.Version
	return h, nil
}

// ReplaceWorkingHours replaces all working hours of a doctor. Appointments stay booked, and
// those outside the new hours are returned. Bookings after the commit must be within the
// new hours.
//
// Statements, in lock order: write the doctor's guard row, delete the old hours,
// insert the new.
//
// Errors: clinic.ErrDoctorNotFound, clinic.ErrPreconditionFailed,
// clinic.CodeValidationFailed.
func (s *Store) ReplaceWorkingHours(ctx context.Context, req Request, doctorID int64, h clinic.WorkingHours, match Versions) (clinic.WorkingHours, []clinic.Appointment, error) {
	if err := h.Validate(); err != nil {
		return h, nil, err
	}
	if err := req.Access.Reach.CheckCalendar(doctorID); err != nil {
		return h, nil, err
	}
	h.Normalize()
	var affected []clinic.Appointment
	err := s.inTx(ctx, req, "replace working hours", func(t *tx) error {
		if exists, err := t.guardDoctor(ctx, doctorID); err != nil || !exists {
			return firstError(err, clinic.ErrDoctorNotFound)
		}
		var version int64
		if err := t.GetContext(ctx, &version, `SELECT hours_version FROM doctors WHERE id = ?`, doctorID); err != nil {
			return err
		}
		if err := match.check(version); err != nil {
			return err
		}
		h.Version = version + 1
		var zone *string
		if h.Given() {
			name := h.Zone.String()
			zone = &name
		}
		if _, err := t.exec(ctx, `UPDATE doctors SET hours_time_zone = ?, hours_version = ? WHERE id = ?`, zone, h.Version, doctorID); err != nil {
			return err
		}
		if _, err := t.exec(ctx, `DELETE FROM working_hours WHERE doctor_id = ?`, doctorID); err != nil {
			return err
		}
		t.freeByRule(doctorID)
		t.record(clinic.Touched(clinic.KindWorkingHours, doctorID, h))
		if err := insertHours(ctx, t, doctorID, h); err != nil {
			return err
		}
		var err error
		affected, err = t.affectedAhead(ctx, `doctor_id`, doctorID, func(a clinic.Appointment) (bool, error) { return h.Holds(a), nil })
		return err
	})
	return h, affected, err
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// hoursRow is a row of working_hours; the migration says what each means.
type hoursRow struct {
	DoctorID  int64     `db:"doctor_id"`
	Weekday   int       `db:"weekday"`
	ValidFrom time.Time `db:"valid_from"`
	Start     int       `db:"start_minute"`
	End       int       `db:"end_minute"`
}

// readHours reads the working hours of doctors, whose zones are given: all timetables, and
// the exceptions within a window.
//
// Primary key (doctor_id, weekday, valid_from, start_minute): two ranges a doctor.
func readHours(ctx context.Context, q sqlx.QueryerContext, zones map[int64]string, window clinic.Interval) (map[int64]clinic.WorkingHours, error) {
	hours := make(map[int64]clinic.WorkingHours, len(zones))
	if len(zones) == 0 {
		return hours, nil
	}
	ids := make([]int64, 0, len(zones))
	for id, name := range zones {
		zone, err := clinic.LoadZone(name)
		if err != nil {
			return nil, fmt.Errorf("working hours of doctor %d: %w", id, err)
		}
		hours[id] = clinic.WorkingHours{Zone: zone}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	// Two days on both sides: a block of the day before can reach into the window.
	statement, args, err := sqlx.In(`
		SELECT doctor_id, weekday, valid_from, start_minute, end_minute
		FROM working_hours
		WHERE doctor_id IN (?) AND (weekday > 0 OR valid_from BETWEEN ? AND ?)
		ORDER BY doctor_id, valid_from, weekday, start_minute`,
		ids, clinic.DateOf(window.Start.AddDate(0, 0, -2)).String(), clinic.DateOf(window.End.AddDate(0, 0, 2)).String())
	if err != nil {
		return nil, err
	}
	var rows []hoursRow
	if err := sqlx.SelectContext(ctx, q, &rows, statement, args...); err != nil {
		return nil, err
	}
	for _, r := range rows {
		h := hours[r.DoctorID]
		addHours(&h, r)
		hours[r.DoctorID] = h
	}
	return hours, nil
}

// addHours adds a row to its timetable or exception. Rows come in order.
func addHours(h *clinic.WorkingHours, r hoursRow) {
	from, block := clinic.DateOf(r.ValidFrom), clinic.Block{Start: r.Start, End: r.End}
	if r.Weekday == 0 {
		if n := len(h.Exceptions); n == 0 || h.Exceptions[n-1].Date != from {
			h.Exceptions = append(h.Exceptions, clinic.DateHours{Date: from})
		}
		if block.End > 0 {
			last := &h.Exceptions[len(h.Exceptions)-1]
			last.Blocks = append(last.Blocks, block)
		}
		return
	}
	if n := len(h.Timetables); n == 0 || h.Timetables[n-1].From != from {
		h.Timetables = append(h.Timetables, clinic.Timetable{From: from})
	}
	if block.End > 0 {
		last := &h.Timetables[len(h.Timetables)-1]
		last.Blocks = append(last.Blocks, clinic.WeeklyBlock{Weekday: r.Weekday, Block: block})
	}
}

func insertHours(ctx context.Context, t *tx, doctorID int64, h clinic.WorkingHours) error {
	var args []any
	add := func(weekday int, from clinic.Date, b clinic.Block) {
		args = append(args, doctorID, weekday, from.String(), b.Start, b.End)
	}
	for _, table := range h.Timetables {
		if len(table.Blocks) == 0 {
			add(1, table.From, clinic.Block{})
		}
		for _, b := range table.Blocks {
			add(b.Weekday, table.From, b.Block)
		}
	}
	for _, e := range h.Exceptions {
		if len(e.Blocks) == 0 {
			add(0, e.Date, clinic.Block{})
		}
		for _, b := range e.Blocks {
			add(0, e.Date, b)
		}
	}
	if len(args) == 0 {
		return nil
	}
	// Safety: the text is a constant and placeholders.
	_, err := t.exec(ctx, `
		INSERT INTO working_hours (doctor_id, weekday, valid_from, start_minute, end_minute)
		VALUES (?, ?, ?, ?, ?)`+strings.Repeat(`, (?, ?, ?, ?, ?)`, len(args)/5-1), args...)
	return err
}
