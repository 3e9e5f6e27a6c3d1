package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// decider is what a decision goes through: a use case's transaction, whose guards are
// held, or a snapshot.
type decider struct {
	*queries

	// claimRoom reports whether there is such a room; in a use case's transaction it takes
	// the room's guard.
	claimRoom func(ctx context.Context, id int64) (exists bool, err error)
}

func (t *tx) decider() decider { return decider{&t.queries, t.guardRoom} }

func (q *snapshot) decider() decider { return decider{&q.queries, q.roomExists} }

// decide reads, under the guards that c was made with, what the decision on a
// booking needs, and decides. It reads no further than the first rule that is
// broken: what a locking read has found stays locked until the end, and a
// transaction that held the doctor's times and went on to the patient's could deadlock
// with another that does the same crosswise. It fills in b what its type and the choice of a
// room say. except is an appointment that is being moved, 0 for none.
//
// Statements, in lock order: the doctor's facts and the type (no lock); write the room's
// guard, read its time; hours; the doctor's blocked and occupied times; the patient's. Only
// appointments are locked.
//
// Errors, in the order of the contract: clinic.ErrPatientNotFound,
// clinic.ErrDoctorNotFound, clinic.ErrTypeNotFound, clinic.ErrRoomNotFound,
// clinic.ErrDoctorInactive, clinic.ErrTypeInactive, clinic.ErrRoomInactive,
// clinic.ErrTypeNotAllowed, clinic.ErrRoomNotSuitable; then, with the Conflict,
// clinic.CodeOutsideWorkingHours, clinic.CodeTimeOff,
// clinic.CodeDoctorOverlap, clinic.CodePatientOverlap, clinic.CodeRoomOverlap,
// clinic.CodeNoRoomFree.
func (s *Store) decide(ctx context.Context, t *tx, c clinic.Calendar, b *clinic.Booking, except int64) (clinic.Broken, error) {
	if c.Patient != clinic.Active || c.Doctor != clinic.Active {
		return clinic.CanBook(c, *b)
	}
	p, err := readParties(ctx, t, *b)
	if err != nil {
		return clinic.Broken{}, err
	}
	return s.decideWith(ctx, t.decider(), c, b, except, p, nil)
}

// explainBooking decides as decide does, on a snapshot, and adds alternatives to a slot
// conflict. It returns nil when the booking could be made.
func (s *Store) explainBooking(ctx context.Context, q *snapshot, c clinic.Calendar, b clinic.Booking, except int64) error {
	if c.Patient != clinic.Active || c.Doctor != clinic.Active {
		_, err := clinic.CanBook(c, b)
		return err
	}
	p, err := readParties(ctx, q, b)
	if err != nil {
		return err
	}
	_, err = s.decideWith(ctx, q.decider(), c, &b, except, p, nil)
	return s.withAlternatives(ctx, q, err, p, b, except)
}

// parties is what a decision reads of the doctor and the type.
type parties struct {
	doctor doctorFacts
	kind   clinic.AppointmentType
	state  clinic.PartyState // of the type
}

func readParties(ctx context.Context, q sqlx.QueryerContext, b clinic.Booking) (p parties, err error) {
	if b.TypeID == nil {
		p.doctor, err = readDoctorFacts(ctx, q, b.DoctorID)
		return p, err
	}
	var row struct {
		Doctor doctorFacts `db:"d"`
		Type   typeRow     `db:"t"`
	}
	// Two rows by primary key. Not locking: see readDoctorFacts and readTypeForBooking.
	err = sqlx.GetContext(ctx, q, &row, `
		SELECT `+columnsOf("d", doctorFactsColumns)+`, `+columnsOf("t", typeColumns)+`
		FROM doctors AS d JOIN appointment_types AS t
		WHERE d.id = ? AND t.id = ?`, b.DoctorID, *b.TypeID)
	if errors.Is(err, sql.ErrNoRows) {
		p.state = clinic.Missing
		p.doctor, err = readDoctorFacts(ctx, q, b.DoctorID)
		return p, err
	}
	if err != nil {
		return p, err
	}
	p.doctor = row.Doctor
	p.kind, p.state, err = row.Type.forBooking()
	return p, err
}

// columnsOf names the columns of a joined table as sqlx expects those of a nested struct.
func columnsOf(table, columns string) string {
	names := strings.Split(columns, ",")
	for i, name := range names {
		name = strings.TrimSpace(name)
		names[i] = table + "." + name + " AS `" + table + "." + name + "`"
	}
	return strings.Join(names, ", ")
}

