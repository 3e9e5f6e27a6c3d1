package store

import (
	"context"
	"errors"
	"slices"
	"strings"

	"mems/internal/clinic"
)

// A guard is a row that a transaction writes before it reads what it decides on, so that
// others that want the same calendar wait for it. db/README.md has the lock order
// ("Rules") and why guards are written ("How double bookings are prevented"). Tests fail
// when a transaction takes a guard that comes before one that it holds
// (storetest/lock_order.go, which recognises the statements below).

// guardRow is a kind of guard row: the statement that takes guards, the one that only finds
// the rows, for a snapshot, and what both of them ask for besides an id.
type guardRow struct{ write, read, also string }

// where is the condition on the rows with these ids, one or more.
//
// Safety: constants and placeholders only.
func (r guardRow) where(ids []int64) (condition string, args []any) {
	for _, id := range ids {
		args = append(args, id)
	}
	if len(ids) == 1 {
		return ` WHERE id = ?` + r.also, args
	}
	return ` WHERE id IN (?` + strings.Repeat(`, ?`, len(ids)-1) + `)` + r.also, args
}

// They must write, and must change a value: certification-based engines (Galera, Group
// Replication) notice neither SELECT ... FOR UPDATE nor a no-op. Primary key; exclusive
// lock on the row.
var (
	doctorGuard = guardRow{
		`UPDATE doctors SET calendar_rev = calendar_rev + 1`, `SELECT COUNT(*) FROM doctors`, ``,
	}
	patientGuard = guardRow{
		`UPDATE patients SET calendar_rev = calendar_rev + 1`, `SELECT COUNT(*) FROM patients`,
		` AND merged_into IS NULL AND erased_at IS NULL`,
	}
	roomGuard = guardRow{
		`UPDATE rooms SET calendar_rev = calendar_rev + 1`, `SELECT COUNT(*) FROM rooms`, ``,
	}
)

// guard takes a guard and reports whether its row exists.
func (t *tx) guard(ctx context.Context, row guardRow, id int64) (exists bool, err error) {
	n, err := t.guards(ctx, row, []int64{id})
	return n == 1, err
}

// guards takes guards of one kind and returns how many of their rows exist. The ids are
// ascending, and so are the locks: by the primary key, whatever the statistics suggest.
func (t *tx) guards(ctx context.Context, row guardRow, ids []int64) (n int64, err error) {
	defer t.observe.guard(stopwatch())
	where, args := row.where(ids)
	write := row.write
	if len(ids) > 1 {
		write = strings.Replace(write, ` SET `, ` FORCE INDEX (PRIMARY) SET `, 1)
		where += ` ORDER BY id`
	}
	return t.exec(ctx, write+where, args...)
}

// guardName takes the guard of the patient's name.
//
// Lock: a row of patient_name_guards, before anything else; nobody who holds one
// waits for a calendar.
func (t *tx) guardName(ctx context.Context, p clinic.Patient) error {
	if p.BirthDate == nil && p.Phone == nil {
		return nil // a name alone says nothing
	}
	_, err := t.exec(ctx, `
		INSERT INTO patient_name_guards (bucket) VALUES (?)
		ON DUPLICATE KEY UPDATE rev = rev + 1`, clinic.NameBucket(p.FirstName, p.LastName))
	return err
}

// guardParties takes the guards of the doctor and the patient of a booking, in
// this order, and reports whether they exist. Errors: clinic.CodePatientMerged.
func (t *tx) guardParties(ctx context.Context, b clinic.Booking) (clinic.Calendar, error) {
	return t.partiesOf(ctx, b, t.guardDoctor, t.guardPatient)
}

// partiesOf finds out with doctorExists and patientExists, in this order, whether there
// are the doctor and the patient of a booking. Whether they are active is read later.
func (q *queries) partiesOf(ctx context.Context, b clinic.Booking, doctorExists, patientExists func(context.Context, int64) (bool, error)) (clinic.Calendar, error) {
	c := clinic.Calendar{Doctor: clinic.Missing, Patient: clinic.Missing}
	exists, err := doctorExists(ctx, b.DoctorID)
	if err != nil {
		return c, err
	}
	if exists {
		c.Doctor = clinic.Active
	}
	if exists, err = patientExists(ctx, b.PatientID); err != nil || !exists {
		return c, err
	}
	if exists, err = q.reachesPatient(ctx, b.PatientID); exists {
		c.Patient = clinic.Active
	}
	return c, err
}

