package main

import (
	"database/sql"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"mems/internal/contracttest"
	"mems/internal/storetest"
)

// /readyz responds within a second, whatever hangs, and recovers without intervention.
func TestReadinessOfAHangingDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := startMEMS(t, "MEMS_DATA_DIR="+dir)
	client := contracttest.New(t, p.URL)
	client.Allow5xx = true
	client.Get("/readyz").Want(t, http.StatusOK, "")
	database := privateServer(t, dir)
	if err := syscall.Kill(database, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(database, syscall.SIGCONT) })
	time.Sleep(1100 * time.Millisecond) // a positive result is cached for a second
	for range 4 {
		begun := time.Now()
		client.Get("/readyz").Want(t, http.StatusServiceUnavailable, "unavailable")
		if took := time.Since(begun); took > time.Second {
			t.Errorf("/readyz took %s while the database stands still, want at most 1 s", took)
		}
	}
	if err := syscall.Kill(database, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	waitReady(t, p)
}

// A database that is readable but rejects writes is not ready, and the response says why.
// Any number of requests that wait for locks do not make it unready.
func TestReadinessWhenWritesAreRefused(t *testing.T) {
	t.Parallel()
	server := durableServer(t)
	d := storetest.OnServer(t, server.DSN(""))
	d.Migrate(t)
	root, err := sql.Open("mysql", server.DSN(""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	must := func(statement string) {
		t.Helper()
		if _, err := root.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	name, _, _ := strings.Cut(d.DSN[strings.LastIndex(d.DSN, "/")+1:], "?")
	must("CREATE USER 'ready'@'localhost' IDENTIFIED BY 'abcdefghijklmnop'")
	must("GRANT SELECT, INSERT, UPDATE, DELETE ON `" + name + "`.* TO 'ready'@'localhost'")
	p := startMEMS(t, "MEMS_DATABASE_URL=ready:abcdefghijklmnop@unix("+server.Socket()+")/"+name, "MEMS_DATABASE_MAX_CONNS=2")
	client := contracttest.New(t, p.URL)
	client.Allow5xx = true
	client.Get("/readyz").Want(t, http.StatusOK, "")

	must("SET GLOBAL read_only = 1")
	time.Sleep(1100 * time.Millisecond)
	answer := client.Get("/readyz").Want(t, http.StatusServiceUnavailable, "unavailable")
	if !strings.Contains(string(answer.Body), "refuses writes") {
		t.Errorf("/readyz = %s, want that the database refuses writes", answer.Body)
	}
	must("SET GLOBAL read_only = 0")
	waitReady(t, p)

	// All connections for requests wait.
	holder, err := root.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Rollback() }()
	if _, err := holder.Exec("UPDATE `" + name + "`.doctors SET calendar_rev = calendar_rev + 1"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		go func() {
			_, _ = client.Try(contracttest.Request{Method: http.MethodPatch, Path: "/doctors/1", Body: map[string]any{"full_name": "X"}})
		}()
	}
	time.Sleep(1100 * time.Millisecond)
	begun := time.Now()
	client.Get("/readyz").Want(t, http.StatusOK, "")
	if took := time.Since(begun); took > time.Second {
		t.Errorf("/readyz took %s while requests wait for locks, want at most 1 s", took)
	}
}
