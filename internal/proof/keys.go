package main

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// keyStep is a request with an idempotency key and its response.
type keyStep struct {
	op              int
	request, answer string
	reused          bool // refused: the key belongs to another request
}

// bound is the state of a key: its request and response, empty before the first.
type bound struct{ request, answer string }

// keyModel is an idempotency key as a sequential program: the first request binds it, and
// always gets the same response; another request is refused.
var keyModel = porcupine.Model{
	Init: func() any { return bound{} },
	Step: func(state, in, _ any) (bool, any) {
		b, isBound := state.(bound)
		s, isStep := in.(keyStep)
		switch {
		case !isBound || !isStep:
			return false, state
		case s.reused:
			return b.request != "" && b.request != s.request, b
		case b.request == "":
			return true, bound{s.request, s.answer}
		}
		return b == bound{s.request, s.answer}, b
	},
	DescribeOperation: func(in, _ any) string {
		s, _ := in.(keyStep)
		return fmt.Sprintf("op %d: %s -> %s, reused %t", s.op, s.request, s.answer, s.reused)
	},
	DescribeState: func(state any) string { return fmt.Sprint(state) },
}

// keysLinearizable asks porcupine whether each key was bound once and always answered
// alike. Keys of requests with an unknown outcome are left out: they may or may not be
// bound.
func (w *world) keysLinearizable() check {
	c := check{name: "idempotency keys linearizable"}
	histories, open := map[string][]porcupine.Operation{}, map[string]bool{}
	for _, o := range w.ops {
		if o.Key == "" {
			continue
		}
		histories[o.Key] = append(histories[o.Key], porcupine.Operation{
			ClientId: o.Client, Call: int64(o.Call), Return: int64(w.until(o)),
			Input: keyStep{o.ID, o.Request, o.Answer, o.Code == "idempotency-key-reused"},
		})
		open[o.Key] = open[o.Key] || o.Outcome == unknown
	}
	for key, history := range histories {
		if len(history) < 2 || open[key] {
			continue
		}
		c.examined += len(history)
		w.judge(&c, "key-"+key, keyModel, history)
	}
	return c
}
