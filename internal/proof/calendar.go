package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// party is the kind of a cell's owner.
type party string

const (
	doctorsOf  party = "doctor"
	patientsOf party = "patient"
	roomsOf    party = "room"
)

// cell is a doctor's, patient's or room's calendar of one day of the clinic. Every
// appointment of a run lies within one day, so that cells can be checked independently: all
// of them together would take porcupine too long.
type cell struct {
	of  party
	id  int64
	day string
}

// step is the effect of an operation on one cell, or its refusal there.
type step struct {
	op      int
	kind    string
	leaves  []int64
	takes   []taking
	refused bool // because an appointment occupies the slot
	slot    slot
	except  int64
}

// taking is an appointment that occupies a slot, next to a limited number of others.
type taking struct {
	appointment int64
	slot        slot
	beside      int
}

const noLimit = 1 << 30

// calendar is the state of a cell: the occupied slots by appointment.
type calendar map[int64]slot

func (c calendar) taken(s slot, except int64) int {
	n := 0
	for id, other := range c {
		if id != except && s.overlaps(other) {
			n++
		}
	}
	return n
}

// cellModel is a cell as a sequential program: a booking needs its slot free, a refusal
// needs it occupied.
var cellModel = porcupine.Model{
	Init: func() any { return calendar{} },
	Step: func(state, in, _ any) (bool, any) {
		c, isCalendar := state.(calendar)
		s, isStep := in.(step)
		if !isCalendar || !isStep {
			return false, state
		}
		if s.refused {
			return c.taken(s.slot, s.except) > 0, c
		}
		next := maps.Clone(c)
		for _, id := range s.leaves {
			if _, stood := next[id]; !stood {
				return false, c
			}
			delete(next, id)
		}
		for _, t := range s.takes {
			if _, stands := next[t.appointment]; stands || next.taken(t.slot, 0) > t.beside {
				return false, c
			}
			next[t.appointment] = t.slot
		}
		return true, next
	},
	Equal: func(a, b any) bool {
		left, isLeft := a.(calendar)
		right, isRight := b.(calendar)
		return isLeft && isRight && maps.Equal(left, right)
	},
	DescribeOperation: func(in, _ any) string {
		s, isStep := in.(step)
		if !isStep {
			return ""
		}
		text := []string{fmt.Sprintf("op %d %s", s.op, s.kind)}
		if s.refused {
			text = append(text, "refused "+s.slot.String())
		}
		for _, id := range s.leaves {
			text = append(text, fmt.Sprintf("-#%d", id))
		}
		for _, t := range s.takes {
			text = append(text, fmt.Sprintf("+#%d %s", t.appointment, t.slot))
		}
		return strings.Join(text, " ")
	},
	DescribeState: func(state any) string {
		c, _ := state.(calendar)
		var text []string
		for _, id := range slices.Sorted(maps.Keys(c)) {
			text = append(text, fmt.Sprintf("#%d %s", id, c[id]))
		}
		return strings.Join(text, ", ")
	},
}

func (s slot) String() string { return s.start.Format("15:04") + "-" + s.end.Format("15:04") }

// piece is the slot that an appointment occupies in one cell.
type piece struct {
	cell
	slot   slot
	beside int
}

// pieces returns the slots that an appointment occupies after an event, none when it frees
// its time. A patient's has no buffers.
func (w *world) pieces(appointment int64, e *event) []piece {
	if e == nil || !occupies(e.to) {
		return nil
	}
	a := w.tables.appointments[appointment]
	day := e.start.In(w.zone).Format(time.DateOnly)
	bare := slot{e.start, e.end()}
	whole := buffered(e.start, e.minutes, a.Before, a.After)
	beside := 0
	if e.doctorOverbooked {
		beside = w.tables.caps[e.doctor]
	}
	all := []piece{{cell{doctorsOf, e.doctor, day}, whole, beside}}
	beside = 0
	if e.patientOverbooked {
		beside = noLimit
	}
	all = append(all, piece{cell{patientsOf, e.patient, day}, bare, beside})
	if e.room != 0 {
		all = append(all, piece{cell{roomsOf, e.room, day}, whole, 0})
	}
	return all
}

