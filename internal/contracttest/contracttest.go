// Package contracttest is an HTTP client for tests that holds every answer to
// the contract: status, headers, media type and body must be what openapi.yaml
// says of the operation. A test that uses it checks the contract without a word.
package contracttest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"mems/gen/api"
)

// Client sends requests to one server. It is safe for concurrent use.
type Client struct {
	t          testing.TB
	base       string
	doc        *openapi3.T
	operations []operation
	http       *http.Client
	header     http.Header // sent with every request
	// Allow5xx accepts 503 answers: for tests that take the database away.
	// Otherwise a 5xx fails the test.
	Allow5xx bool
}

type operation struct {
	method   string
	segments []string
	route    *routers.Route
}

// New makes a client for the server at base, such as http://127.0.0.1:8080.
func New(t testing.TB, base string) *Client {
	t.Helper()
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{t: t, base: base, doc: doc}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			c.operations = append(c.operations, operation{
				method: method, segments: strings.Split(path, "/"),
				route: &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: op},
			})
		}
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 128}
	t.Cleanup(transport.CloseIdleConnections)
	c.http = &http.Client{
		Transport: transport, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// With is the same client, which sends a header with every request.
func (c *Client) With(name, value string) *Client {
	other := *c
	other.header = c.header.Clone()
	if other.header == nil {
		other.header = http.Header{}
	}
	other.header.Set(name, value)
	return &other
}

// Response is an answer that matches the contract.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Request is what is to be sent.
type Request struct {
	Method, Path string      // Path with its query
	Body         any         // nil: none; []byte or string: as it is; else as JSON
	Header       http.Header // beside Content-Type, which is set for JSON unless given here
}

// Send sends a request and checks the answer. A transport error fails the test
// and is answered with an empty response: Send may be called from any goroutine,
// and only the test's own may end it.
func (c *Client) Send(r Request) *Response {
	c.t.Helper()
	response, err := c.Try(r)
	if err != nil {
		c.t.Errorf("%s %s: %v", r.Method, r.Path, err)
		return &Response{Header: http.Header{}}
	}
	return response
}

// Try is Send for tests in which the server may go away: a transport error is
// answered, not a failure.
func (c *Client) Try(r Request) (*Response, error) {
	c.t.Helper()
	var body io.Reader
	contentType := "application/json"
	if r.Method == http.MethodPatch {
		contentType = "application/merge-patch+json"
	}
	switch b := r.Body.(type) {
	case nil:
		contentType = ""
	case []byte:
		body = bytes.NewReader(b)
	case string:
		body = strings.NewReader(b)
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			c.t.Fatal(err)
		}
		body = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(c.t.Context(), r.Method, c.base+r.Path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	maps.Copy(request.Header, c.header)
	maps.Copy(request.Header, r.Header)
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	received, err := readBody(answer)
	if err != nil {
		return nil, err
	}
	response := &Response{Status: answer.StatusCode, Header: answer.Header, Body: received}
	c.check(request, response)
	return response, nil
}

// readBody reads an answer, of a stream that does not end its first event.
func readBody(answer *http.Response) ([]byte, error) {
	if !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream") {
		return io.ReadAll(answer.Body)
	}
	var body []byte
	for lines := bufio.NewReader(answer.Body); ; {
		line, err := lines.ReadBytes('\n')
		body = append(body, line...)
		if err != nil || len(line) <= 1 {
			return body, err
		}
	}
}

// check holds the answer to the contract.
func (c *Client) check(request *http.Request, r *Response) {
	c.t.Helper()
	fail := func(format string, args ...any) {
		c.t.Helper()
		c.t.Errorf(request.Method+" "+request.URL.Path+" answered "+http.StatusText(r.Status)+" off the contract: "+format+"\n%s", append(args, r.Body)...)
	}
	if r.Status >= 500 && (!c.Allow5xx || r.Status != http.StatusServiceUnavailable) {
		fail("a fault of the server")
	}
	if r.Status >= 400 {
		if got := r.Header.Get("Content-Type"); got != "application/problem+json" {
			fail("media type %q", got)
		}
	}
	if r.Header.Get("X-Request-ID") == "" {
		fail("no X-Request-ID")
	}
	if request.Method == http.MethodHead {
		if len(r.Body) > 0 {
			fail("a body")
		}
		return
	}
	if r.Status >= 400 { // the router's own answers are problem documents too
		c.checkProblem(request, r, fail)
	}
	route := c.find(request)
	if route == nil {
		return
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: request, Route: route},
		Status:                 r.Status, Header: r.Header,
		Options: &openapi3filter.Options{
			IncludeResponseStatus: true, MultiError: true,
			// Pages and the contract itself have no schema worth checking.
			ExcludeResponseBody: !strings.Contains(r.Header.Get("Content-Type"), "json"),
		},
	}
	input.SetBodyBytes(r.Body)
	if err := openapi3filter.ValidateResponse(request.Context(), input); err != nil {
		fail("%v", err)
	}
}

