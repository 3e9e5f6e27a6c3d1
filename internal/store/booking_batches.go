package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// bookBatch decides bookings together, in one transaction, and tells each of them. Each is
// decided as alone, by the same rules and in the order in which they came, and sees those of
// the batch that were accepted before it. What a batch cannot decide goes the single way, and so
// does all of it on any error: nothing was changed then. Only when the answer to COMMIT is lost
// is the outcome unknown, of all that were accepted. Then those who wait meanwhile are taken up.
func (s *Store) bookBatch(c *combiner, batch []*batchedBooking) {
	defer c.next()
	defer func() { // also in a panic, so that nobody waits for ever
		for _, m := range batch[1:] {
			close(m.taken)
		}
	}()
	ctx, cancel := contextOfBatch(batch)
	defer cancel()
	var booked []*batchedBooking
	err := s.transact(ctx, SystemRequest(), func(t *tx, st *chainTip) (end *chainTip, err error) {
		booked, end, err = s.runBatch(ctx, t, st, batch)
		return end, err
	})
	if err == nil {
		for _, m := range booked {
			m.err = nil
		}
		return
	}
	apart := errAlone
	if errors.Is(err, clinic.ErrOutcomeUnknown) {
		apart = nil
	}
	for _, m := range batch {
		m.err = errAlone
	}
	for _, m := range booked {
		m.err = firstError(apart, err)
	}
	s.reportBackstop(ctx, err)
	if isTransient(err) {
		s.observe.retry(err)
	}
	s.log.DebugContext(ctx, "bookings decided one by one", "bookings", len(batch), "cause", err)
}

// contextOfBatch is that of the first booking, but it goes on when this one's caller goes, and
// ends with the earliest deadline of all.
func contextOfBatch(batch []*batchedBooking) (context.Context, context.CancelFunc) {
	ctx := context.WithoutCancel(batch[0].ctx)
	var earliest time.Time // none
	for _, m := range batch {
		if until, ok := m.ctx.Deadline(); ok && (earliest.IsZero() || until.Before(earliest)) {
			earliest = until
		}
	}
	if earliest.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, earliest)
}

// runBatch does all of a batch's transaction but its COMMIT. It returns the bookings that it made.
//
// Statements: find the idempotency keys; write the doctors' guards, the patients', the rooms', and
// read the facts of each; hours; the doctors' times, the patients', the rooms'; insert the
// appointments, find their ids, insert events, changes, audit entries, keys.
func (s *Store) runBatch(ctx context.Context, t *tx, st *chainTip, batch []*batchedBooking) ([]*batchedBooking, *chainTip, error) {
	batch = undecided(batch, func(m *batchedBooking) error {
		if m.ctx.Err() != nil {
			return errAlone // nobody waits for it any more
		}
		return s.checkStart(m.req, t.now, m.booking)
	})
	for _, step := range []func(context.Context, *tx, []*batchedBooking) ([]*batchedBooking, error){
		withNewKeys, guardBatch, readRoomsOfBatch, readHoursOfBatch, decideBatch,
	} {
		var err error
		if batch, err = step(ctx, t, batch); err != nil || len(batch) == 0 {
			return nil, nil, err
		}
	}
	if err := placeBatch(ctx, t, batch); err != nil {
		return nil, nil, err
	}
	end, err := s.flushRecords(ctx, t, st)
	if err != nil {
		return nil, nil, err
	}
	return batch, end, storeAnswersOfBatch(ctx, t, batch)
}

// undecided returns the bookings that decide has nothing against, and notes of the others what it has.
func undecided(batch []*batchedBooking, decide func(*batchedBooking) error) []*batchedBooking {
	var rest []*batchedBooking
	for _, m := range batch {
		if err := decide(m); err != nil {
			m.err = err
		} else {
			rest = append(rest, m)
		}
	}
	return rest
}

