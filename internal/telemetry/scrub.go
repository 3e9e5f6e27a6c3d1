package telemetry

import (
	"context"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// harmless are the attributes that leave the process: those that no client
// writes. Everything else stays, whatever a new release of an instrumentation
// thinks of: paths and queries hold names, Host and User-Agent are what a client
// says, and the text of a database error repeats the value that was refused
// ("Duplicate entry 'ann@example.org'").
var harmless = map[attribute.Key]bool{
	"http.request.method": true, "http.route": true, "http.response.status_code": true, // an unknown method is _OTHER
	"http.request.body.size": true, "http.response.body.size": true,
	"url.scheme": true, "network.protocol.version": true, "network.peer.address": true,
	"mems.operation": true, "mems.problem": true, "mems.request_id": true, // an id that the server chose
	"db.system.name": true, "db.query.text": true, "db.response.status_code": true,
	"exception.type": true, "error.type": true,
}

// scrubber exports only harmless attributes.
type scrubber struct{ sdktrace.SpanExporter }

// ExportSpans passes the spans on.
func (s scrubber) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	clean := make([]sdktrace.ReadOnlySpan, len(spans))
	for i, span := range spans {
		clean[i] = scrubbed{span}
	}
	return s.SpanExporter.ExportSpans(ctx, clean)
}

// scrubbed is a span without what might be about a person.
type scrubbed struct{ sdktrace.ReadOnlySpan }

// Attributes are the harmless ones.
func (s scrubbed) Attributes() []attribute.KeyValue { return scrub(s.ReadOnlySpan.Attributes()) }

// Events have harmless attributes only.
func (s scrubbed) Events() []sdktrace.Event {
	events := slices.Clone(s.ReadOnlySpan.Events())
	for i := range events {
		events[i].Attributes = scrub(events[i].Attributes)
	}
	return events
}

// Links is empty: we make none.
func (s scrubbed) Links() []sdktrace.Link { return nil }

// Status has no text.
func (s scrubbed) Status() sdktrace.Status {
	return sdktrace.Status{Code: s.ReadOnlySpan.Status().Code}
}

// SpanContext is without the caller's tracestate, which can hold anything.
func (s scrubbed) SpanContext() trace.SpanContext {
	return s.ReadOnlySpan.SpanContext().WithTraceState(trace.TraceState{})
}

// Parent is scrubbed as SpanContext is.
func (s scrubbed) Parent() trace.SpanContext {
	return s.ReadOnlySpan.Parent().WithTraceState(trace.TraceState{})
}

func scrub(attributes []attribute.KeyValue) []attribute.KeyValue {
	return slices.DeleteFunc(slices.Clone(attributes), func(a attribute.KeyValue) bool { return !harmless[a.Key] })
}
