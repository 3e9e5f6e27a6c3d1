package store

import (
	"context"

	"mems/internal/clinic"
)

// affectedAhead returns the future appointments of a calendar that no longer fit, by start,
// at most maxAffected; party is the column of the doctor or the room, whose guard is held,
// or of the type. Index appointments_doctor, appointments_room, or appointments_type or
// appointments_start, a page at a time.
//
// Safety: party is one of three constants.
func (t *tx) affectedAhead(ctx context.Context, party string, id int64, fits fits) ([]clinic.Appointment, error) {
	affected := []clinic.Appointment{}
	after := After{Start: t.now}
	for {
		var rows []appointmentRow
		err := t.SelectContext(ctx, &rows, `
			SELECT `+appointmentColumns+`
			FROM appointments
			WHERE `+party+` = ? AND start_time >= ? AND (start_time > ? OR id > ?)
			  AND status IN ('scheduled', 'confirmed', 'checked_in', 'in_progress')
			ORDER BY start_time, id
			LIMIT ?`, id, after.Start, after.Start, after.ID, maxAffected)
		if err != nil {
			return nil, err
		}
		for i := range rows {
			a := rows[i].appointment()
			after = After{Start: a.Time.Start, ID: a.ID}
			if ok, err := fits(a); err != nil {
				return nil, err
			} else if ok {
				continue
			}
			if affected = append(affected, a); len(affected) == maxAffected {
				return affected, nil
			}
		}
		if len(rows) < maxAffected {
			return affected, nil
		}
	}
}

// fits reports whether an appointment still fits after a change.
type fits func(clinic.Appointment) (bool, error)

// nothingFits is for a deactivated calendar.
func nothingFits(clinic.Appointment) (bool, error) { return false, nil }

// affectedByDoctor returns the appointments that no longer fit after a change of their
// doctor: all if the doctor is deactivated, those of types that no longer allow the
// doctor's specialization, and those that exceed a lowered overbook_cap. The guard is held.
func (t *tx) affectedByDoctor(ctx context.Context, before, d clinic.Doctor) ([]clinic.Appointment, error) {
	lowered := d.OverbookCap < before.OverbookCap
	switch {
	case before.IsActive && !d.IsActive:
		return t.affectedAhead(ctx, `doctor_id`, d.ID, nothingFits)
	case d.Specialization == before.Specialization && !lowered:
		return nil, nil
	}
	var rows []typeRow
	if err := t.SelectContext(ctx, &rows, `SELECT `+typeColumns+` FROM appointment_types`); err != nil {
		return nil, err
	}
	refused := map[int64]bool{} // types that the doctor no longer performs
	for i := range rows {
		kind, err := rows[i].appointmentType()
		if err != nil {
			return nil, err
		}
		refused[kind.ID] = kind.Allows(d.ID, before.Specialization) && !kind.Allows(d.ID, d.Specialization)
	}
	return t.affectedAhead(ctx, `doctor_id`, d.ID, func(a clinic.Appointment) (bool, error) {
		if a.TypeID != nil && refused[*a.TypeID] {
			return false, nil
		}
		if !lowered || !a.Broken.DoctorOverlap {
			return true, nil
		}
		overlapped, err := t.occupied(ctx, doctorParty, a.DoctorID, a.Busy(), a.ID)
		return clinic.CountOverlaps(overlapped, a.Busy()) <= d.OverbookCap, err
	})
}

// affectedByType returns the appointments of a type that no longer fit it. The guards of
// all doctors are held.
func (t *tx) affectedByType(ctx context.Context, before, k clinic.AppointmentType) ([]clinic.Appointment, error) {
	var rows []struct {
		ID             int64  `db:"id"`
		Specialization string `db:"specialization"`
	}
	if err := t.SelectContext(ctx, &rows, `SELECT id, specialization FROM doctors`); err != nil {
		return nil, err
	}
	specializations := make(map[int64]string, len(rows))
	for _, r := range rows {
		specializations[r.ID] = r.Specialization
	}
	return t.affectedAhead(ctx, `type_id`, k.ID, func(a clinic.Appointment) (bool, error) {
		return k.StillFits(before, a, specializations[a.DoctorID]), nil
	})
}
