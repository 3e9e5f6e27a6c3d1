package main

import (
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"mems/internal/contracttest"
	"mems/internal/storetest"
)

// A backup is restored into the database of servers that run. They write nothing while it
// is, and afterwards they go on: no change fails, the trail verifies, and the zone is kept.
func TestServersGoOnAfterARestore(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	env := []string{"MEMS_LOG_LEVEL=warn", "MEMS_DATABASE_URL=" + d.DSN, "MEMS_AUDIT_KEYS=" + someKeys, "MEMS_CLINIC_TIME_ZONE=Europe/Zurich"}
	must := func(says string, args ...string) {
		t.Helper()
		if code, said := runMEMS(t, args, env...); code != exitOK || !contains(said, says) {
			t.Fatalf("mems %q: exit %d, want %d and %q in the output:\n%s", args, code, exitOK, says, said)
		}
	}
	busy, idle := startMEMS(t, env...), startMEMS(t, env...)
	book := func(p *process, want int, problem string) {
		t.Helper()
		var all sync.WaitGroup
		for range 8 { // in several chains
			all.Go(func() {
				c := contracttest.New(t, p.URL)
				c.Allow5xx = true
				c.Post("/doctors", map[string]any{"full_name": "Dr. X", "specialization": "Any"}).Want(t, want, problem)
			})
		}
		all.Wait()
	}
	book(busy, http.StatusCreated, "")
	book(idle, http.StatusCreated, "")
	file := filepath.Join(t.TempDir(), "backup.gz")
	must("", "backup", file)
	book(busy, http.StatusCreated, "") // the chains go on beyond those of the backup
	book(idle, http.StatusCreated, "")
	d.DB.MustExec(`UPDATE installation SET disposable = 1`)
	must("all data was destroyed", "reset", "--yes-destroy-all-data")
	must("ready for use", "restore", file)
	book(busy, http.StatusCreated, "")
	must("is intact", "audit", "verify")
	book(idle, http.StatusCreated, "")
	must("is intact", "audit", "verify")
	busy.waitFor("was reset or restored")

	// In the middle of a restore nothing is written, and /readyz says why.
	d.DB.MustExec(`INSERT INTO goose_db_version (id, version_id, is_applied) VALUES (0, 0, 1)`)
	d.DB.MustExec(`UPDATE installation SET data_id = NULL`)
	book(busy, http.StatusServiceUnavailable, "unavailable")
	if code, said := runMEMS(t, []string{"restore", "--finish", "--without-revocations", file}, env...); code != exitFailed {
		t.Errorf("mems restore --finish --without-revocations ...: exit %d, want %d:\n%s", code, exitFailed, said)
	}
	d.DB.MustExec(`DELETE FROM goose_db_version WHERE id = 0`)
	d.DB.MustExec(`UPDATE installation SET data_id = 'another'`)
	book(busy, http.StatusCreated, "")
	book(idle, http.StatusCreated, "")
	must("is intact", "audit", "verify")
	for _, p := range []*process{busy, idle} {
		if said := p.Output(); contains(said, "internal-error") {
			t.Errorf("output has an internal error, want none:\n%s", said)
		}
	}
}

// After a reset the zone is stored again by a server that runs.
func TestZoneAfterAReset(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	url := "MEMS_DATABASE_URL=" + d.DSN
	startMEMS(t, url, "MEMS_CLINIC_TIME_ZONE=Europe/Zurich")
	d.DB.MustExec(`UPDATE installation SET disposable = 1`)
	if code, said := runMEMS(t, []string{"reset", "--yes-destroy-all-data"}, url); code != exitOK {
		t.Fatalf("mems reset --yes-destroy-all-data: exit %d, want %d:\n%s", code, exitOK, said)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if code, said := runMEMS(t, []string{"zone"}, url); code == exitOK && said == "Europe/Zurich\n" {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("mems reset: exit %d within the time, want success:\n%s", code, said)
		}
	}
}
