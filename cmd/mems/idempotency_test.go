package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/contracttest"
	"mems/internal/storetest"
)

// Servers are killed at random moments while clients book and retry unanswered requests
// with the same Idempotency-Key, possibly at another server. In the end each request has
// been executed exactly once, and every response received is correct.
func TestKilledServersAndIdempotencyKeys(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	const clients, requests, kills = 8, 25, 6
	var mu sync.Mutex
	servers := []*process{startMEMS(t, "MEMS_DATABASE_URL="+d.DSN), startMEMS(t, "MEMS_DATABASE_URL="+d.DSN)}
	some := func() *contracttest.Client {
		mu.Lock()
		defer mu.Unlock()
		c := contracttest.New(t, servers[rand.IntN(len(servers))].URL)
		c.Allow5xx = true
		return c
	}
	var doctors, patients [clients]int64
	for i := range clients {
		var doctor api.Doctor
		some().Post("/doctors", map[string]any{"full_name": fmt.Sprint("Dr. ", i), "specialization": "Any"}).Want(t, 201, "").Decode(t, &doctor)
		var patient api.Patient
		some().Post("/patients", map[string]any{"first_name": "P", "last_name": fmt.Sprint(i)}).Want(t, 201, "").Decode(t, &patient)
		doctors[i], patients[i] = doctor.ID, patient.ID
	}
	start := time.Now().Add(48 * time.Hour).Truncate(time.Hour)
	var done sync.WaitGroup
	answers := make([][requests]int64, clients)
	for i := range clients {
		done.Go(func() {
			for n := range requests {
				// Every time is requested once: a second booking of it would be a
				// doctor-overlap.
				request := contracttest.Request{
					Method: http.MethodPost, Path: "/appointments", Header: http.Header{"Idempotency-Key": {fmt.Sprintf("client-%d-%d", i, n)}},
					Body: booking(patients[i], doctors[i], start.Add(time.Duration(n)*time.Hour), 30),
				}
				for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
					response, err := some().Try(request)
					if err != nil || response.Status == 503 || response.Type() == "idempotency-key-in-use" {
						continue // retry with the same key
					}
					if response.Status != 201 {
						t.Errorf("client %d, request %d = %d %s, want 201", i, n, response.Status, response.Body)
						break
					}
					var a api.Appointment
					response.Decode(t, &a)
					answers[i][n] = a.ID
					break
				}
			}
		})
	}
	for range kills {
		time.Sleep(150*time.Millisecond + rand.N(200*time.Millisecond))
		mu.Lock()
		victim := rand.IntN(len(servers))
		servers[victim].Signal(syscall.SIGKILL)
		servers[victim].Wait()
		servers[victim] = startMEMS(t, "MEMS_DATABASE_URL="+d.DSN)
		mu.Unlock()
	}
	done.Wait()
	var kept []int64
	if err := d.DB.Select(&kept, `SELECT id FROM appointments ORDER BY id`); err != nil {
		t.Fatal(err)
	}
	told := map[int64]bool{}
	for i := range answers {
		for n, id := range answers[i] {
			if id == 0 || told[id] {
				t.Errorf("client %d, request %d was answered with appointment %d, want one of its own", i, n, id)
			}
			told[id] = true
		}
	}
	if len(kept) != clients*requests {
		t.Errorf("%d appointments, want %d: one for each request", len(kept), clients*requests)
	}
	for _, id := range kept {
		if !told[id] {
			t.Errorf("appointment %d was in no answer, want one", id)
		}
	}
	// The audit trail verifies, whatever was killed.
	if code, output := runMEMS(t, []string{"audit", "verify"}, "MEMS_DATABASE_URL="+d.DSN); code != exitOK {
		t.Errorf("mems audit verify: exit %d, want %d:\n%s", code, exitOK, output)
	}
}

// A key printed by "mems keys" is accepted by the server.
func TestKeysCommand(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	env := "MEMS_DATABASE_URL=" + d.DSN
	p := startMEMS(t, env, "MEMS_AUTH=required")
	c := contracttest.New(t, p.URL)
	c.Get("/patients").Want(t, 401, "unauthenticated")
	if code, output := runMEMS(t, []string{"keys", "create", "--role", "receptionist", "Front desk"}, env); code != exitOK {
		t.Fatalf("mems keys create --role receptionist Front desk: exit %d, want %d:\n%s", code, exitOK, output)
	} else {
		c = c.With("X-API-Key", lastLine(output))
	}
	c.Get("/patients").Want(t, 200, "")
	if code, output := runMEMS(t, []string{"keys", "list"}, env); code != exitOK || !contains(output, "Front desk", "receptionist", "valid until") {
		t.Errorf("mems keys list: exit %d, want %d and \"Front desk\", \"receptionist\", \"valid until\" in the output:\n%s",
			code, exitOK, output)
	}
	if code, output := runMEMS(t, []string{"keys", "revoke", "1"}, env); code != exitOK {
		t.Errorf("mems keys revoke 1: exit %d, want %d:\n%s", code, exitOK, output)
	}
	c.Get("/patients").Want(t, 401, "unauthenticated")
	for _, args := range [][]string{{"keys"}, {"keys", "burn"}, {"keys", "create", "x"}, {"keys", "revoke", "x"}, {"keys", "list", "x"}, {"audit"}, {"audit", "burn"}} {
		if code, output := runMEMS(t, args, env); code != exitUsage {
			t.Errorf("mems %q: exit %d, want %d:\n%s", args, code, exitUsage, output)
		}
	}
	for _, args := range [][]string{
		{"keys", "create", "--role", "root", "x"},
		{"keys", "create", "--role", "doctor", "x"},
		{"keys", "revoke", "99"},
		{"keys", "create", "--role", "partner", "--scope", "audit:read", "x"},
		{"keys", "create", "--role", "partner", "--days", "9999", "x"},
	} {
		if code, output := runMEMS(t, args, env); code != exitFailed {
			t.Errorf("mems %q: exit %d, want %d:\n%s", args, code, exitFailed, output)
		}
	}
	// An anchor is written and verified against; tampering is reported.
	anchor := t.TempDir() + "/anchor.json"
	for run := range 2 {
		code, output := runMEMS(t, []string{"audit", "verify", "--anchor", anchor}, env)
		if code != exitOK || !contains(output, "is intact") {
			t.Errorf("mems audit verify --anchor ...: exit %d, want %d and \"is intact\" in the output:\n%s",
				code, exitOK, output)
		}
		if first := strings.Contains(output, "there was no anchor"); first != (run == 0) {
			t.Errorf("run %d says that there was no anchor: %t, want it in the first alone:\n%s", run, first, output)
		}
	}
	if _, err := d.DB.Exec(`UPDATE audit_entries SET subject = 'somebody' LIMIT 1`); err != nil {
		t.Fatal(err)
	}
	if code, output := runMEMS(t, []string{"audit", "verify", "--anchor", anchor}, env); code != exitFailed || !contains(output, "was altered", "tampered") {
		t.Errorf("mems audit verify --anchor ...: exit %d, want %d and \"was altered\", \"tampered\" in the output:\n%s",
			code, exitFailed, output)
	}
}
