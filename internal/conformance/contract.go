// Package conformance checks servers and partners' clients against the contract,
// openapi.yaml.
package conformance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"mems/gen/api"
	"mems/internal/contract"
)

// Contract is openapi.yaml, prepared for validating requests and responses. It is safe for
// concurrent use.
type Contract struct {
	doc        *openapi3.T
	operations []operation
	problems   map[string][]api.ProblemSlug // by operationId
	checked    sync.Map                     // the last large body without faults, a checkedBody, by *openapi3.Operation
}

type operation struct {
	method   string
	segments []string
	route    *routers.Route
}

// Answer is a server's response.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// NewContract returns the contract that this program was built with.
func NewContract() (*Contract, error) {
	doc, err := api.GetSpec()
	if err != nil {
		return nil, fmt.Errorf("read the embedded contract: %w", err)
	}
	contract.UseFormats(doc)
	c := &Contract{doc: doc, problems: map[string][]api.ProblemSlug{}}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if c.problems[op.OperationID], err = contract.ProblemsOf(op); err != nil {
				return nil, err
			}
			c.operations = append(c.operations, operation{
				method: method, segments: strings.Split(path, "/"),
				route: &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: op},
			})
		}
	}
	return c, nil
}

// Version returns info.version of the contract.
func (c *Contract) Version() string { return c.doc.Info.Version }

// find returns a request's operation with the path's parameters. A path without parameters
// takes precedence, even if it has only other methods.
func (c *Contract) find(request *http.Request) (*routers.Route, map[string]string) {
	path := strings.Split(request.URL.EscapedPath(), "/")
	var found *routers.Route
	var parameters map[string]string
	taken := false // by a path without parameters
	for _, op := range c.operations {
		if len(op.segments) != len(path) {
			continue
		}
		values := map[string]string{}
		matches := true
		for i, segment := range op.segments {
			if name, ok := strings.CutPrefix(segment, "{"); ok {
				value, err := url.PathUnescape(path[i])
				values[strings.TrimSuffix(name, "}")] = value
				matches = matches && path[i] != "" && err == nil
			} else {
				matches = matches && segment == path[i]
			}
		}
		switch {
		case !matches:
		case op.method == request.Method && (len(values) == 0 || found == nil):
			found, parameters = op.route, values
		case len(values) == 0:
			taken = true
		}
	}
	if taken && len(parameters) > 0 {
		return nil, nil
	}
	return found, parameters
}

// CheckAnswer returns the violations of the contract in a response.
func (c *Contract) CheckAnswer(request *http.Request, a Answer) []string {
	var faults []string
	fail := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	ofFHIR := request.URL.Path == "/fhir" || strings.HasPrefix(request.URL.Path, "/fhir/")
	errorType := "application/problem+json"
	if ofFHIR {
		errorType = "application/fhir+json"
	}
	if got := a.Header.Get("Content-Type"); a.Status >= 400 && got != errorType {
		fail("media type %q", got)
	}
	if a.Header.Get("X-Request-ID") == "" {
		fail("no X-Request-ID")
	}
	if request.Method == http.MethodHead {
		if len(a.Body) > 0 {
			fail("a body")
		}
		return faults
	}
	switch {
	case a.Status >= 400 && ofFHIR:
		c.checkOutcome(a, fail)
	case a.Status >= 400: // the router's own responses are problem documents, too
		c.checkProblem(request, a, fail)
	}
	route, _ := c.find(request)
	if route == nil {
		return faults
	}
	if operation, slug := c.Problem(request, a); slug != "" && !slices.Contains(c.problems[operation], slug) {
		fail("%s does not list %s in x-problems", operation, slug)
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: request, Route: route},
		Status:                 a.Status, Header: a.Header,
		Options: &openapi3filter.Options{
			IncludeResponseStatus: true, MultiError: true,
			// Pages and the contract itself have no schema to check.
			ExcludeResponseBody: !strings.Contains(a.Header.Get("Content-Type"), "json"),
		},
	}
	input.SetBodyBytes(a.Body)
	checked, large := bodyOf(a)
	if last, ok := c.checked.Load(route.Operation); large && ok && last == checked {
		input.Options.ExcludeResponseBody = true
	}
	if err := openapi3filter.ValidateResponse(request.Context(), input); err != nil {
		fail("%v", err)
	} else if large {
		c.checked.Store(route.Operation, checked)
	}
	return faults
}

// checkedBody identifies a body with all that its check depends on besides the operation.
type checkedBody struct {
	status    int
	mediaType string
	sum       [sha256.Size]byte
}

// bodyOf returns what identifies the body of a, if checking it again takes longer than that.
func bodyOf(a Answer) (body checkedBody, large bool) {
	if len(a.Body) < 64<<10 {
		return checkedBody{}, false
	}
	return checkedBody{a.Status, a.Header.Get("Content-Type"), sha256.Sum256(a.Body)}, true
}

