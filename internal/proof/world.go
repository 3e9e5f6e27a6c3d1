package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// world is the history together with the tables.
type world struct {
	ops    []*op
	byID   map[int]*op
	began  time.Time
	zone   *time.Location
	skew   time.Duration // of the servers' clocks
	tables *tables
	out    string // folder for pictures of unexplained histories

	done        map[int][]transition // by operation, in the order of the appointments and versions
	effects     map[int][]entry      // by operation: its entries of the audit trail
	ticketTrail map[int64][]entry    // the entries of each ticket
	holdOps     map[int64][]*op      // what used or released a hold
	holdsMade   map[int64]*op
	mergedBy    map[int64][]*op   // merges of a patient's record into another
	waits       map[int64]*op     // what created a waitlist entry
	offers      map[int64][]offer // by entry
	off         map[cell][]stay   // time off of a doctor's day
	ticketsOf   map[int64][]int64 // by the patient's surviving record
	merges      int
	foreign     []string // events of unknown operations
	cells       map[cell][]porcupine.Operation
	stood       map[cell][]stay // appointments
	kept        map[cell][]stay // holds and offers
}

// transition is an event of an appointment and the one before it.
type transition struct {
	appointment   int64
	before, after *event // before is nil for a booking
}

// stay is a time in a calendar and when it was occupied: possibly within [from, to],
// certainly within [surely, surelyTo], unless that is empty.
type stay struct {
	slot             slot
	id               int64
	from, to         time.Duration
	surely, surelyTo time.Duration
}

const forever = time.Duration(math.MaxInt64)

// newWorld combines the history and the tables.
func newWorld(ops []*op, t *tables, began time.Time, zone *time.Location, skew time.Duration, out string) *world {
	w := &world{
		ops: ops, byID: map[int]*op{}, began: began, zone: zone, skew: skew, tables: t, out: out,
		done: map[int][]transition{}, effects: map[int][]entry{}, ticketTrail: map[int64][]entry{}, holdOps: map[int64][]*op{}, holdsMade: map[int64]*op{}, mergedBy: map[int64][]*op{},
		waits: map[int64]*op{}, offers: map[int64][]offer{}, off: map[cell][]stay{}, ticketsOf: map[int64][]int64{}, stood: map[cell][]stay{}, kept: map[cell][]stay{},
	}
	for _, o := range ops {
		w.byID[o.ID] = o
		if o.Outcome == refused {
			continue
		}
		switch o.Kind {
		case "release", "book-held":
			w.holdOps[o.In.Hold] = append(w.holdOps[o.In.Hold], o)
		case "hold":
			w.holdsMade[o.Out.ID] = o
		case "merge":
			w.mergedBy[o.In.Duplicate] = append(w.mergedBy[o.In.Duplicate], o)
		case "wait":
			w.waits[o.Out.ID] = o
		}
	}
	w.keepTimeOff()
	for id, k := range t.tickets {
		w.ticketsOf[w.survivor(k.Patient)] = append(w.ticketsOf[w.survivor(k.Patient)], id)
	}
	for _, into := range t.patients {
		if into != 0 {
			w.merges++
		}
	}
	for _, id := range sortedKeys(t.events) {
		events := t.events[id]
		for i := range events {
			o := w.opOf(events[i].actor)
			if events[i].actor == theRun {
				continue
			}
			if o == nil {
				w.foreign = append(w.foreign, fmt.Sprintf("the history of appointment %d names %q, which no client sent", id, events[i].actor))
				continue
			}
			tr := transition{appointment: id, after: &events[i]}
			if i > 0 {
				tr.before = &events[i-1]
			}
			w.done[o.ID] = append(w.done[o.ID], tr)
		}
		w.stay(id, events)
	}
	for _, e := range t.trail {
		if e.offer.HoldID != 0 {
			w.offers[e.id] = append(w.offers[e.id], e.offer)
		}
		if e.object == "ticket" && e.statusAfter != "" {
			w.ticketTrail[e.id] = append(w.ticketTrail[e.id], e)
		}
		if o := w.opOf(e.request); o != nil {
			w.effects[o.ID] = append(w.effects[o.ID], e)
		}
	}
	w.keepHolds()
	w.cells = w.histories()
	return w
}

// opOf returns the operation with a name, nil for none.
func (w *world) opOf(actor string) *op {
	number, found := strings.CutPrefix(actor, "op-")
	id, err := strconv.Atoi(number)
	if !found || err != nil {
		return nil
	}
	return w.byID[id]
}

