package server_test

import (
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/server"
)

// Links in FHIR responses use a name of this server, whatever the Host and forwarding headers say;
// otherwise they are relative.
func TestLinksFollowNoForeignHost(t *testing.T) {
	t.Parallel()
	proxied := func(c *server.Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }
	plain := setupSecured(t, func(c *server.Config) { c.Host = "mems.internal.example" })
	behind := setupSecured(t, proxied)
	named := setupSecured(t, func(c *server.Config) { proxied(c); c.PublicURL = "https://mems.example.org" })
	port := plain.url[strings.LastIndex(plain.url, ":"):]
	forwarded := http.Header{"X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"evil.example"}}
	keys := map[*secured]string{}
	for _, tc := range []struct {
		s      *secured
		host   string
		header http.Header
		want   string
	}{
		{plain, "127.0.0.1" + port, nil, plain.url},
		{plain, "localhost" + port, nil, "http://localhost" + port},
		{plain, "mems.internal.example" + port, nil, "http://mems.internal.example" + port},
		{plain, "evil.example", nil, ""},
		{plain, "evil.example" + port, nil, ""},
		{plain, "127.0.0.1:1", nil, ""},
		{plain, "192.0.2.7" + port, nil, ""},
		{plain, "localhost.evil.example" + port, nil, ""},
		{plain, "127.0.0.1" + port, forwarded, ""},
		{behind, "evil.example", forwarded, ""},
		{behind, "127.0.0.1:8080", forwarded, ""},
		{behind, "mems.example.org", forwarded, ""},
		{named, "evil.example", nil, "https://mems.example.org"},
		{named, "evil.example", forwarded, "https://mems.example.org"},
		{named, "mems.example.org", forwarded, "https://mems.example.org"},
	} {
		if keys[tc.s] == "" {
			var made api.APIKeyCreated
			tc.s.Post("/api-keys", object{"name": "desk", "role": "receptionist"}).Want(t, 201, "").Decode(t, &made)
			keys[tc.s] = made.Key
			tc.s.patient()
		}
		key := http.Header{"X-Api-Key": {keys[tc.s]}}
		maps.Copy(key, tc.header)
		_, body := send(t, "GET", tc.s.url+"/fhir/metadata", tc.host, key)
		var statement api.FhirCapabilityStatement
		if err := json.Unmarshal([]byte(body), &statement); err != nil || statement.Implementation.URL != tc.want+"/fhir" {
			t.Errorf("asked as %s with %v, the facade says that it is at %q, want %q (%v)", tc.host, tc.header, statement.Implementation.URL, tc.want, err)
		}
		_, body = send(t, "GET", tc.s.url+"/fhir/Patient?_count=1", tc.host, key)
		var bundle api.FhirPatientBundle
		if err := json.Unmarshal([]byte(body), &bundle); err != nil || len(bundle.Link) == 0 || bundle.Link[0].URL != tc.want+"/fhir/Patient?_count=1" {
			t.Errorf("asked as %s with %v, a page's links are %v, want %s (%v)", tc.host, tc.header, bundle.Link, tc.want, err)
		}
		// Not even a refusal repeats the Host.
		_, body = send(t, "GET", tc.s.url+"/fhir/Appointment?patient=https://elsewhere.example/fhir/Patient/1", tc.host, key)
		if strings.Contains(body, "evil.example") {
			t.Errorf("body for the host %s: %s, want it without evil.example", tc.host, body)
		}
		// A reference that uses the called host is resolved.
		if status, body := send(t, "GET", tc.s.url+"/fhir/Appointment?patient=http://"+tc.host+"/fhir/Patient/1", tc.host, key); status != 200 {
			t.Errorf("search by a reference to a record at the called host %s = %d %s, want 200", tc.host, status, body)
		}
	}
}

// The names in the certificate are the server's own.
func TestLinksFollowTheCertificate(t *testing.T) {
	t.Parallel()
	var h http.Handler
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) }))
	front.StartTLS()
	t.Cleanup(front.Close)
	s := setupSecured(t, nil)
	var err error
	if h, err = server.New(server.Config{
		Store: s.db.Open(t, s.clock.now, nil), Zone: time.UTC, Log: slog.New(slog.DiscardHandler), IsCertified: func(host string) bool { return front.Certificate().VerifyHostname(host) == nil },
	}); err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]string{"example.com": "https://example.com", "evil.example": "", "example.com:1": ""} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, front.URL+"/fhir/metadata", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		answer, err := front.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var statement api.FhirCapabilityStatement
		if err := json.NewDecoder(answer.Body).Decode(&statement); err != nil || statement.Implementation.URL != want+"/fhir" {
			t.Errorf("asked as %s: %q, want %q (%v)", host, statement.Implementation.URL, want, err)
		}
		_ = answer.Body.Close()
	}
}
