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

// MaxPlanned bounds the appointments of one plan.
const MaxPlanned = 200

// CreatePlan proposes a new time for each appointment of a doctor that is scheduled or
// confirmed, has not begun and overlaps an interval: the nearest one, up to horizon after
// the interval, with the doctor or a colleague of the specialization. It changes no calendar.
//
// The number of statements does not depend on the number of appointments or doctors. No
// lock: applying the plan decides each time again.
//
// Errors: clinic.ErrDoctorNotFound, clinic.CodeTooManyVisits.
func (s *Store) CreatePlan(ctx context.Context, req Request, doctorID int64, away clinic.Interval, horizon time.Duration) (clinic.Plan, error) {
	var p clinic.Plan
	err := s.inTx(ctx, req, "create plan", func(t *tx) error {
		var specialization string
		err := t.GetContext(ctx, &specialization, `SELECT specialization FROM doctors WHERE id = ?`, doctorID)
		if errors.Is(err, sql.ErrNoRows) {
			return clinic.ErrDoctorNotFound
		}
		if err != nil {
			return err
		}
		visits, err := readVisitsToPlan(ctx, t, doctorID, away)
		if err != nil {
			return err
		}
		if len(visits) > MaxPlanned {
			return clinic.ErrTooManyVisits
		}
		window := clinic.PlanWindow(visits, away, horizon)
		c, err := readCalendars(ctx, t, doctorID, specialization, visits, window, s.zone)
		if err != nil {
			return err
		}
		for i := range c.Schedules {
			if c.Schedules[i].DoctorID == doctorID {
				c.Schedules[i].Off = append(c.Schedules[i].Off, away)
			}
		}
		p = clinic.Plan{
			DoctorID: doctorID, Time: away, Version: 1, CreatedAt: t.now, UpdatedAt: t.now,
			Items: clinic.Propose(c, visits, window.End, s.zone),
		}
		p.ID, err = t.insert(ctx, `
			INSERT INTO plans (doctor_id, start_time, end_time, version, created_at, updated_at)
			VALUES (?, ?, ?, ?, ?, ?)`, p.DoctorID, p.Time.Start, p.Time.End, p.Version, p.CreatedAt, p.UpdatedAt)
		if err != nil {
			return err
		}
		t.record(clinic.Created(clinic.KindPlan, p.ID, clinic.Plan{DoctorID: p.DoctorID, Time: p.Time}))
		return insertPlanItems(ctx, t, p)
	}, &p)
	return p, err
}

// Plan returns a plan with the current state of its appointments. Errors:
// clinic.ErrPlanNotFound.
func (s *Store) Plan(ctx context.Context, req Request, id int64) (clinic.Plan, error) {
	p, err := readPlan(ctx, s.db, id)
	if err != nil {
		return p, translate(ctx, "read plan", err)
	}
	return p, s.recordRead(ctx, req, clinic.KindPlan, 0, idsOf(p.Items, func(i clinic.PlanItem) int64 { return i.Visit.PatientID })...)
}

// PlanSelection says which items of a plan to apply, and how.
type PlanSelection struct {
	Only     []int64 // ids of appointments; none: all
	Together bool    // reschedule all or none, in one transaction
}

// ApplyPlan reschedules the selected appointments of a plan to the proposed times, each by
// the rules of a reschedule. It skips an appointment that has changed since the plan was
// made, or that the plan has already rescheduled.
//
// It uses one transaction per appointment, or one in total with Together.
//
// Errors: clinic.ErrPlanNotFound, clinic.ErrPreconditionFailed;
// clinic.CodePlanNotApplied, with the report, if Together was set and an appointment could
// not be rescheduled.
func (s *Store) ApplyPlan(ctx context.Context, req Request, id int64, selected PlanSelection, match Versions) (clinic.Plan, error) {
	p, err := s.applyPlan(ctx, req, id, selected, match)
	s.offerAfterCommit(ctx, req)
	return p, err
}

