package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"mems/gen/api"
	"mems/internal/contracttest"
)

// exampleRequest is one request made of the contract's own examples.
type exampleRequest struct {
	name string // "bookAppointment", "bookAppointment/halfHour", "listPatients?name"
	contracttest.Request
}

// Every example of a request succeeds when it is sent to an empty clinic, after the steps that
// stories (examples_stories_test.go) lists for it. The client validates the response against the
// contract.
func TestExamplesAreExecuted(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich")
	empty := f.emptier()
	requests := requestsOfExamples(t)
	known := map[string]bool{}
	for _, r := range requests {
		known[r.name] = true
		operation := r.operation()
		if reason := notExecuted[r.name]; reason != "" {
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			empty()
			f := *f
			f.t = t
			story, told := stories[r.name]
			if !told {
				story = stories[operation]
			}
			f.base(operation)
			for _, step := range story {
				f.step(step, requests)
			}
			answer := f.Send(r.Request)
			if answer.Status < 200 || answer.Status > 299 {
				t.Errorf("the example %s was answered %d, want success: tell in stories what comes before it\n%s %s\n%v\n%s",
					r.name, answer.Status, r.Method, r.Path, r.Body, answer.Body)
			}
		})
	}
	for _, r := range requests {
		known[r.operation()] = true
	}
	for name := range stories {
		if !known[name] {
			t.Errorf("stories has %s, which is no example of the contract; want it removed", name)
		}
	}
	for name := range notExecuted {
		if !known[name] {
			t.Errorf("notExecuted has %s, which is no example of the contract; want it removed", name)
		}
	}
}

func (r exampleRequest) operation() string {
	operation, _, _ := strings.Cut(r.name, "/")
	operation, _, _ = strings.Cut(operation, "?")
	return operation
}

// requestsOfExamples are all requests that the contract's examples make, ordered by name: one for
// each example of a body, or one for an operation without a body, each with the headers that always
// fit, and one more for each other optional parameter.
func requestsOfExamples(t *testing.T) []exampleRequest {
	t.Helper()
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	var all []exampleRequest
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			all = append(all, requestsOf(t, method, path, slices.Concat(item.Parameters, op.Parameters), op)...)
		}
	}
	slices.SortFunc(all, func(a, b exampleRequest) int { return strings.Compare(a.name, b.name) })
	return all
}

func requestsOf(t *testing.T, method, path string, parameters openapi3.Parameters, op *openapi3.Operation) []exampleRequest {
	t.Helper()
	query, header := url.Values{}, http.Header{}
	for name, value := range alongside[op.OperationID] {
		query.Set(name, value)
	}
	var optional []*openapi3.Parameter
	for _, p := range parameters {
		p := p.Value
		switch {
		case p.In == openapi3.ParameterInPath && p.Example != nil:
			path = strings.ReplaceAll(path, "{"+p.Name+"}", url.PathEscape(asText(p.Example)))
		case p.In == openapi3.ParameterInQuery && p.Required && p.Example != nil:
			query.Set(p.Name, exampleText(p.Example))
		case p.Required:
			t.Errorf("%s: the required parameter %s has no example, want one", op.OperationID, p.Name)
		case p.Name == "Idempotency-Key" || p.Name == "MEMS-Actor":
			header.Set(p.Name, exampleText(p.Example))
		case p.Example != nil:
			optional = append(optional, p)
		}
	}
	request := func(name string, query url.Values, header http.Header, body any) exampleRequest {
		full := path
		if len(query) > 0 {
			full += "?" + query.Encode()
		}
		return exampleRequest{name, contracttest.Request{Method: method, Path: full, Header: header, Body: body}}
	}
	var all []exampleRequest
	for mediaType, body := range bodyExamples(t, op) {
		for name, value := range body {
			typed := header.Clone()
			typed.Set("Content-Type", mediaType)
			all = append(all, request(op.OperationID+"/"+name, query, typed, value))
		}
	}
	if op.RequestBody == nil {
		all = append(all, request(op.OperationID, query, header, nil))
	}
	if len(all) == 0 {
		t.Errorf("%s: the request body has no example, want one", op.OperationID)
		return nil
	}
	slices.SortFunc(all, func(a, b exampleRequest) int { return strings.Compare(a.name, b.name) })
	first := all[0]
	for _, p := range optional {
		name := op.OperationID + "?" + p.Name
		more, header := maps.Clone(query), first.Header.Clone()
		if others, ok := instead[name]; ok {
			more = url.Values{}
			for name, value := range others {
				more.Set(name, value)
			}
		}
		if p.In == openapi3.ParameterInHeader {
			header.Set(p.Name, exampleText(p.Example))
		} else {
			more[p.Name] = exampleTexts(p)
		}
		all = append(all, request(name, more, header, first.Body))
	}
	return all
}

// bodyExamples are the examples of a request's body, by media type and name.
func bodyExamples(t *testing.T, op *openapi3.Operation) map[string]map[string]string {
	t.Helper()
	all := map[string]map[string]string{}
	if op.RequestBody == nil {
		return nil
	}
	for mediaType, media := range op.RequestBody.Value.Content {
		values := map[string]any{}
		if media.Example != nil {
			values["example"] = media.Example
		}
		for name, e := range media.Examples {
			values[name] = e.Value.Value
		}
		all[mediaType] = map[string]string{}
		for name, value := range values {
			text, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			all[mediaType][name] = string(text)
		}
	}
	return all
}

