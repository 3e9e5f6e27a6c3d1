package server_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mems/internal/server"
	"mems/internal/storetest"
)

// A body that is too large is rejected by its length before it arrives; one that stops arriving is
// reported as a timeout.
func TestBodiesThatDoNotCome(t *testing.T) {
	t.Parallel()
	c := &clock{}
	s, err := server.New(server.Config{
		Store: storetest.New(t).Open(t, c.now, time.UTC), Zone: time.UTC, Open: true, Now: c.now,
		Version: "test", Commit: "test", Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewUnstartedServer(s)
	h.Config.ReadTimeout = 3 * time.Second
	h.Start()
	t.Cleanup(h.Close)
	for name, test := range map[string]struct {
		path, length, body string
		status             int
		slug               string
		atOnce             bool
	}{
		"Length":     {"/patients", "Content-Length: 70000", `{"first_name":`, 413, "payload-too-large", true},
		"FHIRLength": {"/fhir/Appointment/$book", "Content-Length: 70000", `{`, 413, "payload-too-large", true},
		"HugeLength": {"/patients", "Content-Length: 7000000000", "", 413, "payload-too-large", true},
		"Read":       {"/patients", "Transfer-Encoding: chunked", fmt.Sprintf("%x\r\n%s\r\n", 66000, strings.Repeat("x", 66000)), 413, "payload-too-large", true},
		"Slow":       {"/patients", "Content-Length: 70", `{"first_name":`, 400, "did not arrive in time", false},
		"FHIRSlow":   {"/fhir/Appointment/$book", "Content-Length: 70", `{`, 400, "did not arrive in time", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", h.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			began := time.Now()
			if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%s\r\n\r\n%s", test.path, test.length, test.body); err != nil {
				t.Fatal(err)
			}
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			took := time.Since(began)
			defer func() { _ = answer.Body.Close() }()
			body, err := io.ReadAll(answer.Body)
			if err != nil || answer.StatusCode != test.status || !strings.Contains(string(body), test.slug) || !answer.Close {
				t.Errorf("answer: %d %s (%v), closes the connection: %t; want %d %s and a closed connection",
					answer.StatusCode, body, err, answer.Close, test.status, test.slug)
			}
			if test.atOnce == (took >= h.Config.ReadTimeout) {
				t.Errorf("answered after %s with a read timeout of %s, want it at once: %t",
					took, h.Config.ReadTimeout, test.atOnce)
			}
		})
	}
}
