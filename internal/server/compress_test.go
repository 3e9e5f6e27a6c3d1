package server_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"mems/gen/api"
	"mems/internal/contract"
	"mems/internal/contracttest"
)

// raw sends a GET without setting or decoding encodings.
func raw(t *testing.T, address string, header http.Header) *contracttest.Response {
	t.Helper()
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	answer, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return &contracttest.Response{Status: answer.StatusCode, Header: answer.Header, Body: body}
}

func unpack(t *testing.T, body []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return unpacked
}

// Long text is compressed for clients that accept it, with a Vary header; short or already encoded
// responses are not.
func TestCompression(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	doctor := f.doctor()
	for range 12 {
		f.patient()
	}
	f.booked(1, doctor, "2027-03-02T09:00:00Z", 30)
	unknown := url.Values{}
	for i := range 40 {
		unknown.Set(fmt.Sprintf("x%d", i), "1")
	}
	for _, path := range []string{
		"/patients", "/fhir/Patient", "/fhir/metadata", "/openapi.yaml", "/openapi.json", "/problems", "/docs/scalar.js",
		"/fhir/Slot?" + unknown.Encode(), // a long refusal
	} {
		plain := raw(t, f.url+path, http.Header{})
		packed := raw(t, f.url+path, http.Header{"Accept-Encoding": {"br;q=1, gzip;q=0.5"}})
		text, body := plain.Body, packed.Body
		refused := raw(t, f.url+path, http.Header{"Accept-Encoding": {"gzip;q=0, *"}})
		if plain.Header.Get("Content-Encoding") != "" || refused.Header.Get("Content-Encoding") != "" || packed.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: Content-Encoding plain %q, refused %q, accepted %q; want none, none and gzip",
				path, plain.Header.Get("Content-Encoding"), refused.Header.Get("Content-Encoding"), packed.Header.Get("Content-Encoding"))
			continue
		}
		for _, r := range []*contracttest.Response{plain, packed, refused} {
			if !strings.Contains(strings.Join(r.Header.Values("Vary"), ","), "Accept-Encoding") {
				t.Errorf("%s: Vary %v, want Accept-Encoding in it", path, r.Header.Values("Vary"))
			}
		}
		if len(body) >= len(text) || plain.Status != packed.Status {
			t.Errorf("%s compressed: %d bytes, status %d; want fewer than %d bytes and status %d",
				path, len(body), packed.Status, len(text), plain.Status)
		}
		if unpacked := unpack(t, body); !bytes.Equal(unpacked, text) {
			t.Errorf("%s: decompresses to %d bytes that differ from the plain %d, want them equal",
				path, len(unpacked), len(text))
		}
	}
	accept := http.Header{"Accept-Encoding": {"gzip"}}
	for _, path := range []string{"/healthz", "/patients/1", "/nothing"} {
		if r := raw(t, f.url+path, accept); r.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s is short: Content-Encoding %q, want none", path, r.Header.Get("Content-Encoding"))
		}
	}
	// A record's ETag is sent back in If-Match: it stays strong, and so must identify exact bytes.
	var identifiers []object
	for i := range 10 {
		identifiers = append(identifiers, object{"system": fmt.Sprintf("urn:example:%d", i), "value": strings.Repeat("9", 90)})
	}
	long := f.Post("/patients", object{"first_name": "Ann", "last_name": "Long", "identifiers": identifiers}).Want(t, 201, "")
	r := raw(t, f.url+long.Header.Get("Location"), accept)
	if len(r.Body) < 1024 || r.Header.Get("Content-Encoding") != "" || r.Header.Get("ETag") != `"1"` {
		t.Errorf("long answer: %d bytes, headers %v; want at least 1024, not compressed, with ETag \"1\"",
			len(r.Body), r.Header)
	}
	f.Send(contracttest.Request{
		Method: "DELETE", Path: long.Header.Get("Location"), Header: http.Header{"If-Match": {r.Header.Get("ETag")}},
	}).Want(t, 204, "")
	// HEAD has the headers of GET.
	head := f.Send(contracttest.Request{Method: "HEAD", Path: "/openapi.yaml", Header: accept})
	if head.Header.Get("Content-Encoding") != "gzip" || len(head.Body) != 0 {
		t.Errorf("HEAD: %d bytes, headers %v; want no body and Content-Encoding gzip", len(head.Body), head.Header)
	}
	// Events are sent immediately and uncompressed.
	stream := f.Send(contracttest.Request{Method: "GET", Path: "/stream", Header: accept})
	if stream.Header.Get("Content-Encoding") != "" || stream.Status != http.StatusOK {
		t.Errorf("stream: %d, headers %v; want 200, not compressed", stream.Status, stream.Header)
	}
}

