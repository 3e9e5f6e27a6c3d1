package telemetry

import (
	"context"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// harmless lists the exported attributes: those that no client can write. All others are
// dropped, whatever a new release of an instrumentation adds: paths and queries contain
// names, Host and User-Agent come from the client, and a database error quotes the rejected
// value ("Duplicate entry 'ann@example.org'").
var harmless = map[attribute.Key]bool{
	"http.request.method": true, "http.route": true, "http.response.status_code": true, // an unknown method becomes _OTHER
	"http.request.body.size": true, "http.response.body.size": true,
	"url.scheme": true, "network.protocol.version": true, "network.peer.address": true,
	"mems.operation": true, "mems.problem": true, "mems.request_id": true, // an id chosen by the server
	"db.system.name": true, "db.query.text": true, "db.response.status_code": true,
	"exception.type": true, "error.type": true,
}

// scrubber exports only harmless attributes.
type scrubber struct{ sdktrace.SpanExporter }

// ExportSpans exports the spans without other attributes.
func (s scrubber) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	clean := make([]sdktrace.ReadOnlySpan, len(spans))
	for i, span := range spans {
		clean[i] = scrubbed{span}
	}
	return s.SpanExporter.ExportSpans(ctx, clean)
}

// scrubbed is a span without data that might concern a person.
type scrubbed struct{ sdktrace.ReadOnlySpan }

// Attributes returns the harmless attributes.
func (s scrubbed) Attributes() []attribute.KeyValue { return scrub(s.ReadOnlySpan.Attributes()) }

// Events returns the events with harmless attributes only.
func (s scrubbed) Events() []sdktrace.Event {
	events := slices.Clone(s.ReadOnlySpan.Events())
	for i := range events {
		events[i].Attributes = scrub(events[i].Attributes)
	}
	return events
}

// Links returns none: we create none.
func (s scrubbed) Links() []sdktrace.Link { return nil }

// Status returns the status without its text.
func (s scrubbed) Status() sdktrace.Status {
	return sdktrace.Status{Code: s.ReadOnlySpan.Status().Code}
}

// SpanContext returns the context without the caller's tracestate, which can contain
// anything.
func (s scrubbed) SpanContext() trace.SpanContext {
	return s.ReadOnlySpan.SpanContext().WithTraceState(trace.TraceState{})
}

// Parent returns the parent's context, scrubbed like SpanContext.
func (s scrubbed) Parent() trace.SpanContext {
	return s.ReadOnlySpan.Parent().WithTraceState(trace.TraceState{})
}

func scrub(attributes []attribute.KeyValue) []attribute.KeyValue {
	return slices.DeleteFunc(slices.Clone(attributes), func(a attribute.KeyValue) bool { return !harmless[a.Key] })
}
