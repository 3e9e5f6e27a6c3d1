package store

import (
	"context"
	"errors"
	"time"

	"mems/internal/clinic"
)

// CreateSeries books the dates of a recurring appointment in one transaction, each by the
// rules of a booking: all of them, or with Skip those that can be. It returns the result of
// each date.
//
// Statements, in lock order: write the guard rows of the doctor and the patient
// once; read what decides of all dates (series_calendar.go), a fixed number of
// statements; insert the series; then date by date the room's guard and the inserts
// of a booking, for at most clinic.MaxSeriesDates dates. The locking reads only find
// rows of parties whose guards are held, so continuing after a refusal cannot deadlock.
// Without Skip, the first refusal under the guards ends the transaction, and the report is
// made on a snapshot.
//
// Errors: clinic.CodeSeriesConflict, with the report, when a date cannot be booked
// or, with Skip, none can; clinic.CodeForbidden, clinic.CodeValidationFailed,
// clinic.ErrStartInPast,
// and those errors of decide that are not slot conflicts.
func (s *Store) CreateSeries(ctx context.Context, req Request, asked clinic.SeriesBooking) (clinic.Series, []clinic.SeriesDate, error) {
	b, skip := asked.Booking, asked.Skip
	rule, zone, starts, err := s.prepareSeries(req, &b, asked)
	if err != nil {
		return clinic.Series{}, nil, err
	}
	var series clinic.Series
	var dates []clinic.SeriesDate
	// All or none: most refusals are found without guards.
	err = s.runUseCase(ctx, req, useCase{
		act:    "create series",
		wanted: wantedTime{unknown: !skip},
		body: func(t *tx) error {
			series = clinic.Series{
				Rule: rule.String(), Zone: zone, PatientID: b.PatientID, DoctorID: b.DoctorID, Start: starts[0],
				MadeBy: req.Access.MadeBy(), Version: 1, CreatedAt: t.now, UpdatedAt: t.now,
			}
			dates = nil
			if err := s.checkSeriesStarts(req, t.now, b, starts); err != nil {
				return err
			}
			c, err := t.guardParties(ctx, b)
			if err != nil {
				return err
			}
			p, calendar, err := s.readSeriesCalendar(ctx, &t.queries, c, b, starts, !skip)
			if err != nil {
				return err
			}
			for _, start := range starts {
				date := b // each starts from the request
				date.Start = start
				broken, err := s.decideWith(ctx, t.decider(), c, &date, 0, p, calendar)
				if isSlotConflict(err) {
					dates = append(dates, refusedDate(start, err))
					if !skip {
						return refusedSeries(dates) // the whole report is made without guards
					}
					continue
				}
				if err != nil {
					return err
				}
				calendar.add(date)
				if series.ID == 0 {
					series.Duration = date.Duration
					if series.ID, err = insertSeries(ctx, t, series); err != nil {
						return err
					}
					t.record(clinic.Created(clinic.KindSeries, series.ID, series))
				}
				date.SeriesID = &series.ID
				a, err := placeBooking(ctx, t, date, broken)
				if err != nil {
					return err
				}
				dates = append(dates, clinic.SeriesDate{Start: start, Appointment: &a})
			}
			if series.ID == 0 {
				return refusedSeries(dates)
			}
			return nil
		},
		explain: func(q *snapshot) error {
			return s.explainSeries(ctx, q, b, starts, skip)
		},
	}, &series, &dates)
	if err != nil {
		return clinic.Series{}, nil, err
	}
	for _, d := range dates {
		if d.Appointment != nil {
			series.Appointments = append(series.Appointments, *d.Appointment)
		}
	}
	return series, dates, nil
}

// PreviewSeries decides every date of a series on a snapshot, and books none. Errors: those
// of CreateSeries but CodeSeriesConflict.
func (s *Store) PreviewSeries(ctx context.Context, req Request, asked clinic.SeriesBooking) ([]clinic.SeriesDate, error) {
	b := asked.Booking
	_, _, starts, err := s.prepareSeries(req, &b, asked)
	if err != nil {
		return nil, err
	}
	q, err := s.snapshot(ctx, req)
	if err != nil {
		return nil, translate(ctx, "preview series", err)
	}
	defer q.end()
	dates, _, err := s.decideSeries(ctx, q, b, starts)
	return dates, translate(ctx, "preview series", err)
}

