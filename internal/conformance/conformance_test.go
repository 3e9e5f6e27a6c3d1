package conformance_test

import (
	"encoding/xml"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"mems/internal/conformance"
	"mems/internal/server"
	"mems/internal/storetest"
)

var now = time.Date(2027, 3, 1, 8, 0, 0, 0, time.UTC)

// clinic returns a real server on its own database.
func clinic(t *testing.T) http.Handler {
	t.Helper()
	clock := func() time.Time { return now }
	s, err := server.New(server.Config{
		Store: storetest.New(t).Open(t, clock, time.UTC), Zone: time.UTC, Open: true, Now: clock,
		Version: "test", Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func contract(t *testing.T) *conformance.Contract {
	t.Helper()
	c, err := conformance.NewContract()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// examine runs the suite against a handler.
func examine(t *testing.T, h http.Handler, run string, doctor int64) conformance.Report {
	t.Helper()
	s := httptest.NewServer(h)
	defer s.Close()
	return conformance.Run(t.Context(), contract(t), conformance.Target{URL: s.URL, Doctor: doctor, Now: now, HTTP: s.Client()}, run)
}

func failed(r conformance.Report) []string {
	var names []string
	for _, result := range r.Results {
		if len(result.Faults) > 0 {
			names = append(names, result.Name)
		}
	}
	return names
}

// A large body that was checked before is not checked again; everything else is.
func TestRepeatedLargeBodies(t *testing.T) {
	t.Parallel()
	c := contract(t)
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/openapi.json", nil)
	sound := []byte(`{"openapi": "3.0.3", "info": {"version": "` + strings.Repeat("x", 70_000) + `"}, "paths": {}}`)
	faulty := []byte(`["` + strings.Repeat("x", 70_000) + `"]`)
	for i, step := range []struct {
		status               int
		mediaType, requestID string
		body                 []byte
		faults               bool
	}{
		{200, "application/json", "r", faulty, true},
		{200, "application/json", "r", sound, false},
		{200, "application/json", "r", sound, false},
		{200, "application/json", "r", faulty, true},
		{200, "application/json", "r", faulty, true},
		{200, "application/json", "", sound, true},
		{200, "application/problem+json", "r", sound, true},
		{201, "application/json", "r", sound, true},
	} {
		header := http.Header{"Content-Type": {step.mediaType}, "Etag": {`"e"`}}
		if step.requestID != "" {
			header.Set("X-Request-ID", step.requestID)
		}
		faults := c.CheckAnswer(request, conformance.Answer{Status: step.status, Header: header, Body: step.body})
		if (len(faults) > 0) != step.faults {
			t.Errorf("step %d: faults %.300q, want any: %v", i, faults, step.faults)
		}
	}
}

// The server conforms with the suite's own doctor and with one of the clinic's, and when
// the suite is repeated.
func TestTheServerConforms(t *testing.T) {
	t.Parallel()
	h := clinic(t)
	for _, doctor := range []int64{0, 1} {
		if doctor != 0 {
			week := `{"timetables": [{"effective_from": "2020-01-01", "blocks": [{"weekday": 3, "start": "08:00", "end": "12:00"}]}], "exceptions": []}`
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/doctors/1/working-hours", strings.NewReader(week))
			r.Header.Set("Content-Type", "application/json")
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
		report := examine(t, h, []string{"first", "second"}[doctor], doctor)
		if len(report.Results) < 20 || report.Failed() > 0 {
			var text strings.Builder
			_ = report.Write(&text)
			t.Errorf("doctor %d: want at least 20 checks and none failed:\n%s", doctor, &text)
		}
	}
}

// Each violation of the contract by a server fails the check that names it.
func TestTheSuiteFindsFaults(t *testing.T) {
	t.Parallel()
	h := clinic(t)
	without := func(header string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del(header)
			h.ServeHTTP(w, r)
		})
	}
	rewritten := func(rewrite func(*httptest.ResponseRecorder) []byte) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer := httptest.NewRecorder()
			h.ServeHTTP(answer, r)
			body := rewrite(answer)
			maps.Copy(w.Header(), answer.Header())
			w.Header().Del("Content-Length")
			w.WriteHeader(answer.Code)
			_, _ = w.Write(body)
		})
	}
	cases := []struct {
		name  string
		h     http.Handler
		check string
	}{
		{"ignores Idempotency-Key", without("Idempotency-Key"), "the same request with the same Idempotency-Key is done once"},
		{"ignores If-Match", without("If-Match"), "refused: a change of what was not read"},
		{"no ETag", rewritten(func(a *httptest.ResponseRecorder) []byte {
			a.Header().Del("ETag")
			return a.Body.Bytes()
		}), "patient 1 is registered"},
		{"another problem type", rewritten(func(a *httptest.ResponseRecorder) []byte {
			return []byte(strings.ReplaceAll(a.Body.String(), "/problems/doctor-overlap", "/problems/busy"))
		}), "refused: the doctor twice at once"},
		{"an answer of another form", rewritten(func(a *httptest.ResponseRecorder) []byte {
			return []byte(strings.ReplaceAll(a.Body.String(), `"status":"scheduled"`, `"status":"planned"`))
		}), "a time is booked"},
		{"another major version", rewritten(func(a *httptest.ResponseRecorder) []byte {
			return []byte(strings.ReplaceAll(a.Body.String(), `"contract_version":"`, `"contract_version":"9`))
		}), "the server has this contract"},
	}
	for i, c := range cases {
		report := examine(t, c.h, string(rune('a'+i)), 0)
		if got := failed(report); !slices.Contains(got, c.check) {
			t.Errorf("%s: failed %q, want %q among them", c.name, got, c.check)
		}
	}
}