// decideWith is decide with the parties, who exist, and for a series with its
// calendar, read before.
func (s *Store) decideWith(ctx context.Context, d decider, c clinic.Calendar, b *clinic.Booking, except int64, p parties, series *seriesCalendar) (clinic.Broken, error) {
	doctor, kind := p.doctor, p.kind
	p.apply(&c, b)
	for _, read := range []func() error{
		func() error { return chooseRoom(ctx, d, &c, b, kind, except) },
		func() error {
			if series != nil {
				series.openTimes(&c, *b)
				c.DoctorBusy = slices.Concat(c.DoctorBusy, series.doctorBusy)
				return nil
			}
			return readDoctorTimes(ctx, d.queries, &c, *b, doctor, except)
		},
		func() (err error) {
			if series != nil {
				c.PatientBusy = series.patientBusy
				return nil
			}
			c.PatientBusy, err = d.occupied(ctx, patientParty, b.PatientID, b.Time(), except)
			return err
		},
	} {
		if err := read(); err != nil {
			return clinic.Broken{}, err
		}
		if _, err := clinic.CanBook(withoutRoom(c), *b); err != nil {
			return clinic.Broken{}, err
		}
	}
	return clinic.CanBook(c, *b)
}

// apply fills in what the doctor and the type say of a booking.
func (p *parties) apply(c *clinic.Calendar, b *clinic.Booking) {
	if !p.doctor.IsActive {
		c.Doctor = clinic.Inactive
	}
	c.OverbookCap = p.doctor.OverbookCap
	if b.TypeID == nil {
		return
	}
	c.Type = p.state
	if b.Moving && c.Type == clinic.Inactive {
		c.Type = clinic.Active
	}
	b.Apply(p.kind)
	c.Allowed = p.kind.Allows(b.DoctorID, p.doctor.Specialization) || b.KeepsDoctor()
}

// withoutRoom leaves out what is known of the room's time: its guard is taken
// early, for the order of locks, but its rule comes last.
func withoutRoom(c clinic.Calendar) clinic.Calendar {
	c.RoomBusy, c.NoRoomFree = nil, false
	return c
}

// doctorFactsColumns are those of doctorFacts.
const doctorFactsColumns = `id, is_active, specialization, hours_time_zone, overbook_cap`

// doctorFacts is what a decision needs of a doctor's row.
type doctorFacts struct {
	ID             int64   `db:"id"`
	IsActive       bool    `db:"is_active"`
	Specialization string  `db:"specialization"`
	HoursTimeZone  *string `db:"hours_time_zone"`
	OverbookCap    int     `db:"overbook_cap"`
}

// Primary key. Not locking: the guard's write already holds the row. A doctor whom
// only a history names can have been deleted since. Errors: clinic.ErrDoctorNotFound.
func readDoctorFacts(ctx context.Context, q sqlx.QueryerContext, id int64) (doctorFacts, error) {
	var d doctorFacts
	err := sqlx.GetContext(ctx, q, &d, `
		SELECT `+doctorFactsColumns+`
		FROM doctors
		WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return d, clinic.ErrDoctorNotFound
	}
	return d, err
}

// readTypeForBooking reads a type. Not locking: an appointment keeps what it
// was booked with, so a change of the type at the same moment is before or
// after it.
func readTypeForBooking(ctx context.Context, q sqlx.QueryerContext, id int64) (clinic.AppointmentType, clinic.PartyState, error) {
	var row typeRow
	err := sqlx.GetContext(ctx, q, &row, `SELECT `+typeColumns+` FROM appointment_types WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return clinic.AppointmentType{}, clinic.Missing, nil
	}
	if err != nil {
		return clinic.AppointmentType{}, clinic.NotAsked, err
	}
	return row.forBooking()
}

func (r *typeRow) forBooking() (clinic.AppointmentType, clinic.PartyState, error) {
	kind, err := r.appointmentType()
	if kind.IsActive {
		return kind, clinic.Active, err
	}
	return kind, clinic.Inactive, err
}

// chooseRoom claims the room that the booking names, or the first suitable one that is
// free, and reads the room's occupied times.
func chooseRoom(ctx context.Context, d decider, c *clinic.Calendar, b *clinic.Booking, kind clinic.AppointmentType, except int64) error {
	switch {
	case b.RoomID != nil:
		return claimNamedRoom(ctx, d, c, *b, kind, except)
	case !b.AnyRoom || c.Doctor != clinic.Active || c.Type == clinic.Missing || c.Type == clinic.Inactive:
		return nil
	}
	// Rooms are tried by id, which is also the order of locks. One that was free
	// when it was looked for may be taken by the time its guard is ours.
	for after := int64(0); ; {
		id, found, err := freeRoom(ctx, d.queries, *b, kind, after, except)
		if err != nil {
			return err
		}
		if !found {
			c.NoRoomFree = true
			return nil
		}
		if _, err := d.claimRoom(ctx, id); err != nil {
			return err
		}
		still, _, err := freeRoom(ctx, d.queries, *b, kind, id-1, except)
		if err != nil {
			return err
		}
		if still == id {
			b.RoomID, c.Room, c.Suitable = &id, clinic.Active, true
			c.RoomBusy, err = d.occupied(ctx, roomParty, id, b.Busy(), except)
			return err
		}
		after = id
	}
}

