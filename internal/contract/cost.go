package contract

import (
	"fmt"
	"net/url"
	"strconv"

	"github.com/getkin/kin-openapi/openapi3"

	"mems/internal/clinic"
)

// A Cost is the rate limit cost of an operation's requests: one token per commenced so many
// units of work, at least one.
type Cost struct {
	Unit clinic.Work
	per  int
	// pageSize is the query parameter with the page size; "": the store counts the work.
	pageSize string
}

// costOf reads an operation's x-cost; nil if each request costs one token.
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

// pageSizeOf returns the name of the page size parameter; "" for an operation without
// pages.
func pageSizeOf(op *openapi3.Operation) string {
	for _, p := range op.Parameters {
		if p.Value.In == openapi3.ParameterInQuery && (p.Value.Name == "limit" || p.Value.Name == "_count") {
			return p.Value.Name
		}
	}
	return ""
}

const (
	usualPage = 100 // without a page size in the request
	largePage = 200 // the largest page
	// countedAlone is the charge for a request for the total only, in records.
	countedAlone = 2_000
)

// Page returns the maximum number of records on a page, which is charged before they are
// read; 0 for an operation without pages. query must have been checked.
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

// Tokens returns the cost of n units of work.
func (c *Cost) Tokens(n int) int { return (n + c.per - 1) / c.per }
