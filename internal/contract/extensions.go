package contract

import (
	"fmt"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"mems/internal/clinic"
)

// A RateLimit says which of an operation's requests are counted together, from its
// x-rate-limit.
type RateLimit string

// The values of x-rate-limit.
const (
	RateLimitByCaller RateLimit = ""              // per caller; per address for public operations
	RateLimitByFeed   RateLimit = "calendar-feed" // per calendar feed, whose token is in the path
	RateLimitNone     RateLimit = "none"          // not counted: a health check must not fail because the server is busy
)

// readExtensions reads the contract's extensions of OpenAPI. Unknown values are errors: a
// misspelt one must not disable a check.
func (o *Operation) readExtensions(doc *openapi3.T) error {
	op := o.route.Operation
	var err error
	if o.Permission, err = permissionOf(op); err != nil {
		return err
	}
	if o.RateLimit, err = o.rateLimitOf(op); err != nil {
		return err
	}
	if o.Cost, err = costOf(op); err != nil {
		return err
	}
	if o.Waits, err = o.waitsOf(op); err != nil {
		return err
	}
	if o.Calendar, err = o.calendarOf(op); err != nil {
		return err
	}
	if o.Deprecation, err = deprecationOf(o.Method, o.Path, op); err != nil {
		return err
	}
	o.parameters, err = readFHIRParameters(op, doc)
	return err
}

// permissionOf returns the permission that an operation requires. A missing one is an
// error.
func permissionOf(op *openapi3.Operation) (clinic.Permission, error) {
	stated, _ := op.Extensions["x-permission"].(string)
	p := clinic.Permission(stated)
	if p != clinic.Public && p != clinic.Self && !clinic.Admin().May(p) {
		return "", fmt.Errorf("contract: %s has no x-permission that is known: %q", op.OperationID, stated)
	}
	return p, nil
}

// rateLimitOf reads an operation's x-rate-limit. Only public operations may count per
// calendar feed.
func (o *Operation) rateLimitOf(op *openapi3.Operation) (RateLimit, error) {
	stated, ok := op.Extensions["x-rate-limit"]
	if !ok {
		return RateLimitByCaller, nil
	}
	switch limit, _ := stated.(string); {
	case RateLimit(limit) == RateLimitNone:
		return RateLimitNone, nil
	case RateLimit(limit) == RateLimitByFeed && o.Permission == clinic.Public && strings.Contains(o.Path, "{token}"):
		return RateLimitByFeed, nil
	}
	return "", fmt.Errorf("contract: %s has no x-rate-limit that is known and fits: %v", o.ID, stated)
}

// waitsOf reports whether requests of an operation are queued under load: all are, except
// those of public operations with x-admission: none, which make no slow queries.
func (o *Operation) waitsOf(op *openapi3.Operation) (bool, error) {
	stated, ok := op.Extensions["x-admission"]
	if ok && (stated != "none" || o.Permission != clinic.Public) {
		return false, fmt.Errorf("contract: %s has no x-admission that is known and fits: %v", o.ID, stated)
	}
	return !ok, nil
}
