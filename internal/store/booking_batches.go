package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"mems/internal/clinic"
)

// bookBatch decides bookings together, in one transaction, and tells each of them. Each is
// decided as alone, by the same rules and in the order in which they came, and sees those of
// the batch that were accepted before it. What a batch cannot decide goes the single way, and so
// does all of it on any error: nothing was changed then. Only when the answer to COMMIT is lost
// is the outcome unknown, of all that were accepted.
func (s *Store) bookBatch(batch []*batchedBooking) {
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
		s.joinRefusals(batch)
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
// Statements: find the idempotency keys; lock the doctors, write their guards, the same for the
// patients and the rooms, and read the facts of each; hours; the doctors' times, the patients', the
// rooms'; insert the appointments, find their ids, insert events, changes, audit entries, keys.
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
	var all []newAnswer
	for _, m := range batch {
		if m.req.Idempotency != nil {
			all = append(all, newAnswer{req: m.req, answer: []any{m.answer}, patient: &m.booking.PatientID})
		}
	}
	return insertAnswers(ctx, t, all)
}
