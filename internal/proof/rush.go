package main

import (
	"context"
	"maps"
	"net/http"
	"sync"
)

// rushed is the number of attempts at one time in a rush.
const rushed = 48

// keyedInRush: one in so many attempts has an Idempotency-Key. The others are not sent again when
// their response is lost, and cost the database no write when they are refused.
const keyedInRush = 4

// rush is a time that all clients book at once, each attempt for a patient of its own: one
// of them gets it.
type rush struct {
	mu   sync.Mutex
	left int // attempts
	in   input
	body map[string]any
}

// next returns the time to book; a new one, which want returns, after rushed attempts.
func (r *rush) next(want func() (input, map[string]any)) (input, map[string]any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left == 0 {
		r.left = rushed
		r.in, r.body = want()
	}
	r.left--
	return r.in, maps.Clone(r.body)
}

// bookInRush books the time of the rush. Its refusals are those of "book".
func (c *client) bookInRush(ctx context.Context, d draw) bool {
	in, body := c.f.rush.next(func() (input, map[string]any) {
		in, body := c.wanted(d)
		in.Override = false
		delete(body, "override")
		return in, body
	})
	in.Patient = among(c.f.patients, d.patient)
	body["patient_id"] = in.Patient
	what := request{method: http.MethodPost, path: "/appointments", body: asJSON(body)}
	if d.form%keyedInRush == 0 {
		c.ask(ctx, "book", in, what, c.takeAppointment)
		return true
	}
	o := c.h.invoke(c.number, c.n-1, "book", in)
	defer c.h.settle(o)
	c.send(ctx, o, what, c.takeAppointment)
	return true
}

// withRush returns the weights with so many percent of the steps in a rush.
func withRush(weights []weight, percent int) []weight {
	total := 0
	for _, w := range weights {
		total += w.of
	}
	all := make([]weight, 0, len(weights)+1)
	for _, w := range weights { // integers: whole percents of any total
		all = append(all, weight{w.kind, w.of * (100 - percent)})
	}
	return append(all, weight{"rush", total * percent})
}
