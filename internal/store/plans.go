package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// MaxPlanned bounds the visits of one plan.
const MaxPlanned = 200

// CreatePlan proposes a new time for every visit of a doctor that is scheduled
// or confirmed, has not begun and touches an interval: the nearest one, up to
// horizon after the interval, with the doctor or a colleague of the
// specialization. It changes no calendar.
//
// The number of statements does not depend on the number of visits or doctors.
// No lock: the times are decided on again when the plan is applied.
//
// Errors: clinic.ErrDoctorNotFound, clinic.CodeTooManyVisits.
func (s *Store) CreatePlan(ctx context.Context, doctorID int64, away clinic.Interval, horizon time.Duration) (clinic.Plan, error) {
	var p clinic.Plan
	err := s.inTx(ctx, func(t *tx) error {
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
		until := away.End.Add(horizon)
		c, err := readCalendars(ctx, t, specialization, visits, clinic.Interval{Start: t.now, End: until})
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
			Items: clinic.Propose(c, visits, until, s.zone),
		}
		p.ID, err = t.insert(ctx, `
			INSERT INTO plans (doctor_id, start_time, end_time, version, created_at, updated_at)
			VALUES (?, ?, ?, ?, ?, ?)`, p.DoctorID, p.Time.Start, p.Time.End, p.Version, p.CreatedAt, p.UpdatedAt)
		if err != nil {
			return err
		}
		t.record(ctx, "plan", p.ID, 0, nil, clinic.Plan{DoctorID: p.DoctorID, Time: p.Time}, nil)
		return insertPlanItems(ctx, t, p)
	}, &p)
	return p, err
}

// Plan reads a plan with its visits as they are now. Errors:
// clinic.ErrPlanNotFound.
func (s *Store) Plan(ctx context.Context, id int64) (clinic.Plan, error) {
	p, err := readPlan(ctx, s.db, id)
	if err != nil {
		return p, translate(ctx, err)
	}
	return p, s.recordRead(ctx, "plan", 0, idsOf(p.Items, func(i clinic.PlanItem) int64 { return i.Visit.PatientID })...)
}

// ApplyPlan moves the visits of a plan to the proposed times, those with the ids
// given or, with none, all; each by the rules of a reschedule. A visit that has
// changed since the plan was made is left alone, and one that was moved by it
// before is not moved again.
//
// One transaction a visit; or, with atomically, one for all: then either all are
// moved or none is.
//
// Errors: clinic.ErrPlanNotFound, clinic.ErrPreconditionFailed;
// clinic.CodePlanNotApplied, with the report, when not all could be moved
// atomically.
func (s *Store) ApplyPlan(ctx context.Context, id int64, only []int64, atomically bool, match Versions) (clinic.Plan, error) {
	var given clinic.Plan
	if found, err := s.given(ctx, &given); err != nil || found {
		return given, err // before anything is looked at that it has changed
	}
	p, err := s.Plan(ctx, id)
	if err != nil {
		return p, err
	}
	if err := match.check(p.Version); err != nil {
		return p, err
	}
	chosen := make([]int, 0, len(p.Items)) // indices
	for i := range p.Items {
		item := &p.Items[i]
		switch {
		case len(only) > 0 && !slices.Contains(only, item.Visit.ID):
			if item.Outcome == clinic.PlanOpen {
				item.Outcome = clinic.PlanNotSelected
			}
		case item.Outcome == clinic.PlanOpen:
			chosen = append(chosen, i)
		}
	}
	if atomically {
		err = s.applyTogether(ctx, &p, chosen)
		return p, err
	}
	for _, i := range chosen {
		if err := s.applyOne(ctx, p.ID, &p.Items[i]); err != nil {
			return p, err
		}
	}
	return s.countApplied(ctx, p)
}

// applyOne moves one visit in a transaction of its own.
func (s *Store) applyOne(ctx context.Context, planID int64, item *clinic.PlanItem) error {
	var moved clinic.Appointment
	err := s.inTx(ctx, func(t *tx) error {
		a, err := lockAppointment(ctx, t, item.Visit.ID, item.Proposal.DoctorID)
		if err != nil {
			return err
		}
		if err := s.applyItem(ctx, t, planID, *item, &a); err != nil {
			return err
		}
		moved = a
		return nil
	})
	return settle(item, moved, err)
}

// settle notes what came of moving a visit; an error that is no answer about
// this visit comes back.
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

// applyItem moves a visit whose guards are held, and its proposed doctor's.
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

