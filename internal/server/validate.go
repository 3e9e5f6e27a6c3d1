package server

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/labstack/echo/v4"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/store"
)

// validators holds one contract validator for each operationId.
type validators map[string]*validator

// validator checks the requests of one operation. What it needs of the contract
// is worked out once, when the server starts.
type validator struct {
	route    *routers.Route
	options  *openapi3filter.Options
	path     []string        // names of path parameters
	headers  []string        // names of header parameters
	query    map[string]bool // names of query parameters
	repeats  map[string]bool // those of them that may be given several times
	consumes []string        // media types of the request's body; empty: no body
	produces []string        // media types of the answers that are no errors
	maxBody  int64
	fhir     bool // of the FHIR facade
	// parameters: the body may be Parameters that hold the resource.
	parameters bool
	needs      clinic.Permission
	once       bool // takes an Idempotency-Key
	goes       *deprecation
	cost       *cost // nil: one token of the rate limit
}

func newValidators(doc *openapi3.T, maxBody int64) (validators, error) {
	options := &openapi3filter.Options{
		MultiError:                        true,
		KeepValidatedValue:                true, // the handler binds what was validated, not a second reading
		RejectWhenRequestBodyNotSpecified: false,
		AuthenticationFunc:                openapi3filter.NoopAuthenticationFunc,
		RegexCompiler:                     compilePattern,
		SchemaValidationOptions:           doc.GetSchemaValidationOptions(),
	}
	if err := usePatterns(doc); err != nil {
		return nil, err
	}
	vs := validators{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.OperationID == "" || vs[op.OperationID] != nil {
				return nil, fmt.Errorf("contract: %s %s has no operationId of its own", method, path)
			}
			v := &validator{
				route:   &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: op},
				options: options, query: map[string]bool{}, repeats: map[string]bool{}, maxBody: maxBody,
			}
			var err error
			if v.needs, err = permissionOf(op); err != nil {
				return nil, err
			}
			if v.cost, err = costOf(op); err != nil {
				return nil, err
			}
			if v.goes, err = deprecationOf(method, path, op); err != nil {
				return nil, err
			}
			for _, list := range []openapi3.Parameters{item.Parameters, op.Parameters} {
				for _, p := range list {
					switch p.Value.In {
					case openapi3.ParameterInPath:
						v.path = append(v.path, p.Value.Name)
					case openapi3.ParameterInQuery:
						v.query[p.Value.Name] = true
						v.repeats[p.Value.Name] = p.Value.Explode != nil && *p.Value.Explode
					case openapi3.ParameterInHeader:
						v.headers = append(v.headers, p.Value.Name)
						v.once = v.once || p.Value.Name == headerIdempotencyKey
					}
				}
			}
			if op.RequestBody != nil {
				v.consumes = mediaTypes(op.RequestBody.Value.Content)
			}
			if v.fhir = strings.HasPrefix(path, "/fhir/"); op.OperationID == "bookFhirAppointment" {
				v.readParameters(doc)
			}
			for status, response := range op.Responses.Map() {
				if strings.HasPrefix(status, "2") {
					v.produces = append(v.produces, mediaTypes(response.Value.Content)...)
				}
			}
			vs[op.OperationID] = v
		}
	}
	return vs, nil
}

func mediaTypes(content openapi3.Content) []string {
	var types []string
	for t := range content {
		types = append(types, t)
	}
	slices.Sort(types)
	return types
}

// middlewares is what the generated router takes, by operationId.
func (vs validators) middlewares(s *Server) map[string][]echo.MiddlewareFunc {
	m := map[string][]echo.MiddlewareFunc{}
	for id, v := range vs {
		m[id] = []echo.MiddlewareFunc{v.goes.announce(s.authorise(id, v.needs, v.cost)), v.middleware(s)}
	}
	return m
}

