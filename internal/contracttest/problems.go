package contracttest

import (
	"maps"
	"slices"
	"sync"

	"mems/gen/api"
)

// A Problem is a problem type returned by an operation.
type Problem struct {
	Operation string // operationId
	Slug      api.ProblemSlug
}

// returned holds each Problem that a client of this process has received, except at random.
var returned sync.Map

// Unreached returns the x-problems, by operation, that no client of this process has
// received, except at random. For the problem types in anywhere, one operation that returned them is enough.
func Unreached(anywhere []api.ProblemSlug) ([]Problem, error) {
	contract, err := embeddedContract()
	if err != nil {
		return nil, err
	}
	reached := map[api.ProblemSlug]bool{}
	for key := range returned.Range {
		reached[key.(Problem).Slug] = true //nolint:forcetypeassert // nothing else is stored
	}
	var unreached []Problem
	listed := contract.Problems()
	for _, operation := range slices.Sorted(maps.Keys(listed)) {
		for _, slug := range listed[operation] {
			problem := Problem{operation, slug}
			_, ok := returned.Load(problem)
			if ok || reached[slug] && slices.Contains(anywhere, slug) {
				continue
			}
			unreached = append(unreached, problem)
		}
	}
	return unreached, nil
}