func claimNamedRoom(ctx context.Context, d decider, c *clinic.Calendar, b clinic.Booking, kind clinic.AppointmentType, except int64) error {
	c.Room, c.Suitable = clinic.Missing, kind.Suits(*b.RoomID) || b.KeepsRoom()
	if exists, err := d.claimRoom(ctx, *b.RoomID); err != nil || !exists {
		return err
	}
	// Not locking: a guard's write already holds the row.
	var active bool
	if err := d.GetContext(ctx, &active, `SELECT is_active FROM rooms WHERE id = ?`, *b.RoomID); err != nil {
		return err
	}
	if !active && !b.KeepsRoom() {
		c.Room = clinic.Inactive
		return nil
	}
	c.Room = clinic.Active
	if _, err := clinic.CanBook(*c, b); err != nil {
		return nil //nolint:nilerr // the decision is the caller's; this only ends the reading
	}
	statement, args := roomTimesSQL(d.queries, b, except)
	times, err := timesByParty(ctx, d, statement, args...)
	c.RoomBusy = slices.Concat(times[*b.RoomID], d.stillHeld(times[heldTag]))
	return err
}

// roomTimesSQL selects the live holds around a booking in its room, as heldTag, and the
// appointments there that overlap it, locking. Indexes holds_room and appointments_room
// (room_id, start_time).
func roomTimesSQL(q *queries, b clinic.Booking, except int64) (statement string, args []any) {
	held, args := occupiedTimes{
		party: roomParty, ids: []int64{*b.RoomID}, window: b.Busy(), holds: &liveHolds{q.now, b.Hold}, forced: true,
	}.heldSQL(roomParty.columns(heldColumn))
	return q.booked(roomParty, *b.RoomID, b.Busy(), except).after(held, args)
}

// freeRoom finds the first active room after an id that suits the type and is
// free for the booking. Rooms are few; for each, one bounded range of
// appointments_room and one of holds_room. Not locking: what it finds is asked
// again under the room's guard.
func freeRoom(ctx context.Context, q *queries, b clinic.Booking, kind clinic.AppointmentType, after, except int64) (id int64, found bool, err error) {
	ids := kind.RoomIDs
	if len(ids) == 0 {
		ids = []int64{0} // none; IN () is not SQL
	}
	statement, args, err := sqlx.In(`
		SELECT r.id
		FROM rooms AS r
		WHERE r.id > ? AND r.is_active = 1 AND (? OR r.id IN (?))`, after, len(kind.RoomIDs) == 0, ids)
	if err != nil {
		return 0, false, err
	}
	taken, values := occupiedTimes{
		party: roomParty, of: `r.id`, overlapping: []clinic.Interval{b.Busy()}, except: []int64{except}, holds: &liveHolds{q.now, b.Hold},
	}.takenSQL()
	err = q.GetContext(ctx, &id, statement+` AND NOT (`+taken+`) ORDER BY r.id LIMIT 1`, append(args, values...)...)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return id, err == nil, err
}

// readDoctorTimes reads what readOpenTimes does, and the doctor's appointments that overlap
// the booking.
func readDoctorTimes(ctx context.Context, q *queries, c *clinic.Calendar, b clinic.Booking, d doctorFacts, except int64) error {
	if err := readOpenHours(ctx, q, c, b, d); err != nil {
		return err
	}
	statement, args := doctorTimesSQL(q, b, except)
	times, err := timesByParty(ctx, q, statement, args...)
	c.Off, c.DoctorBusy = times[offTag], slices.Concat(q.stillHeld(times[heldTag]), times[b.DoctorID])
	return err
}

// doctorTimesSQL selects what blockedTimesSQL does, and the doctor's appointments that overlap
// the booking, locking. Index appointments_doctor (doctor_id, start_time).
func doctorTimesSQL(q *queries, b clinic.Booking, except int64) (statement string, args []any) {
	blocked, args := blockedTimesSQL(b, q.now)
	return q.booked(doctorParty, b.DoctorID, b.Busy(), except).after(blocked, args)
}

