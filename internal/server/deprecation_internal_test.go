package server

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/storetest"
)

// A deprecated operation says so in every response, and no other operation does.
func TestDeprecationIsAnnounced(t *testing.T) {
	t.Parallel()
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	op := doc.Paths.Value("/patients/{id}").Get
	op.Deprecated = true
	op.Extensions["x-deprecated-at"], op.Extensions["x-sunset"] = "2027-03-01", "2027-12-31"
	now := func() time.Time { return time.Date(2027, 3, 1, 8, 0, 0, 0, time.UTC) }
	s, err := newWith(Config{
		Store: storetest.New(t).Open(t, now, time.UTC), Zone: time.UTC, Log: slog.New(slog.DiscardHandler), Now: now,
	}, doc)
	if err != nil {
		t.Fatal(err)
	}
	headers := func(path string, open bool, status int) http.Header {
		t.Helper()
		s.cfg.Open = open
		answer := httptest.NewRecorder()
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		request.Host = "localhost"
		s.ServeHTTP(answer, request)
		if answer.Code != status {
			t.Errorf("GET %s = %d %s, want %d", path, answer.Code, answer.Body, status)
		}
		return answer.Header()
	}
	for open, status := range map[bool]int{true: http.StatusNotFound, false: http.StatusUnauthorized} {
		h := headers("/patients/1", open, status)
		if h.Get("Deprecation") != "@1803859200" || h.Get("Sunset") != "Fri, 31 Dec 2027 00:00:00 GMT" ||
			h.Get("Link") != `</docs#tag/patients/GET/patients/%7Bid%7D>; rel="deprecation"; type="text/html"` {
			t.Errorf("deprecated operation, answered %d: headers %v, want Deprecation, Sunset and a Link to its documentation",
				status, h)
		}
	}
	if h := headers("/doctors/1", true, http.StatusNotFound); h.Get("Deprecation") != "" || h.Get("Sunset") != "" || h.Get("Link") != "" {
		t.Errorf("operation that is not deprecated: headers %v, want no Deprecation, Sunset or Link", h)
	}
}
