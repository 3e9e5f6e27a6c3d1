package server_test

import (
	"io"
	"log/slog"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/server"
	"mems/internal/store"
)

// send sends a request with its own Host and returns the status and the body.
func send(t *testing.T, method, url, host string, header http.Header) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	maps.Copy(r.Header, header)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// A server without authentication serves clients on its own machine only: no website under another
// name, and no client of a proxy.
func TestOpenServerIsLocal(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, func(c *server.Config) { c.Open, c.Host = true, "192.0.2.7" })
	every := setupSecured(t, func(c *server.Config) { c.Open, c.Host = true, "0.0.0.0" })
	for _, tc := range []struct {
		url, host string
		header    http.Header
		want      int
	}{
		{s.url, "localhost", nil, 200},
		{s.url, "LOCALHOST.:8080", nil, 200},
		{s.url, "127.0.0.1:8080", nil, 200},
		{s.url, "127.9.9.9", nil, 200},
		{s.url, "[::1]:8080", nil, 200},
		{s.url, "192.0.2.7:8080", nil, 200},
		{every.url, "192.0.2.9:8080", nil, 200},
		{every.url, "[2001:db8::1]:8080", nil, 200},
		{s.url, "evil.example", nil, 403},
		{s.url, "evil.example:8080", nil, 403},
		{s.url, "localhost.evil.example", nil, 403},
		{s.url, "127.0.0.1.evil.example", nil, 403},
		{s.url, "192.0.2.8", nil, 403},
		{every.url, "evil.example", nil, 403},
		{s.url, "localhost", http.Header{"X-Forwarded-For": {"127.0.0.1"}}, 403},
		{s.url, "localhost", http.Header{"X-Forwarded-Host": {"localhost"}}, 403},
		{s.url, "localhost", http.Header{"X-Forwarded-Proto": {"https"}}, 403},
		{s.url, "localhost", http.Header{"X-Real-Ip": {"127.0.0.1"}}, 403},
		{s.url, "localhost", http.Header{"Forwarded": {"for=127.0.0.1"}}, 403},
		{s.url, "localhost", http.Header{"Via": {"1.1 proxy"}}, 403},
		{s.url, "localhost", http.Header{"X-Forwarded-Server": {"proxy"}}, 403},
		{s.url, "localhost", http.Header{"X-Forwarded-For": {""}}, 403},
	} {
		for _, path := range []string{"/patients", "/fhir/Patient", "/api-keys", "/stream?cursor=x"} {
			if tc.want == 200 && strings.HasPrefix(path, "/stream") {
				continue
			}
			status, body := send(t, "GET", tc.url+path, tc.host, tc.header)
			if status != tc.want || tc.want == 403 && !strings.Contains(body, "local-only") {
				t.Errorf("GET %s as %s with %v: %d, want %d\n%s", path, tc.host, tc.header, status, tc.want, body)
			}
		}
	}
	// An authenticated caller may come from anywhere.
	closed := setupSecured(t, nil)
	var made api.APIKeyCreated
	closed.Post("/api-keys", object{"name": "desk", "role": "receptionist"}).Want(t, 201, "").Decode(t, &made)
	if status, body := send(t, "GET", closed.url+"/patients", "clinic.example", http.Header{
		"X-Api-Key": {made.Key}, "X-Forwarded-For": {"192.0.2.1"},
	}); status != 200 {
		t.Errorf("GET with a key = %d, want 200\n%s", status, body)
	}
}

