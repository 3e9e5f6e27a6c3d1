package telemetry

import (
	"context"
	"net/http"
	"net/http/httptest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// TracesWanted exports tracesWanted to tests.
var TracesWanted = tracesWanted

// Flush exports all pending traces.
func (t *Telemetry) Flush(ctx context.Context) error { return t.traces.ForceFlush(ctx) }

// ProcessMetrics returns the metrics of a process.
func ProcessMetrics(pid int) string {
	registry := prometheus.NewRegistry()
	registry.MustRegister(newProcessCollector(collectors.ProcessCollectorOpts{PidFn: func() (int, error) { return pid, nil }}))
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}