// register adds the contract's routes to e, which has none yet. It fails unless
// each is an operation and came with a validator. The generated code looks
// middlewares up by operationId and takes a missing one for none wanted: a
// generator option that renames operations once switched validation off without
// a word. So what counts is what reaches the router, not what was offered.
func (vs validators) register(s *Server, handlers api.ServerInterface) error {
	e := s.echo
	router := &guardedRouter{Echo: e, guarded: map[string]bool{}}
	api.RegisterHandlersWithOptions(router, handlers, api.RegisterHandlersOptions{OperationMiddlewares: vs.middlewares(s)})
	known := map[string]bool{}
	for _, v := range vs {
		known[v.route.Method+" "+echoPath(v.route.Path)] = true
	}
	for _, r := range e.Routes() {
		if name := r.Method + " " + r.Path; !known[name] || !router.guarded[name] {
			return fmt.Errorf("contract: %s would be served without permission and validation", name)
		}
	}
	if len(e.Routes()) != len(known) {
		return fmt.Errorf("contract: %d operations, %d routes", len(known), len(e.Routes()))
	}
	return nil
}

// guardedRouter notes which routes come with both middlewares of their own. A
// method that it does not override counts as without one.
type guardedRouter struct {
	*echo.Echo

	guarded map[string]bool // "METHOD path"
}

func (g *guardedRouter) add(method, path string, h echo.HandlerFunc, m []echo.MiddlewareFunc) *echo.Route {
	g.guarded[method+" "+path] = len(m) == 2 && m[0] != nil && m[1] != nil
	return g.Add(method, path, h, m...)
}

// DELETE, GET, PATCH, POST and PUT are the methods that the contract uses.
func (g *guardedRouter) DELETE(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	return g.add(http.MethodDelete, path, h, m)
}

// GET registers a route, as DELETE does.
func (g *guardedRouter) GET(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	return g.add(http.MethodGet, path, h, m)
}

// PATCH registers a route, as DELETE does.
func (g *guardedRouter) PATCH(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	return g.add(http.MethodPatch, path, h, m)
}

// POST registers a route, as DELETE does.
func (g *guardedRouter) POST(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	return g.add(http.MethodPost, path, h, m)
}

// PUT registers a route, as DELETE does.
func (g *guardedRouter) PUT(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	return g.add(http.MethodPut, path, h, m)
}

func echoPath(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}

// readsCalendar is the one public operation that asks the database for more than
// whether it is there, so it waits for its turn as those do that need a key.
const readsCalendar = "getCalendar"

// middleware refuses what does not match the contract, before the handler.
func (v *validator) middleware(s *Server) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if err := v.checkBefore(c); err != nil {
				return err
			}
			if v.needs == clinic.Public && v.route.Operation.OperationID != readsCalendar {
				return v.check(c, next)
			}
			return s.admit(c, v, func(c echo.Context) error {
				if err := checkPaid(c); err != nil {
					return err
				}
				return v.check(c, next)
			})
		}
	}
}

// checkBefore looks at what needs no more of the server than to read it, as
// slowly as it comes.
func (v *validator) checkBefore(c echo.Context) error {
	r := c.Request()
	query, err := url.ParseQuery(r.URL.RawQuery)
	if v.fhir {
		if err := checkFHIRFormat(r, query); err != nil {
			return err
		}
	} else if !accepts(r.Header.Values("Accept"), v.produces) {
		return &problem{slug: api.ProblemSlugNotAcceptable, detail: "The response is " + strings.Join(v.produces, ", ") + "; allow that in Accept."}
	}
	if err != nil {
		return &problem{slug: api.ProblemSlugMalformedRequest, detail: "The query string does not decode; percent-encode the values.", cause: err}
	}
	if v.fhir {
		v.forgetUnknown(r, query)
	}
	if err := v.checkBody(c.Response(), r); err != nil {
		return err
	}
	return nil
}