// guardDoctor makes this transaction the only one that may change the doctor's
// calendar until it ends, and reports whether there is such a doctor.
func (t *tx) guardDoctor(ctx context.Context, id int64) (exists bool, err error) {
	return t.guard(ctx, doctorGuard, id)
}

// guardPatient is guardDoctor for the patient, always taken after the doctors'.
// Errors: clinic.CodePatientMerged.
func (t *tx) guardPatient(ctx context.Context, id int64) (exists bool, err error) {
	exists, err = t.guard(ctx, patientGuard, id)
	if exists || err != nil {
		return exists, err
	}
	return false, t.checkMerged(ctx, id)
}

// guardPatientOf is guardPatient for the patient of a record that was read without a lock,
// and reports whether the patient has not been erased. When that patient was merged meanwhile,
// the record is the surviving patient's by now: another attempt finds it so.
func (t *tx) guardPatientOf(ctx context.Context, id int64) (known bool, err error) {
	known, err = t.guardPatient(ctx, id)
	if errors.Is(err, clinic.ErrPatientMerged) {
		err = errStale
	}
	return known, err
}

// guardAllDoctors takes the guard of every doctor, in the order of the primary key.
func (t *tx) guardAllDoctors(ctx context.Context) error {
	_, err := t.exec(ctx, `UPDATE doctors SET calendar_rev = calendar_rev + 1 ORDER BY id`)
	return err
}

// guardPatients is guardPatient for several, ids ascending, all of whom have to exist.
// Errors: clinic.ErrPatientNotFound.
func (t *tx) guardPatients(ctx context.Context, ids []int64) error {
	n, err := t.guards(ctx, patientGuard, ids)
	if err == nil && n != int64(len(ids)) {
		err = clinic.ErrPatientNotFound
	}
	return err
}

// guardRoom is guardDoctor for a room, always taken after the patients'.
func (t *tx) guardRoom(ctx context.Context, id int64) (exists bool, err error) {
	return t.guard(ctx, roomGuard, id)
}

// guardRooms takes the guards of the rooms of appointments, ids ascending, and
// reads their occupied times; 0, which is no room, is never occupied.
func (t *tx) guardRooms(ctx context.Context, as []clinic.Appointment, span clinic.Interval) (map[int64][]clinic.Interval, error) {
	var ids []int64
	for _, a := range as {
		ids = append(ids, room(a))
	}
	slices.Sort(ids)
	busy := map[int64][]clinic.Interval{}
	for _, id := range slices.Compact(ids) {
		if id == 0 {
			continue
		}
		if exists, err := t.guardRoom(ctx, id); err != nil || !exists {
			return nil, firstError(err, clinic.ErrRoomNotFound)
		}
		var err error
		if busy[id], err = t.occupied(ctx, roomParty, id, span, 0); err != nil {
			return nil, err
		}
	}
	return busy, nil
}

// guardPlan takes the guards of all that the chosen items of a plan touch.
func (t *tx) guardPlan(ctx context.Context, p *clinic.Plan, chosen []int) error {
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
		guard func(context.Context, int64) (bool, error)
	}{{doctors, t.guardDoctor}, {patients, t.guardPatient}, {rooms, t.guardRoom}} {
		slices.Sort(party.ids)
		for _, id := range slices.Compact(party.ids) {
			if _, err := party.guard(ctx, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// guardKey makes this transaction the only one of a partner that may add what is
// capped, until it ends; always taken after all other guards, as the foreign key of
// the new record would be. For others it does nothing. Primary key; exclusive.
func (t *tx) guardKey(ctx context.Context) error {
	access := t.req.Access
	if !access.IsPartner() {
		return nil
	}
	_, err := t.exec(ctx, `UPDATE api_keys SET last_used_at = ? WHERE id = ?`, t.now, access.Reach.KeyID)
	return err
}
