package server

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/labstack/echo/v4"

	"mems/gen/api"
)

// Whatever is sent, the validator lets it through or refuses it with a problem
// of the contract; it never finds something that it cannot name.
func FuzzValidator(f *testing.F) {
	doc, err := api.GetSpec()
	if err != nil {
		f.Fatal(err)
	}
	UseFormats(doc)
	vs, err := newValidators(doc, 4<<10)
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
	e := echo.New()
	problemSchema := doc.Components.Schemas["Problem"].Value
	f.Fuzz(func(t *testing.T, operation byte, id, query, tag string, body []byte) {
		v := vs[operations[int(operation)%len(operations)]]
		r := &http.Request{
			Method: v.route.Method, URL: &url.URL{Path: "/x", RawQuery: query}, Body: io.NopCloser(bytes.NewReader(body)),
			ContentLength: int64(len(body)), Header: http.Header{},
		}
		if len(v.consumes) > 0 {
			r.Header.Set("Content-Type", v.consumes[0])
		}
		if tag != "" {
			r.Header.Set("If-Match", tag)
		}
		c := e.NewContext(r, httptest.NewRecorder())
		if len(v.path) > 0 {
			c.SetParamNames(v.path...)
			c.SetParamValues(id)
		}
		passed := false
		err := v.checkBefore(c)
		if err == nil {
			err = v.check(c, func(echo.Context) error { passed = true; return nil })
		}
		if passed != (err == nil) {
			t.Fatalf("passed %v, with %v", passed, err)
		}
		if err == nil {
			return
		}
		p, _ := describe(err)
		if p.Status >= 500 {
			t.Fatalf("a fault of the client became %d: %v", p.Status, err)
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
			t.Errorf("%v\n%s", err, encoded)
		}
	})
}
