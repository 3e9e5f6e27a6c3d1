package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// patienceOfChecks bounds one calendar, queue or key.
const patienceOfChecks = 2 * time.Minute

// judge checks one history with porcupine. If no order explains it, it is reduced and
// drawn.
func (w *world) judge(c *check, name string, model porcupine.Model, history []porcupine.Operation) {
	verdict := porcupine.CheckOperationsTimeout(model, history, patienceOfChecks)
	if verdict == porcupine.Ok {
		return
	}
	if verdict == porcupine.Unknown {
		c.fault("%s: porcupine found no verdict on %d operations in %s", name, len(history), patienceOfChecks)
		return
	}
	small := reduce(model, history)
	c.fault("%s: no order explains %s", name, describe(model, small))
	if w.out == "" || len(c.faults) > 5 {
		return
	}
	_, info := porcupine.CheckOperationsVerbose(model, small, patienceOfChecks)
	path := filepath.Join(w.out, name+".html")
	if err := porcupine.VisualizePath(model, info, path); err != nil {
		c.fault("%s: draw: %v", name, err)
		return
	}
	c.fault("%s: drawn in %s", name, path)
}

func describe(model porcupine.Model, history []porcupine.Operation) string {
	text := ""
	for i, o := range history {
		if i == 12 {
			return text + fmt.Sprintf(", and %d more", len(history)-i)
		}
		text += fmt.Sprintf("\n      [%s, %s] %s", time.Duration(o.Call), time.Duration(o.Return), model.DescribeOperation(o.Input, o.Output))
	}
	return text
}

// reduce shortens a history that no order explains. First it cuts the history after the
// first operation that makes it so: operations that were called or returned later are not
// to blame. Then it leaves out unrelated appointments of a calendar: removing all steps of
// one cannot break an explained history unless it explains a remaining refusal.
func reduce(model porcupine.Model, history []porcupine.Operation) []porcupine.Operation {
	bad := func(h []porcupine.Operation) bool {
		return porcupine.CheckOperationsTimeout(model, h, 10*time.Second) == porcupine.Illegal
	}
	history = slices.Clone(history)
	slices.SortStableFunc(history, func(a, b porcupine.Operation) int { return int(a.Return - b.Return) })
	low, high := 1, len(history)
	for low < high {
		middle := (low + high) / 2
		if bad(until(history, middle)) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	history = until(history, low)
	culprit := history[low-1]
	s, isStep := culprit.Input.(step)
	if !isStep {
		return history
	}
	history = slices.DeleteFunc(history, func(o porcupine.Operation) bool {
		other, _ := o.Input.(step)
		return other.refused && other.op != s.op
	})
	for _, id := range appointmentsIn(history) {
		if s.refused && explains(history, id, s.slot) {
			continue
		}
		if less := without(history, id); bad(less) {
			history = less
		}
	}
	return history
}

// until returns the history up to the return of its n-th operation. Operations that were
// called by then and return later may have happened, so they stay and may return at any
// time.
func until(history []porcupine.Operation, n int) []porcupine.Operation {
	end := history[n-1].Return
	cut := slices.Clone(history[:n])
	for _, o := range history[n:] {
		if o.Call <= end {
			cut = append(cut, o)
		}
	}
	return cut
}

func appointmentsIn(history []porcupine.Operation) []int64 {
	var ids []int64
	for _, o := range history {
		s, _ := o.Input.(step)
		ids = append(ids, s.leaves...)
		for _, t := range s.takes {
			ids = append(ids, t.appointment)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// explains reports whether an appointment occupies a time that overlaps the slot.
func explains(history []porcupine.Operation, id int64, wanted slot) bool {
	return slices.ContainsFunc(history, func(o porcupine.Operation) bool {
		s, _ := o.Input.(step)
		return slices.ContainsFunc(s.takes, func(t taking) bool { return t.appointment == id && t.slot.overlaps(wanted) })
	})
}

// without returns the history without the steps of an appointment.
func without(history []porcupine.Operation, id int64) []porcupine.Operation {
	var less []porcupine.Operation
	for _, o := range history {
		s, _ := o.Input.(step)
		s.leaves = slices.DeleteFunc(slices.Clone(s.leaves), func(a int64) bool { return a == id })
		s.takes = slices.DeleteFunc(slices.Clone(s.takes), func(t taking) bool { return t.appointment == id })
		if s.refused || len(s.leaves)+len(s.takes) > 0 {
			o.Input = s
			less = append(less, o)
		}
	}
	return less
}
