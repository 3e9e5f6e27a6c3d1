package store

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

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

// readCalendars reads everything that decides where visits can go: the doctor and as
// many active colleagues as clinic.PlanColleagues says, before others those whom the
// visits' types name, with their hours, time off and occupied times, the
// patients', and the active rooms'. The visits themselves are in nobody's way.
func readCalendars(ctx context.Context, t *tx, doctorID int64, specialization string, visits []clinic.Appointment, window clinic.Interval, zone *time.Location) (clinic.Calendars, error) {
	c := clinic.Calendars{PatientBusy: map[int64][]clinic.Interval{}, RoomBusy: map[int64][]clinic.Interval{}}
	r := &reader{q: t, now: t.now, kind: &clinic.AppointmentType{}}
	r.slot.NeedsRoom = true
	if len(visits) == 0 {
		return c, nil
	}
	var err error
	if c.Types, err = readTypes(ctx, t, visits); err != nil {
		return c, err
	}
	if err := r.readPlanDoctors(ctx, doctorID, specialization, c.Types, clinic.PlanColleagues(len(visits), window)); err != nil {
		return c, err
	}
	clinic.CountWork(ctx, clinic.WorkDoctorDays, len(r.doctors)*(int(window.End.Sub(window.Start)/(24*time.Hour))+1))
	if err := r.readRules(ctx, window); err != nil {
		return c, err
	}
	if err := r.readUsualHours(ctx, window, zone); err != nil {
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
	if c.RoomBusy, err = busyTimesButFor(ctx, t, `room_id`, r.rooms, moving, window); err != nil {
		return c, err
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

// readPlanDoctors finds the doctor, if active, and at most so many colleagues.
func (r *reader) readPlanDoctors(ctx context.Context, doctorID int64, specialization string, types map[int64]clinic.AppointmentType, colleagues int) error {
	if err := r.readColleagues(ctx, doctorID, specialization, colleagues); err != nil {
		return err
	}
	var named []int64
	for _, kind := range types {
		named = append(named, kind.DoctorIDs...)
	}
	slices.Sort(named)
	if named = slices.Compact(named); len(named) > 0 {
		others := &reader{q: r.q, kind: r.kind}
		if err := others.readDoctors(ctx, named[:min(len(named), colleagues)], specialization); err != nil {
			return err
		}
		maps.Copy(r.facts, others.facts)
		own := 0
		if len(r.doctors) > 0 && r.doctors[0] == doctorID {
			own = 1
		}
		all := slices.Concat(r.doctors[:own], others.doctors)
		for _, id := range r.doctors[own:] {
			if !slices.Contains(all, id) {
				all = append(all, id)
			}
		}
		r.doctors = all[:min(len(all), 1+colleagues)]
	}
	slices.Sort(r.doctors)
	r.doctors = slices.Compact(r.doctors)
	return nil
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
	if len(ids) == 0 { // every doctor has been deactivated, or there are no rooms
		return map[int64][]clinic.Interval{}, nil
	}
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
