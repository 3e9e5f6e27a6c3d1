package main

import (
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"mems/internal/contracttest"
	"mems/internal/storetest"
)

// blocked is a server with a booking in flight that waits for a doctor whose row another
// session holds.
type blocked struct {
	*process
	answer  chan *contracttest.Response // nil: the connection was closed
	release func()
}

func newBlocked(t *testing.T, env ...string) *blocked {
	t.Helper()
	d := storetest.New(t)
	b := &blocked{
		process: startMEMS(t, append([]string{"MEMS_DATABASE_URL=" + d.DSN}, env...)...),
		answer:  make(chan *contracttest.Response, 1),
	}
	c := contracttest.New(t, b.URL)
	c.Post("/doctors", map[string]any{"full_name": "Dr.", "specialization": "Any"}).Want(t, http.StatusCreated, "")
	c.Post("/patients", map[string]any{"first_name": "P", "last_name": "Q"}).Want(t, http.StatusCreated, "")
	holder, err := d.DB.Beginx()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = holder.Rollback() })
	b.release = func() { _ = holder.Rollback() }
	if _, err := holder.Exec(`UPDATE doctors SET calendar_rev = calendar_rev + 1`); err != nil {
		t.Fatal(err)
	}
	go func() {
		response, err := c.Try(contracttest.Request{
			Method: http.MethodPost, Path: "/appointments", Body: booking(1, 1, time.Now().Add(48*time.Hour), 30),
		})
		if err != nil {
			t.Logf("no answer: %v", err)
			response = nil
		}
		b.answer <- response
	}()
	d.WaitForStatements(t, 1) // in flight once the statement is running
	return b
}

// Requests accepted before SIGTERM are completed; none is accepted after it.
func TestStopFinishesRequestsInFlight(t *testing.T) {
	t.Parallel()
	b := newBlocked(t)
	b.Signal(syscall.SIGTERM)
	b.waitFor("completing in-flight requests")
	address := strings.TrimPrefix(b.URL, "http://")
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			break
		}
		_ = conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("the stopping server still accepts connections, want them refused")
		}
	}
	b.release()
	if response := <-b.answer; response == nil {
		t.Error("booking under way at the stop got no answer, want one")
	} else {
		response.Want(t, http.StatusCreated, "")
	}
	if code := b.Wait(); code != exitOK {
		t.Errorf("exit code = %d, want %d", code, exitOK)
	}
}

// A request that does not end does not keep the process running.
func TestStopHasALimit(t *testing.T) {
	t.Parallel()
	b := newBlocked(t, "MEMS_SHUTDOWN_TIMEOUT=50ms")
	b.Signal(syscall.SIGTERM)
	if code := b.Wait(); code != exitFailed || !strings.Contains(b.Output(), "were aborted") {
		t.Errorf("exit code = %d, want %d and that requests were aborted:\n%s", code, exitFailed, b.Output())
	}
	<-b.answer
}

// A second signal ends the process immediately.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	b := newBlocked(t, "MEMS_SHUTDOWN_TIMEOUT=10m")
	b.Signal(syscall.SIGTERM)
	b.waitFor("completing in-flight requests")
	b.Signal(syscall.SIGTERM)
	if code := b.Wait(); code != -1 {
		t.Errorf("exit code %d, want the signal", code)
	}
	if response := <-b.answer; response != nil {
		t.Errorf("booking that was to be cut off = %d, want no answer", response.Status)
	}
}

// An old schema is a warning, and makes the server unready.
func TestServeWithOldSchema(t *testing.T) {
	t.Parallel()
	p := startMEMS(t, "MEMS_DATABASE_URL="+storetest.Empty(t).DSN, "MEMS_LOG_LEVEL=warn")
	c := contracttest.New(t, p.URL)
	c.Allow5xx = true
	c.Get("/readyz").Want(t, http.StatusServiceUnavailable, "unavailable")
	c.Get("/healthz").Want(t, http.StatusOK, "")
	if !strings.Contains(p.Output(), "cannot be used yet") {
		t.Errorf("output, want that the database cannot be used yet:\n%s", p.Output())
	}
}
