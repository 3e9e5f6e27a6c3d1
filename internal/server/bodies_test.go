package server_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"testing"

	"mems/internal/contracttest"
)

// A lone half of a surrogate pair is rejected wherever it occurs.
func TestLoneSurrogates(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	for body, status := range map[string]int{
		`{"first_name":"A\ud800","last_name":"B"}`:                                           400,
		`{"first_name":"A\uDFFF","last_name":"B"}`:                                           400,
		`{"first_name":"\udc00\ud800","last_name":"B"}`:                                      400,
		`{"first_name":"\ud83d\ud83d\ude00","last_name":"B"}`:                                400,
		`{"first_name":"\ud83dx\ude00","last_name":"B"}`:                                     400,
		`{"first_name":"\ud83d\\ude00","last_name":"B"}`:                                     400,
		`{"first_name":"\ud83d\n","last_name":"B"}`:                                          400,
		`{"first_name":"A","last_name":"B","\ud800":1}`:                                      400,
		`{"first_name":"A","last_name":"B","identifiers":[{"system":"s","value":"\udabc"}]}`: 400,
		`["\ud800"]`: 400,
		`"\ud800"`:   400,
		`{"first_name":"\ud83d\ude00","last_name":"B"}`:          201,
		`{"first_name":"\\ud800","last_name":"B"}`:               201,
		`{"first_name":"\\\ud83d\uDE00\\ud800","last_name":"B"}`: 201,
	} {
		want := map[int]string{400: "malformed-request", 201: ""}[status]
		f.Post("/patients", body).Want(t, status, want)
	}
	held(t, f.Send(contracttest.Request{
		Method: "POST", Path: "/fhir/Appointment/$book", Body: `{"resourceType":"Appointment","comment":"\ud800"}`,
		Header: http.Header{"Content-Type": {"application/fhir+json"}},
	}).Want(t, 400, "malformed-request"))
	f.Get("/patients?name=%ED%A0%80").Want(t, 422, "validation-failed")
	f.Get("/patients?name=%ff").Want(t, 422, "validation-failed")
	f.Get("/patients?%ED%A0%80=1").Want(t, 422, "validation-failed")
	f.booked(f.patient(), f.doctor(), "2027-03-02T09:00:00Z", 30)
	for _, header := range []string{"Idempotency-Key", "Mems-Actor"} {
		f.Send(contracttest.Request{
			Method: "POST", Path: "/appointments/1/confirm", Header: http.Header{header: {"a\xed\xa0\x80"}},
		}).Want(t, 422, "validation-failed")
	}
}

// A compressed body is rejected, and the response says what is accepted.
func TestContentEncoding(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write([]byte(`{"first_name":"A","last_name":"B"}`))
	_ = w.Close()
	for _, encoding := range []string{"gzip", "GZIP", "br", "deflate", "identity, gzip", "x"} {
		for path, mediaType := range map[string]string{"/patients": "application/json", "/fhir/Appointment/$book": "application/fhir+json"} {
			r := f.Send(contracttest.Request{
				Method: "POST", Path: path, Body: packed.Bytes(), Header: http.Header{"Content-Encoding": {encoding}, "Content-Type": {mediaType}},
			}).Want(t, 415, "unsupported-media-type")
			if r.Header.Get("Accept-Encoding") != "identity" {
				t.Errorf("%s with Content-Encoding %q: headers %v, want Accept-Encoding: identity",
					path, encoding, r.Header)
			}
		}
	}
	for _, encoding := range []string{"identity", "Identity", ""} {
		f.Send(contracttest.Request{
			Method: "POST", Path: "/patients", Body: object{"first_name": "A", "last_name": "B"},
			Header: http.Header{"Content-Encoding": {encoding}, "Content-Type": {"application/json"}},
		}).Want(t, 201, "")
	}
	f.Send(contracttest.Request{Method: "GET", Path: "/patients", Header: http.Header{"Content-Encoding": {"gzip"}}}).Want(t, 200, "")
}