// A page of another site cannot change anything, with or without authentication; a page of an
// allowed origin can.
func TestForeignOriginsAreRefused(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, func(c *server.Config) { c.Open, c.CORSOrigins = true, []string{"https://desk.example"} })
	host := strings.TrimPrefix(s.url, "http://")
	for _, tc := range []struct {
		header  http.Header
		refused bool
	}{
		{nil, false},
		{http.Header{"Origin": {s.url}}, false},
		{http.Header{"Origin": {s.url}, "Sec-Fetch-Site": {"same-origin"}}, false},
		{http.Header{"Sec-Fetch-Site": {"none"}}, false},
		{http.Header{"Origin": {"https://desk.example"}, "Sec-Fetch-Site": {"cross-site"}}, false},
		{http.Header{"Origin": {"https://evil.example"}}, true},
		{http.Header{"Origin": {"https://evil.example"}, "Content-Type": {"text/plain"}}, true},
		{http.Header{"Origin": {"null"}}, true},
		{http.Header{"Origin": {"https://desk.example.evil.example"}}, true},
		{http.Header{"Sec-Fetch-Site": {"cross-site"}}, true},
		{http.Header{"Sec-Fetch-Site": {"same-site"}}, true},
		{http.Header{"Origin": {"http://localhost:1"}, "Sec-Fetch-Site": {"same-site"}}, true},
	} {
		for _, request := range []string{
			"POST /appointments/1/confirm", "POST /appointments/1/check-in", "POST /appointments/1/undo",
			"DELETE /api-keys/1", "PUT /doctors/1/working-hours", "PATCH /patients/1", "POST /fhir/Appointment/$book",
		} {
			method, path, _ := strings.Cut(request, " ")
			status, body := send(t, method, s.url+path, host, tc.header)
			if got := status == 403 && strings.Contains(body, "cross-origin"); got != tc.refused {
				t.Errorf("%s with %v: %d, want refused %t\n%s", request, tc.header, status, tc.refused, body)
			}
		}
		if status, body := send(t, "GET", s.url+"/patients", host, tc.header); status != 200 {
			t.Errorf("GET with %v = %d, want 200\n%s", tc.header, status, body)
		}
	}
}

// Every unsafe operation rejects pages of other sites before the caller is authenticated, with or
// without a credential.
func TestEveryUnsafeOperationRefusesForeignOrigins(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, func(c *server.Config) { c.PublicURL = "https://mems.example.org" })
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	var made api.APIKeyCreated
	s.Post("/api-keys", object{"name": "desk", "role": "admin"}).Want(t, 201, "").Decode(t, &made)
	host, tried := strings.TrimPrefix(s.url, "http://"), 0
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			if method == "GET" {
				continue
			}
			tried++
			address := s.url + regexp.MustCompile(`\{[^}]+\}`).ReplaceAllString(path, "987654")
			for _, header := range []http.Header{
				{"Origin": {"https://evil.example"}},
				{"Origin": {"https://evil.example"}, "X-Api-Key": {made.Key}},
				{"Sec-Fetch-Site": {"cross-site"}, "X-Api-Key": {made.Key}},
				{"Origin": {"null"}, "X-Api-Key": {made.Key}, "Content-Type": {"text/plain"}},
			} {
				if status, body := send(t, method, address, host, header); status != 403 || !strings.Contains(body, "cross-origin") {
					t.Errorf("%s %s with %v = %d, want 403 cross-origin\n%s", method, path, header, status, body)
				}
			}
			// The server's own pages are accepted, also behind a proxy that replaces Host.
			own := http.Header{"Origin": {"https://mems.example.org"}, "X-Api-Key": {made.Key}}
			if _, body := send(t, method, address, host, own); strings.Contains(body, "cross-origin") {
				t.Errorf("%s %s from its own page: %s, want no cross-origin refusal", method, path, body)
			}
		}
	}
	if tried < 50 {
		t.Errorf("tried %d operations, want at least 50", tried)
	}
}

// Configuring a pattern as an origin fails when the server is created, too.
func TestServerTakesNoOriginPattern(t *testing.T) {
	t.Parallel()
	for _, origin := range []string{"*", "https://*", "https://*.example", "null", "https://a.example/x"} {
		if _, err := server.New(server.Config{Store: &store.Store{}, Zone: time.UTC, Log: slog.New(slog.DiscardHandler), CORSOrigins: []string{origin}}); err == nil || !strings.Contains(err.Error(), origin) {
			t.Errorf("New with the CORS origin %q: %v, want an error that names it", origin, err)
		}
	}
}
