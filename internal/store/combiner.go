package store

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"mems/internal/clinic"
)

// Bookings that wait while others are under way are decided together: a combiner takes up those
// that have come meanwhile as one transaction, a batch (booking_batches.go). A booking that finds
// its combiner idle begins at once, alone. db/README.md has the picture and the figures.
//
// A combiner is not what keeps a time from being booked twice: the guards are. It only spares
// the database the transactions, and lets bookings that want the same guards wait here, where
// waiting costs neither a connection nor a place among the requests that are worked on.

const (
	// combiners in a process. More of them wait less for each other, fewer make larger batches.
	combiners = 2
	// maxBatch bounds a batch, and so how long its guards are held.
	maxBatch = 32
	// maxBatchWait bounds how long one transaction keeps those waiting who came after it: beyond
	// that it waits for something that another transaction holds, and they need not.
	maxBatchWait = 50 * time.Millisecond
)

// errAlone sends a booking of a batch the single way, which decides anew.
var errAlone = errors.New("to be decided alone")

func newCombiners() []combiner {
	all := make([]combiner, combiners)
	for i := range all {
		all[i].patience, all[i].most = maxBatchWait, maxBatch
	}
	return all
}

// combiner is a line of bookings, of which those at its front are taken up when what is under way
// has ended. All bookings of a doctor are in the same one.
type combiner struct {
	patience time.Duration // how long those that came later wait for one batch
	most     int           // in one batch

	mu      sync.Mutex
	busy    bool
	waiting []*batchedBooking
}

// batchedBooking is a booking that may be decided together with others.
type batchedBooking struct {
	ctx     context.Context //nolint:containedctx // of its caller, who may go while the batch goes on
	req     Request
	booking clinic.Booking      // the decision fills in what its type says
	equals  equalBookings       // of the booking as it came
	answer  *clinic.Appointment // for the caller

	taken chan struct{}     // closed when it leads a batch, or has been decided by one
	batch []*batchedBooking // with itself, for the one that leads it

	// Of its batch:
	calendar  clinic.Calendar
	hoursZone *string // of the doctor; nil: no working hours
	err       error   // why it is not booked; errAlone until it is decided

	refusal *batchedBooking // to be explained together with others of the batch; nil: none

	// Of one that is only to be explained:
	line   *refusalLine
	early  bool // it has not been decided under the guards
	stored bool // the refusal, under its idempotency key
}

func newBatchedBooking(ctx context.Context, req Request, b clinic.Booking) *batchedBooking {
	return &batchedBooking{ctx: ctx, req: req, booking: b, equals: equalsOf(b), taken: make(chan struct{}), err: errAlone}
}

// batchedBooking returns a booking for a batch, nil if it has to go the single way: what
// overrides rules, comes from a hold or concerns a series, and callers who can access only
// some of the patients.
func (s *Store) batchedBooking(ctx context.Context, req Request, b clinic.Booking, answer *clinic.Appointment) *batchedBooking {
	if len(s.combiners) == 0 || len(b.Override.Rules) > 0 || b.Hold != "" || b.SeriesID != nil || b.AnyRoom || !req.Access.Reach.All {
		return nil
	}
	m := newBatchedBooking(ctx, req, b)
	m.answer = answer
	return m
}

// attemptTogether is the first attempt at a booking: in a batch if others of its combiner are
// under way, otherwise, or if the batch cannot decide it, alone.
func (s *Store) attemptTogether(ctx context.Context, req Request, u useCase, answer []any) (freed bool, err error) {
	m := u.batched
	c := &s.combiners[uint64(m.booking.DoctorID)%uint64(len(s.combiners))] //nolint:gosec // G115: any number will do
	c.join(m)
	if !c.await(m) {
		return s.attempt(ctx, req, u, answer) // which finds the caller gone
	}
	if m.batch == nil { // another one led it
		return s.endTogether(ctx, req, u, answer)
	}
	defer c.takeUpOthers()()
	if len(m.batch) == 1 {
		return s.attempt(ctx, req, u, answer)
	}
	s.bookBatch(m.batch) //nolint:contextcheck // it serves several callers, and has a context of its own
	return s.endTogether(ctx, req, u, answer)
}

// endTogether ends the attempt at a booking as its batch decided.
func (s *Store) endTogether(ctx context.Context, req Request, u useCase, answer []any) (freed bool, err error) {
	if errors.Is(u.batched.err, errAlone) {
		return s.attempt(ctx, req, u, answer)
	}
	return false, u.batched.err
}

// join adds bookings to the line. If nothing is under way, they are taken up.
func (c *combiner) join(all ...*batchedBooking) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = append(c.waiting, all...)
	if !c.busy {
		c.takeUp()
	}
}

// await returns when a booking leads a batch or has been decided by one, and false when its
// caller has gone before. One that has been taken up waits for its batch, whose outcome is its
// own, too. While it waits, its place is another request's; a leader has it back.
func (c *combiner) await(m *batchedBooking) bool {
	select {
	case <-m.taken:
		return true
	default:
	}
	m.req.leavePlace()
	select {
	case <-m.taken:
	case <-m.ctx.Done():
		if c.leave(m) {
			return false
		}
		<-m.taken
	}
	if m.batch != nil {
		m.req.resumePlace()
	}
	return true
}

// leave takes a booking out of the line, and reports whether it was still there.
func (c *combiner) leave(m *batchedBooking) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.waiting, m)
	if i >= 0 {
		c.waiting = slices.Delete(c.waiting, i, i+1)
	}
	return i >= 0
}

// takeUpOthers returns what the leader calls at the end of its batch: those who wait are taken up.
// If that is not before the combiner's patience ends, they have been taken up then.
func (c *combiner) takeUpOthers() (end func()) {
	next := sync.OnceFunc(c.next)
	late := time.AfterFunc(c.patience, next)
	return func() {
		late.Stop()
		next()
	}
}

func (c *combiner) next() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.takeUp()
}

// takeUp takes up those who wait. The first of them leads.
func (c *combiner) takeUp() {
	n := min(len(c.waiting), c.most)
	if c.busy = n > 0; !c.busy {
		return
	}
	leader := c.waiting[0]
	leader.batch = slices.Clone(c.waiting[:n])
	c.waiting = slices.Delete(c.waiting, 0, n)
	close(leader.taken)
}
