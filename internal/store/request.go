package store

import (
	"context"

	"mems/internal/clinic"
)

// What a request carries through its context: the caller's access, the actor that was
// stated, and the meter of its cost.
type (
	accessKey struct{}
	actorKey  struct{}
	meterKey  struct{}
)

// WithAccess returns a context for what a caller asks for.
func WithAccess(ctx context.Context, a clinic.Access) context.Context {
	return context.WithValue(ctx, accessKey{}, a)
}

// AccessOf returns the access of a context. One without is the server's own: no
// request passes package server without.
func AccessOf(ctx context.Context) clinic.Access {
	if a, ok := ctx.Value(accessKey{}).(clinic.Access); ok {
		return a
	}
	return clinic.System()
}

// WithActor returns a context in which an actor is stated, for the history.
func WithActor(ctx context.Context, actor string) context.Context {
	return context.WithValue(ctx, actorKey{}, clinic.Text(actor))
}

// actorOf returns who acts, nil when it is not known.
func actorOf(ctx context.Context) *string {
	stated, _ := ctx.Value(actorKey{}).(string)
	return AccessOf(ctx).Actor(stated)
}

// WithMeter returns a context whose request reports its work to count.
func WithMeter(ctx context.Context, count func(clinic.Work, int)) context.Context {
	return context.WithValue(ctx, meterKey{}, count)
}

// CountWork reports that the request takes n units of work in all. Of several reports
// the greatest counts, so that a transaction may run again after a deadlock. Where the
// amount is known, it is reported before the work is done.
func CountWork(ctx context.Context, unit clinic.Work, n int) {
	if count, ok := ctx.Value(meterKey{}).(func(clinic.Work, int)); ok {
		count(unit, n)
	}
}
