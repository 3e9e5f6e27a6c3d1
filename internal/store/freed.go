package store

import (
	"context"
	"time"

	"mems/internal/clinic"
)

// A time that becomes free is written to freed_times by the transaction that frees
// it, and offered to the waitlist after the commit: then every change of any
// calendar has the guards it needs, and a process that dies in between leaves the
// row to the next one (waitlist_matching.go).

// freedTime is a time to offer to the waitlist.
type freedTime struct {
	doctor int64 // 0: any
	time   clinic.Interval
	due    time.Time // when it is free; zero: with the commit
	// entries: every entry that waits is to look for a time of its own, because
	// rules have changed. The time is not looked at.
	entries bool
	entry   int64 // only this entry looks for a time of its own
	room    bool  // of a room: for entries whose type needs one
	patient int64 // of this patient: for their own entries
}

// free notes that a doctor's time becomes free, buffers included. The guard is held.
func (t *tx) free(doctor int64, time clinic.Interval) {
	t.freed = append(t.freed, freedTime{doctor: doctor, time: time})
}

// freeLater notes that a doctor's time becomes free at some instant, unless it is
// taken by then.
func (t *tx) freeLater(doctor int64, time clinic.Interval, due time.Time) {
	t.freed = append(t.freed, freedTime{doctor: doctor, time: time, due: due})
}

// freeRoom notes that a room becomes free, for whichever doctor.
func (t *tx) freeRoom(time clinic.Interval) {
	t.freed = append(t.freed, freedTime{time: time, room: true})
}

// freePatient notes that a patient becomes free, for whatever doctor was free already.
func (t *tx) freePatient(patient int64, time clinic.Interval) {
	t.freed = append(t.freed, freedTime{patient: patient, time: time})
}

// freeByRule notes that more can be booked than before, with a doctor or, with 0,
// anybody: hours were added, a time off is gone, a doctor or a room is back.
func (t *tx) freeByRule(doctor int64) {
	t.freed = append(t.freed, freedTime{doctor: doctor, entries: true})
}

// freeForEntry notes that an entry waits again, for whatever is free.
func (t *tx) freeForEntry(id int64) { t.freed = append(t.freed, freedTime{entry: id}) }

// freeOf notes what a changed appointment does not occupy any more.
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

// freeHold notes what a hold that is deleted does not keep any more. guarded: the
// guard of its doctor is held.
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

// writeFreed writes what was freed. Rows are only written when somebody waits whom
// they could concern; what is due later is written anyhow. Not locking: an
// entry added to the waitlist later looks for a time under the guards itself.
func writeFreed(ctx context.Context, t *tx) error {
	for _, f := range t.freed {
		from, to := f.time.Start, f.time.End
		if from.Before(t.now) {
			from = t.now
		}
		if f.entry == 0 && !f.entries && !from.Before(to) {
			continue // it is over
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

// holdsOf reads the live holds of a patient, a room or a type that is about to go.
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

// freeHoldsOf notes what these holds, which go with their record, do not keep any
// more.
func freeHoldsOf(ctx context.Context, t *tx, column string, id int64) error {
	holds, err := holdsOf(ctx, t, column, id)
	for _, h := range holds {
		t.freeHold(h, false)
	}
	return err
}