// readOpenTimes reads when the doctor works near the booking, and what blocks
// the time: time off, closures, and holds of others.
func readOpenTimes(ctx context.Context, q *queries, c *clinic.Calendar, b clinic.Booking, d doctorFacts) error {
	if err := readOpenHours(ctx, q, c, b, d); err != nil {
		return err
	}
	blocked, err := readBlockedTimes(ctx, q, b, q.now)
	c.Off, c.DoctorBusy = blocked.off, q.stillHeld(blocked.held)
	return err
}

// readOpenHours reads the doctor's working hours near the booking.
func readOpenHours(ctx context.Context, q *queries, c *clinic.Calendar, b clinic.Booking, d doctorFacts) error {
	if d.HoursTimeZone == nil {
		return nil
	}
	hours, err := readHours(ctx, q, map[int64]string{d.ID: *d.HoursTimeZone}, b.Time())
	if err != nil {
		return err
	}
	h := hours[d.ID]
	c.HasHours, c.Open = true, h.Open(b.Time())
	return nil
}

type blockedTimes struct {
	off, held []clinic.Interval
}

// readBlockedTimes reads the times of blockedTimesSQL.
func readBlockedTimes(ctx context.Context, q sqlx.QueryerContext, b clinic.Booking, now time.Time) (blockedTimes, error) {
	statement, args := blockedTimesSQL(b, now)
	times, err := timesByParty(ctx, q, statement, args...)
	return blockedTimes{off: times[offTag], held: times[heldTag]}, err
}

// blockedTimesSQL selects the doctor's time off and the clinic's closures, as offTag, and the
// live holds around a booking, as heldTag.
//
// Indexes time_off_doctor (doctor_id, end_time), closures_end (end_time) and
// holds_doctor (doctor_id, start_time). Not locking: a transaction that writes one of these
// writes the doctor's guard row first, and this transaction holds it.
func blockedTimesSQL(b clinic.Booking, now time.Time) (statement string, args []any) {
	want := b.Time()
	held, values := occupiedTimes{
		party: doctorParty, ids: []int64{b.DoctorID}, window: b.Busy(), holds: &liveHolds{now, b.Hold}, forced: true,
	}.heldSQL(doctorParty.columns(heldColumn))
	return `
		SELECT 0, start_time, end_time, 0, 0
		FROM time_off
		WHERE doctor_id = ? AND end_time > ? AND start_time < ?
		UNION ALL
		SELECT 0, start_time, end_time, 0, 0
		FROM closures
		WHERE end_time > ? AND start_time < ?
		UNION ALL ` + held,
		append([]any{b.DoctorID, want.Start, want.End, want.Start, want.End}, values...)
}

// typeColumns are those of typeRow.
const typeColumns = `id, name, duration_minutes, buffer_before_minutes, buffer_after_minutes, colour,
	specializations, doctor_ids, needs_room, room_ids, is_active, version, created_at, updated_at`

type typeRow struct {
	ID              int64     `db:"id"`
	Name            string    `db:"name"`
	Duration        minutes   `db:"duration_minutes"`
	BufferBefore    minutes   `db:"buffer_before_minutes"`
	BufferAfter     minutes   `db:"buffer_after_minutes"`
	Colour          string    `db:"colour"`
	Specializations []byte    `db:"specializations"` // JSON
	DoctorIDs       []byte    `db:"doctor_ids"`      // JSON
	NeedsRoom       bool      `db:"needs_room"`
	RoomIDs         []byte    `db:"room_ids"` // JSON
	IsActive        bool      `db:"is_active"`
	Version         int64     `db:"version"`
	CreatedAt       time.Time `db:"created_at"`
	UpdatedAt       time.Time `db:"updated_at"`
}

func (r *typeRow) appointmentType() (clinic.AppointmentType, error) {
	t := clinic.AppointmentType{
		ID: r.ID, Name: r.Name, Duration: r.Duration.duration(),
		Buffers: clinic.Buffers{Before: r.BufferBefore.duration(), After: r.BufferAfter.duration()},
		Colour:  r.Colour, NeedsRoom: r.NeedsRoom, IsActive: r.IsActive,
		Version: r.Version, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
	for _, list := range []struct {
		from []byte
		to   any
	}{{r.Specializations, &t.Specializations}, {r.DoctorIDs, &t.DoctorIDs}, {r.RoomIDs, &t.RoomIDs}} {
		if err := json.Unmarshal(list.from, list.to); err != nil {
			return t, fmt.Errorf("appointment type %d: %w", r.ID, err)
		}
	}
	return t, nil
}
