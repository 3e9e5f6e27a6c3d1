package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// readSeries reads a series within reach and its appointments, by start. Index:
// appointments_series.
func (q *queries) readSeries(ctx context.Context, id int64) (clinic.Series, error) {
	var row seriesRow
	err := q.GetContext(ctx, &row, `SELECT `+seriesColumns+` FROM appointment_series WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return clinic.Series{}, clinic.ErrSeriesNotFound
	}
	if err != nil {
		return clinic.Series{}, err
	}
	series, err := row.series()
	if err != nil {
		return series, err
	}
	if !q.req.Access.Reach.Record(series.DoctorID, series.MadeBy) {
		return clinic.Series{}, clinic.ErrSeriesNotFound
	}
	var rows []appointmentRow
	err = sqlx.SelectContext(ctx, q, &rows, `
		SELECT `+appointmentColumns+`
		FROM appointments
		WHERE series_id = ?
		ORDER BY start_time, id`, id)
	for i := range rows {
		series.Appointments = append(series.Appointments, rows[i].appointment())
	}
	return series, err
}

// Series reads a series and its appointments, by start. Errors:
// clinic.ErrSeriesNotFound.
func (s *Store) Series(ctx context.Context, req Request, id int64) (clinic.Series, error) {
	series, err := s.queries(req).readSeries(ctx, id)
	if err != nil {
		return series, translate(ctx, "read series", err)
	}
	return series, s.recordRead(ctx, req, clinic.KindSeries, id, series.PatientID)
}

// CancelSeries cancels the dates in scope, all or none, each with its event. Errors:
// clinic.ErrSeriesNotFound, clinic.ErrAppointmentNotFound (the one to begin with
// is not of this series), clinic.ErrPreconditionFailed,
// clinic.CodeValidationFailed.
func (s *Store) CancelSeries(ctx context.Context, req Request, id int64, scope clinic.SeriesScope, reason clinic.CancellationReason, note *string, match Versions) (clinic.Series, error) {
	var series clinic.Series
	err := s.inTx(ctx, req, "cancel series", func(t *tx) error {
		dates, _, err := lockSeries(ctx, t, id, scope, 0, match)
		if err != nil {
			return err
		}
		for _, a := range dates {
			from, before := a.Status, a
			if err := a.Cancel(t.now, reason, note); err != nil {
				return err
			}
			t.record(clinic.Changed(clinic.KindAppointment, a.ID, before, a))
			if err := updateAppointment(ctx, t, a); err != nil {
				return err
			}
			if err := insertEvent(ctx, t, a.ID, a.Event(req.actor(), clinic.ActionCancel, &from)); err != nil {
				return err
			}
			t.freeOf(before, a)
		}
		if err := bumpSeriesVersion(ctx, t, id); err != nil {
			return err
		}
		series, err = t.readSeries(ctx, id)
		return err
	}, &series)
	return series, err
}

// RescheduleSeries reschedules the dates in scope in one transaction, each by the rules of a
// reschedule: all of them, or with Skip those that can be. Local time is kept. Dates that
// become later are processed from the last one, so that they do not conflict with each other.
//
// Errors: those of CancelSeries; clinic.CodeSeriesConflict, with the report.
func (s *Store) RescheduleSeries(ctx context.Context, req Request, id int64, scope clinic.SeriesScope, change clinic.SeriesChange, match Versions) (clinic.Series, []clinic.SeriesDate, error) {
	if err := change.Reschedule.Override.CheckAccess(req.Access); err != nil {
		return clinic.Series{}, nil, err
	}
	change.Reschedule.Normalize()
	if err := change.Reschedule.Validate(); err != nil {
		return clinic.Series{}, nil, err
	}
	var series clinic.Series
	var report []clinic.SeriesDate
	err := s.inTx(ctx, req, "reschedule series", func(t *tx) error {
		dates, zone, err := lockSeries(ctx, t, id, scope, change.Reschedule.DoctorID, match)
		if err != nil {
			return err
		}
		report = make([]clinic.SeriesDate, len(dates))
		refused := 0
		for _, i := range change.Order(dates, zone) {
			a := dates[i]
			r := change.RescheduleOf(a, zone)
			report[i].Start = *r.Start
			err := s.reschedule(ctx, t, &a, r)
			var refusal *clinic.Error
			switch {
			case err == nil:
				report[i].Appointment = &a
			case errors.As(err, &refusal) && (isSlotConflict(err) || errors.Is(err, clinic.ErrStartInPast)):
				refused++
				report[i].Refusal = refusal
			default:
				return err
			}
		}
		if refused > 0 && (!change.Skip || refused == len(dates)) {
			for i := range report {
				report[i].Appointment = nil // rolled back
			}
			// Not explained: on a snapshot the dates would conflict with each other.
			return &clinic.Error{Code: clinic.CodeSeriesConflict, Dates: report}
		}
		if err := bumpSeriesVersion(ctx, t, id); err != nil {
			return err
		}
		series, err = t.readSeries(ctx, id)
		return err
	}, &series, &report)
	if err != nil {
		return clinic.Series{}, nil, err
	}
	return series, report, nil
}

// lockSeries takes the guards of the doctors of the dates in scope, of otherDoctor unless 0,
// and of the patient, ids ascending. It then reads the series' zone and the dates by start.
// Only future dates that can be rescheduled are in scope.
func lockSeries(ctx context.Context, t *tx, id int64, scope clinic.SeriesScope, otherDoctor int64, match Versions) ([]clinic.Appointment, *time.Location, error) {
	var row seriesRow
	err := t.GetContext(ctx, &row, `SELECT `+seriesColumns+` FROM appointment_series WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !t.req.Access.Reach.Record(row.DoctorID, row.MadeBy) {
		return nil, nil, clinic.ErrSeriesNotFound
	}
	if err != nil {
		return nil, nil, err
	}
	before, err := seriesDates(ctx, t, id, scope)
	if err != nil {
		return nil, nil, err
	}
	t.req.CountWork(clinic.WorkAppointments, len(before))
	doctors := []int64{}
	if otherDoctor != 0 {
		doctors = append(doctors, otherDoctor)
	}
	for _, a := range before {
		doctors = append(doctors, a.DoctorID)
	}
	slices.Sort(doctors)
	for _, d := range slices.Compact(doctors) {
		if _, err := t.guardDoctor(ctx, d); err != nil {
			return nil, nil, err
		}
	}
	if _, err := t.guardPatientOf(ctx, row.PatientID); err != nil {
		return nil, nil, err
	}
	// A transaction that changes a series or one of its dates holds the patient's guard.
	var version int64
	if err := t.GetContext(ctx, &version, `SELECT version FROM appointment_series WHERE id = ?`, id); err != nil {
		return nil, nil, err
	}
	if err := match.check(version); err != nil {
		return nil, nil, err
	}
	dates, err := seriesDates(ctx, t, id, scope)
	if err != nil {
		return nil, nil, err
	}
	for _, a := range dates {
		if a.PatientID != row.PatientID || !slices.Contains(doctors, a.DoctorID) {
			return nil, nil, errStale // the guards taken are not those it needs now
		}
	}
	series, err := row.series()
	return dates, series.Zone, err
}

// Index appointments_series (series_id, start_time).
func seriesDates(ctx context.Context, t *tx, id int64, scope clinic.SeriesScope) ([]clinic.Appointment, error) {
	from := t.now
	if scope.From != nil {
		var start time.Time
		err := t.GetContext(ctx, &start, `SELECT start_time FROM appointments WHERE id = ? AND series_id = ?`, *scope.From, id)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, clinic.ErrAppointmentNotFound
		}
		if err != nil {
			return nil, err
		}
		if start.After(from) {
			from = start
		}
	}
	var rows []appointmentRow
	err := t.SelectContext(ctx, &rows, `
		SELECT `+appointmentColumns+`
		FROM appointments
		WHERE series_id = ? AND start_time >= ? AND status IN ('scheduled', 'confirmed')
		ORDER BY start_time, id`, id, from)
	dates := make([]clinic.Appointment, len(rows))
	for i := range rows {
		dates[i] = rows[i].appointment()
	}
	return dates, err
}

