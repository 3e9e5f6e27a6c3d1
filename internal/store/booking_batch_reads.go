package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// What a batch of bookings reads under its guards, and how each booking is decided on it.

// guardBatch takes the guards of the doctors and the patients, and applies what the doctors and the
// types say. Bookings whose guards another transaction holds are left out, and wait for them alone.
// Primary keys.
func guardBatch(ctx context.Context, t *tx, batch []*batchedBooking) ([]*batchedBooking, error) {
	facts, batch, err := lockOfBatch(ctx, t, batch, doctorGuard, `SELECT `+doctorFactsColumns+` FROM doctors`,
		func(m *batchedBooking) *int64 { return &m.booking.DoctorID }, func(d *doctorFacts) int64 { return d.ID })
	if err != nil || len(batch) == 0 {
		return nil, err
	}
	_, batch, err = lockOfBatch(ctx, t, batch, patientGuard, `SELECT id FROM patients`,
		func(m *batchedBooking) *int64 { return &m.booking.PatientID }, func(id *int64) int64 { return *id })
	if err != nil || len(batch) == 0 {
		return nil, err
	}
	types, err := rowsOf(ctx, t, `SELECT `+typeColumns+` FROM appointment_types WHERE id IN (?)`,
		idsOfBatch(batch, func(m *batchedBooking) *int64 { return m.booking.TypeID }), func(r *typeRow) int64 { return r.ID })
	if err != nil {
		return nil, err
	}
	return undecided(batch, func(m *batchedBooking) error {
		doctor := facts[m.booking.DoctorID]
		p := parties{doctor: *doctor}
		if m.booking.TypeID != nil {
			p.state = clinic.Missing
			if row := types[*m.booking.TypeID]; row != nil {
				if p.kind, p.state, err = row.forBooking(); err != nil {
					return errAlone
				}
			}
		}
		m.calendar = clinic.Calendar{Doctor: clinic.Active, Patient: clinic.Active}
		p.apply(&m.calendar, &m.booking)
		if m.booking.AnyRoom {
			return errAlone // it claims rooms one after another
		}
		if m.booking.RoomID != nil {
			m.calendar.Suitable = p.kind.Suits(*m.booking.RoomID)
		}
		m.hoursZone = doctor.HoursTimeZone
		return m.canBook()
	}), nil
}

// lockOfBatch takes the guards of one kind of party, and returns their rows and the bookings whose
// guard it has. It waits for none: a guard that another transaction holds for long would delay all
// others of the batch, while their own guards are held. Neither row nor guard: errAlone, too.
//
// The rows are read before the guards are written, but under the same lock.
func lockOfBatch[R any](
	ctx context.Context, t *tx, batch []*batchedBooking, guard guardRow, query string, of func(*batchedBooking) *int64, id func(*R) int64,
) (map[int64]*R, []*batchedBooking, error) {
	rows, err := rowsOf(ctx, t, lockedSQL(guard, query), idsOfBatch(batch, of), id)
	if err != nil {
		return nil, nil, err
	}
	batch = undecided(batch, func(m *batchedBooking) error {
		if id := of(m); id != nil && rows[*id] == nil {
			return errAlone
		}
		return nil
	})
	if ids := idsOfBatch(batch, of); len(ids) > 0 {
		_, err = t.guards(ctx, guard, ids)
	}
	return rows, batch, err
}

// lockedSQL selects, and locks, the rows of guards that no other transaction has locked.
//
// Safety: constants and a placeholder only.
func lockedSQL(guard guardRow, query string) string {
	return query + ` FORCE INDEX (PRIMARY) WHERE id IN (?)` + guard.also + ` FOR UPDATE SKIP LOCKED`
}

