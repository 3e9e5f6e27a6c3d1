// Package contracttest is an HTTP client for tests that checks every response against the
// contract: status, headers, media type and body must match the operation in openapi.yaml.
// Tests that use it check the contract implicitly.
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
	"sync"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/conformance"
)

// Client sends requests to one server. It is safe for concurrent use.
type Client struct {
	t        testing.TB
	base     string
	contract *conformance.Contract
	http     *http.Client
	header   http.Header // sent with every request
	// Allow5xx accepts 503 responses, for tests that take the database away. Otherwise a
	// 5xx fails the test.
	Allow5xx bool
	// Random says that requests are drawn at random: what they are refused with differs
	// from run to run, so Unreached does not count it.
	Random bool
}

// embeddedContract is read once for all clients of the process.
var embeddedContract = sync.OnceValues(conformance.NewContract)

// New returns a client for the server at base, such as http://127.0.0.1:8080.
func New(t testing.TB, base string) *Client {
	t.Helper()
	contract, err := embeddedContract()
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{t: t, base: base, contract: contract}
	transport := &http.Transport{MaxIdleConnsPerHost: 128}
	t.Cleanup(transport.CloseIdleConnections)
	c.http = &http.Client{
		Transport: transport, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// With returns the client with an additional header on every request.
func (c *Client) With(name, value string) *Client {
	other := *c
	other.header = c.header.Clone()
	if other.header == nil {
		other.header = http.Header{}
	}
	other.header.Set(name, value)
	return &other
}

// Header returns the client's value of a header, "" for none.
func (c *Client) Header(name string) string { return c.header.Get(name) }

// Response is a response that matches the contract.
type Response struct {
	Status int
	Header http.Header
	Body   []byte

	request string // "POST /patients", for failures
}

// Request is a request to send.
type Request struct {
	Method, Path string      // Path with its query
	Body         any         // nil: none; []byte or string: unchanged; else encoded as JSON
	Header       http.Header // besides Content-Type, which defaults to JSON
}

// Send sends a request and checks the response. A transport error fails the test and yields
// an empty response: Send may be called from any goroutine, and only the test's own may
// call FailNow.
func (c *Client) Send(r Request) *Response {
	c.t.Helper()
	response, err := c.Try(r)
	if err != nil {
		c.t.Errorf("%s %s: %v", r.Method, r.Path, err)
		return &Response{Header: http.Header{}}
	}
	return response
}

// Try is Send for tests in which the server may go away: it returns transport errors.
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
	response := &Response{
		Status: answer.StatusCode, Header: answer.Header, Body: received, request: r.Method + " " + r.Path,
	}
	c.check(request, response)
	return response, nil
}

// readBody reads a response, or the first event of a stream that does not end.
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

// check checks the response against the contract.
func (c *Client) check(request *http.Request, r *Response) {
	c.t.Helper()
	answer := conformance.Answer{Status: r.Status, Header: r.Header, Body: r.Body}
	faults := c.contract.CheckAnswer(request, answer)
	if operation, slug := c.contract.Problem(request, answer); slug != "" {
		if !c.Random {
			returned.Store(Problem{operation, slug}, true)
		}
	}
	if r.Status >= 500 && (!c.Allow5xx || r.Status != http.StatusServiceUnavailable) {
		faults = append(faults, "a fault of the server")
	}
	for _, fault := range faults {
		c.t.Errorf("%s %s = %d, want a response of the contract: %s\n%s",
			request.Method, request.URL.Path, r.Status, fault, r.Body)
	}
}

// Get sends a GET request; query is name, value, name, value, ...
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

// Post sends a POST request with a JSON body.
func (c *Client) Post(path string, body any) *Response {
	c.t.Helper()
	return c.Send(Request{Method: http.MethodPost, Path: path, Body: body})
}

// Patch sends a JSON merge patch.
func (c *Client) Patch(path string, body any) *Response {
	c.t.Helper()
	return c.Send(Request{Method: http.MethodPatch, Path: path, Body: body})
}

// Delete sends a DELETE request.
func (c *Client) Delete(path string) *Response {
	c.t.Helper()
	return c.Send(Request{Method: http.MethodDelete, Path: path})
}

// Decode decodes the response's JSON into v.
func (r *Response) Decode(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(r.Body, v); err != nil {
		t.Fatalf("decode the response to %s: %v, want JSON of %T:\n%s", r.request, err, v, r.Body)
	}
}

// Type returns the slug of the response's problem type, also from an OperationOutcome; ""
// if it is not a problem.
func (r *Response) Type() string {
	if slugs := conformance.OutcomeProblems(r.Body); len(slugs) > 0 {
		return slugs[0]
	}
	var p struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal(r.Body, &p) // not JSON: no type
	slug, found := strings.CutPrefix(p.Type, "/problems/")
	if !found {
		return "" // another kind of type
	}
	return slug
}

// Want fails the test unless the response has this status and, for an error, this problem
// type.
func (r *Response) Want(t testing.TB, status int, problemType string) *Response {
	t.Helper()
	if r.Status != status || r.Type() != problemType {
		t.Errorf("%s = %d %q, want %d %q:\n%s", r.request, r.Status, r.Type(), status, problemType, r.Body)
	}
	return r
}

// Violations returns the errors of a validation-failed response: "pointer code" or
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
