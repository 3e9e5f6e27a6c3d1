package store

import (
	"context"
	"errors"

	"mems/internal/clinic"
)

// Request identifies the caller of a use case, and how its answer is stored and charged. Every
// method whose answer depends on that takes one; the context carries deadlines, cancellation and
// traces alone.
//
// The zero Request has no caller and can access nothing: use cases, snapshots and reads of
// patients' data reject it. So code that forgets to pass a request on does not act as the
// server itself.
type Request struct {
	Access clinic.Access
	// Actor is who acts, as stated by the client, for the history; "" for nobody stated.
	Actor string
	// Idempotency makes the one use case that is called with it, and has an answer, run
	// once; nil for none.
	Idempotency *IdempotencyKey
	// Meter receives the work that the request causes; nil: it is not charged.
	Meter func(clinic.Work, int)
	// Place is the request's part of what the server does at once; nil: that is not limited.
	Place Place
}

// Place is a request's part of what the server does at once. A request that waits for others
// of its process needs no connection meanwhile, and leaves it to them.
type Place interface {
	// Leave gives the place to another request.
	Leave()
	// Resume takes it back at once, because others wait for this request.
	Resume()
	// Enter waits for a place until ctx ends, if it was left. Its errors are the server's own.
	Enter(ctx context.Context) error
}

// leavePlace gives the request's place to another one.
func (r Request) leavePlace() {
	if r.Place != nil {
		r.Place.Leave()
	}
}

// resumePlace takes the place back at once.
func (r Request) resumePlace() {
	if r.Place != nil {
		r.Place.Resume()
	}
}

// enterPlace waits for a place if the request left its own. Errors: those of Place.Enter.
func (r Request) enterPlace(ctx context.Context) error {
	if r.Place == nil {
		return nil
	}
	return r.Place.Enter(ctx)
}

// SystemRequest returns a request of the server itself, for maintenance, background jobs
// and the administrator's commands. It can access everything, and its reads are not
// recorded.
func SystemRequest() Request { return Request{Access: clinic.System()} }

// errNoCaller reports a bug: a request that was not passed on.
var errNoCaller = errors.New("store: a request without a caller")

// check returns errNoCaller for the zero Request.
func (r Request) check() error {
	if r.Access.Subject == "" {
		return errNoCaller
	}
	return nil
}

// actor returns who acts, for the history; nil if unknown.
func (r Request) actor() *string { return r.Access.Actor(clinic.Text(r.Actor)) }

// CountWork reports that the request takes n units of work in all. Of several reports
// the greatest counts, so that a transaction may run again after a deadlock. Where the
// amount is known, it is reported before the work is done.
func (r Request) CountWork(unit clinic.Work, n int) {
	if r.Meter != nil {
		r.Meter(unit, n)
	}
}