func (s *Store) applyPlan(ctx context.Context, req Request, id int64, selected PlanSelection, match Versions) (clinic.Plan, error) {
	var stored clinic.Plan
	if replayed, err := s.replayedAnswer(ctx, req, &stored); err != nil || replayed {
		return stored, err // before reading anything that the first execution has changed
	}
	p, err := s.Plan(ctx, req, id)
	if err != nil {
		return p, err
	}
	if err := match.check(p.Version); err != nil {
		return p, err
	}
	if err := checkSelection(p, selected.Only); err != nil {
		return p, err
	}
	chosen := make([]int, 0, len(p.Items)) // indices
	for i := range p.Items {
		item := &p.Items[i]
		switch {
		case len(selected.Only) > 0 && !slices.Contains(selected.Only, item.Visit.ID):
			if item.Outcome == clinic.PlanOpen {
				item.Outcome = clinic.PlanNotSelected
			}
		case item.Outcome == clinic.PlanOpen:
			chosen = append(chosen, i)
		}
	}
	req.CountWork(clinic.WorkAppointments, len(chosen))
	chosen = clinic.PlanOrder(p.Items, chosen)
	if selected.Together {
		err = s.applyTogether(ctx, req, &p, chosen)
		return p, err
	}
	// Of these transactions only the last, countApplied's, has an answer: so the whole
	// plan's is kept under the idempotency key, not that of one visit.
	for _, i := range chosen {
		if err := s.applyOne(ctx, req, p.ID, &p.Items[i]); err != nil {
			return p, afterMoves(p, chosen, err)
		}
	}
	counted, err := s.countApplied(ctx, req, p)
	return counted, afterMoves(p, chosen, err)
}

// checkSelection rejects appointments that are not in the plan.
func checkSelection(p clinic.Plan, only []int64) error {
	for i, id := range only {
		if !slices.ContainsFunc(p.Items, func(item clinic.PlanItem) bool { return item.Visit.ID == id }) {
			return clinic.Invalid(clinic.Violation{Pointer: fmt.Sprintf("#/appointment_ids/%d", i), Code: "invalid", Detail: "must be an appointment of the plan"})
		}
	}
	return nil
}

// afterMoves returns the error of a plan that is applied one by one: once an appointment was
// rescheduled, the error must not say that nothing was changed. A retry applies the rest.
func afterMoves(p clinic.Plan, chosen []int, err error) error {
	moved := slices.ContainsFunc(chosen, func(i int) bool { return p.Items[i].Outcome == clinic.PlanMoved })
	if moved && errors.Is(err, clinic.ErrUnavailable) {
		return &clinic.Error{Code: clinic.CodeOutcomeUnknown, Cause: err}
	}
	return err
}

// applyOne reschedules one appointment in its own transaction.
func (s *Store) applyOne(ctx context.Context, req Request, planID int64, item *clinic.PlanItem) error {
	var moved clinic.Appointment
	err := s.runUseCase(ctx, req, useCase{
		act:        "apply item of plan",
		offerLater: true, // an earlier appointment may free the time that a later one needs
		body: func(t *tx) error {
			a, err := lockAppointment(ctx, t, item.Visit.ID, item.Proposal.DoctorID)
			if err != nil {
				return err
			}
			if err := s.applyItem(ctx, t, planID, *item, &a); err != nil {
				return err
			}
			moved = a
			return nil
		},
		explain: func(q *snapshot) error {
			return s.explainReschedule(ctx, q, item.Visit.ID, item.Reschedule(), Versions{item.Visit.Version})
		},
	})
	return settle(item, moved, err)
}