// check checks the request against the contract.
func (v *validator) check(c echo.Context, next echo.HandlerFunc) error {
	r := c.Request()
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return &problem{slug: api.ProblemSlugMalformedRequest, detail: "The query string does not decode; percent-encode the values.", cause: err}
	}
	for _, name := range []string{"If-Match", "If-None-Match"} {
		if tags := r.Header.Values(name); len(tags) > 1 {
			r.Header.Set(name, strings.Join(tags, ", ")) // lines of a list are one list (RFC 9110 section 5.3)
		}
	}
	more, err := v.checkContract(c, query)
	if err != nil {
		return err
	}
	if violations := tidyViolations(append(v.checkParameters(c, query), more...)); len(violations) > 0 {
		return &clinic.Error{Code: clinic.CodeValidationFailed, Violations: violations}
	}
	if v.cost != nil && v.cost.pageSize != "" {
		store.CountWork(r.Context(), v.cost.unit, v.cost.pageCost(query))
	}
	if v.once {
		v.doOnce(c)
	}
	return next(c)
}

const headerIdempotencyKey = "Idempotency-Key"

// doOnce hands a request's Idempotency-Key, if it has one, to the store, with a
// hash of what is asked for: by which operation, of which record, with which
// content. How the content is written does not matter.
func (v *validator) doOnce(c echo.Context) {
	r := c.Request()
	key := r.Header.Get(headerIdempotencyKey)
	if key == "" {
		return
	}
	hash := sha256.New()
	_, _ = fmt.Fprintf(hash, "%s %s\n", r.Method, r.URL.RequestURI()) // a hash never fails
	if b, ok := r.Body.(interface{ ValidatedValue() any }); ok {
		_, _ = fmt.Fprintf(hash, "%#v", b.ValidatedValue()) // maps are printed in the order of their keys
	}
	c.SetRequest(r.WithContext(store.WithOnce(r.Context(), store.Once{Key: key, Request: [32]byte(hash.Sum(nil))})))
}

// checkParameters finds what kin-openapi does not look for: query parameters
// that the contract does not have or that are given twice, and text that is no
// text. Text that is not UTF-8 must not reach the database.
func (v *validator) checkParameters(c echo.Context, query url.Values) []clinic.Violation {
	var vs []clinic.Violation
	add := func(name, code, detail string) {
		vs = append(vs, clinic.Violation{Parameter: printable(name), Code: code, Detail: detail})
	}
	for name, values := range query {
		switch {
		case !v.query[name]:
			add(name, "unknown", "is not a parameter of this operation")
		case len(values) > 1 && !v.repeats[name]:
			add(name, "repeated", "must be given once")
		case slices.ContainsFunc(values, func(value string) bool { return !isText(value) }):
			add(name, "format", "must be UTF-8 text")
		}
	}
	for _, name := range v.path {
		if !isText(c.Param(name)) {
			add(name, "format", "must be UTF-8 text")
		}
	}
	if len(c.Request().Header.Values(headerIdempotencyKey)) > 1 {
		add(headerIdempotencyKey, "repeated", "must be given once")
	}
	for _, name := range v.headers {
		if slices.ContainsFunc(c.Request().Header.Values(name), func(value string) bool { return !isText(value) }) {
			add(name, "format", "must be UTF-8 text")
		}
	}
	return vs
}

func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsRune(s, 0)
}

// checkContract runs kin-openapi and collects every violation it finds.
func (v *validator) checkContract(c echo.Context, query url.Values) ([]clinic.Violation, error) {
	path := make(map[string]string, len(v.path))
	for _, name := range v.path {
		path[name] = c.Param(name)
	}
	err := openapi3filter.ValidateRequest(c.Request().Context(), &openapi3filter.RequestValidationInput{
		Request: c.Request(), PathParams: path, QueryParams: query, Route: v.route, Options: v.options,
	})
	if err == nil {
		if b, ok := c.Request().Body.(interface{ ValidatedValue() any }); ok {
			writeIntegersPlainly(b.ValidatedValue())
		}
		return nil, nil
	}
	vs := violationsOf(err)
	if len(vs) == 0 {
		return nil, fmt.Errorf("the validator found something that it cannot name: %w", err)
	}
	return vs, nil
}
