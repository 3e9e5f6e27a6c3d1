package store

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"mems/internal/clinic"
)

// Many who want one time are refused for the same reason and offered the same alternatives, but for
// those that are taken of the patient's own. Equal bookings that are refused at the same time are
// therefore explained together: those that come while one explanation is under way wait for it to
// end, and share the next. So the snapshot that refuses a booking never began before it came.

const (
	// maxExplained bounds how many bookings share an explanation.
	maxExplained = 256
	// maxExplanation bounds how long one explanation keeps those waiting who came after it.
	maxExplanation = 250 * time.Millisecond
	// spareAlternatives are found beyond those of one patient, so that some are left to patients
	// who have appointments themselves.
	spareAlternatives = 6
)

// equalBookings is what bookings have in common that are refused alike.
type equalBookings struct {
	doctor   int64
	start    int64 // microseconds
	duration time.Duration
	typeID   int64 // 0: none
	room     int64 // 0: no particular one
	anyRoom  bool
}

func equalsOf(b clinic.Booking) equalBookings {
	of := equalBookings{doctor: b.DoctorID, start: b.Start.UnixMicro(), duration: b.Duration, anyRoom: b.AnyRoom}
	if b.TypeID != nil {
		of.typeID = *b.TypeID
	}
	if b.RoomID != nil {
		of.room = *b.RoomID
	}
	return of
}

// sharedRefusals has the bookings whose refusals are being explained.
type sharedRefusals struct {
	mu    sync.Mutex
	lines map[equalBookings]*refusalLine
}

// refusalLine combines explanations as a combiner does bookings. It exists while bookings are in it.
type refusalLine struct {
	combiner

	of equalBookings
	in int
}

// join adds bookings to the line of their equals, each of which has to leave it.
func (r *sharedRefusals) join(of equalBookings, all ...*batchedBooking) *refusalLine {
	r.mu.Lock()
	defer r.mu.Unlock()
	line := r.lines[of]
	if line == nil {
		line = &refusalLine{of: of, combiner: combiner{patience: maxExplanation, most: maxExplained}}
		if r.lines == nil {
			r.lines = map[equalBookings]*refusalLine{}
		}
		r.lines[of] = line
	}
	line.in += len(all)
	line.join(all...)
	return line
}

func (r *sharedRefusals) leave(line *refusalLine) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if line.in--; line.in == 0 {
		delete(r.lines, line.of)
	}
}

// sharesRefusal reports whether a booking is refused for the same reasons as every equal one: not
// if it overrides rules, uses a hold or belongs to a series, and if its caller can access every patient.
func sharesRefusal(req Request, b clinic.Booking) bool {
	plain := len(b.Override.Rules) == 0 && b.Hold == "" && b.SeriesID == nil && !b.Moving
	return plain && b.PatientID != 0 && req.Access.Reach.All
}

// joinRefusals has those of a batch that are refused alike explained together.
func (s *Store) joinRefusals(batch []*batchedBooking) {
	alike := map[equalBookings][]*batchedBooking{}
	for _, m := range batch {
		if isSlotConflict(m.err) {
			m.refusal = newBatchedBooking(m.ctx, m.req, m.booking)
			alike[m.equals] = append(alike[m.equals], m.refusal)
		}
	}
	for of, refusals := range alike {
		line := s.explanations.join(of, refusals...)
		for _, m := range refusals {
			m.line = line
		}
	}
}

// explainUseCase explains why a use case is refused, together with equal ones if it can be. early
// says that it has not been decided yet: nil, too, when a plain read does not show the time taken.
func (s *Store) explainUseCase(ctx context.Context, req Request, u useCase, early bool) error {
	if !u.shared {
		return s.explainAlone(ctx, req, u, early)
	}
	var m *batchedBooking
	if u.batched != nil && u.batched.refusal != nil { // with those of its batch
		m, u.batched.refusal = u.batched.refusal, nil
	} else {
		m = newBatchedBooking(ctx, req, u.booking)
		m.early = early
		m.line = s.explanations.join(m.equals, m)
	}
	defer s.explanations.leave(m.line)
	if !m.line.await(m) {
		return ctx.Err()
	}
	if len(m.batch) == 1 {
		defer m.line.takeUpOthers()()
		return s.explainAlone(ctx, req, u, early)
	}
	if m.batch != nil {
		s.explainBatch(m.line, m.batch, u.wanted) //nolint:contextcheck // as in attemptTogether
	}
	if m.stored {
		*u.stored = true
	}
	if errors.Is(m.err, errAlone) {
		return s.explainAlone(ctx, req, u, early)
	}
	return m.err
}

func (s *Store) explainAlone(ctx context.Context, req Request, u useCase, early bool) error {
	if err := req.enterPlace(ctx); err != nil {
		return err
	}
	if early {
		if taken, err := s.isTaken(ctx, u.wanted); err != nil || !taken {
			return nil //nolint:nilerr // the transaction meets and handles the same
		}
	}
	return s.explain(ctx, req, u.explain)
}

