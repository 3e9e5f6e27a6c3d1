package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"pgregory.net/rapid"

	"mems/gen/api"
	"mems/internal/contracttest"
)

// Requests drawn from the contract itself, nearly valid and very invalid: every response matches
// the contract (the client checks it), none is a 5xx, and a request that the contract allows is
// never rejected for its shape.
func TestRequestsDrawnFromTheContract(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich")
	f.Random = true
	for range 3 {
		f.booked(f.patient(), f.doctor(), "2027-03-02T10:00:00Z", 30)
	}
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			t.Run(op.OperationID, func(t *testing.T) {
				rapid.Check(t, func(r *rapid.T) {
					valid := rapid.Bool().Draw(r, "valid")
					request := drawRequest(r, method, path, slices.Concat(item.Parameters, op.Parameters), op, valid)
					answer := f.Send(request)
					if answer.Status >= 500 {
						r.Fatalf("%+v: %d", request, answer.Status)
					}
					if valid && slices.Contains([]int{400, 405, 406, 413, 415}, answer.Status) {
						r.Fatalf("valid request %+v: %d %s", request, answer.Status, answer.Body)
					}
				})
			})
		}
	}
}

// hostile are headers of a malicious client.
var hostile = map[string][]string{
	"X-API-Key":         {"", "x", "mems_1_" + strings.Repeat("A", 43), strings.Repeat("x", 7000)},
	"Authorization":     {"Bearer", "Bearer x.y.z", "Basic eDp5", "Bearer " + strings.Repeat("e", 7000)},
	"X-Forwarded-For":   {"127.0.0.1", "::1, junk", strings.Repeat("1.1.1.1,", 500)},
	"X-Forwarded-Proto": {"https"},
	"Idempotency-Key":   {"k", "a b", strings.Repeat("k", 300)},
	"X-Request-ID":      {"a\tb", strings.Repeat("r", 500), "../../etc/passwd"},
	"Accept":            {"*/*;q=0", "text/csv", strings.Repeat("a/b,", 1000)},
	"Content-Encoding":  {"gzip", "br"},
	"Expect":            {"100-continue"},
	"Origin":            {"null", "https://evil.example.org"},
	"traceparent":       {"00-zz-zz-01"},
}

func drawRequest(r *rapid.T, method, path string, parameters openapi3.Parameters, op *openapi3.Operation, valid bool) contracttest.Request {
	query := url.Values{}
	header := map[string][]string{}
	for _, p := range parameters {
		p := p.Value
		text := asText(drawValue(r, p.Name, p.Schema.Value, valid))
		switch p.In {
		case openapi3.ParameterInPath:
			text = strings.ReplaceAll(text, "/", "") // %2F is part of no address (TestEncodedPaths)
			if text == "" || text == "." || text == ".." {
				text = "0"
			}
			path = strings.ReplaceAll(path, "{"+p.Name+"}", url.PathEscape(text))
		case openapi3.ParameterInQuery:
			if rapid.Bool().Draw(r, "with "+p.Name) {
				query.Set(p.Name, text)
			}
		case openapi3.ParameterInHeader:
			if rapid.Bool().Draw(r, "with "+p.Name) && !strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' }) {
				header[p.Name] = []string{text}
			}
		}
	}
	if !valid && rapid.Bool().Draw(r, "stray parameter") {
		query.Set(rapid.String().Draw(r, "stray name"), rapid.String().Draw(r, "stray value"))
	}
	if !valid && rapid.IntRange(0, 2).Draw(r, "hostile header") == 0 {
		name := rapid.SampledFrom(slices.Sorted(maps.Keys(hostile))).Draw(r, "hostile name")
		header[name] = []string{rapid.SampledFrom(hostile[name]).Draw(r, "hostile value")}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	request := contracttest.Request{Method: method, Path: path, Header: header}
	if op.RequestBody != nil {
		for mediaType, media := range op.RequestBody.Value.Content {
			if _, hostile := header["Content-Type"]; !hostile {
				header["Content-Type"] = []string{mediaType}
			}
			body, err := json.Marshal(drawValue(r, "body", media.Schema.Value, valid))
			if err != nil {
				r.Fatal(err)
			}
			if !valid && rapid.IntRange(0, 9).Draw(r, "cut the body") == 0 {
				body = body[:rapid.IntRange(0, len(body)).Draw(r, "at")]
			}
			request.Body = body
		}
	}
	return request
}

