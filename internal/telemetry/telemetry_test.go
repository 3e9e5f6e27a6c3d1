package telemetry_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"mems/internal/contracttest"
	"mems/internal/telemetry"
)

func TestMetricsCountWhatHappens(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.everything()
	f.eventually(`mems_http_requests_total{operation="bookAppointment",status="503"}`, 1)
	f.want(map[string]float64{
		`mems_http_requests_total{operation="createPatient",status="201"}`:                2,
		`mems_http_requests_total{operation="bookAppointment",status="201"}`:              2,
		`mems_http_requests_total{operation="bookAppointment",status="409"}`:              1,
		`mems_http_requests_total{operation="none",status="404"}`:                         1,
		`mems_http_request_duration_seconds_count{operation="bookAppointment"}`:           4,
		`mems_http_request_duration_seconds_bucket{operation="bookAppointment",le="2.5"}`: 3, // one of them waited
		`mems_http_in_flight_requests`:                                                    0,
		`mems_problems_total{operation="bookAppointment",type="doctor-overlap"}`:          1,
		`mems_problems_total{operation="bookAppointment",type="outcome-unknown"}`:         1,
		`mems_problems_total{operation="none",type="not-found"}`:                          1,
		`mems_tx_retries_total{cause="lock-wait"}`:                                        1,
		`mems_tx_retries_total{cause="deadlock"}`:                                         0,
		`mems_tx_duration_seconds_count{outcome="refused"}`:                               1,
		`mems_tx_duration_seconds_count{outcome="unknown"}`:                               1,
		`mems_tx_duration_seconds_count{outcome="failed"}`:                                0,
		`mems_outcome_unknown_total`:                                                      1,
		`mems_build_info{commit="c0ffee",schema="9",version="v9"}`:                        1,
		`go_sql_max_open_connections{db_name="mems"}`:                                     32,
	})
	got := f.scrape()
	if n := got[`mems_tx_duration_seconds_count{outcome="committed"}`]; n < 5 { // 2 patients, a doctor, 2 bookings
		t.Errorf("committed transactions = %v, want at least 5", n)
	}
	if waited := got["mems_guard_wait_seconds_sum"]; waited < 3 || waited > 9 {
		t.Errorf("waited %v s for guards, want the three and more for which one was held", waited)
	}
	if n := got["mems_guard_wait_seconds_count"]; n < 7 { // doctor and patient: 4 attempts, of which one ended at the doctor; a refusal may need none
		t.Errorf("guards waited for = %v, want at least 7", n)
	}
}

// A client that disconnects counts neither as a fault nor as a success.
func TestMetricsOfAClientThatGoes(t *testing.T) {
	t.Parallel()
	f := setup(t)
	patient, doctor := f.patient("Muster"), f.doctor()
	free := f.hold(doctor)
	ctx, cancel := context.WithCancel(t.Context())
	body := fmt.Sprintf(`{"patient_id":%d,"doctor_id":%d,"start_time":"2027-03-02T09:00:00Z","duration_minutes":30}`, patient, doctor)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url+"/appointments", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if response, err := http.DefaultClient.Do(r); err == nil {
			_ = response.Body.Close()
			t.Errorf("request whose client disconnects was answered %s, want no answer", response.Status)
		}
	}()
	f.eventually("mems_http_in_flight_requests", 1)
	cancel()
	<-gone
	f.eventually(`mems_http_requests_total{operation="bookAppointment",status="499"}`, 1)
	free()
	for name := range f.scrape() {
		if strings.HasPrefix(name, `mems_problems_total{operation="bookAppointment"`) {
			t.Errorf("metrics have %s, want no problem: no client got one", name)
		}
	}
}

const callersTrace = "4bf92f3577b34da6a3ce929d0e0e4736"

