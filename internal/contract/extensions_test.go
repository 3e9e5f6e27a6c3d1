package contract

import (
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"mems/gen/api"
	"mems/internal/clinic"
)

// The special cases among the operations are those that the contract states.
func TestExtensionsAreRead(t *testing.T) {
	t.Parallel()
	all, err := OperationsOf(spec(t), 1000)
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		id    string
		limit RateLimit
		waits bool
	}{
		{"getHealth", RateLimitNone, false},
		{"getReadiness", RateLimitNone, false},
		{"getVersion", RateLimitByCaller, false},
		{"getCalendar", RateLimitByFeed, true}, // public, but it reads records
		{"bookAppointment", RateLimitByCaller, true},
	}
	for _, c := range cases {
		if op := all[c.id]; op.RateLimit != c.limit || op.Waits != c.waits {
			t.Errorf("%s: rate limit %q, waits %v; want %q, %v", c.id, op.RateLimit, op.Waits, c.limit, c.waits)
		}
	}
	for id, op := range all {
		if op.Permission != clinic.Public && (!op.Waits || op.RateLimit != RateLimitByCaller) {
			t.Errorf("%s: rate limit %q, waits %t; want it to count by caller and to wait: it is not public",
				id, op.RateLimit, op.Waits)
		}
	}
}

// A server does not start with an unknown value of an extension, nor with a known one where
// it has no meaning.
func TestUnknownExtensionsAreRefused(t *testing.T) {
	t.Parallel()
	doc := spec(t)
	health, calendar := doc.Paths.Value("/healthz").Get, doc.Paths.Value("/calendars/{token}").Get
	doctors, doctor, book := doc.Paths.Value("/doctors").Post, doc.Paths.Value("/doctors/{id}").Patch, doc.Paths.Value("/fhir/Appointment/$book").Post
	cases := []struct {
		op     *openapi3.Operation
		name   string
		refuse []any
	}{
		{doctors, "x-permission", []any{nil, "", "appointments:everything", 7}},
		{health, "x-rate-limit", []any{nil, "", "off", true, "calendar-feed"}},
		{calendar, "x-rate-limit", []any{"calendar_feed", 1}},
		{doctors, "x-rate-limit", []any{"calendar-feed"}},
		{health, "x-admission", []any{nil, "", "all", false}},
		{doctors, "x-admission", []any{"none"}},
		{doctors, "x-calendar", []any{
			nil, "body",
			map[string]any{},
			map[string]any{"doctor": "head"},
			map[string]any{"doctor": "participant"},
			map[string]any{"doctor": "path"},
			map[string]any{"record": "appointment"},
			map[string]any{"doctor": "body", "room": "body"},
			map[string]any{"doctor": 1},
		}},
		{doctor, "x-calendar", []any{map[string]any{"record": "doctor"}, map[string]any{"record": "appointments"}}},
		{book, "x-calendar", []any{map[string]any{"doctor": "body"}}},
		{book, "x-fhir-parameters", []any{nil, "", "FhirNothing", 3}},
		{calendar, "x-fhir-parameters", []any{"FhirAppointmentRequest"}}, // has no body
	}
	for _, c := range cases {
		before, stated := c.op.Extensions[c.name]
		for _, word := range c.refuse {
			c.op.Extensions[c.name] = word
			if _, err := OperationsOf(doc, 1000); err == nil {
				t.Errorf("OperationsOf with %s: %v in %s = nil, want an error", c.name, word, c.op.OperationID)
			}
		}
		if c.op.Extensions[c.name] = before; !stated {
			delete(c.op.Extensions, c.name)
		}
		if _, err := OperationsOf(doc, 1000); err != nil {
			t.Fatal(err)
		}
	}
}

// operationIds are unique.
func TestTwoOperationsOfOneIDAreRefused(t *testing.T) {
	t.Parallel()
	doc := spec(t)
	if _, err := OperationsOf(doc, 1000); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"createPatient", ""} {
		doc.Paths.Value("/doctors").Post.OperationID = id
		if _, err := OperationsOf(doc, 1000); err == nil {
			t.Errorf("OperationsOf with two operations %q = nil, want an error", id)
		}
	}
}

func spec(t testing.TB) *openapi3.T {
	t.Helper()
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	return doc
}