// settle records the result of rescheduling an appointment. It returns an error that does
// not concern this appointment.
func settle(item *clinic.PlanItem, moved clinic.Appointment, err error) error {
	var refusal *clinic.Error
	switch {
	case err == nil:
		item.Outcome, item.Visit = clinic.PlanMoved, moved
	case errors.Is(err, clinic.ErrPreconditionFailed):
		item.Outcome = clinic.PlanChanged
	case errors.Is(err, clinic.ErrUnavailable) || errors.Is(err, clinic.ErrOutcomeUnknown):
		return err
	case errors.As(err, &refusal):
		item.Outcome, item.Refusal = clinic.PlanRefused, refusal
	default:
		return err
	}
	return nil
}

// applyItem reschedules an appointment. The caller holds its guards and the guard of the
// proposed doctor.
func (s *Store) applyItem(ctx context.Context, t *tx, planID int64, item clinic.PlanItem, a *clinic.Appointment) error {
	if a.Version != item.Visit.Version {
		return clinic.ErrPreconditionFailed
	}
	if err := s.reschedule(ctx, t, a, item.Reschedule()); err != nil {
		return err
	}
	_, err := t.exec(ctx, `UPDATE plan_items SET moved = 1 WHERE plan_id = ? AND appointment_id = ?`, planID, a.ID)
	return err
}

// applyTogether reschedules all chosen appointments in one transaction.
//
// Guards, in lock order: all doctors, all patients, all rooms, ids ascending
// within each; then appointment by appointment as a reschedule does.
func (s *Store) applyTogether(ctx context.Context, req Request, p *clinic.Plan, chosen []int) error {
	before := slices.Clone(p.Items)
	return s.runUseCase(ctx, req, useCase{
		act:        "apply plan",
		offerLater: true,
		body: func(t *tx) error {
			copy(p.Items, before) // a retry starts anew
			if err := t.guardPlan(ctx, p, chosen); err != nil {
				return err
			}
			whole := true
			for _, i := range chosen {
				item := &p.Items[i]
				a, err := readAppointment(ctx, t, item.Visit.ID)
				if err == nil {
					err = s.applyItem(ctx, t, p.ID, *item, &a)
				}
				var refusal *clinic.Error
				if err != nil && !errors.As(err, &refusal) {
					return err
				}
				if err := settle(item, a, err); err != nil {
					return err
				}
				whole = whole && item.Outcome == clinic.PlanMoved
			}
			if !whole {
				for i := range p.Items { // is rolled back
					if p.Items[i].Outcome == clinic.PlanMoved {
						p.Items[i] = before[i]
					}
				}
				return &clinic.Error{Code: clinic.CodePlanNotApplied, Report: p.Items}
			}
			t.record(clinic.Touched(clinic.KindPlan, p.ID, clinic.Plan{DoctorID: p.DoctorID, Time: p.Time}))
			p.Version++
			p.UpdatedAt = t.now
			_, err := t.exec(ctx, `UPDATE plans SET version = version + 1, updated_at = ? WHERE id = ?`, t.now, p.ID)
			return err
		},
	}, p)
}

// countApplied increments the plan's version after its appointments were rescheduled one by one.
func (s *Store) countApplied(ctx context.Context, req Request, p clinic.Plan) (clinic.Plan, error) {
	err := s.inTx(ctx, req, "update plan", func(t *tx) error {
		t.record(clinic.Touched(clinic.KindPlan, p.ID, clinic.Plan{DoctorID: p.DoctorID, Time: p.Time}))
		if _, err := t.exec(ctx, `UPDATE plans SET version = version + 1, updated_at = ? WHERE id = ?`, t.now, p.ID); err != nil {
			return err
		}
		p.UpdatedAt = t.now
		return t.GetContext(ctx, &p.Version, `SELECT version FROM plans WHERE id = ?`, p.ID)
	}, &p)
	return p, err
}