// exampleTexts formats a parameter's example: an exploded list as one text for each item.
func exampleTexts(p *openapi3.Parameter) []string {
	list, ok := p.Example.([]any)
	if !ok || p.Explode == nil || !*p.Explode {
		return []string{exampleText(p.Example)}
	}
	var texts []string
	for _, item := range list {
		texts = append(texts, fmt.Sprint(item))
	}
	return texts
}

// exampleText formats a value as a parameter: lists with commas.
func exampleText(v any) string {
	if list, ok := v.([]any); ok {
		var texts []string
		for _, item := range list {
			texts = append(texts, fmt.Sprint(item))
		}
		return strings.Join(texts, ",")
	}
	return fmt.Sprint(v)
}

// step performs one step of a story: another example, or one of steps by name.
func (f *fixture) step(name string, requests []exampleRequest) {
	f.t.Helper()
	if do, ok := steps[name]; ok {
		do(f)
		return
	}
	i := slices.IndexFunc(requests, func(r exampleRequest) bool { return r.name == name })
	if i < 0 {
		f.t.Fatalf("the step %q is neither an example nor one of steps", name)
	}
	request := requests[i].Request
	request.Header = request.Header.Clone()
	request.Header.Del("Idempotency-Key") // every example has the same
	if answer := f.Send(request); answer.Status > 299 {
		f.t.Fatalf("step %s = %d %s, want success", name, answer.Status, answer.Body)
	}
}

// emptier returns a function that resets the clinic: no rows, ids from 1, the clock at now. A
// database for each example would take minutes, and so would truncating tables that were not
// written.
func (f *fixture) emptier() func() {
	f.t.Helper()
	var names []string
	if err := f.db.DB.Select(&names, "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'"); err != nil {
		f.t.Fatal(err)
	}
	var rows []string
	for _, name := range names {
		rows = append(rows, "SELECT '"+name+"' FROM DUAL WHERE EXISTS (SELECT 1 FROM "+name+")")
	}
	// A table that was emptied by deletion has a counter beyond 1.
	written := strings.Join(rows, " UNION ") +
		" UNION SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND auto_increment > 1"
	var migrated []string // tables that a migration filled
	if err := f.db.DB.Select(&migrated, strings.Join(rows, " UNION ")); err != nil {
		f.t.Fatal(err)
	}
	return func() {
		connection, err := f.db.DB.Connx(f.t.Context())
		if err != nil {
			f.t.Fatal(err)
		}
		defer func() { _ = connection.Close() }()
		exec := func(statement string) {
			if _, err := connection.ExecContext(f.t.Context(), statement); err != nil {
				f.t.Fatalf("%s: %v", statement, err)
			}
		}
		if !strings.Contains(f.db.Server, "MariaDB") {
			exec("SET SESSION information_schema_stats_expiry = 0") // the counters of now
		}
		var used []string
		if err := connection.SelectContext(f.t.Context(), &used, written); err != nil {
			f.t.Fatal(err)
		}
		exec("SET SESSION foreign_key_checks = 0")
		for _, name := range used {
			if !slices.Contains(migrated, name) {
				exec("TRUNCATE TABLE " + name)
			}
		}
		exec("SET SESSION foreign_key_checks = 1")
		f.clock.passed.Store(int64(-time.Hour)) // 08:00 at the clinic
	}
}

// The emptied clinic numbers from 1 again, also where rows were deleted before.
func TestEmptier(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich")
	empty := f.emptier()
	for range 2 {
		patient := f.patient()
		f.Delete(fmt.Sprintf("/patients/%d", patient)).Want(t, 204, "")
		doctor := f.doctor()
		if patient != 1 || doctor != 1 {
			t.Errorf("patient %d and doctor %d, want 1 and 1", patient, doctor)
		}
		empty()
		for _, table := range []string{"patients", "doctors", "changes", "audit_entries"} {
			var n int
			if err := f.db.DB.Get(&n, "SELECT COUNT(*) FROM "+table); err != nil || n != 0 {
				t.Errorf("%s has %d rows (%v), want 0", table, n, err)
			}
		}
	}
}

// The contract is validated with its examples (TestEveryOperationIsComplete). This test makes sure
// that the validation detects an example of a response that its schema does not allow.
func TestExamplesOfAnswersAreValidated(t *testing.T) {
	t.Parallel()
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	spoilt := 0
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			for status, response := range op.Responses.Map() {
				for mediaType, media := range response.Value.Content {
					for name, e := range media.Examples {
						value := e.Value.Value
						e.Value.Value = map[string]any{"id": "one"}
						if err := doc.Paths.Value(path).Validate(t.Context()); err == nil {
							t.Errorf("%s %s %s %s: validation accepts the spoilt example %s, want an error",
								method, path, status, mediaType, name)
						}
						e.Value.Value = value
						spoilt++
					}
				}
			}
		}
	}
	if spoilt < 20 {
		t.Errorf("spoilt %d examples of answers, want at least 20", spoilt)
	}
}
