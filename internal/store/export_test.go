package store

import (
	"context"
	"testing"
	"time"

	"mems/internal/auditchain"
	"mems/internal/clinic"
)

// OnSnapshot runs work as an explanation of a refusal does.
func (s *Store) OnSnapshot(ctx context.Context, work func(read func(statement string) error) error) error {
	return s.explain(ctx, SystemRequest(), func(q *snapshot) error {
		return work(func(statement string) error {
			var n int
			return q.GetContext(ctx, &n, statement)
		})
	})
}

// SetSearchBounds sets how many patients a search reads at once.
func (s *Store) SetSearchBounds(narrow, walk int) { s.patientSearch = searchBounds{narrow, walk} }

// DecideTogether turns on batches; call it before the first booking.
func (s *Store) DecideTogether() { s.combiners = newCombiners() }

// Gather makes n bookings wait for each other, in order, and then releases them as batches. start
// begins one; all must belong to one combiner. ended counts those that ended without waiting.
func (s *Store) Gather(n int, start func(i int), ended func() int) {
	s.DecideTogether()
	theirs := &s.combiners[0]
	for i := range s.combiners {
		c := &s.combiners[i]
		c.mu.Lock()
		c.busy, c.patience = true, time.Minute
		c.mu.Unlock()
	}
	for i := range n {
		start(i)
		for waiting := -1; waiting+ended() <= i; {
			for j := range s.combiners {
				c := &s.combiners[j]
				c.mu.Lock()
				if len(c.waiting) > 0 {
					theirs, waiting = c, len(c.waiting)
				}
				waiting = max(waiting, 0)
				c.mu.Unlock()
			}
			time.Sleep(time.Millisecond)
		}
	}
	for i := range s.combiners {
		if c := &s.combiners[i]; c != theirs {
			c.next()
		}
	}
	theirs.next()
}

// SetMaxScanned sets how many appointments a page may examine.
func (s *Store) SetMaxScanned(n int) { s.maxScanned = n }

// StartUnsealedChain begins a chain as a version without seals does.
func (s *Store) StartUnsealedChain(ctx context.Context) error {
	var before []byte
	if err := s.db.GetContext(ctx, &before, `SELECT hash FROM audit_chains ORDER BY id DESC LIMIT 1`); err != nil {
		return err
	}
	at := clinic.Instant(s.now())
	hash := auditchain.BeginHash(before, at, auditchain.Key{})
	if _, err := s.db.ExecContext(ctx, `UPDATE audit_chains SET sealed_seq = sealed_seq + 1 WHERE id = 1`); err != nil {
		return err
	}
	result, err := s.db.ExecContext(ctx, `INSERT INTO audit_chains (started_at, hash, sealed_hash) VALUES (?, ?, ?)`, at, hash, hash)
	if err != nil {
		return err
	}
	id, err := result.LastInsertId()
	if err != nil {
		return err
	}
	data, err := s.readDataID(ctx, s.db)
	s.noticeData(ctx, data)
	s.releaseChain(&chainTip{Tip: auditchain.Tip{Chain: id, Begin: hash, Hash: hash}, data: data}, true)
	return err
}

// OfferAsRead offers a time to an entry as it was read earlier, as a search does that another
// change has overtaken.
func (s *Store) OfferAsRead(ctx context.Context, req Request, e clinic.WaitlistEntry, slot clinic.Slot) (offered bool, err error) {
	err = s.inTx(ctx, req, "offer as read", func(t *tx) error {
		t.bookkeeping = true
		if _, err := t.guardDoctor(ctx, slot.DoctorID); err != nil {
			return err
		}
		offered, err = s.offer(ctx, t, &e, e.Booking(slot.DoctorID, slot.Time.Start, clinic.Buffers{}))
		return err
	})
	return offered, err
}

// ReadToDecide reads a booking's doctor and room as a decision does, in a transaction that ends
// with the test.
func (s *Store) ReadToDecide(t *testing.T, b clinic.Booking) (c clinic.Calendar) {
	t.Helper()
	begun, err := s.db.BeginTxx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = begun.Rollback() })
	q := &queries{QueryerContext: begun, now: clinic.Instant(s.now()), locking: true}
	if err := readDoctorTimes(t.Context(), q, &c, b, doctorFacts{ID: b.DoctorID}, 0); err != nil {
		t.Fatal(err)
	}
	statement, args := roomTimesSQL(q, b, 0)
	times, err := timesByParty(t.Context(), q, statement, args...)
	if err != nil {
		t.Fatal(err)
	}
	c.RoomBusy = times[*b.RoomID]
	return c
}

// GatherRefusals has n refusals of bookings that equal b wait for each other, and then explains them
// together. start begins one, ready is called when all wait.
func (s *Store) GatherRefusals(b clinic.Booking, n int, start func(i int), ready func()) {
	of := equalsOf(b)
	first := newBatchedBooking(context.Background(), SystemRequest(), b)
	line := s.explanations.join(of, first)
	<-first.taken // it leads, and is under way until next
	for i := range n {
		start(i)
		for waiting := 0; waiting <= i; time.Sleep(time.Millisecond) {
			line.mu.Lock()
			waiting = len(line.waiting)
			line.mu.Unlock()
		}
	}
	ready()
	line.next()
	s.explanations.leave(line)
}
