package main

import (
	"maps"
	"time"

	"github.com/anishathalye/porcupine"
)

// slot is what an appointment takes of a calendar.
type slot struct {
	doctor     int64
	start, end time.Time
}

// calendar is the state of one clinic's day: what stands, by appointment.
type calendar map[int64]slot

func (c calendar) taken(doctor, except int64, start, end time.Time) bool {
	for id, s := range c {
		if id != except && s.doctor == doctor && s.start.Before(end) && start.Before(s.end) {
			return true
		}
	}
	return false
}

// doctorModel is a calendar of doctors as a sequential program: what takes a time needs
// it free, and a refusal for a doctor's time needs it taken.
var doctorModel = porcupine.Model{
	Init: func() any { return calendar{} },
	Step: func(state, in, _ any) (bool, any) {
		c, isCalendar := state.(calendar)
		o, isOp := in.(*op)
		if !isCalendar || !isOp {
			return false, state
		}
		if o.Outcome == refused {
			return c.taken(o.In.Doctor, o.In.Appointment, o.In.Start, o.In.Start.Add(time.Duration(o.In.Minutes)*time.Minute)), c
		}
		a := o.Out.Appointments[0]
		next := maps.Clone(c)
		if !a.occupies() {
			_, stood := c[a.ID]
			delete(next, a.ID)
			return stood, next
		}
		next[a.ID] = slot{a.Doctor, a.Start.UTC(), a.End.UTC()}
		return !c.taken(a.Doctor, a.ID, a.Start, a.End), next
	},
	Equal: func(a, b any) bool {
		left, isLeft := a.(calendar)
		right, isRight := b.(calendar)
		return isLeft && isRight && maps.Equal(left, right)
	},
}

// linearizable asks porcupine whether some order of the operations, each at one moment of
// its call, explains every answer. Calendars in which an unknown outcome may play a part
// are not judged.
func linearizable(ops []*op) check {
	c := check{name: "doctors' calendars linearizable"}
	var history []porcupine.Operation
	for _, o := range ops {
		if o.Outcome == unknown {
			c.fault("op %d (%s) had no outcome in %s: the calendars cannot be judged", o.ID, o.Kind, patience)
		}
		if o.Outcome == ok && len(o.Out.Appointments) == 1 || o.Outcome == refused && o.Code == "doctor-overlap" {
			history = append(history, porcupine.Operation{ClientId: o.Client, Input: o, Call: int64(o.Call), Return: int64(o.Return)})
		}
	}
	c.examined = len(history)
	if verdict := porcupine.CheckOperationsTimeout(doctorModel, history, 2*time.Minute); verdict != porcupine.Ok {
		c.fault("porcupine: %s", verdict)
	}
	return c
}
