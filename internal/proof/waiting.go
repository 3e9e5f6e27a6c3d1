package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// probe is the run's own hold, on a day that no client books, which must expire.
type probe struct {
	body    map[string]any
	expires time.Time
	outcome string // empty while unknown
}

// holdProbe creates the probe.
func (f *field) holdProbe(ctx context.Context) error {
	f.probe.body = map[string]any{"doctor_id": f.doctors[0], "start_time": f.today.AddDate(2, 0, 0).Add(9 * time.Hour), "duration_minutes": 30, "seconds": 30}
	_, err := f.create(ctx, "/holds", f.probe.body)
	f.probe.expires = time.Now().Add(30 * time.Second)
	return err
}

// bookProbe books the time of the probe when the run has lasted long enough for the hold
// to have ended.
func (f *field) bookProbe(ctx context.Context) {
	if f.probe.body == nil || time.Until(f.probe.expires) > -clockSkew {
		return
	}
	delete(f.probe.body, "seconds")
	f.probe.body["patient_id"] = f.patients[0]
	f.probe.outcome = "booked"
	if _, err := f.create(ctx, "/appointments", f.probe.body); err != nil {
		f.probe.outcome = err.Error()
	}
}

// settled is how long nothing may have changed before everything is read: maintenance runs
// every 5 s.
const settled = 6 * time.Second

// freeze has the servers' clocks stand still, and waits until what was due is done. From
// then on no offer or hold runs out, and feed, streams and tables can be compared.
func (f *field) freeze(ctx context.Context) error {
	f.frozen = time.Now().UTC()
	for _, t := range f.servers {
		if err := t.writeClock(f.frozen.Format(time.RFC3339Nano)); err != nil {
			return err
		}
	}
	var count int
	since := time.Now()
	for limit := since.Add(2 * time.Minute); time.Since(since) < settled; pause(ctx, 200*time.Millisecond) {
		var n int
		if err := f.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM changes`).Scan(&n); err != nil {
			return err
		}
		if n != count {
			count, since = n, time.Now()
		}
		if time.Now().After(limit) {
			return fmt.Errorf("changes are still made %s after the last request", 2*time.Minute)
		}
	}
	return nil
}

// passingOn is how long an expired offer may stay: maintenance runs every 5 s.
const passingOn = 30 * time.Second

// waitingEnds finds offers and holds that should have ended: an offer that is long expired,
// one without its hold, a hold without its offer.
func (w *world) waitingEnds(outcome string) check {
	t := w.tables
	c := check{name: "offers and holds end", examined: len(t.entries) + len(t.holds)}
	if outcome != "" {
		if c.examined++; outcome != "booked" {
			c.fault("the time of a hold that has expired cannot be booked: %s", outcome)
		}
	}
	offers := map[int64]bool{}
	for _, id := range sortedKeys(t.entries) {
		e := t.entries[id]
		if e.status != "offered" {
			continue
		}
		offers[e.offer] = true
		switch h, exists := t.holds[e.offer]; {
		case !exists:
			c.fault("entry %d of the waitlist is offered hold %d, which is gone", id, e.offer)
		case !h.expires.Equal(e.expires):
			c.fault("entry %d of the waitlist is offered a time until %s, held until %s", id, e.expires, h.expires)
		case e.expires.Before(t.now.Add(-passingOn)):
			c.fault("entry %d of the waitlist has an offer that was over at %s", id, e.expires)
		}
	}
	for _, e := range t.trail {
		if id := e.offer.HoldID; id != 0 && !offers[id] {
			if h, exists := t.holds[id]; exists && h.expires.After(t.now) {
				c.fault("hold %d keeps a time that was offered to entry %d, which has no such offer any more", id, e.id)
			}
		}
	}
	return c
}

// holdsRespected finds bookings of a time that was certainly held for another client
// throughout the booking's call. Overbookings are deliberate.
func (w *world) holdsRespected() check {
	c := check{name: "held times are kept"}
	for _, o := range w.ops {
		if o.Kind != "hold" || o.Outcome != ok {
			continue
		}
		c.examined++
		end := o.Out.Expires.Sub(w.began) - w.skew
		for _, other := range w.holdOps[o.Out.ID] {
			end = min(end, other.Call)
		}
		kept := buffered(o.In.Start, o.In.Minutes, o.In.Before, o.In.After)
		day := o.In.Start.In(w.zone).Format(time.DateOnly)
		for _, of := range []cell{{doctorsOf, o.In.Doctor, day}, {roomsOf, o.In.Room, day}} {
			for _, s := range w.stood[of] {
				// s.from is the call of the operation that occupied the time, s.surely its
				// return.
				if s.slot.overlaps(kept) && s.from >= o.Return && s.surely <= end && !w.overbooked(s) {
					c.fault("hold %d (op %d) kept %s of %s %d, and appointment %d took it", o.Out.ID, o.ID, kept, of.of, of.id, s.id)
				}
			}
		}
	}
	return c
}

// overbooked reports whether an appointment ever overbooked another one.
func (w *world) overbooked(s stay) bool {
	return slices.ContainsFunc(w.tables.events[s.id], func(e event) bool { return e.doctorOverbooked })
}

// get sends a GET request to a server.
func (f *field) get(ctx context.Context, address, path string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(r)
	if err == nil && response.StatusCode != http.StatusOK {
		_ = response.Body.Close()
		return nil, fmt.Errorf("GET %s: %s", path, response.Status)
	}
	return response, err
}
