package main

import (
	"net/http"
	"path/filepath"
	"syscall"
	"testing"

	"mems/internal/contracttest"
	"mems/internal/storetest"
)

// A restored trail verifies by its seals; one whose seals were removed from the backup by
// an attacker without keys does not.
func TestRestoredSeals(t *testing.T) {
	t.Parallel()
	const keys = "MEMS_AUDIT_KEYS=" + someKeys
	d := storetest.New(t)
	url := "MEMS_DATABASE_URL=" + d.DSN
	p := startMEMS(t, url, keys)
	contracttest.New(t, p.URL).Post("/patients", map[string]any{"first_name": "P", "last_name": "Q"}).Want(t, http.StatusCreated, "")
	p.Signal(syscall.SIGTERM)
	p.Wait()
	restored := func(name string, env ...string) (int, string) {
		t.Helper()
		file := filepath.Join(t.TempDir(), name)
		if code, said := runMEMS(t, []string{"backup", file}, append(env, url)...); code != exitOK {
			t.Fatalf("mems backup ...: exit %d, want %d:\n%s", code, exitOK, said)
		}
		into := "MEMS_DATABASE_URL=" + storetest.Empty(t).DSN
		if code, said := runMEMS(t, []string{"restore", "--without-revocations", "--unsigned", file}, into); code != exitOK {
			t.Fatalf("mems restore --without-revocations --unsigned ...: exit %d, want %d:\n%s", code, exitOK, said)
		}
		return runMEMS(t, []string{"audit", "verify"}, into, keys)
	}
	if code, said := restored("whole.gz", keys); code != exitOK || !contains(said, "is intact") {
		t.Errorf("verification of the whole trail: exit %d, want %d and intact:\n%s", code, exitOK, said)
	}
	if cut, _ := d.DB.MustExec(`UPDATE audit_chains SET seal_seq = NULL, seal = NULL, seal_key = NULL`).RowsAffected(); cut < 2 {
		t.Fatalf("%d seals were removed, want at least 2", cut)
	}
	if code, said := restored("cut.gz"); code != exitFailed || !contains(said, "the seal of the list of chains is gone") {
		t.Errorf("verification without seals: exit %d, want %d and that the seal of the list is gone:\n%s",
			code, exitFailed, said)
	}
}
