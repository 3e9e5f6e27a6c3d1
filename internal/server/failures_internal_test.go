package server

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mems/gen/api"
)

// An outage is logged when it begins and once per window, with the number of requests; faults of
// the program are logged one by one.
func TestFailuresOfAnOutageShareLines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		f := newFailures(slog.New(slog.NewTextHandler(&text, nil)))
		unavailable := api.Problem{Status: 503, Type: "/problems/unavailable"}
		lines := func() []string {
			t.Helper()
			synctest.Wait()
			f.mu.Lock()
			defer f.mu.Unlock()
			return strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
		}
		var asking sync.WaitGroup
		for range 1000 {
			asking.Go(func() { f.report(t.Context(), unavailable, "request_id", "a", "cause", "gone") })
		}
		asking.Wait()
		f.report(t.Context(), api.Problem{Status: 503, Type: "/problems/outcome-unknown"}, "request_id", "b")
		for range 2 {
			f.report(t.Context(), api.Problem{Status: 500, Type: "/problems/internal-error"}, "request_id", "c")
		}
		if got := lines(); len(got) != 4 || strings.Count(text.String(), `"request failed"`) != 4 {
			t.Fatalf("%d lines at first, want 4, each of a failed request:\n%s", len(got), text.String())
		}
		f.report(t.Context(), unavailable, "request_id", "last", "cause", "gone")
		time.Sleep(failureWindow)
		if got := lines(); len(got) != 5 || !strings.Contains(got[4], "request_id=last") || !strings.Contains(got[4], "requests=1000") {
			t.Fatalf("%d lines after a window, want a fifth with request_id=last and requests=1000:\n%s",
				len(got), text.String())
		}
		time.Sleep(failureWindow)
		if got := lines(); len(got) != 5 || len(f.repeated) != 0 { // lines waits until the window has closed
			t.Errorf("%d lines and %d open failures after a quiet window, want 5 and none:\n%s",
				len(got), len(f.repeated), text.String())
		}
		f.report(t.Context(), unavailable, "request_id", "again")
		if got := lines(); len(got) != 6 || !strings.Contains(got[5], "request_id=again") {
			t.Errorf("%d lines after a new outage, want a sixth with request_id=again:\n%s", len(got), text.String())
		}
		time.Sleep(failureWindow)
	})
}
