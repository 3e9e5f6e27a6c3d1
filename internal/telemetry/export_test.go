package telemetry

import (
	"context"
	"net/http"
	"net/http/httptest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// TracesWanted is tracesWanted for tests.
var TracesWanted = tracesWanted

// Flush sends what traces there are, for tests.
func (t *Telemetry) Flush(ctx context.Context) error { return t.traces.ForceFlush(ctx) }

// ProcessMetrics are the metrics of a process.
func ProcessMetrics(pid int) string {
	registry := prometheus.NewRegistry()
	registry.MustRegister(newProcessCollector(collectors.ProcessCollectorOpts{PidFn: func() (int, error) { return pid, nil }}))
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}
