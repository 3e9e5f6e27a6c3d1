package server

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"mems/gen/api"
)

// failureWindow is how long failures of one type share a line of the log.
const failureWindow = 10 * time.Second

// failures logs requests that failed. While the database is away each request fails with
// 503, which is one event to an operator: the first of a type is logged at once, and those
// of each failureWindow after it together, with their number. Other failures are faults of
// the program and have a line each.
type failures struct {
	log    *slog.Logger
	window time.Duration

	mu       sync.Mutex
	repeated map[string]*repeated // by type; one for each window that is open
}

// repeated counts what came after the line that opened the window.
type repeated struct {
	times int
	last  []any // attributes of the last one
}

func newFailures(log *slog.Logger) *failures {
	return &failures{log: log, window: failureWindow, repeated: map[string]*repeated{}}
}

// report logs a request that was answered with p, or counts it.
func (f *failures) report(ctx context.Context, p api.Problem, attributes ...any) {
	attributes = append(attributes, "type", p.Type)
	if p.Status != http.StatusServiceUnavailable {
		f.log.ErrorContext(ctx, "request failed", attributes...)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.repeated[p.Type]; r != nil {
		r.times++
		r.last = attributes
		return
	}
	f.repeated[p.Type] = &repeated{}
	time.AfterFunc(f.window, func() { f.end(p.Type) })
	f.log.ErrorContext(ctx, "request failed", attributes...)
}

// end ends the window of a type. It opens the next one unless nothing failed in this one.
func (f *failures) end(kind string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.repeated[kind]
	if r.times == 0 {
		delete(f.repeated, kind)
		return
	}
	f.repeated[kind] = &repeated{}
	time.AfterFunc(f.window, func() { f.end(kind) })
	f.log.Error("more requests failed; this was the last", append(r.last, "requests", r.times, "seconds", f.window.Seconds())...)
}
