// Package contract validates requests against openapi.yaml and defines the problem types.
//
// At start, OperationsOf reads the contract's facts on each operation: permission, limits,
// deprecation, parameters and media types. It fails on what it cannot read. An Operation
// then reads (Read) and validates (Check) a request; it knows nothing of routes, callers or
// the database.
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

// HeaderIdempotencyKey is the header that Idempotent operations accept.
const HeaderIdempotencyKey = "Idempotency-Key"

// Operations are the contract's operations by operationId.
type Operations map[string]*Operation

// An Operation has the contract's facts on one operation.
type Operation struct {
	// ID is the operationId, Path the path template, such as /rooms/{id}.
	ID, Method, Path string
	// Permission is the permission that a caller needs.
	Permission clinic.Permission
	// RateLimit says which requests are counted together.
	RateLimit RateLimit
	// Cost is the rate limit cost of a request; nil: one token.
	Cost *Cost
	// Waits reports whether requests are queued under load.
	Waits bool
	// Calendar says which doctors' calendars it writes.
	Calendar Calendar
	// Idempotent reports whether it accepts an Idempotency-Key.
	Idempotent bool
	// Deprecation is nil unless the operation is deprecated.
	Deprecation *Deprecation
	// Problems are the problem types that it can return.
	Problems []api.ProblemSlug

	route    *routers.Route
	options  *openapi3filter.Options
	path     []string                    // names of path parameters
	headers  []string                    // names of header parameters
	query    map[string]bool             // names of query parameters
	repeats  map[string]bool             // those of them that may be repeated
	integers map[string]*openapi3.Schema // of parameters that are integers or lists of integers
	consumes []string                    // media types of the request body; empty: no body
	produces []string                    // media types of successful responses
	maxBody  int64
	fhir     bool // of the FHIR facade
	// parameters: the body may be a Parameters resource that wraps the resource.
	parameters bool
}

// OperationsOf reads the contract's operations. Bodies are limited to maxBody bytes. It
// prepares doc for validation: formats, defaults and patterns take effect. It fails on
// anything that requests could not be validated against.
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
		KeepValidatedValue:                true, // the handler decodes what was validated, not a second parse
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

// WithMaxBody returns the operations with another size limit for bodies.
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
