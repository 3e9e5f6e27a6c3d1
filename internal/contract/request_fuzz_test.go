package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"mems/gen/api"
	"mems/internal/clinic"
)

// Every request is accepted or rejected with a problem of the contract; no violation is
// unnamed.
func FuzzOperation(f *testing.F) {
	doc := spec(f)
	all, err := OperationsOf(doc, 4<<10)
	if err != nil {
		f.Fatal(err)
	}
	operations := []string{"bookAppointment", "createPatient", "updatePatient", "cancelAppointment", "listAppointments", "listPatients"}
	for i := range operations {
		f.Add(byte(i), "1", "date=2027-03-02&limit=5", `"1"`, []byte(`{"patient_id":1,"doctor_id":1,"start_time":"2027-03-02T09:00:00Z","duration_minutes":30}`))
		f.Add(byte(i), "-1", "from=2027-03-02T09:00:00%2B01:00&to=x&to=y", "", []byte(`{"first_name":"","last_name":null,"email":"nope","birth_date":"1990-02-31","a/b~c":{}}`))
		f.Add(byte(i), "\xff", "name=%00&%zz", "W/\"\"", []byte(`{"reason":"other","note":1e999}`))
		f.Add(byte(i), "9223372036854775808", "cursor=*&phone=", "*", []byte(`[[[`))
	}
	problemSchema := doc.Components.Schemas["Problem"].Value
	f.Fuzz(func(t *testing.T, operation byte, id, query, tag string, body []byte) {
		o := all[operations[int(operation)%len(operations)]]
		r := &http.Request{
			Method: o.Method, URL: &url.URL{Path: "/x", RawQuery: query}, Body: io.NopCloser(bytes.NewReader(body)),
			ContentLength: int64(len(body)), Header: http.Header{},
		}
		if len(o.consumes) > 0 {
			r.Header.Set("Content-Type", o.consumes[0])
		}
		if tag != "" {
			r.Header.Set("If-Match", tag)
		}
		values, err := o.Read(httptest.NewRecorder(), r)
		if err == nil {
			err = o.Check(r, values, func(string) string { return id })
		}
		if err == nil {
			return
		}
		var p api.Problem
		if own, ok := errors.AsType[*Error](err); ok {
			p = Document(own.Slug, own.Detail)
		} else if rule, ok := errors.AsType[*clinic.Error](err); ok {
			p = Document(api.ProblemSlug(rule.Code), "")
			p.Errors = Violations(rule.Violations)
		} else {
			t.Fatalf("error = %v, want a problem of the contract", err)
		}
		if p.Status >= 500 {
			t.Fatalf("status %d for %v, want one below 500: the client is at fault", p.Status, err)
		}
		p.Instance, p.RequestID = "/x", "1"
		encoded, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var document any
		if err := json.Unmarshal(encoded, &document); err != nil {
			t.Fatal(err)
		}
		if err := problemSchema.VisitJSON(document); err != nil {
			t.Errorf("validate the problem: %v, want no error:\n%s", err, encoded)
		}
	})
}