// A compressed calendar has a weak ETag, since its bytes differ from the original's.
func TestCompressedCalendar(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	doctor := f.doctor()
	for i := range 8 {
		f.booked(f.patient(), doctor, fmt.Sprintf("2027-03-02T%02d:00:00Z", 9+i), 30)
	}
	var feed struct{ URL string }
	f.Post("/calendar-feeds", object{"name": "phone", "doctor_id": doctor}).Want(t, 201, "").Decode(t, &feed)
	_, token, _ := strings.Cut(feed.URL, "/calendars/")
	path := "/calendars/" + token
	plain := raw(t, f.url+path, http.Header{})
	packed := raw(t, f.url+path, http.Header{"Accept-Encoding": {"gzip"}})
	if packed.Header.Get("Content-Encoding") != "gzip" || packed.Header.Get("ETag") != "W/"+plain.Header.Get("ETag") || !bytes.Equal(unpack(t, packed.Body), plain.Body) {
		t.Fatalf("compressed answer: headers %v, want gzip and the ETag W/%s, with the same text",
			packed.Header, plain.Header.Get("ETag"))
	}
	again := raw(t, f.url+path, http.Header{"Accept-Encoding": {"gzip"}, "If-None-Match": {packed.Header.Get("ETag")}})
	if again.Status != http.StatusNotModified {
		t.Errorf("If-None-Match with the ETag of a compressed answer: %d, want 304", again.Status)
	}
}

// The contract as JSON equals openapi.yaml.
func TestContractAsJSON(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	text, err := os.ReadFile("../../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var want any
	if err := yaml.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	r := f.Get("/openapi.json").Want(t, 200, "")
	var got any
	if err := yaml.Unmarshal(r.Body, &got); err != nil { // JSON is YAML
		t.Fatal(err)
	}
	if r.Header.Get("Content-Type") != "application/json" || !reflect.DeepEqual(got, want) || !json.Valid(r.Body) {
		t.Errorf("/openapi.json: Content-Type %s and %d bytes, want the contract as application/json",
			r.Header.Get("Content-Type"), len(r.Body))
	}
	if !bytes.HasPrefix(bytes.TrimSpace(r.Body), []byte("{\n  \"openapi\":")) {
		t.Errorf("/openapi.json begins with %.40q, want the member openapi first", r.Body)
	}
}

// The problem types are a page for browsers and JSON for programs.
func TestProblemTypesAsJSON(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	for accept, isJSON := range map[string]bool{
		"":    false,
		"*/*": false,
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": false,
		"text/html, application/json":                                     false,
		"text/*":                                                          false,
		"application/json":                                                true,
		"application/*":                                                   true,
		"application/json, text/plain, */*":                               true,
		"text/html;q=0.5, application/json":                               true,
		"text/html;q=0, */*":                                              true,
	} {
		for _, path := range []string{"/problems", "/problems/doctor-overlap"} {
			r := f.Send(contracttest.Request{Method: "GET", Path: path, Header: http.Header{"Accept": {accept}}})
			if got := strings.HasPrefix(r.Header.Get("Content-Type"), "application/json"); got != isJSON || r.Status != 200 {
				t.Errorf("%s with Accept %q = %d %s, want 200 and JSON: %t",
					path, accept, r.Status, r.Header.Get("Content-Type"), isJSON)
			}
			if !slices.ContainsFunc(r.Header.Values("Vary"), func(v string) bool { return strings.HasPrefix(v, "Accept") && !strings.HasPrefix(v, "Accept-") }) {
				t.Errorf("%s: Vary %v, want Accept in it", path, r.Header.Values("Vary"))
			}
		}
	}
	var list api.ProblemTypeList
	f.With("Accept", "application/json").Get("/problems").Decode(t, &list)
	for i, p := range contract.ProblemTypes() {
		if got := list.Items[i]; got.Type != "/problems/"+string(p.Slug) || got.Title != p.Title || int(got.Status) != p.Status || got.Explanation != p.Explanation || got.Next != p.Detail {
			t.Errorf("%+v, want %+v", got, p)
		}
		var one api.ProblemType
		f.With("Accept", "application/json").Get("/problems/"+string(p.Slug)).Decode(t, &one)
		if one != list.Items[i] {
			t.Errorf("%+v, want %+v", one, list.Items[i])
		}
	}
	f.With("Accept", "text/csv").Get("/problems").Want(t, 406, "not-acceptable")
}