// readAppointment reads an appointment, within reach or not. Primary key.
func readAppointment(ctx context.Context, q sqlx.QueryerContext, id int64) (clinic.Appointment, error) {
	var row appointmentRow
	err := sqlx.GetContext(ctx, q, &row, `SELECT `+appointmentColumns+` FROM appointments WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return clinic.Appointment{}, clinic.ErrAppointmentNotFound
	}
	return row.appointment(), err
}

func insertPlanItems(ctx context.Context, t *tx, p clinic.Plan) error {
	if len(p.Items) == 0 {
		return nil
	}
	var args []any
	for _, item := range p.Items {
		var start *time.Time
		var doctor *int64
		if item.Proposal != nil {
			start, doctor = &item.Proposal.Time.Start, &item.Proposal.DoctorID
		}
		args = append(args, p.ID, item.Visit.ID, item.Visit.Version, start, doctor, item.RoomID)
	}
	// Safety: the text is a constant and placeholders.
	_, err := t.exec(ctx, `
		INSERT INTO plan_items (plan_id, appointment_id, appointment_version, start_time, doctor_id, room_id)
		VALUES (?, ?, ?, ?, ?, ?)`+strings.Repeat(`, (?, ?, ?, ?, ?, ?)`, len(p.Items)-1), args...)
	return err
}

// readPlan reads a plan and its items with their current appointments, by the
// primary keys of the three tables.
func readPlan(ctx context.Context, q sqlx.QueryerContext, id int64) (clinic.Plan, error) {
	var p struct {
		DoctorID  int64     `db:"doctor_id"`
		Start     time.Time `db:"start_time"`
		End       time.Time `db:"end_time"`
		Version   int64     `db:"version"`
		CreatedAt time.Time `db:"created_at"`
		UpdatedAt time.Time `db:"updated_at"`
	}
	err := sqlx.GetContext(ctx, q, &p, `SELECT doctor_id, start_time, end_time, version, created_at, updated_at FROM plans WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return clinic.Plan{}, clinic.ErrPlanNotFound
	}
	if err != nil {
		return clinic.Plan{}, err
	}
	plan := clinic.Plan{
		ID: id, DoctorID: p.DoctorID, Time: clinic.Interval{Start: p.Start, End: p.End},
		Version: p.Version, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt,
	}
	var items []struct {
		AppointmentID int64      `db:"appointment_id"`
		Version       int64      `db:"appointment_version"`
		Start         *time.Time `db:"start_time"`
		DoctorID      *int64     `db:"doctor_id"`
		RoomID        *int64     `db:"room_id"`
		Moved         bool       `db:"moved"`
	}
	err = sqlx.SelectContext(ctx, q, &items, `
		SELECT appointment_id, appointment_version, start_time, doctor_id, room_id, moved
		FROM plan_items
		WHERE plan_id = ?`, id)
	if err != nil {
		return plan, err
	}
	var rows []appointmentRow
	err = sqlx.SelectContext(ctx, q, &rows, `
		SELECT `+appointmentColumns+`
		FROM appointments
		WHERE id IN (SELECT appointment_id FROM plan_items WHERE plan_id = ?)
		ORDER BY start_time, id`, id)
	if err != nil {
		return plan, err
	}
	for i := range rows {
		for _, it := range items {
			if it.AppointmentID != rows[i].ID {
				continue
			}
			item := clinic.PlanItem{Visit: rows[i].appointment(), RoomID: it.RoomID, Outcome: clinic.PlanImpossible}
			if it.Start != nil && it.DoctorID != nil {
				length := item.Visit.Time.End.Sub(item.Visit.Time.Start)
				item.Proposal = &clinic.Slot{DoctorID: *it.DoctorID, Time: clinic.Interval{Start: *it.Start, End: it.Start.Add(length)}}
				item.Outcome = clinic.PlanOpen
			}
			switch {
			case it.Moved:
				item.Outcome = clinic.PlanMoved
			case item.Visit.Version != it.Version:
				item.Outcome = clinic.PlanChanged
			}
			plan.Items = append(plan.Items, item)
		}
	}
	return plan, nil
}
