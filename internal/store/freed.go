package store

import (
	"context"
	"time"

	"mems/internal/clinic"
)

// The transaction that frees a time writes it to freed_times; the time is offered to the
// waitlist after the commit. That way each change of a calendar takes only its own guards,
// and if the process dies in between, another one finds the row (waitlist_matching.go).

// freedTime is a time to offer to the waitlist.
type freedTime struct {
	doctor int64 // 0: any
	time   clinic.Interval
	due    time.Time // when it is free; zero: with the commit
	// entries: rules have changed, so each waiting entry is searched a time of its own;
	// the field time is ignored.
	entries bool
	entry   int64 // search a time for this entry only
	room    bool  // a room is free: for entries whose type needs one
	patient int64 // this patient is free: for their own entries
}

// free records that a doctor's time becomes free, buffers included. The caller holds the
// doctor's guard.
func (t *tx) free(doctor int64, time clinic.Interval) {
	t.freed = append(t.freed, freedTime{doctor: doctor, time: time})
}

// freeLater records that a doctor's time becomes free at due, unless it is taken by then.
func (t *tx) freeLater(doctor int64, time clinic.Interval, due time.Time) {
	t.freed = append(t.freed, freedTime{doctor: doctor, time: time, due: due})
}

// freeRoom records that a room becomes free, for any doctor.
func (t *tx) freeRoom(time clinic.Interval) {
	t.freed = append(t.freed, freedTime{time: time, room: true})
}

// freePatient records that a patient becomes free; a doctor may have been free already.
func (t *tx) freePatient(patient int64, time clinic.Interval) {
	t.freed = append(t.freed, freedTime{patient: patient, time: time})
}

// freeByRule records that a doctor, or with 0 any doctor, can be booked at more times than
// before: hours were added, time off was deleted, a doctor or a room was reactivated.
func (t *tx) freeByRule(doctor int64) {
	t.freed = append(t.freed, freedTime{doctor: doctor, entries: true})
}

// freeForEntry records that an entry waits again, for any free time.
func (t *tx) freeForEntry(id int64) { t.freed = append(t.freed, freedTime{entry: id}) }

// freeOf records the times that a changed appointment no longer occupies.
func (t *tx) freeOf(before, a clinic.Appointment) {
	if !before.Status.Occupies() {
		return
	}
	gone := !a.Status.Occupies() || a.Time != before.Time
	if gone || a.DoctorID != before.DoctorID {
		t.free(before.DoctorID, before.Busy())
	}
	if before.RoomID != nil && (gone || a.RoomID == nil || *a.RoomID != *before.RoomID) {
		t.freeRoom(before.Busy())
	}
	if gone {
		t.freePatient(before.PatientID, before.Time)
	}
}

// freeHold records the times that a deleted hold no longer reserves. guarded: the caller
// holds the doctor's guard.
func (t *tx) freeHold(h clinic.Hold, guarded bool) {
	if guarded {
		t.free(h.DoctorID, h.Busy())
	} else {
		t.freeLater(h.DoctorID, h.Busy(), t.now)
	}
	if h.RoomID != nil {
		t.freeRoom(h.Busy())
	}
}

// writeFreed inserts the freed times. It skips a time that no waiting entry could use,
// unless the time is due later. No lock: creating an entry searches under the guards
// itself.
func writeFreed(ctx context.Context, t *tx) error {
	for _, f := range t.freed {
		from, to := f.time.Start, f.time.End
		if from.Before(t.now) {
			from = t.now
		}
		if f.entry == 0 && !f.entries && !from.Before(to) {
			continue // it has passed
		}
		var err error
		reach := from.Add(-clinic.MaxDuration - clinic.MaxBuffer)
		switch {
		case f.entry != 0:
			_, err = t.exec(ctx, `
				INSERT INTO freed_times (waitlist_id, start_time, end_time, due_at)
				SELECT id, from_time, to_time, ? FROM waitlist WHERE id = ? AND status = 'waiting'`, t.now, f.entry)
		case f.entries:
			var doctor *int64
			if f.doctor != 0 {
				doctor = &f.doctor
			}
			_, err = t.exec(ctx, `
				INSERT INTO freed_times (doctor_id, waitlist_id, start_time, end_time, due_at)
				SELECT ?, id, from_time, to_time, ? FROM waitlist WHERE status = 'waiting' AND to_time > ? ORDER BY id`,
				doctor, t.now, t.now)
		case f.room:
			_, err = t.exec(ctx, `
				INSERT INTO freed_times (waitlist_id, start_time, end_time, due_at)
				SELECT w.id, w.from_time, w.to_time, ?
				FROM waitlist AS w
				JOIN appointment_types AS k ON k.id = w.type_id
				WHERE w.status = 'waiting' AND w.from_time < ? AND w.to_time > ? AND k.needs_room = 1
				ORDER BY w.id`, t.now, to, reach)
		case f.patient != 0: // index waitlist_patient
			_, err = t.exec(ctx, `
				INSERT INTO freed_times (waitlist_id, start_time, end_time, due_at)
				SELECT id, from_time, to_time, ?
				FROM waitlist
				WHERE patient_id = ? AND status = 'waiting' AND from_time < ? AND to_time > ?
				ORDER BY id`, t.now, f.patient, to, reach)
		case !f.due.IsZero():
			_, err = t.exec(ctx, `INSERT INTO freed_times (doctor_id, start_time, end_time, due_at) VALUES (?, ?, ?, ?)`,
				f.doctor, from, to, f.due)
		default:
			_, err = t.exec(ctx, `
				INSERT INTO freed_times (doctor_id, start_time, end_time, due_at)
				SELECT id, ?, ?, ?
				FROM doctors
				WHERE id = ? AND EXISTS (
				  SELECT 1 FROM waitlist WHERE status = 'waiting' AND from_time < ? AND to_time > ?)`,
				from, to, t.now, f.doctor, to, reach)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// holdsOf reads the live holds of a patient, a room or a type that is about to be deleted.
// Indexes holds_patient, holds_room, holds_type.
//
// Safety: column is one of the three names.
func holdsOf(ctx context.Context, t *tx, column string, id int64) ([]clinic.Hold, error) {
	var rows []holdRow
	err := t.SelectContext(ctx, &rows, `SELECT `+holdColumns+` FROM holds WHERE `+column+` = ? AND expires_at > ?`, id, t.now)
	holds := make([]clinic.Hold, len(rows))
	for i, r := range rows {
		holds[i] = r.hold()
	}
	return holds, err
}

// freeHoldsOf records the times of the holds that are deleted with their record.
func freeHoldsOf(ctx context.Context, t *tx, column string, id int64) error {
	holds, err := holdsOf(ctx, t, column, id)
	for _, h := range holds {
		t.freeHold(h, false)
	}
	return err
}