// applyTogether moves all chosen visits in one transaction.
//
// Guards, in lock order: all doctors, all patients, all rooms, ids ascending
// within each; then visit by visit as a reschedule does.
func (s *Store) applyTogether(ctx context.Context, p *clinic.Plan, chosen []int) error {
	before := slices.Clone(p.Items)
	err := s.inTx(ctx, func(t *tx) error {
		copy(p.Items, before) // another attempt starts anew
		if err := guardPlan(ctx, t, p, chosen); err != nil {
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
			return &clinic.Error{Code: clinic.CodePlanNotApplied}
		}
		t.record(ctx, "plan", p.ID, 0, struct{}{}, clinic.Plan{DoctorID: p.DoctorID, Time: p.Time}, nil)
		p.Version++
		p.UpdatedAt = t.now
		_, err := t.exec(ctx, `UPDATE plans SET version = version + 1, updated_at = ? WHERE id = ?`, t.now, p.ID)
		return err
	}, p)
	if errors.Is(err, clinic.ErrPlanNotApplied) {
		for i := range p.Items { // rolled back
			if item := &p.Items[i]; item.Outcome == clinic.PlanMoved && before[i].Outcome != clinic.PlanMoved {
				item.Outcome = clinic.PlanOpen
			}
		}
		return &clinic.Error{Code: clinic.CodePlanNotApplied, Report: p.Items}
	}
	return err
}