// bumpSeriesVersion increments the version of a series whose dates changed, and records it.
func bumpSeriesVersion(ctx context.Context, t *tx, id int64) error {
	var of changeRow
	if err := t.GetContext(ctx, &of, `SELECT doctor_id, made_by_key FROM appointment_series WHERE id = ?`, id); err != nil {
		return err
	}
	t.record(clinic.Touched(clinic.KindSeries, id, nil).For(clinic.Audience{DoctorID: of.DoctorID, MadeBy: of.MadeBy}))
	_, err := t.exec(ctx, `UPDATE appointment_series SET version = version + 1, updated_at = ? WHERE id = ?`, t.now, id)
	return err
}

// seriesColumns are those of seriesRow.
const seriesColumns = `id, rule, time_zone, patient_id, doctor_id, start_time, duration_minutes, made_by_key, version, created_at, updated_at`

type seriesRow struct {
	ID        int64     `db:"id"`
	Rule      string    `db:"rule"`
	Zone      string    `db:"time_zone"`
	PatientID int64     `db:"patient_id"`
	DoctorID  int64     `db:"doctor_id"`
	Start     time.Time `db:"start_time"`
	Duration  minutes   `db:"duration_minutes"`
	MadeBy    *int64    `db:"made_by_key"`
	Version   int64     `db:"version"`
	CreatedAt time.Time `db:"created_at"`
	UpdatedAt time.Time `db:"updated_at"`
}

func (r *seriesRow) series() (clinic.Series, error) {
	zone, err := clinic.LoadZone(r.Zone)
	if err != nil {
		err = fmt.Errorf("series %d: %w", r.ID, err)
	}
	return clinic.Series{
		ID: r.ID, Rule: r.Rule, Zone: zone, PatientID: r.PatientID, DoctorID: r.DoctorID, Start: r.Start,
		Duration: r.Duration.duration(), MadeBy: r.MadeBy, Version: r.Version, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}, err
}