// canBook decides on what has been read so far.
func (m *batchedBooking) canBook() error {
	_, err := clinic.CanBook(m.calendar, m.booking)
	return err
}

// withNewKeys leaves out the bookings whose idempotency key is known, or is another one's of the batch. A
// key that another request has locked is an error. Primary key.
func withNewKeys(ctx context.Context, t *tx, batch []*batchedBooking) ([]*batchedBooking, error) {
	type key struct{ caller, id string }
	keyOf := func(m *batchedBooking) key { return key{m.req.Access.Subject, string(m.req.Idempotency.id())} }
	known := map[key]bool{}
	var conditions []string
	var args []any
	for _, m := range batch {
		if m.req.Idempotency != nil {
			conditions = append(conditions, `caller = ? AND id_key = ?`)
			args = append(args, keyOf(m).caller, m.req.Idempotency.id())
		}
	}
	if len(conditions) == 0 {
		return batch, nil
	}
	var rows []struct {
		Caller string `db:"caller"`
		ID     []byte `db:"id_key"`
	}
	// Safety: constants and placeholders only.
	err := t.SelectContext(ctx, &rows, `SELECT caller, id_key FROM idempotency_keys WHERE (`+strings.Join(conditions, `) OR (`)+`) FOR UPDATE NOWAIT`, args...)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		known[key{row.Caller, string(row.ID)}] = true
	}
	return undecided(batch, func(m *batchedBooking) error {
		if m.req.Idempotency == nil {
			return nil
		}
		if known[keyOf(m)] {
			return errAlone
		}
		known[keyOf(m)] = true
		return nil
	}), nil
}

