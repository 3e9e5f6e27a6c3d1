package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"mems/internal/contracttest"
	"mems/internal/storetest"
)

// With few file descriptors and many idle connections, health checks and bookings are still
// answered: the idle ones do not exhaust the descriptors.
func TestFewFileDescriptors(t *testing.T) {
	t.Parallel()
	p := startMEMS(t, "MEMS_DATABASE_URL="+storetest.New(t).DSN, "MEMS_DATABASE_MAX_CONNS=8", "MEMS_TEST_FILES=64")
	client := contracttest.New(t, p.URL)
	var doctor, patient struct{ ID int64 }
	client.Post("/doctors", map[string]any{"full_name": "Dr.", "specialization": "Any"}).Decode(t, &doctor)
	client.Post("/patients", map[string]any{"first_name": "P", "last_name": "Q"}).Decode(t, &patient)
	address := strings.TrimPrefix(p.URL, "http://")
	for n := range 150 {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			t.Fatalf("connection %d: %v, want it open", n, err) // at worst it waits in the kernel's queue
		}
		defer func() { _ = conn.Close() }()
		if n%2 == 0 {
			_, _ = fmt.Fprintf(conn, "GET /doctors HTTP/1.1\r\nHost: localhost\r\n")
		}
	}
	// Well below the 5 s after which the server closes them anyway.
	fast := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for range 20 {
		response, err := fast.Get(p.URL + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
	}
	client.Post("/appointments", booking(patient.ID, doctor.ID, tomorrow(), 30)).Want(t, http.StatusCreated, "")
	client.Get("/readyz").Want(t, http.StatusOK, "")
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil || len(files) > 64 {
		t.Errorf("%d descriptors are open (%v), want at most 64", len(files), err)
	}
}
