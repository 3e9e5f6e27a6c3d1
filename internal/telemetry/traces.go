package telemetry

import (
	"cmp"
	"context"
	"database/sql/driver"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/XSAM/otelsql"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"mems/internal/database"
	"mems/internal/server"
)

// newTraces exports traces to the configured exporter, or to the one that the
// environment names; it returns nil if there is none. The SDK itself reads endpoint,
// headers, sampler and resource from the environment.
func newTraces(ctx context.Context, cfg Config) (*sdktrace.TracerProvider, error) {
	exporter := cfg.Exporter
	if exporter == nil {
		wanted, err := tracesWanted(os.Getenv)
		if err != nil || !wanted {
			return nil, err
		}
		if exporter, err = otlptracehttp.New(ctx); err != nil {
			return nil, fmt.Errorf("set up the trace exporter (check OTEL_EXPORTER_OTLP_*): %w", err)
		}
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "mems"), attribute.String("service.version", cfg.Version)),
		resource.WithTelemetrySDK(), resource.WithHost(),
		resource.WithFromEnv()) // last, so that OTEL_SERVICE_NAME wins
	if err != nil {
		return nil, fmt.Errorf("check OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	// An unreachable collector is logged but is not an error.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { cfg.Log.Warn("traces", "cause", err) }))
	return sdktrace.NewTracerProvider(sdktrace.WithBatcher(scrubber{exporter}), sdktrace.WithResource(about)), nil
}

// tracesWanted reads the standard variables that enable traces. It rejects values that
// are not supported, rather than ignoring them.
func tracesWanted(getenv func(string) string) (bool, error) {
	if strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") {
		return false, nil
	}
	switch exporter := getenv("OTEL_TRACES_EXPORTER"); exporter {
	case "none":
		return false, nil
	case "otlp":
	case "":
		if getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
			return false, nil
		}
	default:
		return false, fmt.Errorf("OTEL_TRACES_EXPORTER: invalid value %q (expected otlp or none)", exporter)
	}
	protocol := cmp.Or(getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), getenv("OTEL_EXPORTER_OTLP_PROTOCOL"), "http/protobuf")
	if protocol != "http/protobuf" {
		return false, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL: invalid value %q (expected http/protobuf, which collectors accept on port 4318)", protocol)
	}
	return true, nil
}

// traced returns api with a span for each request, which continues the caller's trace
// (W3C traceparent) if there is one. Health checks, which come every few seconds, are
// not traced.
func traced(traces *sdktrace.TracerProvider, api http.Handler) http.Handler {
	if traces == nil {
		return api
	}
	return otelhttp.NewHandler(api, "request",
		otelhttp.WithTracerProvider(traces),
		otelhttp.WithPropagators(propagation.TraceContext{}), // no baggage: it can contain anything
		otelhttp.WithFilter(func(r *http.Request) bool { return r.URL.Path != "/healthz" && r.URL.Path != "/readyz" }),
		// Until the route is known. Never the path, which contains names.
		otelhttp.WithSpanNameFormatter(func(string, *http.Request) string { return unrouted }))
}

// unrouted is the name of a request's span if its path is not in the contract.
const unrouted = "request"

// describeSpan names a request's span once the operation is known.
func describeSpan(ctx context.Context, a server.Answered) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	if a.Operation != "" {
		span.SetName(a.Method + " " + a.Route)
		span.SetAttributes(attribute.String("http.route", a.Route), attribute.String("mems.operation", a.Operation))
	}
	if a.Problem != "" {
		span.SetAttributes(attribute.String("mems.problem", a.Problem))
	}
	if a.RequestID != "" { // not a client's, which can contain anything
		span.SetAttributes(attribute.String("mems.request_id", a.RequestID))
	}
}

// sqlOptions configures a span for each statement of a request, with the statement's
// text. It has placeholders: the driver inserts the arguments later, so they are never
// exported.
func sqlOptions(traces *sdktrace.TracerProvider) []otelsql.Option {
	return []otelsql.Option{
		otelsql.WithTracerProvider(traces),
		otelsql.WithAttributes(attribute.String("db.system.name", "mysql")),
		otelsql.WithSpanNameFormatter(func(_ context.Context, method otelsql.Method, query string) string {
			if words := strings.Fields(query); len(words) > 0 {
				return words[0] // SELECT, UPDATE, ...
			}
			return string(method)
		}),
		otelsql.WithSpanErrorAttributesGetter(func(err error) []attribute.KeyValue {
			if number, ok := database.ErrorNumber(err); ok {
				return []attribute.KeyValue{attribute.String("db.response.status_code", strconv.Itoa(int(number)))}
			}
			return nil
		}),
		otelsql.WithSpanOptions(otelsql.SpanOptions{
			DisableErrSkip: true, OmitConnResetSession: true, OmitRows: true,
			// Background jobs, which run every few seconds, have no trace to belong to.
			SpanFilter: func(ctx context.Context, _ otelsql.Method, _ string, _ []driver.NamedValue) bool {
				return trace.SpanContextFromContext(ctx).IsValid()
			},
		}),
	}
}