func TestTraceOfABooking(t *testing.T) {
	t.Parallel()
	f := setup(t)
	patient, doctor := f.patient("Muster"), f.doctor()
	booked := f.Send(request(http.MethodPost, "/appointments", booking(patient, doctor, "2027-03-02T09:00:00Z"),
		"Traceparent", "00-"+callersTrace+"-00f067aa0ba902b7-01")).Want(t, 201, "")
	f.Get("/healthz").Want(t, 200, "")
	f.eventually(`mems_http_requests_total{operation="getHealth",status="200"}`, 1)

	var all tracetest.SpanStubs
	for range 200 { // a span ends after its response
		if all = f.spans(); slices.ContainsFunc(all, named("POST /appointments")) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	i := slices.IndexFunc(all, named("POST /appointments"))
	if i < 0 {
		t.Fatalf("spans = %v, want one of the operation", names(all))
	}
	root := all[i]
	if root.SpanKind != trace.SpanKindServer || root.SpanContext.TraceID().String() != callersTrace || root.Parent.SpanID().String() != "00f067aa0ba902b7" {
		t.Errorf("kind %v, trace %v, parent %v: want the caller's trace", root.SpanKind, root.SpanContext.TraceID(), root.Parent.SpanID())
	}
	wantAttributes(t, &root, map[string]string{
		"http.request.method": "POST", "http.route": "/appointments", "http.response.status_code": "201", "mems.operation": "bookAppointment",
		"mems.request_id": booked.Header.Get("X-Request-Id"),
	})
	insert := slices.IndexFunc(all, func(s tracetest.SpanStub) bool {
		return s.Name == "INSERT" && s.Parent.SpanID() == root.SpanContext.SpanID() &&
			strings.Contains(attributes(&s)["db.query.text"], "INSERT INTO appointments")
	})
	if insert < 0 {
		t.Fatalf("spans = %v, want an INSERT of an appointment beneath it", names(all))
	}
	if text := attributes(&all[insert])["db.query.text"]; !strings.Contains(text, "?") || strings.Contains(text, "2027") {
		t.Errorf("db.query.text = %q, want placeholders in place of the values", text)
	}
	for _, name := range []string{"UPDATE", "SELECT", "sql.tx.commit"} {
		if !slices.ContainsFunc(all, func(s tracetest.SpanStub) bool {
			return s.Name == name && s.SpanContext.TraceID() == root.SpanContext.TraceID()
		}) {
			t.Errorf("spans of the trace = %v, want %s among them", names(all), name)
		}
	}
	for _, s := range all {
		if !s.Parent.IsValid() && s.SpanKind != trace.SpanKindServer {
			t.Errorf("span %s has no parent, want that of a request", s.Name)
		}
		if attributes(&s)["mems.operation"] == "getHealth" {
			t.Errorf("span of a health check: %s, want none", s.Name)
		}
	}
	if want := `"trace_id":"` + callersTrace + `"`; !slices.ContainsFunc(strings.Split(f.log.String(), "\n"), func(line string) bool {
		return strings.Contains(line, `"route":"/appointments"`) && strings.Contains(line, want)
	}) {
		t.Errorf("log, want %s in the line of the booking:\n%s", want, &f.log)
	}
}

// Neither metrics nor traces contain anything that a client wrote, wherever it wrote it.
func TestNobodysNameGetsOut(t *testing.T) {
	t.Parallel()
	f := setup(t)
	const (
		name  = "Zebulonowitsch"
		email = "planted@example.org"
		phone = "+41 44 555 98 76"
	)
	person := object{"first_name": "Ann", "last_name": name, "email": email, "phone": phone}
	f.Post("/patients", person).Want(t, 201, "")
	f.Post("/patients", person).Want(t, 409, "email-taken")
	person["on_possible_duplicate"] = "refuse"
	f.Post("/patients", person).Want(t, 409, "email-taken")
	f.Get("/patients?name="+name).Want(t, 200, "")
	f.Get("/patients?email=planted%40example.org").Want(t, 200, "")
	f.Get("/patients?phone=%2B41445559876").Want(t, 200, "")
	f.Get("/patients/"+name).Want(t, 422, "validation-failed")
	var feed struct{ URL string }
	f.Post("/calendar-feeds", object{"doctor_id": nil, "name": name}).Want(t, 201, "").Decode(t, &feed)
	f.Get(feed.URL).Want(t, 200, "") // its address is a secret
	f.Get("/calendars/memscal_planted").Want(t, 404, "calendar-feed-not-found")
	f.Get("/"+name+"?"+name+"="+email).Want(t, 404, "not-found")
	f.Send(request(http.MethodGet, "/version", nil, "User-Agent", name, "X-Forwarded-For", name, "Baggage", "who="+name,
		"Traceparent", "00-"+callersTrace+"-00f067aa0ba902b7-01", "Tracestate", "who="+name, "X-Request-Id", name)).Want(t, 200, "")
	strange, err := http.NewRequestWithContext(t.Context(), strings.ToUpper(name), f.url+"/patients", nil)
	if err != nil {
		t.Fatal(err)
	}
	strange.Host = name + ".example.org"
	response, err := http.DefaultClient.Do(strange)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	f.eventually(`mems_http_requests_total{operation="none",status="405"}`, 1)

	var told []string
	for series := range f.scrape() {
		told = append(told, series)
	}
	// The precondition: the database did reject the address and quoted it.
	var refused bool
	for range 200 {
		all := f.spans()
		if len(all) > 0 && slices.ContainsFunc(all, func(s tracetest.SpanStub) bool { return attributes(&s)["http.response.status_code"] == "405" }) {
			for i := range all {
				refused = refused || attributes(&all[i])["db.response.status_code"] == "1062" && all[i].Status.Code == codes.Error
				whole, err := json.Marshal(all[i])
				if err != nil {
					t.Fatal(err)
				}
				told = append(told, string(whole), fmt.Sprintf("%+v", all[i]))
			}
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !refused {
		t.Error("no span of the statement that the database refused, want one")
	}
	for _, text := range told {
		for _, planted := range []string{name, email, "planted", "555 98 76", "5559876", "memscal"} {
			if strings.Contains(strings.ToLower(text), strings.ToLower(planted)) {
				t.Errorf("exported: %q in %s, want it left out", planted, text)
			}
		}
	}
}

func TestTracesAreSentWhenAskedFor(t *testing.T) {
	t.Parallel()
	type env = map[string]string
	for name, test := range map[string]struct {
		env    env
		wanted bool
		fault  string
	}{
		"Nothing":        {env{}, false, ""},
		"ServiceName":    {env{"OTEL_SERVICE_NAME": "mems"}, false, ""},
		"Endpoint":       {env{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, true, ""},
		"TracesEndpoint": {env{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, true, ""},
		"Exporter":       {env{"OTEL_TRACES_EXPORTER": "otlp"}, true, ""},
		"None":           {env{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, false, ""},
		"Disabled":       {env{"OTEL_SDK_DISABLED": "TRUE", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, false, ""},
		"Zipkin":         {env{"OTEL_TRACES_EXPORTER": "zipkin"}, false, `OTEL_TRACES_EXPORTER: invalid value "zipkin"`},
		"GRPC":           {env{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, false, "port 4318"},
		"GRPCElsewhere":  {env{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wanted, err := telemetry.TracesWanted(func(name string) string { return test.env[name] })
			if wanted != test.wanted || (err == nil) != (test.fault == "") || err != nil && !strings.Contains(err.Error(), test.fault) {
				t.Errorf("%t, %v; want %t, %q", wanted, err, test.wanted, test.fault)
			}
		})
	}
}

func request(method, path string, body any, header ...string) contracttest.Request {
	r := contracttest.Request{Method: method, Path: path, Body: body, Header: http.Header{}}
	for pair := range slices.Chunk(header, 2) {
		r.Header.Set(pair[0], pair[1])
	}
	return r
}

func named(name string) func(tracetest.SpanStub) bool {
	return func(s tracetest.SpanStub) bool { return s.Name == name }
}

func names(all tracetest.SpanStubs) []string {
	var n []string
	for i := range all {
		n = append(n, all[i].Name)
	}
	return n
}

func attributes(s *tracetest.SpanStub) map[string]string {
	m := map[string]string{}
	for _, a := range s.Attributes {
		m[string(a.Key)] = a.Value.String()
	}
	return m
}

func wantAttributes(t *testing.T, s *tracetest.SpanStub, want map[string]string) {
	t.Helper()
	got := attributes(s)
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if got[key] != want[key] {
			t.Errorf("%s of %s is %q, want %q", key, s.Name, got[key], want[key])
		}
	}
}