// until returns when an operation had happened at the latest.
func (w *world) until(o *op) time.Duration {
	if o.Outcome == unknown {
		return forever
	}
	return o.Return
}

// stay records when an appointment occupied which time.
func (w *world) stay(id int64, events []event) {
	for i := range events {
		o := w.opOf(events[i].actor)
		if o == nil {
			continue
		}
		s := stay{id: id, from: o.Call, surely: w.until(o), to: forever, surelyTo: forever}
		if i+1 < len(events) {
			if next := w.opOf(events[i+1].actor); next != nil {
				s.to, s.surelyTo = w.until(next), next.Call
			}
		}
		for _, p := range w.pieces(id, &events[i]) {
			s.slot = p.slot
			w.stood[p.cell] = append(w.stood[p.cell], s)
		}
	}
}

// clockSkew is the allowed difference between the servers' clocks and the run's, if none
// was shifted.
const clockSkew = 2 * time.Second

// keepHolds records when holds and offers may have reserved which time.
func (w *world) keepHolds() {
	keep := func(of party, id int64, s stay) {
		if id != 0 {
			c := cell{of, id, s.slot.start.In(w.zone).Format(time.DateOnly)}
			w.kept[c] = append(w.kept[c], s)
		}
	}
	for _, o := range w.ops {
		if o.Kind != "hold" || o.Outcome == refused {
			continue
		}
		s := stay{slot: buffered(o.In.Start, o.In.Minutes, o.In.Before, o.In.After), id: o.Out.ID, from: o.Call, to: forever}
		if o.Outcome == ok {
			s.to = o.Out.Expires.Sub(w.began) + w.skew
			for _, end := range w.holdOps[o.Out.ID] {
				if end.Outcome == ok {
					s.to = min(s.to, end.Return)
				}
			}
		}
		keep(doctorsOf, o.In.Doctor, s)
		keep(roomsOf, o.In.Room, s)
	}
	for _, e := range w.tables.trail {
		if e.offer.HoldID == 0 {
			continue
		}
		s := stay{slot: slot{e.offer.Slot.Time.Start, e.offer.Slot.Time.End}, id: e.offer.HoldID, to: e.offer.ExpiresAt.Sub(w.began) + w.skew}
		if o := w.opOf(e.request); o != nil {
			s.from = o.Call
		}
		keep(doctorsOf, e.offer.Slot.DoctorID, s)
	}
}

// keepTimeOff records when doctors may have been off.
func (w *world) keepTimeOff() {
	ended := map[int64]*op{}
	for _, o := range w.ops {
		if o.Kind == "end-time-off" && o.Outcome == ok {
			ended[o.In.TimeOff] = o
		}
	}
	for _, o := range w.ops {
		if o.Kind != "time-off" || o.Outcome == refused {
			continue
		}
		s := stay{slot: buffered(o.In.Start, o.In.Minutes, 0, 0), id: o.Out.ID, from: o.Call, to: forever}
		if end := ended[o.Out.ID]; end != nil && o.Out.ID != 0 {
			s.to = end.Return
		}
		c := cell{doctorsOf, o.In.Doctor, o.In.Start.In(w.zone).Format(time.DateOnly)}
		w.off[c] = append(w.off[c], s)
	}
}

// explained reports whether a refusal of an occupied time holds in every order: a hold or
// an offer may have reserved the time during the call, or an appointment certainly occupied
// it at some moment of the call.
func (w *world) explained(o *op, p piece) bool {
	return slices.ContainsFunc(w.kept[p.cell], func(s stay) bool {
		return s.id != o.In.Hold && s.slot.overlaps(p.slot) && s.from <= w.until(o) && o.Call <= s.to
	}) || slices.ContainsFunc(w.stood[p.cell], func(s stay) bool {
		return s.id != o.In.Appointment && s.slot.overlaps(p.slot) && s.surely < s.surelyTo && s.surely <= w.until(o) && o.Call <= s.surelyTo
	})
}

// mayBeTaken reports whether an appointment, a hold or an offer may have occupied a slot at
// some moment of the call.
func (w *world) mayBeTaken(o *op, c cell, wanted slot, except int64) bool {
	during := func(s stay) bool {
		return s.slot.overlaps(wanted) && s.from <= w.until(o) && o.Call <= s.to
	}
	return slices.ContainsFunc(w.kept[c], func(s stay) bool { return s.id != o.In.Hold && during(s) }) ||
		slices.ContainsFunc(w.stood[c], func(s stay) bool { return s.id != except && during(s) })
}

// sortedKeys returns a map's keys in order.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
