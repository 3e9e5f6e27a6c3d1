package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// bombard sends one partner's request at a fixed rate while a receptionist reads. It checks
// the latency of the partner's requests and of the receptionist's. 429 for the partner is
// expected.
func (f *field) bombard(ctx context.Context, key string, each time.Duration, bombs []request) (string, error) {
	s, err := f.closed(ctx)
	if err != nil {
		return "", err
	}
	desk, err := f.key(ctx, "receptionist")
	if err != nil {
		return "", err
	}
	stop := s.beside(ctx, fmt.Sprintf("/patients/%d", f.patient), desk, 50*time.Millisecond)
	var mu sync.Mutex
	var all sync.WaitGroup
	seen, latencies := tally{}, []time.Duration(nil)
	until := time.After(pick(f.options, 3*time.Second, 10*time.Second))
	tick := time.NewTicker(time.Second / 20)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-until:
		case <-ctx.Done():
		case <-tick.C:
			all.Go(func() {
				r := bombs[i%len(bombs)]
				r.key = key
				a, err := s.ask(ctx, r)
				if err != nil {
					a.status = 0
				}
				mu.Lock()
				defer mu.Unlock()
				seen[a.status]++
				latencies = append(latencies, a.took)
			})
			continue
		}
		break
	}
	all.Wait()
	read, waited := stop()
	happened := fmt.Sprintf("%s, p99 %s; %d reads beside it, p99 %s", seen, percentile(latencies, 0.99).Round(time.Millisecond),
		len(waited), percentile(waited, 0.99).Round(time.Millisecond))
	for status := range seen {
		if status == 0 || status >= 500 {
			return "", fmt.Errorf("answered with %s", happened)
		}
	}
	if p := percentile(latencies, 0.9); p > each {
		return "", fmt.Errorf("a request takes %s (p90), want %s: %s", p.Round(time.Millisecond), each, happened)
	}
	if err := served(read, waited, readBound); err != nil {
		return "", fmt.Errorf("%w: %s", err, happened)
	}
	return happened, nil
}

// readBound is the maximum latency of reads under load, on cores shared with the load.
const readBound = 500 * time.Millisecond

func (f *field) series(rules ...string) (bombs []request) {
	for _, rule := range rules {
		bombs = append(bombs, request{method: "POST", path: "/appointment-series", body: object{
			"patient_id": f.patient, "doctor_id": f.doctor, "start_time": f.start.AddDate(0, 0, 40).Format(time.RFC3339), "time_zone": "UTC",
			"rule": rule, "duration_minutes": 30, "on_conflict": "fail",
		}})
	}
	return bombs
}

func (f *field) partner(ctx context.Context) (string, error) {
	return f.key(ctx, "partner", "records:all", "appointments:write", "appointments:read", "patients:read", "waitlist:write", "waitlist:read")
}

func recurrenceBomb(ctx context.Context, f *field) (string, error) {
	key, err := f.partner(ctx)
	if err != nil {
		return "", err
	}
	return f.bombard(ctx, key, 300*time.Millisecond, f.series(
		"FREQ=MONTHLY;BYMONTHDAY=30;BYDAY=1MO;COUNT=2", "FREQ=MONTHLY;BYMONTHDAY=31;BYDAY=-5SU;COUNT=100", "FREQ=MONTHLY;INTERVAL=7;BYMONTHDAY=30;BYDAY=1MO;COUNT=2",
	))
}

func seriesBomb(ctx context.Context, f *field) (string, error) {
	key, err := f.partner(ctx)
	if err != nil {
		return "", err
	}
	return f.bombard(ctx, key, 2*time.Second, f.series("FREQ=DAILY;COUNT=100", "FREQ=DAILY;COUNT=99", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;COUNT=100"))
}

func searchBomb(ctx context.Context, f *field) (string, error) {
	s, err := f.unlimited(ctx)
	if err != nil {
		return "", err
	}
	for range pick(f.options, 40, 300) { // a search for a long appointment examines all of them
		if _, err := f.newDoctorOf(ctx, s, "Radiology", "00:30"); err != nil {
			return "", err
		}
	}
	key, err := f.partner(ctx)
	if err != nil {
		return "", err
	}
	from, to := f.start.Format(time.RFC3339), f.start.AddDate(0, 0, 31).Format(time.RFC3339)
	day := f.start.Format("2006-01-02")
	var bombs []request
	for _, path := range []string{
		"/availability?specialization=Dermatology&duration_minutes=15&step_minutes=5&limit=200&from=" + from + "&to=" + to,
		"/availability?specialization=Radiology&duration_minutes=240&limit=200&from=" + from + "&to=" + to,
		"/availability/next?specialization=Radiology&duration_minutes=240&from=" + from,
		"/fhir/Slot?_count=99999&start=ge" + day, "/fhir/Patient?_count=99999&name=a", "/fhir/Appointment?_count=200&patient=Patient/" + fmt.Sprint(f.patient),
		"/fhir/Patient?_id=" + strings.Repeat("1,", 900) + "1", "/fhir/Appointment/$find?specialty=Dermatology&_count=200&start=" + day,
		"/appointments?limit=200&from=" + from + "&to=" + to, "/fhir/Appointment/$find?specialty=Radiology&_count=200&start=" + day, "/patients?limit=200", "/patients?q=" + strings.Repeat("a+", 60), "/waitlist?limit=200",
	} {
		bombs = append(bombs, request{method: "GET", path: path})
	}
	return f.bombard(ctx, key, 2*time.Second, bombs)
}

// hostileBodies sends bodies that are expensive to parse.
func hostileBodies(ctx context.Context, f *field) (string, error) {
	s, err := f.closed(ctx)
	if err != nil {
		return "", err
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(make([]byte, 20<<20)); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	person := `"first_name":"A","last_name":"B"`
	cases := map[string]request{
		"deep arrays":       {body: strings.Repeat("[", 60_000)},
		"deep objects":      {body: strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000)},
		"deep member":       {body: `{` + person + `,"extra":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`},
		"huge exponent":     {body: `{` + person + `,"extra":1e999999999}`},
		"huge integer":      {body: `{` + person + `,"extra":` + strings.Repeat("9", 60_000) + `}`},
		"many members":      {body: `{` + strings.Repeat(`"a":1,`, 10_000) + person + `}`},
		"too large":         {body: `{"first_name":"` + strings.Repeat("a", 1<<20) + `"}`},
		"gzip bomb":         {body: packed.String(), header: http.Header{"Content-Encoding": {"gzip"}}},
		"gzip by its name":  {body: packed.String(), header: http.Header{"Content-Type": {"application/gzip"}}},
		"deflate":           {body: "x", header: http.Header{"Content-Encoding": {"deflate"}}},
		"escapes":           {body: `{"first_name":"` + strings.Repeat(`\u0041`, 10_000) + `","last_name":"B"}`},
		"combining letters": {body: `{"first_name":"a` + strings.Repeat("\u0301", 30_000) + `","last_name":"B"}`},
	}
	slowest := time.Duration(0)
	for name, r := range cases {
		r.method, r.path, r.key = "POST", "/patients", f.admin
		a, err := s.ask(ctx, r)
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		if a.status < 400 || a.status >= 500 {
			return "", fmt.Errorf("%s: %d %s", name, a.status, a.short())
		}
		if a.took > time.Second {
			return "", fmt.Errorf("%s took %s", name, a.took)
		}
		slowest = max(slowest, a.took)
	}
	return fmt.Sprintf("%d bodies refused, the slowest in %s", len(cases), slowest.Round(time.Millisecond)), nil
}