// guardBatch takes the guards of the doctors and the patients, and applies what the doctors and the
// types say. Primary keys.
func guardBatch(ctx context.Context, t *tx, batch []*batchedBooking) ([]*batchedBooking, error) {
	doctors := idsOfBatch(batch, func(m *batchedBooking) *int64 { return &m.booking.DoctorID })
	patients := idsOfBatch(batch, func(m *batchedBooking) *int64 { return &m.booking.PatientID })
	if _, err := t.guards(ctx, doctorGuard, doctors); err != nil {
		return nil, err
	}
	n, err := t.guards(ctx, patientGuard, patients)
	if err != nil {
		return nil, err
	}
	found := patients
	if n != int64(len(patients)) {
		where, args := patientGuard.where(patients)
		if err := t.SelectContext(ctx, &found, `SELECT id FROM patients`+where, args...); err != nil {
			return nil, err
		}
	}
	facts, err := rowsOf(ctx, t, `SELECT `+doctorFactsColumns+` FROM doctors WHERE id IN (?)`, doctors, func(d *doctorFacts) int64 { return d.ID })
	if err != nil {
		return nil, err
	}
	types, err := rowsOf(ctx, t, `SELECT `+typeColumns+` FROM appointment_types WHERE id IN (?)`,
		idsOfBatch(batch, func(m *batchedBooking) *int64 { return m.booking.TypeID }), func(r *typeRow) int64 { return r.ID })
	if err != nil {
		return nil, err
	}
	return undecided(batch, func(m *batchedBooking) error {
		doctor, exists := facts[m.booking.DoctorID]
		if !exists || !slices.Contains(found, m.booking.PatientID) {
			return errAlone // which finds out what has become of them
		}
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
	ids := idsOfBatch(batch, func(m *batchedBooking) *int64 { return m.booking.RoomID })
	if len(ids) == 0 {
		return batch, nil
	}
	if _, err := t.guards(ctx, roomGuard, ids); err != nil {
		return nil, err
	}
	type roomState struct {
		ID       int64 `db:"id"`
		IsActive bool  `db:"is_active"`
	}
	rooms, err := rowsOf(ctx, t, `SELECT id, is_active FROM rooms WHERE id IN (?)`, ids, func(r *roomState) int64 { return r.ID })
	if err != nil {
		return nil, err
	}
	return undecided(batch, func(m *batchedBooking) error {
		if m.booking.RoomID == nil {
			return nil
		}
		switch r := rooms[*m.booking.RoomID]; {
		case r == nil:
			m.calendar.Room = clinic.Missing
		case !r.IsActive:
			m.calendar.Room = clinic.Inactive
		default:
			m.calendar.Room = clinic.Active
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

// placeBatch inserts the appointments with their first events, and records them.
func placeBatch(ctx context.Context, t *tx, batch []*batchedBooking) error {
	made := make([]clinic.Appointment, len(batch))
	for i, m := range batch {
		t.req = m.req
		made[i] = newAppointment(t, m.booking, clinic.Broken{})
	}
	if _, err := insertBooked(ctx, t, made); err != nil {
		return err
	}
	ids, err := idsOfPlaced(ctx, t, made)
	if err != nil {
		return err
	}
	events := make([]clinic.Event, len(batch))
	for i, m := range batch {
		t.req = m.req
		made[i].ID = ids[i]
		*m.answer = made[i]
		t.record(clinic.Created(clinic.KindAppointment, ids[i], made[i]))
		events[i] = made[i].Event(m.req.actor(), clinic.ActionBook, nil)
	}
	return insertEvents(ctx, t, ids, events)
}

// idsOfPlaced reads the ids of appointments that were just inserted: what the database gives the
// rows of one statement need not be consecutive. Only one appointment of a doctor that takes time
// has that start: any other would have overlapped it. Index appointments_doctor.
func idsOfPlaced(ctx context.Context, t *tx, made []clinic.Appointment) ([]int64, error) {
	statement, args := placedSQL(made)
	var rows []struct {
		ID        int64     `db:"id"`
		DoctorID  int64     `db:"doctor_id"`
		StartTime time.Time `db:"start_time"`
	}
	if err := t.SelectContext(ctx, &rows, statement, args...); err != nil {
		return nil, err
	}
	ids := make([]int64, len(made))
	for i := range made {
		for _, r := range rows {
			if r.DoctorID != made[i].DoctorID || !r.StartTime.Equal(made[i].Time.Start) {
				continue
			}
			if ids[i] != 0 {
				return nil, fmt.Errorf("two appointments, %d and %d, of one doctor and start", ids[i], r.ID)
			}
			ids[i] = r.ID
		}
		if ids[i] == 0 {
			return nil, errors.New("an appointment that was inserted cannot be found")
		}
	}
	return ids, nil
}

func placedSQL(made []clinic.Appointment) (statement string, args []any) {
	for i := range made {
		args = append(args, made[i].DoctorID, made[i].Time.Start)
	}
	// Safety: constants and placeholders only.
	return `
		SELECT id, doctor_id, start_time
		FROM appointments FORCE INDEX (appointments_doctor)
		WHERE (doctor_id = ? AND start_time = ?` + strings.Repeat(` OR doctor_id = ? AND start_time = ?`, len(made)-1) + `) AND ` + occupying, args
}

// storeAnswersOfBatch stores the answers to the bookings that have an idempotency key.
func storeAnswersOfBatch(ctx context.Context, t *tx, batch []*batchedBooking) error {
	var args []any
	rows := 0
	for _, m := range batch {
		key := m.req.Idempotency
		if key == nil {
			continue
		}
		rows++
		caller := m.req.Access.Subject
		sealed, err := key.seal(caller, []any{m.answer})
		if err != nil {
			return err
		}
		args = append(args, caller, key.id(), key.Request[:], sealed, m.booking.PatientID, t.now)
	}
	if rows == 0 {
		return nil
	}
	_, err := t.ExecContext(ctx, `
		INSERT INTO idempotency_keys (caller, id_key, request, answer, patient_id, created_at)
		VALUES (?, ?, ?, ?, ?, ?)`+strings.Repeat(`, (?, ?, ?, ?, ?, ?)`, rows-1), args...)
	return err
}
