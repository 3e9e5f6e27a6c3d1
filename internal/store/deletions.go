package store

import (
	"context"
	"slices"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// unlistDoctor removes a doctor who is about to be deleted from the lists of appointment
// types and open waitlist entries.
//
// Lock order: the doctor's row, held; the patients of the entries, ids ascending; the
// entries; the types. A transaction that lists a doctor in a type locks the doctor's row
// first, so no list is missed.
func (s *Store) unlistDoctor(ctx context.Context, t *tx, id int64) error {
	if err := unlistFromWaitlist(ctx, t, id); err != nil {
		return err
	}
	return unlistFromTypes(ctx, t, `SELECT id FROM appointment_types WHERE JSON_CONTAINS(doctor_ids, CAST(? AS CHAR)) ORDER BY id`, id,
		func(k *clinic.AppointmentType) { k.UnlistDoctor(id) })
}

// unlistRoom is unlistDoctor for a room.
func unlistRoom(ctx context.Context, t *tx, id int64) error {
	return unlistFromTypes(ctx, t, `SELECT id FROM appointment_types WHERE JSON_CONTAINS(room_ids, CAST(? AS CHAR)) ORDER BY id`, id,
		func(k *clinic.AppointmentType) { k.UnlistRoom(id) })
}

// unlistFromTypes updates every type that a query selects. Types are few; the query scans
// them without locks.
func unlistFromTypes(ctx context.Context, t *tx, query string, id int64, unlist func(*clinic.AppointmentType)) error {
	var types []int64
	if err := t.SelectContext(ctx, &types, query, id); err != nil {
		return err
	}
	for _, typeID := range types {
		k, err := lockType(ctx, t, typeID)
		if err != nil {
			return err
		}
		before := k
		before.DoctorIDs, before.RoomIDs = slices.Clone(k.DoctorIDs), slices.Clone(k.RoomIDs)
		unlist(&k)
		k.Version++
		k.UpdatedAt = t.now
		if err := updateType(ctx, t, before, k); err != nil {
			return err
		}
	}
	return nil
}

// unlistFromWaitlist removes a doctor from open entries. An entry for this doctor alone
// becomes one for the specialization. An offer of the doctor's time ends with its hold.
func unlistFromWaitlist(ctx context.Context, t *tx, id int64) error {
	var specialization string
	if err := t.GetContext(ctx, &specialization, `SELECT specialization FROM doctors WHERE id = ?`, id); err != nil {
		return err
	}
	// Index waitlist_open (status, id).
	const found = `
		FROM waitlist
		WHERE status IN ('waiting', 'offered') AND (JSON_CONTAINS(doctor_ids, CAST(? AS CHAR)) OR offered_doctor = ?)`
	var patients []int64
	if err := t.SelectContext(ctx, &patients, `SELECT DISTINCT patient_id `+found+` ORDER BY patient_id`, id, id); err != nil || len(patients) == 0 {
		return err
	}
	for _, patient := range patients {
		if _, err := t.guardPatientOf(ctx, patient); err != nil {
			return err
		}
	}
	query, args, err := sqlx.In(`SELECT `+waitlistColumns+found+` AND patient_id IN (?) ORDER BY id FOR UPDATE`, id, id, patients)
	if err != nil {
		return err
	}
	var rows []waitlistRow
	if err := t.SelectContext(ctx, &rows, query, args...); err != nil {
		return err
	}
	for i := range rows {
		e, err := rows[i].entry()
		if err != nil {
			return err
		}
		e.UnlistDoctor(id, specialization)
		if err := updateEntry(ctx, t, e); err != nil {
			return err
		}
		_, err = t.exec(ctx, `UPDATE waitlist SET doctor_ids = ?, specialization = ? WHERE id = ?`, list(e.DoctorIDs), e.Specialization, e.ID)
		if err != nil {
			return err
		}
	}
	return nil
}

// lockListed locks the doctors and rooms that a type will list, ids ascending, so that none
// is deleted before the list is written. Errors: clinic.ErrDoctorNotFound,
// clinic.ErrRoomNotFound.
func (t *tx) lockListed(ctx context.Context, doctors, rooms []int64) error {
	for _, listed := range []struct {
		query   string
		ids     []int64
		missing error
	}{
		{`SELECT id FROM doctors WHERE id IN (?) ORDER BY id FOR UPDATE`, doctors, clinic.ErrDoctorNotFound},
		{`SELECT id FROM rooms WHERE id IN (?) ORDER BY id FOR UPDATE`, rooms, clinic.ErrRoomNotFound},
	} {
		if len(listed.ids) == 0 {
			continue
		}
		query, args, err := sqlx.In(listed.query, listed.ids)
		if err != nil {
			return err
		}
		var there []int64
		if err := t.SelectContext(ctx, &there, query, args...); err != nil {
			return err
		}
		for _, id := range listed.ids {
			if !slices.Contains(there, id) {
				return listed.missing
			}
		}
	}
	return nil
}
