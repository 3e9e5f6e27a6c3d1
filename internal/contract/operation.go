// Package contract holds requests to openapi.yaml, and has the problem types by which
// they are refused.
//
// OperationsOf works out at start what each operation of the contract states: its
// permission, its limits, its deprecation, its parameters and media types. What it
// cannot read keeps the server from starting. An Operation then reads a request (Read)
// and checks it (Check); it knows nothing of routes, callers and the database.
package contract

import (
	"fmt"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"mems/gen/api"
	"mems/internal/clinic"
)

// HeaderIdempotencyKey is the header of operations that are Idempotent.
const HeaderIdempotencyKey = "Idempotency-Key"

// Operations are the contract's operations by operationId.
type Operations map[string]*Operation

// An Operation is what the contract states of one operation.
type Operation struct {
	// ID is its operationId, Path its template, such as /rooms/{id}.
	ID, Method, Path string
	// Permission is what a caller needs.
	Permission clinic.Permission
	// RateLimit says whose requests count together.
	RateLimit RateLimit
	// Cost is what a request takes from the rate limit; nil: one token.
	Cost *Cost
	// Waits: a request waits for its turn where the server is busy.
	Waits bool
	// Calendar says whose calendars it writes.
	Calendar Calendar
	// Idempotent: it takes an Idempotency-Key.
	Idempotent bool
	// Deprecation is nil for an operation that stays.
	Deprecation *Deprecation
	// Problems are the problem types that it can return.
	Problems []api.ProblemSlug

	route    *routers.Route
	options  *openapi3filter.Options
	path     []string                    // names of path parameters
	headers  []string                    // names of header parameters
	query    map[string]bool             // names of query parameters
	repeats  map[string]bool             // those of them that may be given several times
	integers map[string]*openapi3.Schema // of parameters that are integers, or lists of them
	consumes []string                    // media types of the request's body; empty: no body
	produces []string                    // media types of the answers that are no errors
	maxBody  int64
	fhir     bool // of the FHIR facade
	// parameters: the body may be Parameters that hold the resource.
	parameters bool
}

// OperationsOf reads the contract's operations. Bodies have at most maxBody bytes. It
// prepares doc for checking: formats, defaults and patterns have their meaning from then
// on. It fails on anything that a request could not be held to.
func OperationsOf(doc *openapi3.T, maxBody int64) (Operations, error) {
	UseFormats(doc)
	if err := useDefaults(doc); err != nil {
		return nil, err
	}
	if err := usePatterns(doc); err != nil {
		return nil, err
	}
	options := &openapi3filter.Options{
		MultiError:                        true,
		KeepValidatedValue:                true, // the handler binds what was validated, not a second reading
		RejectWhenRequestBodyNotSpecified: false,
		AuthenticationFunc:                openapi3filter.NoopAuthenticationFunc,
		RegexCompiler:                     compilePattern,
		SchemaValidationOptions:           doc.GetSchemaValidationOptions(),
	}
	all := Operations{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.OperationID == "" || all[op.OperationID] != nil {
				return nil, fmt.Errorf("contract: %s %s has no operationId of its own", method, path)
			}
			o := &Operation{
				ID: op.OperationID, Method: method, Path: path,
				route:   &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: op},
				options: options, maxBody: maxBody, fhir: strings.HasPrefix(path, "/fhir/"),
			}
			if err := o.readExtensions(doc); err != nil {
				return nil, err
			}
			o.readParameters(slices.Concat(item.Parameters, op.Parameters))
			o.readMediaTypes()
			if err := o.readProblems(); err != nil {
				return nil, err
			}
			all[o.ID] = o
		}
	}
	return all, nil
}

// WithMaxBody returns the operations with another bound for bodies.
func (all Operations) WithMaxBody(maxBody int64) Operations {
	bounded := Operations{}
	for id, o := range all {
		other := *o
		other.maxBody = maxBody
		bounded[id] = &other
	}
	return bounded
}

func (o *Operation) readParameters(parameters openapi3.Parameters) {
	o.query, o.repeats, o.integers = map[string]bool{}, map[string]bool{}, map[string]*openapi3.Schema{}
	for _, p := range parameters {
		schema := p.Value.Schema.Value
		if schema.Items != nil {
			schema = schema.Items.Value
		}
		if schema.Type.Is(openapi3.TypeInteger) {
			o.integers[p.Value.Name] = schema
		}
		switch p.Value.In {
		case openapi3.ParameterInPath:
			o.path = append(o.path, p.Value.Name)
		case openapi3.ParameterInQuery:
			o.query[p.Value.Name] = true
			o.repeats[p.Value.Name] = p.Value.Explode != nil && *p.Value.Explode
		case openapi3.ParameterInHeader:
			o.headers = append(o.headers, p.Value.Name)
			o.Idempotent = o.Idempotent || p.Value.Name == HeaderIdempotencyKey
		}
	}
}

func (o *Operation) readMediaTypes() {
	op := o.route.Operation
	if op.RequestBody != nil {
		o.consumes = mediaTypes(op.RequestBody.Value.Content)
	}
	for status, response := range op.Responses.Map() {
		if strings.HasPrefix(status, "2") {
			o.produces = append(o.produces, mediaTypes(response.Value.Content)...)
		}
	}
}

func mediaTypes(content openapi3.Content) []string {
	var types []string
	for t := range content {
		types = append(types, t)
	}
	slices.Sort(types)
	return types
}