// idsOfBatch returns the ids of one kind, ascending, each once.
func idsOfBatch(batch []*batchedBooking, of func(*batchedBooking) *int64) []int64 {
	var ids []int64
	for _, m := range batch {
		if id := of(m); id != nil {
			ids = append(ids, *id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// rowsOf reads rows by id.
func rowsOf[R any](ctx context.Context, q sqlx.QueryerContext, query string, ids []int64, id func(*R) int64) (map[int64]*R, error) {
	if len(ids) == 0 {
		return map[int64]*R{}, nil
	}
	query, args, err := sqlx.In(query, ids)
	if err != nil {
		return nil, err
	}
	var rows []R
	if err := sqlx.SelectContext(ctx, q, &rows, query, args...); err != nil {
		return nil, err
	}
	byID := make(map[int64]*R, len(rows))
	for i := range rows {
		byID[id(&rows[i])] = &rows[i]
	}
	return byID, nil
}

// readRoomsOfBatch takes the guards of the rooms and reads whether they are in use. Primary keys.
func readRoomsOfBatch(ctx context.Context, t *tx, batch []*batchedBooking) ([]*batchedBooking, error) {
	type roomState struct {
		ID       int64 `db:"id"`
		IsActive bool  `db:"is_active"`
	}
	rooms, batch, err := lockOfBatch(ctx, t, batch, roomGuard, `SELECT id, is_active FROM rooms`,
		func(m *batchedBooking) *int64 { return m.booking.RoomID }, func(r *roomState) int64 { return r.ID })
	if err != nil {
		return nil, err
	}
	return undecided(batch, func(m *batchedBooking) error {
		if m.booking.RoomID == nil {
			return nil
		}
		m.calendar.Room = clinic.Active
		if !rooms[*m.booking.RoomID].IsActive {
			m.calendar.Room = clinic.Inactive
		}
		return m.canBook()
	}), nil
}

// readHoursOfBatch reads the working hours of the doctors who have any.
func readHoursOfBatch(ctx context.Context, t *tx, batch []*batchedBooking) ([]*batchedBooking, error) {
	zones := map[int64]string{}
	for _, m := range batch {
		if m.hoursZone != nil {
			zones[m.booking.DoctorID] = *m.hoursZone
		}
	}
	hours, err := readHours(ctx, t, zones, spanOf(batch))
	if err != nil {
		return nil, err
	}
	return undecided(batch, func(m *batchedBooking) error {
		if m.hoursZone != nil {
			h := hours[m.booking.DoctorID]
			m.calendar.HasHours, m.calendar.Open = true, h.Open(m.booking.Time())
		}
		return m.canBook()
	}), nil
}

// spanOf is the time from the first start to the last end.
func spanOf(batch []*batchedBooking) clinic.Interval {
	span := batch[0].booking.Time()
	for _, m := range batch[1:] {
		want := m.booking.Time()
		if want.Start.Before(span.Start) {
			span.Start = want.Start
		}
		if want.End.After(span.End) {
			span.End = want.End
		}
	}
	return span
}

// decideBatch reads the times of the parties and decides, one booking after the other. The patients'
// times are read only for what the doctors' leave: see decide.
func decideBatch(ctx context.Context, t *tx, batch []*batchedBooking) ([]*batchedBooking, error) {
	statement, args := doctorTimesOfBatchSQL(batch, t.now)
	ofDoctors, err := timesByParty(ctx, t, statement, args...)
	if err != nil {
		return nil, err
	}
	batch = undecided(batch, func(m *batchedBooking) error {
		m.calendar.Off = slices.Concat(ofDoctors[offTag], ofDoctors[-m.booking.DoctorID])
		m.calendar.DoctorBusy = ofDoctors[m.booking.DoctorID]
		return m.canBook()
	})
	if len(batch) == 0 {
		return nil, nil
	}
	ofPatients, err := bookedOfBatch(batch, patientParty).read(ctx, t)
	if err != nil {
		return nil, err
	}
	ofRooms := map[int64][]clinic.Interval{}
	if statement, args := roomTimesOfBatchSQL(batch, t.now); len(args) > 0 {
		if ofRooms, err = timesByParty(ctx, t, statement, args...); err != nil {
			return nil, err
		}
	}
	return undecided(batch, func(m *batchedBooking) error {
		b := m.booking
		m.calendar.DoctorBusy, m.calendar.PatientBusy = ofDoctors[b.DoctorID], ofPatients[b.PatientID]
		if b.RoomID != nil {
			m.calendar.RoomBusy = ofRooms[*b.RoomID]
		}
		if err := m.canBook(); err != nil {
			return err
		}
		ofDoctors[b.DoctorID] = append(ofDoctors[b.DoctorID], b.Busy())
		ofPatients[b.PatientID] = append(ofPatients[b.PatientID], b.Time())
		if b.RoomID != nil {
			ofRooms[*b.RoomID] = append(ofRooms[*b.RoomID], b.Busy())
		}
		return nil
	}), nil
}

// timesOfBatch are the times that the bookings want of one kind of party.
func timesOfBatch(batch []*batchedBooking, p party) []partyTime {
	var each []partyTime
	for _, m := range batch {
		switch b := m.booking; {
		case p == doctorParty:
			each = append(each, partyTime{b.DoctorID, b.Busy()})
		case p == patientParty:
			each = append(each, partyTime{b.PatientID, b.Time()})
		case b.RoomID != nil:
			each = append(each, partyTime{*b.RoomID, b.Busy()})
		}
	}
	return each
}

// bookedOfBatch asks for the appointments that overlap the bookings, locking: as queries.booked.
func bookedOfBatch(batch []*batchedBooking, p party) occupiedTimes {
	return occupiedTimes{party: p, each: timesOfBatch(batch, p), locking: true, forced: true}
}

// doctorTimesOfBatchSQL selects, by doctor, what doctorTimesSQL does: live holds and appointments
// under the doctor's id, time off under the negative id, and the closures under offTag. The same
// indexes; only appointments are locked.
func doctorTimesOfBatchSQL(batch []*batchedBooking, now time.Time) (statement string, args []any) {
	span := spanOf(batch)
	var off strings.Builder
	for i, m := range batch {
		if i > 0 {
			off.WriteString(` OR `)
		}
		off.WriteString(`(doctor_id = ? AND end_time > ? AND start_time < ?)`)
		want := m.booking.Time()
		args = append(args, m.booking.DoctorID, want.Start, want.End)
	}
	held, values := occupiedTimes{
		party: doctorParty, each: timesOfBatch(batch, doctorParty), holds: &liveHolds{now: now}, forced: true,
	}.heldSQL(doctorParty.columns(doctorParty.column))
	// Safety: constants and placeholders only.
	blocked := `
		SELECT -doctor_id, start_time, end_time, 0, 0
		FROM time_off FORCE INDEX (time_off_doctor)
		WHERE ` + off.String() + `
		UNION ALL
		SELECT 0, start_time, end_time, 0, 0
		FROM closures
		WHERE end_time > ? AND start_time < ?
		UNION ALL ` + held
	return bookedOfBatch(batch, doctorParty).after(blocked, append(append(args, span.Start, span.End), values...))
}

// roomTimesOfBatchSQL selects the live holds and, locking, the appointments that overlap the
// bookings in their rooms; it has no arguments when there are no rooms.
func roomTimesOfBatchSQL(batch []*batchedBooking, now time.Time) (statement string, args []any) {
	booked := bookedOfBatch(batch, roomParty)
	if len(booked.each) == 0 {
		return "", nil
	}
	held, args := occupiedTimes{
		party: roomParty, each: booked.each, holds: &liveHolds{now: now}, forced: true,
	}.heldSQL(roomParty.columns(roomParty.column))
	return booked.after(held, args)
}
