package store

import (
	"context"

	"mems/internal/clinic"
)

// affectedAhead reads the appointments of a calendar that have not begun and that
// no longer fit, by start, at most maxAffected; party is the column of the doctor
// or the room, whose guard is held. Index appointments_doctor or appointments_room,
// a page at a time.
//
// Safety: party is one of two constants.
func (t *tx) affectedAhead(ctx context.Context, party string, id int64, fits func(clinic.Appointment) bool) ([]clinic.Appointment, error) {
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
			if after = (After{Start: a.Time.Start, ID: a.ID}); fits(a) {
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

// nothingFits is for a calendar that takes nothing any more.
func nothingFits(clinic.Appointment) bool { return false }
