package contracttest

import (
	"maps"
	"slices"
	"sync"

	"mems/gen/api"
)

// problem is a problem type as an operation's answer.
type problem struct {
	operation string
	slug      api.ProblemSlug
}

// returned holds each problem that a client of this process has received.
var returned sync.Map

// Unreached returns, by operationId, the problem types of the contract's x-problems that
// no client of this process has received. An operation of which all were received is
// absent.
func Unreached() (map[string][]api.ProblemSlug, error) {
	contract, err := embeddedContract()
	if err != nil {
		return nil, err
	}
	unreached := contract.Problems()
	for operation, slugs := range unreached {
		unreached[operation] = slices.DeleteFunc(slices.Clone(slugs), func(slug api.ProblemSlug) bool {
			_, ok := returned.Load(problem{operation, slug})
			return ok
		})
	}
	maps.DeleteFunc(unreached, func(_ string, slugs []api.ProblemSlug) bool { return len(slugs) == 0 })
	return unreached, nil
}