// prepareSeries checks what can be checked without the database, completes the booking of
// the first date, and returns the starts of all dates.
func (s *Store) prepareSeries(req Request, b *clinic.Booking, asked clinic.SeriesBooking) (clinic.Recurrence, *time.Location, []time.Time, error) {
	b.Normalize()
	if err := b.Override.CheckAccess(req.Access); err != nil {
		return clinic.Recurrence{}, nil, nil, err
	}
	rule, zone, err := asked.Parse(s.zone)
	if err != nil {
		return rule, nil, nil, err
	}
	if err := b.Validate(); err != nil {
		return rule, nil, nil, err
	}
	starts, err := rule.Starts(b.Start, zone)
	if err != nil {
		return rule, nil, nil, err
	}
	req.CountWork(clinic.WorkAppointments, len(starts))
	b.Start = starts[0]
	return rule, zone, starts, req.Access.Reach.CheckCalendar(b.DoctorID)
}

// explainSeries returns the refusal of a series with the report on all dates, nil when it
// can be booked.
func (s *Store) explainSeries(ctx context.Context, q *snapshot, b clinic.Booking, starts []time.Time, skip bool) error {
	dates, refused, err := s.decideSeries(ctx, q, b, starts)
	if err != nil {
		return err
	}
	if refused > 0 && (!skip || refused == len(starts)) {
		return refusedSeries(dates)
	}
	return nil
}

// decideSeries decides every date of a series on a snapshot and counts those that are
// refused.
func (s *Store) decideSeries(ctx context.Context, q *snapshot, b clinic.Booking, starts []time.Time) ([]clinic.SeriesDate, int, error) {
	if err := s.checkSeriesStarts(q.req, q.now, b, starts); err != nil {
		return nil, 0, err
	}
	c, err := q.parties(ctx, b)
	if err != nil {
		return nil, 0, err
	}
	p, calendar, err := s.readSeriesCalendar(ctx, &q.queries, c, b, starts, false)
	if err != nil {
		return nil, 0, err
	}
	refused := 0
	dates := make([]clinic.SeriesDate, len(starts))
	for i, start := range starts {
		date := b // each starts from the request
		date.Start = start
		_, err := s.decideWith(ctx, q.decider(), c, &date, 0, p, calendar)
		err = s.withAlternatives(ctx, q, err, p, date, 0)
		switch {
		case err == nil:
			calendar.add(date)
			dates[i] = clinic.SeriesDate{Start: start}
		case isSlotConflict(err):
			refused++
			dates[i] = refusedDate(start, err)
		default:
			return nil, 0, err
		}
	}
	return dates, refused, nil
}

// checkSeriesStarts is checkStart for a series: a partner's last date is the farthest.
func (s *Store) checkSeriesStarts(req Request, now time.Time, b clinic.Booking, starts []time.Time) error {
	if err := s.checkStart(req, now, b); err != nil {
		return err
	}
	return s.partners.Check(now, req.Access, starts[len(starts)-1])
}

// refusedDate returns the result of a date that cannot be booked.
func refusedDate(start time.Time, err error) clinic.SeriesDate {
	refusal, _ := errors.AsType[*clinic.Error](err)
	return clinic.SeriesDate{Start: start, Refusal: refusal}
}

// refusedSeries returns the refusal of a series with the report. The caller rolls back.
func refusedSeries(dates []clinic.SeriesDate) error {
	for i := range dates {
		dates[i].Appointment = nil
	}
	return &clinic.Error{Code: clinic.CodeSeriesConflict, Dates: dates}
}

func insertSeries(ctx context.Context, t *tx, s clinic.Series) (int64, error) {
	return t.insert(ctx, `
		INSERT INTO appointment_series (rule, time_zone, patient_id, doctor_id, start_time, duration_minutes,
		                                made_by_key, version, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		s.Rule, s.Zone.String(), s.PatientID, s.DoctorID, s.Start, s.Duration/time.Minute, s.MadeBy, s.Version, s.CreatedAt, s.UpdatedAt)
}
