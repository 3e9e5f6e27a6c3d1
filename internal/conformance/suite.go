package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"mems/internal/contract"
)

// Target is the server under test.
type Target struct {
	URL    string // such as https://staging.example.org
	Key    string // API key; empty if the server requires none
	Doctor int64  // a doctor to book with; 0 creates one, which requires directory:write
	Now    time.Time
	HTTP   *http.Client
}

// suite runs one story and records the result of each step.
type suite struct {
	Target

	ctx      context.Context //nolint:containedctx // of one run
	contract *Contract
	report   Report
	run      string // distinguishes this run's idempotency keys
	missed   bool   // the last response was not the expected one
	broken   bool   // a required check failed: the rest is skipped

	patients [2]int64
	start    time.Time
	visit    int64
	tag      string // the appointment's ETag
	booking  object
}

type object = map[string]any

// Run books, reschedules and cancels on the target, as a receptionist would, and checks
// every response against the contract. It leaves two patients and cancelled appointments.
func Run(ctx context.Context, contract *Contract, target Target, run string) Report {
	target.URL = strings.TrimSuffix(target.URL, "/")
	s := &suite{Target: target, ctx: ctx, contract: contract, run: run}
	for _, chapter := range []func(){s.greet, s.prepare, s.refusals, s.book, s.conflicts, s.change, s.cancel} {
		chapter()
	}
	if s.broken {
		s.note("the rest of the story", nil, "skipped, because it depends on what failed")
	}
	return s.report
}

// ask is one request of the story.
type ask struct {
	method, path string
	body         any
	header       map[string]string
}

// need is a check without which the rest of the story is skipped.
func (s *suite) need(name string, a ask, status int, look func(Answer, object) []string) {
	s.check(name, a, status, "", look)
	s.broken = s.broken || s.missed
}

// check sends a request and records whether the response has the status, the problem type
// if it is an error, and matches the contract. look returns further faults of the body.
func (s *suite) check(name string, a ask, status int, kind string, look func(Answer, object) []string) {
	if s.broken {
		return
	}
	s.missed = true
	request, err := s.request(a)
	if err != nil {
		s.note(name, nil, "the request cannot be made: "+err.Error())
		return
	}
	response, err := s.HTTP.Do(request)
	if err != nil {
		s.broken = true
		s.note(name, nil, "no answer: "+err.Error()+". Is the URL right, and the server running?")
		return
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if err != nil {
		s.note(name, request, "the response was interrupted: "+err.Error())
		return
	}
	answer := Answer{Status: response.StatusCode, Header: response.Header, Body: body}
	faults := s.contract.CheckAnswer(request, answer)
	var content object
	_ = json.Unmarshal(body, &content) // a body that is not an object has no members
	if got, _ := content["type"].(string); answer.Status != status || kind != "" && got != "/problems/"+kind {
		faults = append(faults, fmt.Sprintf("answered %d %s, want %d %s: %s", answer.Status, got, status, kind, body))
		if answer.Status == http.StatusUnauthorized || answer.Status == http.StatusForbidden {
			faults = append(faults, "Give the suite a key with the permission: --key, made by \"mems keys create --role manager Conformance\".")
		}
	} else if s.missed = false; look != nil {
		faults = append(faults, look(answer, content)...)
	}
	s.note(name, request, faults...)
}

func (s *suite) request(a ask) (*http.Request, error) {
	var body io.Reader
	if a.body != nil {
		text, err := json.Marshal(a.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(s.ctx, a.method, s.URL+a.path, body)
	if err != nil {
		return nil, err
	}
	if a.body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if s.Key != "" {
		request.Header.Set("X-API-Key", s.Key)
	}
	for name, value := range a.header {
		request.Header.Set(name, value)
	}
	return request, nil
}

// note records a result with the operation's URL in the documentation.
func (s *suite) note(name string, request *http.Request, faults ...string) {
	result := Result{Name: name, Faults: faults}
	if request != nil {
		if route, _ := s.contract.find(request); route != nil {
			result.Place = s.URL + "/docs#" + contract.DocsAnchor(route.Method, route.Path, route.Operation)
		}
	}
	s.report.Results = append(s.report.Results, result)
}

// key returns an Idempotency-Key of this run.
func (s *suite) key(of string) map[string]string {
	return map[string]string{"Idempotency-Key": "conformance-" + s.run + "-" + of}
}

// idOf returns an id, 0 if there is none.
func idOf(content object) int64 {
	n, _ := content["id"].(float64)
	return int64(n)
}
