package conformance_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"mems/internal/conformance"
)

// client is a partner's client behind the proxy.
type client struct {
	t     *testing.T
	proxy *conformance.Proxy
	url   string
}

// through puts the proxy before a handler.
func through(t *testing.T, h http.Handler, probe bool, clock func() time.Time) client {
	t.Helper()
	upstream := httptest.NewServer(h)
	t.Cleanup(upstream.Close)
	to, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := conformance.NewProxy(contract(t), to, probe, clock)
	front := httptest.NewServer(proxy)
	t.Cleanup(front.Close)
	return client{t, proxy, front.URL}
}

func (c client) send(method, path, body string, headers ...string) (int, string) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// found checks that exactly one finding has the text, and its count.
func (c client) found(operation, severity, text string, times int) {
	c.t.Helper()
	findings, _ := c.proxy.Findings()
	n := 0
	for _, f := range findings {
		if f.Operation == operation && f.Severity == severity && strings.Contains(f.Text, text) {
			n += f.Times
		}
	}
	if n != times {
		c.t.Errorf("%s %s %q: %d times, want %d, in %+v", operation, severity, text, n, times, findings)
	}
}

func still() time.Time { return now }

// A correct client has no findings, and gets the server's responses unchanged.
func TestProxyLeavesAGoodClientAlone(t *testing.T) {
	t.Parallel()
	c := through(t, clinic(t), false, still)
	status, body := c.send(http.MethodPost, "/patients", `{"first_name": "Ann", "last_name": "Muster"}`, "Idempotency-Key", "one")
	if status != http.StatusCreated || !strings.Contains(body, `"last_name":"Muster"`) {
		t.Errorf("POST /patients = %d %s, want 201 with Muster", status, body)
	}
	c.send(http.MethodPost, "/patients", `{"first_name": "Ann", "last_name": "Muster"}`, "Idempotency-Key", "one") // a permitted repetition
	if status, body := c.send(http.MethodGet, "/patients/1", ""); status != http.StatusOK || strings.Contains(body, "conformance_probe") {
		t.Errorf("GET /patients/1 = %d %s, want 200 without a probe", status, body)
	}
	if findings, requests := c.proxy.Findings(); len(findings) > 0 || requests != 3 {
		t.Errorf("%d requests with the findings %+v, want 3 and none", requests, findings)
	}
}

// Every fault of a client is reported once.
func TestProxyFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	c := through(t, clinic(t), false, still)
	c.send(http.MethodGet, "/patient/1", "")
	c.found("GET /patient/1", "error", "no such operation", 1)
	booking := `{"patient_id": 1, "doctor_id": 1, "start_time": "2027-03-02T10:00:00", "duration_minutes": 10}`
	for range 2 {
		c.send(http.MethodPost, "/appointments", booking)
	}
	c.found("POST /appointments", "error", "/start_time: string doesn't match the format", 2)
	c.found("POST /appointments", "error", "/duration_minutes", 2)
	c.found("POST /appointments", "advice", "Idempotency-Key", 2)
	c.send(http.MethodPost, "/patients", `{"first_name": "Ann", "last_name": "Muster", "colour": "red"}`, "Idempotency-Key", "k")
	c.found("POST /patients", "error", "colour", 1)
	c.send(http.MethodPost, "/patients", `{"first_name": "Ann", "last_name": "Muster"}`, "Idempotency-Key", "k")
	c.found("POST /patients", "error", "of a different request", 1)
	c.send(http.MethodPatch, "/patients/1", `{"phone": null}`, "Content-Type", "application/merge-patch+json")
	c.found("PATCH /patients/{id}", "advice", "If-Match", 1)
	c.send(http.MethodGet, "/patients?surname=Ann", "")
	c.found("GET /patients", "error", "surname", 1)
	c.found("GET /patients", "error", "the server's answer", 0)
}

// A client that ignores Retry-After is reported.
func TestProxyHoldsToRetryAfter(t *testing.T) {
	t.Parallel()
	clock := now
	busy := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	c := through(t, busy, false, func() time.Time { return clock })
	early := func(times int) {
		t.Helper()
		c.send(http.MethodGet, "/doctors", "", "X-API-Key", "mine")
		c.found("GET /doctors", "error", "Retry-After", times)
	}
	early(0)
	clock = clock.Add(5 * time.Second)
	early(0)
	clock = clock.Add(4 * time.Second)
	early(1)
	c.found("GET /doctors", "error", "the server's answer", 9) // each of the three responses has three faults
}

// The probe adds a member to responses and changes nothing else.
func TestProxyProbes(t *testing.T) {
	t.Parallel()
	c := through(t, clinic(t), true, still)
	if _, body := c.send(http.MethodGet, "/version", ""); !strings.Contains(body, `"conformance_probe"`) || !strings.Contains(body, `"contract_version"`) {
		t.Errorf("GET /version = %s, want the probe and the contract's version", body)
	}
	if _, body := c.send(http.MethodGet, "/openapi.yaml", ""); !strings.HasPrefix(body, "openapi: 3.0.3\n") {
		t.Errorf("/openapi.yaml begins with %.40q, want openapi: 3.0.3", body)
	}
	if findings, _ := c.proxy.Findings(); len(findings) > 0 {
		t.Errorf("findings = %+v, want none", findings)
	}
}