func guardPlan(ctx context.Context, t *tx, p *clinic.Plan, chosen []int) error {
	doctors, patients, rooms := []int64{p.DoctorID}, []int64{}, []int64{}
	for _, i := range chosen {
		item := p.Items[i]
		doctors = append(doctors, item.Proposal.DoctorID)
		patients = append(patients, item.Visit.PatientID)
		if item.RoomID != nil {
			rooms = append(rooms, *item.RoomID)
		}
	}
	for _, party := range []struct {
		ids   []int64
		guard func(context.Context, *tx, int64) (bool, error)
	}{{doctors, guardDoctor}, {patients, guardPatient}, {rooms, guardRoom}} {
		slices.Sort(party.ids)
		for _, id := range slices.Compact(party.ids) {
			if _, err := party.guard(ctx, t, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// countApplied counts that visits of the plan were moved one by one.
func (s *Store) countApplied(ctx context.Context, p clinic.Plan) (clinic.Plan, error) {
	err := s.inTx(ctx, func(t *tx) error {
		t.record(ctx, "plan", p.ID, 0, struct{}{}, clinic.Plan{DoctorID: p.DoctorID, Time: p.Time}, nil)
		if _, err := t.exec(ctx, `UPDATE plans SET version = version + 1, updated_at = ? WHERE id = ?`, t.now, p.ID); err != nil {
			return err
		}
		p.UpdatedAt = t.now
		return t.GetContext(ctx, &p.Version, `SELECT version FROM plans WHERE id = ?`, p.ID)
	}, &p)
	return p, err
}

// readAppointment reads an appointment whose guards are held.
func readAppointment(ctx context.Context, t *tx, id int64) (clinic.Appointment, error) {
	var row appointmentRow
	err := t.GetContext(ctx, &row, `SELECT `+appointmentColumns+` FROM appointments WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return clinic.Appointment{}, clinic.ErrAppointmentNotFound
	}
	return row.appointment(), err
}

// readVisitsToPlan reads the visits of a doctor that touch an interval, can
// still be moved and have not begun, by start. Index appointments_doctor. One
// more than MaxPlanned tells that there are too many.
func readVisitsToPlan(ctx context.Context, t *tx, doctorID int64, away clinic.Interval) ([]clinic.Appointment, error) {
	var rows []appointmentRow
	err := t.SelectContext(ctx, &rows, `
		SELECT `+appointmentColumns+`
		FROM appointments
		WHERE doctor_id = ? AND start_time > ? AND start_time < ? AND end_time > ? AND start_time > ?
		  AND status IN ('scheduled', 'confirmed')
		ORDER BY start_time, id
		LIMIT ?`, doctorID, away.Start.Add(-clinic.MaxDuration), away.End, away.Start, t.now, MaxPlanned+1)
	visits := make([]clinic.Appointment, len(rows))
	for i := range rows {
		visits[i] = rows[i].appointment()
	}
	return visits, err
}

// readCalendars reads everything that decides where visits can go: the active
// doctors of a specialization with their hours, time off and occupied times, the
// patients', and the active rooms'. The visits themselves are in nobody's way.
func readCalendars(ctx context.Context, t *tx, specialization string, visits []clinic.Appointment, window clinic.Interval) (clinic.Calendars, error) {
	c := clinic.Calendars{PatientBusy: map[int64][]clinic.Interval{}, RoomBusy: map[int64][]clinic.Interval{}}
	r := &reader{q: t, now: t.now, kind: &clinic.AppointmentType{}}
	r.slot.NeedsRoom = true
	if err := r.readDoctors(ctx, nil, specialization); err != nil || len(visits) == 0 {
		return c, err
	}
	if err := r.readRules(ctx, window); err != nil {
		return c, err
	}
	var err error
	if c.Types, err = readTypes(ctx, t, visits); err != nil {
		return c, err
	}
	var moving, patients []int64
	for _, v := range visits {
		moving, patients = append(moving, v.ID), append(patients, v.PatientID)
	}
	doctorBusy, err := busyTimesButFor(ctx, t, `doctor_id`, r.doctors, moving, window)
	if err != nil {
		return c, err
	}
	held, err := heldTimes(ctx, t, window)
	if err != nil {
		return c, err
	}
	if c.PatientBusy, err = busyTimesButFor(ctx, t, `patient_id`, patients, moving, window); err != nil {
		return c, err
	}
	if len(r.rooms) > 0 {
		if c.RoomBusy, err = busyTimesButFor(ctx, t, `room_id`, r.rooms, moving, window); err != nil {
			return c, err
		}
	}
	for _, id := range r.rooms {
		c.RoomBusy[id] = append(c.RoomBusy[id], held.rooms[id]...)
	}
	for _, id := range r.doctors {
		c.Schedules = append(c.Schedules, clinic.Schedule{
			DoctorID: id, Specialization: r.facts[id].Specialization, Hours: r.hours[id],
			Off: slices.Concat(r.off[id], r.off[0]), Busy: slices.Concat(doctorBusy[id], held.doctors[id]),
		})
	}
	return c, nil
}

func readTypes(ctx context.Context, q sqlx.QueryerContext, visits []clinic.Appointment) (map[int64]clinic.AppointmentType, error) {
	ids := []int64{0} // none has it; IN () is not SQL
	for _, v := range visits {
		if v.TypeID != nil {
			ids = append(ids, *v.TypeID)
		}
	}
	statement, args, err := sqlx.In(`SELECT `+typeColumns+` FROM appointment_types WHERE id IN (?)`, ids)
	if err != nil {
		return nil, err
	}
	var rows []typeRow
	if err := sqlx.SelectContext(ctx, q, &rows, statement, args...); err != nil {
		return nil, err
	}
	types := make(map[int64]clinic.AppointmentType, len(rows))
	for i := range rows {
		if types[rows[i].ID], err = rows[i].appointmentType(); err != nil {
			return nil, err
		}
	}
	return types, nil
}

// busyTimesButFor reads the occupied times of several doctors, patients or rooms
// in a window, but for some appointments: with buffers, but for patients. One
// bounded range for each of appointments_doctor, _patient or _room.
//
// Safety: party is one of the three names of columns above.
func busyTimesButFor(ctx context.Context, t *tx, party string, ids, except []int64, window clinic.Interval) (map[int64][]clinic.Interval, error) {
	from, to := reach(clinic.Interval{Start: window.Start, End: window.End.Add(clinic.MaxDuration)})
	buffers := `buffer_before_minutes, buffer_after_minutes`
	if party == `patient_id` {
		buffers = `0, 0`
	}
	statement, args, err := sqlx.In(`
		SELECT `+party+`, start_time, end_time, `+buffers+`
		FROM appointments
		WHERE `+party+` IN (?) AND start_time > ? AND start_time < ?
		  AND status NOT IN ('cancelled', 'no_show', 'left_without_being_seen') AND id NOT IN (?)`, ids, from, to, except)
	if err != nil {
		return nil, err
	}
	return busyByParty(ctx, t, statement, args...)
}

func busyByParty(ctx context.Context, q sqlx.QueryerContext, statement string, args ...any) (map[int64][]clinic.Interval, error) {
	rows, err := q.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err below has what matters
	busy := map[int64][]clinic.Interval{}
	for rows.Next() {
		var id int64
		var i clinic.Interval
		var before, after minutes
		if err := rows.Scan(&id, &i.Start, &i.End, &before, &after); err != nil {
			return nil, err
		}
		busy[id] = append(busy[id], clinic.Interval{Start: i.Start.Add(-before.duration()), End: i.End.Add(after.duration())})
	}
	return busy, rows.Err()
}

type heldByParty struct {
	doctors, rooms map[int64][]clinic.Interval
}

// heldTimes reads every live hold of a window: there are never many.
func heldTimes(ctx context.Context, t *tx, window clinic.Interval) (held heldByParty, err error) {
	from, to := reach(clinic.Interval{Start: window.Start, End: window.End.Add(clinic.MaxDuration)})
	const columns = `start_time, end_time, buffer_before_minutes, buffer_after_minutes
		FROM holds
		WHERE expires_at > ? AND start_time > ? AND start_time < ?`
	if held.doctors, err = busyByParty(ctx, t, `SELECT doctor_id, `+columns, t.now, from, to); err != nil {
		return held, err
	}
	held.rooms, err = busyByParty(ctx, t, `SELECT room_id, `+columns+` AND room_id IS NOT NULL`, t.now, from, to)
	return held, err
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

// readPlan reads a plan and its items with the visits as they are now, by the
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
