package main

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// draw is one step of a client's plan: the operation and numbers that select its records.
// Which records exist by then, the plan does not determine.
type draw struct {
	kind                                           string
	doctor, patient, day, slot, length, form, pick uint32
	coin                                           float64
}

// weights has the relative frequency of each kind of operation.
var weights = []weight{
	{"book", 20},
	{"reschedule", 9},
	{"cancel", 12},
	{"undo", 8},
	{"confirm", 3},
	{"hold", 6},
	{"book-held", 6},
	{"release", 2},
	{"series", 1},
	{"cancel-series", 1},
	{"reschedule-series", 1},
	{"wait", 3},
	{"accept", 3},
	{"decline", 1},
	{"withdraw", 1},
	{"book-today", 3},
	{"check-in", 4},
	{"start", 2},
	{"complete", 1},
	{"leave", 1},
	{"walk-in", 4},
	{"call-next", 4},
	{"call", 1},
	{"start-ticket", 2},
	{"complete-ticket", 2},
	{"leave-ticket", 1},
	{"transfer", 1},
	{"register", 2},
	{"merge", 1},
	{"time-off", 1},
	{"plan", 1},
	{"apply", 1},
	{"repeat", 3},
	{"reuse", 2},
}

type weight struct {
	kind string
	of   int
}

// weighted returns the weights of the operations with these names, separated by commas; all
// of them without names.
func weighted(names string) ([]weight, error) {
	return named(weights, names, "operation", func(w weight) string { return w.kind })
}

// named returns the items with these names, separated by commas, in their own order; all of
// them without names. An unknown name is an error that lists the known ones.
func named[T any](all []T, names, what string, nameOf func(T) string) ([]T, error) {
	if names == "" {
		return all, nil
	}
	var some []T
	var unknown error
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(all, func(one T) bool { return nameOf(one) == strings.TrimSpace(name) })
		if i < 0 {
			unknown = cmp.Or(unknown, fmt.Errorf("unknown %s %q", what, name))
			continue
		}
		some = append(some, all[i])
	}
	if unknown == nil {
		return some, nil
	}
	known := make([]string, 0, len(all))
	for _, one := range all {
		known = append(known, nameOf(one))
	}
	return nil, errors.Join(unknown, fmt.Errorf("known: %s", strings.Join(known, ", ")))
}

// planned returns the n-th step of a client: the same for the same seed and weights.
func planned(seed uint64, weights []weight, client, n int) draw {
	r := rand.New(rand.NewPCG(seed, uint64(client)<<32|uint64(n))) //nolint:gosec // G404, G115: a plan; both are small
	total := 0
	for _, w := range weights {
		total += w.of
	}
	d := draw{
		doctor: r.Uint32(), patient: r.Uint32(), day: r.Uint32(), slot: r.Uint32(),
		length: r.Uint32(), form: r.Uint32(), pick: r.Uint32(), coin: r.Float64(),
	}
	at := r.IntN(total)
	for _, w := range weights {
		if at -= w.of; at < 0 {
			d.kind = w.kind
			break
		}
	}
	return d
}

// among selects an item of a list by a drawn number.
func among[T any](list []T, number uint32) T { return list[int(number)%len(list)] }