// explainBatch explains the refusals of equal bookings on one snapshot, and tells each of them. It
// leaves those to explain alone that it does not refuse because of the doctor's calendar.
func (s *Store) explainBatch(line *refusalLine, batch []*batchedBooking, wanted wantedTime) {
	defer line.takeUpOthers()()
	defer func() { // also in a panic, so that nobody waits for ever
		for _, m := range batch[1:] {
			close(m.taken)
		}
	}()
	ctx, cancel := contextOfBatch(batch)
	defer cancel()
	if !slices.ContainsFunc(batch, func(m *batchedBooking) bool { return !m.early }) {
		taken, err := s.isTaken(ctx, wanted)
		if err != nil {
			return
		}
		if !taken {
			for _, m := range batch {
				m.err = nil
			}
			return
		}
	}
	err := s.explain(ctx, SystemRequest(), func(q *snapshot) error { return s.explainEquals(ctx, q, batch) })
	if err != nil {
		s.log.DebugContext(ctx, "refusals explained one by one", "bookings", len(batch), "cause", err)
		return
	}
	if err := s.storeRefusals(ctx, batch); err != nil {
		s.log.DebugContext(ctx, "refusals stored one by one", "bookings", len(batch), "cause", err)
	}
}

// storeRefusals stores the refusals of those who have an idempotency key, in one transaction. On any
// error, as when one of the keys is known, each has to do so itself.
func (s *Store) storeRefusals(ctx context.Context, batch []*batchedBooking) error {
	type key struct{ caller, id string }
	keyed := map[key]*batchedBooking{} // of two with one key, the other has to ask for the first one's answer
	for _, m := range batch {
		if m.req.Idempotency != nil && isSlotConflict(m.err) {
			keyed[key{m.req.Access.Subject, string(m.req.Idempotency.id())}] = m
		}
	}
	if len(keyed) == 0 {
		return nil
	}
	var all []newAnswer
	// In the order of the primary key, so that two transactions do not wait for each other.
	for _, k := range slices.SortedFunc(maps.Keys(keyed), func(a, b key) int {
		return cmp.Or(cmp.Compare(a.caller, b.caller), cmp.Compare(a.id, b.id))
	}) {
		known, _ := errors.AsType[*clinic.Error](keyed[k].err)
		all = append(all, newAnswer{req: keyed[k].req, answer: known, refused: true})
	}
	err := s.transact(ctx, SystemRequest(), func(t *tx, st *chainTip) (*chainTip, error) {
		if err := insertAnswers(ctx, t, all); err != nil {
			return nil, err
		}
		return s.flushRecords(ctx, t, st)
	})
	for _, m := range keyed {
		m.stored = err == nil
	}
	return err
}

// explainEquals refuses equal bookings of several patients, whose callers can access every patient.
//
// Statements: those of a refusal alone, with the patients and their times in one each.
func (s *Store) explainEquals(ctx context.Context, q *snapshot, batch []*batchedBooking) error {
	patients := idsOfBatch(batch, func(m *batchedBooking) *int64 { return &m.booking.PatientID })
	where, args := patientGuard.where(patients)
	var known []int64
	if err := q.SelectContext(ctx, &known, `SELECT id FROM patients`+where, args...); err != nil {
		return err
	}
	batch = slices.DeleteFunc(slices.Clone(batch), func(m *batchedBooking) bool {
		return !slices.Contains(known, m.booking.PatientID) || s.checkStart(m.req, q.now, m.booking) != nil
	})
	if len(batch) == 0 {
		return nil
	}
	b := batch[0].booking
	exists, err := q.doctorExists(ctx, b.DoctorID)
	if err != nil || !exists {
		return err
	}
	p, err := readParties(ctx, q, b)
	if err != nil {
		return err
	}
	_, err = s.decideWith(ctx, q.decider(), clinic.Calendar{Doctor: clinic.Active, Patient: clinic.Active}, &b, 0, p, nil)
	refusal, ok := errors.AsType[*clinic.Error](err)
	if !ok {
		return err
	}
	switch refusal.Code {
	case clinic.CodeOutsideWorkingHours, clinic.CodeTimeOff, clinic.CodeDoctorOverlap: // the same for every patient
	default:
		return err
	}
	if refusal.Held, err = q.isHeld(ctx, refusal, b); err != nil {
		return err
	}
	b.PatientID = 0
	found, err := s.findProposals(ctx, q, p, b, 0, alternativesEach+spareAlternatives)
	if err != nil {
		return err
	}
	own, err := occupiedTimes{party: patientParty, ids: known, window: found.patientWindow(), forced: true}.read(ctx, q)
	if err != nil {
		return err
	}
	for _, m := range batch {
		if alternatives, ok := found.nearestFor(own[m.booking.PatientID]); ok {
			theirs := *refusal
			theirs.Alternatives = alternatives
			m.err = &theirs
		}
	}
	return nil
}

// nearestFor returns the alternatives of a patient with these times, and false if other ones might
// be nearer, because the search left out too many for them.
func (p *proposals) nearestFor(busy []clinic.Interval) (alternatives []clinic.Slot, ok bool) {
	for _, found := range [][]clinic.Slot{p.same, p.others} {
		lost := map[int64]int{} // of each doctor's
		left := slices.DeleteFunc(slices.Clone(found), func(slot clinic.Slot) bool {
			taken := slices.ContainsFunc(busy, slot.Time.Overlaps)
			if taken {
				lost[slot.DoctorID]++
			}
			return taken
		})
		for _, n := range lost {
			if n > p.each-alternativesEach {
				return nil, false
			}
		}
		if len(found) >= p.each && len(left) < alternativesEach {
			return nil, false
		}
		alternatives = append(alternatives, clinic.Nearest(left, p.booking.Start, alternativesEach)...)
	}
	return alternatives, true
}
