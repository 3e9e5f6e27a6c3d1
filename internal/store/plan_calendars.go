package store

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// readVisitsToPlan reads the appointments of a doctor that overlap an interval, can still be
// rescheduled and have not begun, by start: at most one more than MaxPlanned, to detect that
// there are too many. Index appointments_doctor.
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
// patients', and the active rooms'. The planned appointments themselves do not count as occupied.
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
	t.req.CountWork(clinic.WorkDoctorDays, len(r.doctors)*(int(window.End.Sub(window.Start)/(24*time.Hour))+1))
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
	busy := clinic.Interval{Start: window.Start, End: window.End.Add(clinic.MaxDuration)}
	doctorBusy, err := occupiedTimes{party: doctorParty, ids: r.doctors, window: busy, except: moving}.read(ctx, t)
	if err != nil {
		return c, err
	}
	// There are never many holds: all live ones of the window are read.
	held := occupiedTimes{party: doctorParty, all: true, window: busy, holds: &liveHolds{now: t.now}}
	heldDoctors, err := held.readHeld(ctx, t)
	if err != nil {
		return c, err
	}
	held.party = roomParty
	heldRooms, err := held.readHeld(ctx, t)
	if err != nil {
		return c, err
	}
	if c.PatientBusy, err = (occupiedTimes{party: patientParty, ids: patients, window: busy, except: moving}).read(ctx, t); err != nil {
		return c, err
	}
	if c.RoomBusy, err = (occupiedTimes{party: roomParty, ids: r.rooms, window: busy, except: moving}).read(ctx, t); err != nil {
		return c, err
	}
	for _, id := range r.rooms {
		c.RoomBusy[id] = append(c.RoomBusy[id], heldRooms[id]...)
	}
	for _, id := range r.doctors {
		c.Schedules = append(c.Schedules, clinic.Schedule{
			DoctorID: id, Specialization: r.facts[id].Specialization, Hours: r.hours[id],
			Off: slices.Concat(r.off[id], r.off[0]), Busy: slices.Concat(doctorBusy[id], heldDoctors[id]),
		})
	}
	return c, nil
}

// readPlanDoctors reads the doctor, if active, and at most so many colleagues.
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
	ids := []int64{0} // no record has id 0; IN () is not valid SQL
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
