package contract

import (
	"fmt"
	"net/url"
	"strconv"

	"github.com/getkin/kin-openapi/openapi3"

	"mems/internal/clinic"
)

// A Cost is what a request of an operation takes from the rate limit: one token for
// each begun so many units of work, one at least.
type Cost struct {
	Unit clinic.Work
	per  int
	// pageSize is the query parameter that states the records of a page; "": the
	// store counts the work.
	pageSize string
}

// costOf reads an operation's x-cost; nil when each request takes one token.
func costOf(op *openapi3.Operation) (*Cost, error) {
	stated, ok := op.Extensions["x-cost"]
	if !ok {
		return nil, nil //nolint:nilnil // most take one token
	}
	members, _ := stated.(map[string]any)
	unit, _ := members["unit"].(string)
	per, err := strconv.Atoi(fmt.Sprint(members["per"]))
	if err != nil || per < 1 || len(members) != 2 {
		return nil, fmt.Errorf("contract: the x-cost of %s is not a unit and a positive per: %v", op.OperationID, stated)
	}
	c := &Cost{Unit: clinic.Work(unit), per: per}
	switch c.Unit {
	case clinic.WorkAppointments, clinic.WorkDoctorDays:
	case clinic.WorkRecords:
		c.pageSize = pageSizeOf(op)
	default:
		return nil, fmt.Errorf("contract: the x-cost of %s has an unknown unit: %q", op.OperationID, unit)
	}
	return c, nil
}

// pageSizeOf names the parameter with the size of a page; "" for an operation that
// has no pages.
func pageSizeOf(op *openapi3.Operation) string {
	for _, p := range op.Parameters {
		if p.Value.In == openapi3.ParameterInQuery && (p.Value.Name == "limit" || p.Value.Name == "_count") {
			return p.Value.Name
		}
	}
	return ""
}

const (
	usualPage = 100 // where the request states no size
	largePage = 200 // more is never in a page
	// countedAlone is what a request for the total alone is charged for.
	countedAlone = 2_000
)

// Page returns the records that a page may hold, which are counted before they are
// read; 0 for an operation that has no pages. query has been checked.
func (c *Cost) Page(query url.Values) int {
	if c.pageSize == "" {
		return 0
	}
	n, err := strconv.Atoi(query.Get(c.pageSize))
	switch {
	case err != nil:
		return usualPage
	case n == 0:
		return countedAlone
	}
	return min(n, largePage)
}

// Tokens returns what n units of work take from the rate limit.
func (c *Cost) Tokens(n int) int { return (n + c.per - 1) / c.per }
