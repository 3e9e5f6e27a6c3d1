package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"

	"mems/internal/contracttest"
	"mems/internal/storetest"
)

func metricsOf(t *testing.T, p *process) string {
	t.Helper()
	p.waitFor("metrics are at ")
	_, rest, _ := strings.Cut(p.Output(), "metrics are at ")
	address, _, _ := strings.Cut(rest, "\n")
	response, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v; want 200", address, response.Status, err)
	}
	return string(body)
}

// Profiles are served beside the metrics, and only if they are enabled.
func TestProfiles(t *testing.T) {
	t.Parallel()
	dsn := "MEMS_DATABASE_URL=" + storetest.New(t).DSN
	for name, tc := range map[string]struct {
		profiling string
		statuses  map[string]int
	}{
		"Disabled": {"false", map[string]int{"/debug/pprof/": 404, "/debug/pprof/heap": 404, "/debug/pprof/profile": 404}},
		"Enabled":  {"true", map[string]int{"/debug/pprof/": 200, "/debug/pprof/heap": 200, "/debug/pprof/trace?seconds=0.01": 200, "/debug/pprof/cmdline": 404}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startMEMS(t, dsn, "MEMS_METRICS_ADDR=127.0.0.1:0", "MEMS_PROFILING="+tc.profiling)
			p.waitFor("metrics are at ")
			_, rest, _ := strings.Cut(p.Output(), "metrics are at ")
			address, _, _ := strings.Cut(rest, "/metrics\n")
			for path, want := range tc.statuses {
				response, err := http.Get(address + path)
				if err != nil {
					t.Fatal(err)
				}
				_ = response.Body.Close()
				if response.StatusCode != want {
					t.Errorf("GET %s: got status %d, want %d", path, response.StatusCode, want)
				}
			}
			contracttest.New(t, p.URL).Get("/debug/pprof/").Want(t, http.StatusNotFound, "not-found") // not for clients
		})
	}
}

// A process serves metrics on a separate address, and exports its traces before it ends.
func TestServeIsObserved(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var sent bytes.Buffer
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.URL.Path != "/v1/traces" {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = io.Copy(&sent, r.Body)
	}))
	t.Cleanup(collector.Close)
	p := startMEMS(t, "MEMS_DATABASE_URL="+storetest.New(t).DSN, "MEMS_METRICS_ADDR=127.0.0.1:0",
		"OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL, "OTEL_SERVICE_NAME=clinic-of-the-test")
	c := contracttest.New(t, p.URL)
	c.Post("/patients", map[string]any{"first_name": "Ann", "last_name": "Zebulonowitsch"}).Want(t, http.StatusCreated, "")
	c.Get("/metrics").Want(t, http.StatusNotFound, "not-found") // not for clients
	c.Get("/nowhere").Want(t, http.StatusNotFound, "not-found") // earlier requests have been counted by now

	metrics := metricsOf(t, p)
	for _, expected := range []string{
		`mems_http_requests_total{operation="createPatient",status="201"} 1`, "mems_build_info{", "go_goroutines", "process_cpu_seconds_total",
		`go_sql_max_open_connections{db_name="mems"} 32`, `mems_tx_duration_seconds_count{outcome="committed"}`,
	} {
		if !strings.Contains(metrics, expected) {
			t.Errorf("metrics lack %s, want it:\n%s", expected, metrics)
		}
	}
	p.Signal(syscall.SIGTERM)
	if code := p.Wait(); code != exitOK {
		t.Errorf("exit code = %d, want %d", code, exitOK)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, expected := range []string{"clinic-of-the-test", "POST /patients", "createPatient", "INSERT INTO patients"} {
		if !strings.Contains(sent.String(), expected) {
			t.Errorf("the collector was not sent %q, want it in:\n%s", expected, sent.String())
		}
	}
	if strings.Contains(sent.String(), "Zebulonowitsch") || strings.Contains(metrics, "Zebulonowitsch") {
		t.Error("traces or metrics contain a patient's name, want neither")
	}
}

// An unreachable collector neither stops nor delays a process.
func TestServeWithoutItsCollector(t *testing.T) {
	t.Parallel()
	p := startMEMS(t, "MEMS_DATABASE_URL="+storetest.New(t).DSN, "MEMS_LOG_LEVEL=warn", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1")
	contracttest.New(t, p.URL).Get("/version").Want(t, http.StatusOK, "")
	if strings.Contains(p.Output(), "metrics are at") {
		t.Errorf("metrics are served without their setting, want none:\n%s", p.Output())
	}
	p.Signal(syscall.SIGTERM)
	if code := p.Wait(); code != exitOK {
		t.Errorf("exit code = %d, want %d", code, exitOK)
	}
	if !strings.Contains(p.Output(), "traces") {
		t.Errorf("output, want that traces were not sent:\n%s", p.Output())
	}
}

func TestServeRefusesMetricsAtAPortInUse(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	code, out := runMEMS(t, []string{"serve", "--metrics-addr", taken.Addr().String()}, "MEMS_HTTP_ADDR=127.0.0.1:0", "MEMS_DATABASE_URL=root@unix(/nowhere)/mems")
	if code != exitFailed || !strings.Contains(out, "MEMS_METRICS_ADDR") || !strings.Contains(out, taken.Addr().String()) {
		t.Errorf("mems serve --metrics-addr ...: exit %d, want %d and \"MEMS_METRICS_ADDR\", %q in the output:\n%s",
			code, exitFailed, taken.Addr().String(), out)
	}
}

func TestServeRefusesTracesItCannotSend(t *testing.T) {
	t.Parallel()
	p := startProcess(t, []string{"serve"}, "MEMS_HTTP_ADDR=127.0.0.1:0", "MEMS_DATABASE_URL=root@unix(/nowhere)/mems", "OTEL_TRACES_EXPORTER=zipkin")
	if code := p.Wait(); code != exitFailed || !strings.Contains(p.Output(), "OTEL_TRACES_EXPORTER") {
		t.Errorf("exit %d, want %d and OTEL_TRACES_EXPORTER in the output:\n%s", code, exitFailed, p.Output())
	}
}
