package server

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"mems/gen/api"
)

// failureWindow is how long failures of one type share a log line.
const failureWindow = 10 * time.Second

// failures logs failed requests. While the database is unavailable every request fails with
// 503, which is one event to an operator: the first of a type is logged at once, those of
// each following failureWindow together, with their number. Other failures are bugs and
// have a line each.
type failures struct {
	log    *slog.Logger
	window time.Duration

	mu       sync.Mutex
	repeated map[string]*repeated // by type; one for each window that is open
}

// repeated counts the failures since the line that opened the window.
type repeated struct {
	times int
	last  []any // attributes of the last one
}

func newFailures(log *slog.Logger) *failures {
	return &failures{log: log, window: failureWindow, repeated: map[string]*repeated{}}
}

// report logs or counts a request that failed with p.
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

// end closes the window of a type, and opens the next one if there were failures in it.
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
