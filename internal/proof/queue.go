package main

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/anishathalye/porcupine"
)

// queueStep is the effect of an operation on a doctor's queue of one day.
type queueStep struct {
	op     int
	kind   string
	issues []int // new waiting numbers
	leaves []int // numbers that stop waiting
	joins  []int // numbers that wait again
	next   int   // the number that call-next called
	empty  bool  // refused: the queue is empty
}

// queue is the state of a doctor's queue: the last number, and the waiting ones.
type queue struct {
	last    int
	waiting []int // sorted
}

// queueModel is a queue as a sequential program: numbers are consecutive, call-next calls
// the first waiting one, and is refused when there is none.
var queueModel = porcupine.Model{
	Init: func() any { return queue{} },
	Step: func(state, in, _ any) (bool, any) {
		q, isQueue := state.(queue)
		s, isStep := in.(queueStep)
		if !isQueue || !isStep {
			return false, state
		}
		if s.empty {
			return len(q.waiting) == 0, q
		}
		if s.next != 0 && (len(q.waiting) == 0 || q.waiting[0] != s.next) {
			return false, q
		}
		waiting := slices.Clone(q.waiting)
		for _, n := range s.leaves {
			i, waits := slices.BinarySearch(waiting, n)
			if !waits {
				return false, q
			}
			waiting = slices.Delete(waiting, i, i+1)
		}
		for _, n := range s.issues {
			if q.last++; n != q.last {
				return false, q
			}
		}
		for _, n := range slices.Concat(s.issues, s.joins) {
			i, waits := slices.BinarySearch(waiting, n)
			if waits {
				return false, q
			}
			waiting = slices.Insert(waiting, i, n)
		}
		return true, queue{q.last, waiting}
	},
	Equal: func(a, b any) bool {
		left, isLeft := a.(queue)
		right, isRight := b.(queue)
		return isLeft && isRight && left.last == right.last && slices.Equal(left.waiting, right.waiting)
	},
	DescribeOperation: func(in, _ any) string {
		s, _ := in.(queueStep)
		return fmt.Sprintf("op %d %s: new %v, gone %v, back %v, called %d, empty %t", s.op, s.kind, s.issues, s.leaves, s.joins, s.next, s.empty)
	},
	DescribeState: func(state any) string { return fmt.Sprint(state) },
}

// queueOf identifies a doctor's queue of one day.
type queueOf struct {
	doctor int64
	day    string
}

// queuesLinearizable asks porcupine whether some order of the operations on each queue
// explains every number and call.
func (w *world) queuesLinearizable() check {
	c := check{name: "queues' numbers linearizable"}
	histories := map[queueOf][]porcupine.Operation{}
	add := func(o *op, of queueOf, s queueStep) {
		s.op, s.kind = o.ID, o.Kind
		histories[of] = append(histories[of], porcupine.Operation{ClientId: o.Client, Input: s, Call: int64(o.Call), Return: int64(w.until(o))})
	}
	for _, o := range w.ops {
		if o.Outcome == refused && o.Code == "queue-empty" && o.Kind == "call-next" {
			add(o, queueOf{o.In.Doctor, w.today()}, queueStep{empty: true})
		}
		steps := map[queueOf]*queueStep{}
		for _, e := range w.effects[o.ID] {
			t, exists := w.tables.tickets[e.id]
			if e.object != "ticket" || !exists {
				continue
			}
			of := queueOf{t.Doctor, t.Day}
			if steps[of] == nil {
				steps[of] = &queueStep{}
			}
			s := steps[of]
			switch {
			case e.action == "create":
				s.issues = append(s.issues, t.Number)
			case e.statusBefore == "waiting" && e.statusAfter != "" && e.statusAfter != "waiting":
				s.leaves = append(s.leaves, t.Number)
			case e.statusBefore != "waiting" && e.statusAfter == "waiting":
				s.joins = append(s.joins, t.Number)
			}
			if o.Kind == "call-next" {
				s.next = t.Number
			}
		}
		for of, s := range steps {
			add(o, of, *s)
		}
	}
	for of, history := range histories {
		c.examined += len(history)
		before := queue{}
		for i, part := range parts(history, partOfAQueue) {
			model := queueModel
			model.Init = func() any { return before }
			w.judge(&c, fmt.Sprintf("queue-%d-%s-%d", of.doctor, of.day, i+1), model, part)
			before = before.after(part)
		}
	}
	return c
}

// partOfAQueue is the minimum number of steps that are checked at once.
const partOfAQueue = 300

// parts splits a history at moments without a running operation into parts of at least
// least operations: in every order, all of one part come before the next.
func parts(history []porcupine.Operation, least int) [][]porcupine.Operation {
	history = slices.Clone(history)
	slices.SortStableFunc(history, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	var all [][]porcupine.Operation
	begin, last := 0, int64(0)
	for i, o := range history {
		if i-begin >= least && o.Call > last {
			all = append(all, history[begin:i])
			begin = i
		}
		last = max(last, o.Return)
	}
	return append(all, history[begin:])
}

// after returns the state of a queue after the steps of a part, which does not depend on
// their order.
func (q queue) after(part []porcupine.Operation) queue {
	waits := map[int]int{}
	for _, n := range q.waiting {
		waits[n]++
	}
	for _, o := range part {
		s, _ := o.Input.(queueStep)
		for _, n := range s.issues {
			q.last = max(q.last, n)
		}
		for _, n := range slices.Concat(s.issues, s.joins) {
			waits[n]++
		}
		for _, n := range s.leaves {
			waits[n]--
		}
	}
	q.waiting = nil
	for _, n := range sortedKeys(waits) {
		if waits[n] > 0 {
			q.waiting = append(q.waiting, n)
		}
	}
	return q
}

// ticketsWithoutGaps finds numbers of a doctor's day that are missing or assigned twice.
func ticketsWithoutGaps(t *tables) check {
	c := check{name: "tickets without gaps or doubles", examined: len(t.tickets)}
	numbers := map[queueOf][]int{}
	for _, k := range t.tickets {
		of := queueOf{k.Doctor, k.Day}
		numbers[of] = append(numbers[of], k.Number)
	}
	for of, given := range numbers {
		slices.Sort(given)
		for i, n := range given {
			if n != i+1 {
				c.fault("doctor %d on %s: number %d is the %d. of %d", of.doctor, of.day, n, i+1, len(given))
				break
			}
		}
	}
	return c
}
