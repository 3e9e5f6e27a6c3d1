// Package telemetry exports a server's metrics to Prometheus and its traces by
// OpenTelemetry.
//
// Packages server and store know neither: they report events through the hooks in their
// configurations, which this package counts and times; only cmd connects them. No value
// that a client wrote is exported: labels and attributes come from the contract, from
// our SQL, and from fixed lists. The README lists the metrics, dashboard.json shows
// them, and alerts.yaml defines the alerts.
package telemetry

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"log/slog"
	"net/http"

	"github.com/XSAM/otelsql"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"mems/internal/server"
	"mems/internal/store"
)

// Config configures New.
type Config struct {
	// Version and Commit identify the program, Schema the database version that it
	// requires.
	Version, Commit, Schema string
	// Log receives errors of exporting traces. Required.
	Log *slog.Logger
	// Exporter receives the traces. Nil selects the exporter that the standard variables
	// (OTEL_TRACES_EXPORTER, OTEL_EXPORTER_OTLP_ENDPOINT, ...) configure, if any.
	Exporter sdktrace.SpanExporter
}

// Telemetry observes one server and its store.
type Telemetry struct {
	metrics *metrics
	traces  *sdktrace.TracerProvider // nil: off
}

// New returns a Telemetry. It fails if the environment requests an exporter or a
// protocol that is not supported.
func New(ctx context.Context, cfg Config) (*Telemetry, error) {
	if cfg.Log == nil {
		return nil, errors.New("telemetry: Log is required")
	}
	traces, err := newTraces(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &Telemetry{metrics: newMetrics(cfg), traces: traces}, nil
}

// Metrics returns a handler that serves the metrics in Prometheus' formats.
func (t *Telemetry) Metrics() http.Handler { return t.metrics.handler() }

// Tracing reports whether traces are exported.
func (t *Telemetry) Tracing() bool { return t.traces != nil }

// Handler returns api with metrics and traces. The server's Observe hook must be
// Answered.
func (t *Telemetry) Handler(api http.Handler) http.Handler {
	return t.metrics.countInFlight(traced(t.traces, api))
}

// Answered records a response; it is for server.Config.Observe.
func (t *Telemetry) Answered(ctx context.Context, a server.Answered) {
	t.metrics.answered(a)
	describeSpan(ctx, a)
}

// Lines returns the observer for server.Config.Lines.
func (t *Telemetry) Lines() server.LineObserver { return t.metrics.lines.observer() }

// Delivered records a delivery attempt; it is for delivery.Config.Observe.
func (t *Telemetry) Delivered(taken bool) {
	t.metrics.attempts.WithLabelValues(map[bool]string{true: "taken", false: "refused"}[taken]).Inc()
}

// Store returns the hooks for store.Config.Observe.
func (t *Telemetry) Store() store.Observe {
	return store.Observe{Transaction: t.metrics.transaction, Retry: t.metrics.retry, Guard: t.metrics.guard}
}

// OpenDB opens an instrumented pool, with a span per statement if traces are on; it is for
// store.Config.OpenDB.
func (t *Telemetry) OpenDB(c driver.Connector) *sql.DB {
	pool := sql.OpenDB
	if t.traces != nil {
		pool = func(c driver.Connector) *sql.DB { return otelsql.OpenDB(c, sqlOptions(t.traces)...) }
	}
	db := pool(c)
	t.metrics.watchPool(db)
	return db
}

// Shutdown exports the remaining traces.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	if t.traces == nil {
		return nil
	}
	return t.traces.Shutdown(ctx)
}
