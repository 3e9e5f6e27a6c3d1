package server_test

import (
	"net/http"
	"strings"
	"testing"

	"mems/internal/contracttest"
	"mems/internal/server"
)

// A request with several faults gets the one that the contract ("Errors") lists first: each step
// fixes the fault of the step before.
func TestErrorsComeInTheContractsOrder(t *testing.T) {
	t.Parallel()
	const limit = 20
	s := setupSecured(t, func(c *server.Config) { c.RateLimit = limit })
	auditor, _ := s.key("auditor", nil) // may not book
	desk, _ := s.key("receptionist", nil)
	send := func(c *contracttest.Client, accept, contentType, body string) *contracttest.Response {
		t.Helper()
		return c.Send(contracttest.Request{
			Method: http.MethodPost, Path: "/appointments", Body: body,
			Header: http.Header{"Accept": {accept}, "Content-Type": {contentType}},
		})
	}
	const broken, incomplete = `{"patient_id":`, `{"patient_id":1}`
	send(contracttest.New(t, s.url), "text/html", "text/plain", broken).Want(t, 401, "unauthenticated")
	for range limit {
		send(auditor, "text/html", "text/plain", broken).Want(t, 403, "forbidden")
	}
	send(auditor, "text/html", "text/plain", broken).Want(t, 429, "rate-limited") // before the permission
	send(desk, "text/html", "text/plain", broken).Want(t, 406, "not-acceptable")
	large := `{"patient_id":` + strings.Repeat("1", server.DefaultMaxBodyBytes) + `}`
	send(desk, "application/json", "text/plain", large).Want(t, 413, "payload-too-large")
	send(desk, "application/json", "text/plain", broken).Want(t, 415, "unsupported-media-type")
	send(desk, "application/json", "application/json", broken).Want(t, 400, "malformed-request")
	send(desk, "application/json", "application/json", incomplete).Want(t, 422, "validation-failed")
}
