package contract

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/getkin/kin-openapi/openapi3"

	"mems/gen/api"
	"mems/internal/clinic"
)

// ProblemsOf returns the problem types of an operation's x-problems, which must be a list
// of unique slugs of the contract.
func ProblemsOf(op *openapi3.Operation) ([]api.ProblemSlug, error) {
	stated, ok := op.Extensions["x-problems"].([]any)
	if !ok {
		return nil, fmt.Errorf("contract: %s lists no x-problems", op.OperationID)
	}
	var slugs []api.ProblemSlug
	for _, one := range stated {
		word, _ := one.(string)
		slug := api.ProblemSlug(word)
		if _, known := problemBySlug[slug]; !known {
			return nil, fmt.Errorf("contract: %s lists in x-problems what is not a problem type: %v", op.OperationID, one)
		}
		if slices.Contains(slugs, slug) {
			return nil, fmt.Errorf("contract: %s lists %s twice in x-problems", op.OperationID, slug)
		}
		slugs = append(slugs, slug)
	}
	return slugs, nil
}

// readProblems reads x-problems and compares it with the operation's responses and with the
// problems common to its kind of request. Parameters and media types must have been read.
func (o *Operation) readProblems() error {
	var err error
	if o.Problems, err = ProblemsOf(o.route.Operation); err != nil {
		return err
	}
	described := map[int]bool{} // by error status: whether x-problems lists a problem with it
	for status := range o.route.Operation.Responses.Map() {
		if code, err := strconv.Atoi(status); err == nil && code >= 400 {
			described[code] = false
		}
	}
	for _, slug := range o.Problems {
		status := problemBySlug[slug].Status
		if _, ok := described[status]; !ok {
			return fmt.Errorf("contract: %s lists %s, but has no response %d", o.ID, slug, status)
		}
		described[status] = true
	}
	for status, listed := range described {
		if !listed {
			return fmt.Errorf("contract: %s has a response %d, but lists no problem of this status", o.ID, status)
		}
	}
	for slug, possible := range o.commonProblems() {
		if slices.Contains(o.Problems, slug) != possible {
			return fmt.Errorf("contract: %s lists %s in x-problems: %v, want %v", o.ID, slug, !possible, possible)
		}
	}
	return nil
}

// commonProblems maps each problem type that does not depend on the operation's own rules
// to whether the operation can return it.
func (o *Operation) commonProblems() map[api.ProblemSlug]bool {
	authenticated, body := o.Permission != clinic.Public, len(o.consumes) > 0
	return map[api.ProblemSlug]bool{
		api.ProblemSlugMalformedRequest:     true,
		api.ProblemSlugNotAcceptable:        true,
		api.ProblemSlugValidationFailed:     true,
		api.ProblemSlugInternalError:        true,
		api.ProblemSlugUnauthenticated:      authenticated,
		api.ProblemSlugLocalOnly:            authenticated,
		api.ProblemSlugForbidden:            authenticated && o.Permission != clinic.Self,
		api.ProblemSlugCrossOrigin:          o.Method != http.MethodGet,
		api.ProblemSlugRateLimited:          o.RateLimit != RateLimitNone,
		api.ProblemSlugPayloadTooLarge:      body,
		api.ProblemSlugUnsupportedMediaType: body,
		api.ProblemSlugPreconditionFailed:   slices.Contains(o.headers, "If-Match"),
		api.ProblemSlugIdempotencyKeyReused: o.Idempotent,
		api.ProblemSlugIdempotencyKeyInUse:  o.Idempotent,
	}
}