func asText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case nil:
		return ""
	default:
		return fmt.Sprint(v)
	}
}

// drawValue draws a value of the schema or, when not valid, sometimes another one.
func drawValue(r *rapid.T, name string, s *openapi3.Schema, valid bool) any {
	if !valid && rapid.IntRange(0, 3).Draw(r, "spoil "+name) == 0 {
		return rapid.OneOf(
			rapid.Just[any](nil), rapid.Just[any](true), rapid.Just[any](-1), rapid.Just[any](0), rapid.Just[any](1.5),
			rapid.Just[any](json.Number("1e400")), rapid.Just[any](json.Number("9223372036854775808")),
			rapid.Just[any](""), rapid.Just[any]("\x00"), rapid.Just[any](strings.Repeat("ä", 600)), rapid.Just[any]([]any{}), rapid.Just[any](map[string]any{"a": 1}),
			rapid.Just[any]("9999-12-31T23:59:59-23:59"), rapid.Just[any]("0000-01-01T00:00:00Z"), rapid.Just[any]("2026-02-30"),
			rapid.Map(rapid.String(), func(s string) any { return s }),
		).Draw(r, "spoilt "+name)
	}
	if s.Nullable && rapid.IntRange(0, 4).Draw(r, "null "+name) == 0 {
		return nil
	}
	if len(s.Enum) > 0 {
		return rapid.SampledFrom(s.Enum).Draw(r, name)
	}
	switch {
	case s.Type.Is(openapi3.TypeObject):
		return drawObject(r, s, valid)
	case s.Type.Is(openapi3.TypeArray):
		items := make([]any, rapid.IntRange(int(s.MinItems), int(s.MinItems)+2).Draw(r, "number of "+name))
		for i := range items {
			items[i] = drawValue(r, name, s.Items.Value, valid)
		}
		return items
	case s.Type.Is(openapi3.TypeInteger):
		low, high := int64(1), int64(5) // ids that exist are more telling than ids that do not
		if name != "id" && !strings.HasSuffix(name, "_id") {
			low, high = int64(*s.Min), int64(*s.Max)
		}
		return rapid.Int64Range(low, high).Draw(r, name)
	case s.Type.Is(openapi3.TypeBoolean):
		return rapid.Bool().Draw(r, name)
	}
	switch {
	case s.Format == "date-time":
		return rapid.StringMatching(`20(2[6-9]|3[0-9])-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9])`).Draw(r, name)
	case s.Format == "date":
		return rapid.StringMatching(`(19[0-9][0-9]|20[0-2][0-6])-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])`).Draw(r, name)
	case s.Format == "email":
		return rapid.StringMatching(` ?[a-zA-Z0-9]{1,20}@[a-z]{1,10}\.(org|example) ?`).Draw(r, name)
	case name == "cursor":
		return rapid.StringMatching(`[A-Za-z0-9_-]{1,40}`).Draw(r, name)
	case name == "_format":
		return rapid.StringMatching(s.Pattern).Draw(r, name)
	case name == "If-Match":
		return rapid.StringMatching(`"[0-9]{1,20}"(, W/"x")?`).Draw(r, name)
	case name == "phone":
		return rapid.StringMatching(`\+?[0-9]{4,12}`).Draw(r, name)
	default:
		return rapid.StringMatching(`[\pL][\pL %_'\\-]{0,20}`).Draw(r, name)
	}
}

func drawObject(r *rapid.T, s *openapi3.Schema, valid bool) map[string]any {
	names := make([]string, 0, len(s.Properties))
	for name := range s.Properties {
		names = append(names, name)
	}
	slices.Sort(names) // rapid needs the same order each time
	object := map[string]any{}
	for i, name := range names {
		required := slices.Contains(s.Required, name) || s.MinProps > 0 && i == 0
		if !valid && rapid.IntRange(0, 9).Draw(r, "leave out "+name) == 0 {
			continue
		}
		if required || rapid.Bool().Draw(r, "with "+name) {
			object[name] = drawValue(r, name, s.Properties[name].Value, valid)
		}
	}
	if !valid && rapid.IntRange(0, 4).Draw(r, "stray member") == 0 {
		object[rapid.String().Draw(r, "stray member name")] = rapid.String().Draw(r, "stray member value")
	}
	return object
}