// An unreachable server is reported once, not by every check.
func TestTheSuiteStopsWithoutAServer(t *testing.T) {
	t.Parallel()
	report := conformance.Run(t.Context(), contract(t), conformance.Target{URL: "http://127.0.0.1:1", Now: now, HTTP: http.DefaultClient}, "x")
	if report.Failed() != 2 || len(report.Results) != 2 {
		t.Errorf("results without a server = %+v, want 2, both failed", report.Results)
	}
	r := examine(t, http.NotFoundHandler(), "y", 0)
	if last := r.Results[len(r.Results)-1]; len(r.Results) != 4 || last.Name != "the rest of the story" {
		t.Errorf("results = %+v, want 4, the last the rest of the story", r.Results)
	}
}

// Reports name what failed and where it is documented.
func TestReports(t *testing.T) {
	t.Parallel()
	r := conformance.Report{Results: []conformance.Result{
		{Name: "a <good> one"}, {Name: "a bad one", Place: "https://example.org/docs#x", Faults: []string{"answered 500"}},
	}}
	var text, junit strings.Builder
	if err := r.Write(&text); err != nil {
		t.Fatal(err)
	}
	want := "pass  a <good> one\nFAIL  a bad one\n      answered 500\n      see https://example.org/docs#x\n\n1 of 2 checks passed\n"
	if text.String() != want {
		t.Errorf("%q, want %q", text.String(), want)
	}
	if err := r.WriteJUnit(&junit); err != nil {
		t.Fatal(err)
	}
	var suite struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Cases    []struct {
			Name    string `xml:"name,attr"`
			Failure *struct {
				Message string `xml:"message,attr"`
			} `xml:"failure"`
		} `xml:"testcase"`
	}
	if err := xml.Unmarshal([]byte(junit.String()), &suite); err != nil {
		t.Fatal(err)
	}
	if suite.Tests != 2 || suite.Failures != 1 || suite.Cases[0].Name != "a <good> one" || suite.Cases[0].Failure != nil || suite.Cases[1].Failure.Message != "answered 500" {
		t.Errorf("suite = %+v, want 2 tests, the second failed with answered 500", suite)
	}
}