// checkProblem holds a problem document to what a schema cannot say: it agrees
// with the answer that it is in, and its type is one of the contract's.
func (c *Client) checkProblem(request *http.Request, r *Response, fail func(string, ...any)) {
	var p map[string]any
	if err := json.Unmarshal(r.Body, &p); err != nil {
		fail("%v", err)
		return
	}
	if err := c.doc.Components.Schemas["Problem"].Value.VisitJSON(p); err != nil {
		fail("%v", err)
	}
	slugs := c.doc.Components.Schemas["ProblemSlug"].Value
	if err := slugs.VisitJSON(r.Type()); err != nil {
		fail("type %q is not one of the contract's", r.Type())
	}
	if p["status"] != float64(r.Status) || p["request_id"] != r.Header.Get("X-Request-ID") {
		fail("status %v and request_id %v are not the answer's", p["status"], p["request_id"])
	}
	if path, _ := p["instance"].(string); path == "" || !strings.HasPrefix(request.URL.EscapedPath(), path) {
		fail("instance %v is not the request's path", p["instance"])
	}
	if (r.Type() == "validation-failed") != (p["errors"] != nil) {
		fail("errors go with validation-failed, and with nothing else")
	}
}

// find is the operation that a request is for; a path without parameters wins.
func (c *Client) find(request *http.Request) *routers.Route {
	path := strings.Split(request.URL.EscapedPath(), "/")
	var found *routers.Route
	for _, op := range c.operations {
		if op.method != request.Method || len(op.segments) != len(path) {
			continue
		}
		matches, literal := true, true
		for i, segment := range op.segments {
			if strings.HasPrefix(segment, "{") {
				literal = false
				matches = matches && path[i] != ""
			} else {
				matches = matches && segment == path[i]
			}
		}
		if matches && (literal || found == nil) {
			found = op.route
		}
	}
	return found
}

// Get sends a GET; query values are name, value, name, value, ...
func (c *Client) Get(path string, query ...string) *Response {
	c.t.Helper()
	values := url.Values{}
	for i := 0; i+1 < len(query); i += 2 {
		values.Add(query[i], query[i+1])
	}
	if len(values) > 0 {
		path += "?" + values.Encode()
	}
	return c.Send(Request{Method: http.MethodGet, Path: path})
}

// Post sends a POST with a JSON body.
func (c *Client) Post(path string, body any) *Response {
	c.t.Helper()
	return c.Send(Request{Method: http.MethodPost, Path: path, Body: body})
}

// Patch sends a JSON merge patch.
func (c *Client) Patch(path string, body any) *Response {
	c.t.Helper()
	return c.Send(Request{Method: http.MethodPatch, Path: path, Body: body})
}

// Delete sends a DELETE.
func (c *Client) Delete(path string) *Response {
	c.t.Helper()
	return c.Send(Request{Method: http.MethodDelete, Path: path})
}

// Decode reads the answer's JSON into v.
func (r *Response) Decode(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(r.Body, v); err != nil {
		t.Fatalf("%v in %s", err, r.Body)
	}
}

// Type is the slug of the answer's problem type; "" when it is no problem.
func (r *Response) Type() string {
	var p struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal(r.Body, &p) // no JSON, no type
	return strings.TrimPrefix(p.Type, "/problems/")
}

// Want fails the test unless the answer has this status and, for an error,
// this problem type.
func (r *Response) Want(t testing.TB, status int, problemType string) *Response {
	t.Helper()
	if r.Status != status || r.Type() != problemType {
		t.Errorf("answered %d %q, want %d %q\n%s", r.Status, r.Type(), status, problemType, r.Body)
	}
	return r
}

// Violations lists what a validation-failed answer found: "pointer code" or
// "parameter code".
func (r *Response) Violations(t testing.TB) []string {
	t.Helper()
	var p api.Problem
	r.Decode(t, &p)
	var vs []string
	for _, v := range p.Errors {
		place := ""
		if v.Pointer != nil {
			place = *v.Pointer
		}
		if v.Parameter != nil {
			place = *v.Parameter
		}
		vs = append(vs, place+" "+string(v.Code))
	}
	return vs
}
