package main

import (
	"maps"
	"time"

	"github.com/anishathalye/porcupine"
)

// slot is the time that an appointment takes.
type slot struct{ start, end time.Time }

// cell is a doctor's calendar of one UTC day. Every appointment of a run is within a day,
// so that the cells can be judged apart: all of them together took porcupine too long.
type cell struct {
	doctor int64
	day    string
}

func cellOf(doctor int64, start time.Time) cell {
	return cell{doctor, start.UTC().Format(time.DateOnly)}
}

// step is what an operation did to one cell, or was refused by it.
type step struct {
	kind        stepKind
	appointment int64
	slot        slot
}

type stepKind int

const (
	takes   stepKind = iota // the slot, for the appointment, which gives up another one of the cell
	leaves                  // the cell
	isTaken                 // refused: another appointment is in the slot
)

// calendar is the state of a cell: what stands, by appointment.
type calendar map[int64]slot

func (c calendar) taken(s slot, except int64) bool {
	for id, other := range c {
		if id != except && s.start.Before(other.end) && other.start.Before(s.end) {
			return true
		}
	}
	return false
}

// cellModel is a cell as a sequential program: what takes a time needs it free, and a
// refusal for a doctor's time needs it taken.
var cellModel = porcupine.Model{
	Init: func() any { return calendar{} },
	Step: func(state, in, _ any) (bool, any) {
		c, isCalendar := state.(calendar)
		s, isStep := in.(step)
		if !isCalendar || !isStep {
			return false, state
		}
		if s.kind == isTaken {
			return c.taken(s.slot, s.appointment), c
		}
		next := maps.Clone(c)
		if s.kind == leaves {
			_, stood := c[s.appointment]
			delete(next, s.appointment)
			return stood, next
		}
		next[s.appointment] = s.slot
		return !c.taken(s.slot, s.appointment), next
	},
	Equal: func(a, b any) bool {
		left, isLeft := a.(calendar)
		right, isRight := b.(calendar)
		return isLeft && isRight && maps.Equal(left, right)
	},
}

// histories are the steps of the operations in each cell. An operation that takes an
// appointment from one cell to another is a step in each. Only the client that booked an
// appointment changes it, so that its operations come in their order.
func histories(ops []*op) map[cell][]porcupine.Operation {
	all := map[cell][]porcupine.Operation{}
	at := map[int64]cell{}
	for _, o := range ops {
		add := func(c cell, s step) {
			all[c] = append(all[c], porcupine.Operation{ClientId: o.Client, Input: s, Call: int64(o.Call), Return: int64(o.Return)})
		}
		switch {
		case o.Outcome == refused && o.Code == "doctor-overlap":
			wanted := slot{o.In.Start, o.In.Start.Add(time.Duration(o.In.Minutes) * time.Minute)}
			add(cellOf(o.In.Doctor, o.In.Start), step{isTaken, o.In.Appointment, wanted})
		case o.Outcome == ok && len(o.Out.Appointments) == 1:
			a := o.Out.Appointments[0]
			here := cellOf(a.Doctor, a.Start)
			before, stood := at[a.ID]
			switch {
			case !a.occupies() && !stood:
				add(here, step{kind: leaves, appointment: a.ID})
			case !a.occupies() || stood && before != here:
				add(before, step{kind: leaves, appointment: a.ID})
			}
			delete(at, a.ID)
			if a.occupies() {
				add(here, step{takes, a.ID, slot{a.Start.UTC(), a.End.UTC()}})
				at[a.ID] = here
			}
		}
	}
	return all
}

// linearizable asks porcupine whether some order of the steps in each doctor's day, each
// at one moment of its call, explains every answer.
func linearizable(ops []*op) check {
	c := check{name: "doctors' calendars linearizable"}
	for _, o := range ops {
		if o.Outcome == unknown {
			c.fault("op %d (%s) had no outcome in %s: the calendars cannot be judged", o.ID, o.Kind, patience)
		}
	}
	for where, history := range histories(ops) {
		c.examined += len(history)
		if verdict := porcupine.CheckOperationsTimeout(cellModel, history, 2*time.Minute); verdict != porcupine.Ok {
			c.fault("doctor %d on %s: porcupine: %s", where.doctor, where.day, verdict)
		}
	}
	return c
}