// Problem returns the operation and slug of a problem response. Both are empty for other
// responses, and for the router's own (unknown path or method), which belong to no
// operation.
func (c *Contract) Problem(request *http.Request, a Answer) (operation string, slug api.ProblemSlug) {
	route, _ := c.find(request)
	if a.Status < 400 || route == nil {
		return "", ""
	}
	var problem struct{ Type string }
	_ = json.Unmarshal(a.Body, &problem) // a body that is not JSON is reported elsewhere
	word, _ := strings.CutPrefix(problem.Type, "/problems/")
	if codes := OutcomeProblems(a.Body); len(codes) > 0 {
		word = codes[0]
	}
	operation, slug = route.Operation.OperationID, api.ProblemSlug(word)
	ofRouter := slug == api.ProblemSlugNotFound || slug == api.ProblemSlugMethodNotAllowed
	if slug == "" || ofRouter && !slices.Contains(c.problems[operation], slug) {
		return "", ""
	}
	return operation, slug
}

// Problems returns the problem types that each operation lists, by operationId.
func (c *Contract) Problems() map[string][]api.ProblemSlug { return maps.Clone(c.problems) }

// checkProblem checks what a schema cannot express: a problem document agrees with its
// response, and its type is one of the contract's.
func (c *Contract) checkProblem(request *http.Request, a Answer, fail func(string, ...any)) {
	var p map[string]any
	if err := json.Unmarshal(a.Body, &p); err != nil {
		fail("%v", err)
		return
	}
	if err := c.doc.Components.Schemas["Problem"].Value.VisitJSON(p); err != nil {
		fail("%v", err)
	}
	kind, _ := p["type"].(string)
	slug := strings.TrimPrefix(kind, "/problems/")
	if err := c.doc.Components.Schemas["ProblemSlug"].Value.VisitJSON(slug); err != nil {
		fail("type %q is not one of the contract's", kind)
	}
	if p["status"] != float64(a.Status) || p["request_id"] != a.Header.Get("X-Request-ID") {
		fail("status %v and request_id %v are not the answer's", p["status"], p["request_id"])
	}
	instance, _ := p["instance"].(string)
	if path, err := url.PathUnescape(instance); err != nil || path == "" || !strings.HasPrefix(request.URL.Path, path) {
		fail("instance %v is not the request's path", p["instance"])
	}
	if (slug == "validation-failed") != (p["errors"] != nil) {
		fail("errors go with validation-failed, and with nothing else")
	}
}

// checkOutcome checks that every issue of an OperationOutcome names the same problem type
// of the contract.
func (c *Contract) checkOutcome(a Answer, fail func(string, ...any)) {
	var outcome map[string]any
	if err := json.Unmarshal(a.Body, &outcome); err != nil {
		fail("%v", err)
		return
	}
	if err := c.doc.Components.Schemas["FhirOperationOutcome"].Value.VisitJSON(outcome); err != nil {
		fail("%v", err)
	}
	for _, slug := range OutcomeProblems(a.Body) {
		if err := c.doc.Components.Schemas["ProblemSlug"].Value.VisitJSON(slug); err != nil {
			fail("code %q is not one of the contract's problem types", slug)
		}
	}
}

// OutcomeProblems returns the problem slugs in the issues of an OperationOutcome, none for
// another body.
func OutcomeProblems(body []byte) []string {
	var outcome api.FhirOperationOutcome
	if err := json.Unmarshal(body, &outcome); err != nil || outcome.ResourceType != "OperationOutcome" {
		return nil
	}
	var slugs []string
	for _, issue := range outcome.Issue {
		for _, coding := range issue.Details.Coding {
			slugs = append(slugs, coding.Code)
		}
	}
	return slugs
}

// checkRequest returns the violations of the contract in a request.
func (c *Contract) checkRequest(ctx context.Context, route *routers.Route, parameters map[string]string, request *http.Request, body []byte) []string {
	var faults []string
	query := request.URL.Query()
	for name := range query {
		known := slices.ContainsFunc(slices.Concat(route.PathItem.Parameters, route.Operation.Parameters), func(p *openapi3.ParameterRef) bool {
			return p.Value.In == openapi3.ParameterInQuery && p.Value.Name == name
		})
		if !known {
			faults = append(faults, fmt.Sprintf("the query parameter %q is not one of the contract's", name))
		}
	}
	copied := request.Clone(ctx)
	copied.Body = io.NopCloser(bytes.NewReader(body))
	err := openapi3filter.ValidateRequest(ctx, &openapi3filter.RequestValidationInput{
		Request: copied, PathParams: parameters, QueryParams: query, Route: route,
		Options: &openapi3filter.Options{
			MultiError: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
			SchemaValidationOptions: c.doc.GetSchemaValidationOptions(),
		},
	})
	return append(faults, reasons(err)...)
}

// reasons returns the single reasons of a validator's error.
func reasons(err error) []string {
	var many openapi3.MultiError
	var request *openapi3filter.RequestError
	var schema *openapi3.SchemaError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &request) && request.Err != nil && request.Parameter == nil:
		return reasons(request.Err)
	case errors.As(err, &many) && request == nil:
		var all []string
		for _, one := range many {
			all = append(all, reasons(one)...)
		}
		return all
	case errors.As(err, &schema):
		where := "/" + strings.Join(schema.JSONPointer(), "/")
		if request != nil && request.Parameter != nil {
			where = request.Parameter.Name
		}
		return []string{where + ": " + schema.Reason}
	default:
		return []string{err.Error()}
	}
}
