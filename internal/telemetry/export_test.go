package telemetry

import "context"

// TracesWanted is tracesWanted for tests.
var TracesWanted = tracesWanted

// Flush sends what traces there are, for tests.
func (t *Telemetry) Flush(ctx context.Context) error { return t.traces.ForceFlush(ctx) }