func buffered(start time.Time, minutes, before, after int) slot {
	return slot{start.Add(-time.Duration(before) * time.Minute), start.Add(time.Duration(minutes+after) * time.Minute)}
}

// refusalOf returns the cell and slot because of which an operation was refused, if its
// request names them.
func (w *world) refusalOf(o *op) (piece, bool) {
	if o.Outcome != refused || o.Kind != "book" && o.Kind != "hold" && o.Kind != "reschedule" && o.Kind != "book-held" {
		return piece{}, false
	}
	in := o.In
	if o.Kind == "reschedule" {
		a, exists := w.tables.appointments[in.Appointment]
		if !exists {
			return piece{}, false
		}
		in.Before, in.After = a.Before, a.After
		if o.Code != "doctor-overlap" {
			return piece{}, false // its patient and room change over time
		}
	}
	day := in.Start.In(w.zone).Format(time.DateOnly)
	whole := buffered(in.Start, in.Minutes, in.Before, in.After)
	switch {
	case o.Code == "doctor-overlap":
		return piece{cell{doctorsOf, in.Doctor, day}, whole, 0}, true
	case o.Code == "patient-overlap" && in.Patient != 0:
		return piece{cell{patientsOf, in.Patient, day}, slot{in.Start, in.Start.Add(time.Duration(in.Minutes) * time.Minute)}, 0}, true
	case o.Code == "room-overlap" && in.Room != 0:
		return piece{cell{roomsOf, in.Room, day}, whole, 0}, true
	}
	return piece{}, false
}

// histories returns the steps of the operations in each cell. It leaves out refusals that a
// hold or an offer explains, or an appointment that certainly occupied the slot at some
// moment of the call: they hold in every order.
func (w *world) histories() map[cell][]porcupine.Operation {
	all := map[cell][]porcupine.Operation{}
	add := func(o *op, c cell, s step) {
		s.op, s.kind = o.ID, o.Kind
		all[c] = append(all[c], porcupine.Operation{ClientId: o.Client, Input: s, Call: int64(o.Call), Return: int64(w.until(o))})
	}
	for _, o := range w.ops {
		if p, is := w.refusalOf(o); is && !w.explained(o, p) {
			add(o, p.cell, step{refused: true, slot: p.slot, except: o.In.Appointment})
		}
		var steps map[cell]*step
		var order []cell
		at := func(c cell) *step {
			if steps[c] == nil {
				steps[c] = &step{}
				order = append(order, c)
			}
			return steps[c]
		}
		flush := func() {
			for _, c := range order {
				add(o, c, *steps[c])
			}
			steps, order = map[cell]*step{}, nil
		}
		steps = map[cell]*step{}
		for _, t := range w.done[o.ID] {
			before, after := w.pieces(t.appointment, t.before), w.pieces(t.appointment, t.after)
			for _, p := range before {
				if !slices.Contains(after, p) {
					s := at(p.cell)
					s.leaves = append(s.leaves, t.appointment)
				}
			}
			for _, p := range after {
				if !slices.Contains(before, p) {
					s := at(p.cell)
					s.takes = append(s.takes, taking{t.appointment, p.slot, p.beside})
				}
			}
			if o.Kind == "apply" {
				flush() // a plan is applied one appointment at a time
			}
		}
		flush()
	}
	return all
}

// linearizable asks porcupine whether some order of the steps in each calendar, each at one
// moment of its call, explains every response.
func (w *world) linearizable(of party) check {
	c := check{name: fmt.Sprintf("%ss' calendars linearizable", of)}
	for where, history := range w.cells {
		if where.of == of {
			c.examined += len(history)
			w.judge(&c, fmt.Sprintf("%s-%d-%s", where.of, where.id, where.day), cellModel, history)
		}
	}
	return c
}
