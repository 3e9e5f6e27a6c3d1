package main

import (
	"cmp"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/contracttest"
	"mems/internal/storetest"
)

// A key revoked and a patient erased after the backup stay so after a restore, through the
// list beside the backup or the old database. Without either, nothing is restored unless
// explicitly requested.
func TestRestoreKeepsWhatWasEnded(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	url := "MEMS_DATABASE_URL=" + d.DSN
	c := contracttest.New(t, startMEMS(t, url).URL)
	var patient api.Patient
	c.Post("/patients", map[string]any{"first_name": "Eve", "last_name": "Erased"}).Want(t, http.StatusCreated, "").Decode(t, &patient)
	var doctor api.Doctor
	c.Post("/doctors", map[string]any{"full_name": "Dr.", "specialization": "Any"}).Want(t, http.StatusCreated, "").Decode(t, &doctor)
	var visit api.Appointment
	c.Post("/appointments", booking(patient.ID, doctor.ID, time.Now().Add(48*time.Hour).Truncate(time.Hour), 30)).Want(t, http.StatusCreated, "").Decode(t, &visit)
	for _, name := range []string{"lost", "kept"} {
		if code, out := runMEMS(t, []string{"keys", "create", "--role", "manager", name}, url); code != exitOK {
			t.Fatalf("mems keys create --role manager ...: exit %d, want %d:\n%s", code, exitOK, out)
		}
	}
	file := filepath.Join(t.TempDir(), "old.gz")
	if code, out := runMEMS(t, []string{"backup", file}, url); code != exitOK {
		t.Fatalf("mems backup ...: exit %d, want %d:\n%s", code, exitOK, out)
	}
	// After the backup: the appointment is cancelled, the patient erased, a key revoked.
	c.Post(fmt.Sprintf("/appointments/%d/cancel", visit.ID), map[string]any{"reason": "patient_request"}).Want(t, http.StatusOK, "")
	c.Post(fmt.Sprintf("/patients/%d/erase", patient.ID), map[string]any{"reason": "asked for it"}).Want(t, http.StatusOK, "")
	if code, out := runMEMS(t, []string{"keys", "revoke", "1"}, url); code != exitOK {
		t.Fatalf("mems keys revoke 1: exit %d, want %d:\n%s", code, exitOK, out)
	}

	restored := func(args ...string) (name string, revoked int, output string) {
		t.Helper()
		into := storetest.Empty(t)
		code, output := runMEMS(t, append([]string{"restore"}, args...), "MEMS_DATABASE_URL="+into.DSN)
		if code != exitOK {
			t.Fatalf("mems %q: exit %d, want %d:\n%s", append([]string{"restore"}, args...), code, exitOK, output)
		}
		if err := into.DB.Get(&name, `SELECT first_name FROM patients`); err != nil {
			t.Fatal(err)
		}
		if err := into.DB.Get(&revoked, `SELECT COUNT(*) FROM api_keys WHERE revoked_at IS NOT NULL`); err != nil {
			t.Fatal(err)
		}
		return name, revoked, output
	}
	old := d.DSN[strings.LastIndex(d.DSN, "/")+1:]
	old, _, _ = strings.Cut(old, "?")
	if name, revoked, out := restored("--old-database", old, file); name != "Erased" || revoked != 1 || !contains(out, "open appointments, tickets or offers again, which must be cancelled: 1") {
		t.Errorf("restored with the old database: patient %s, %d keys revoked; want Erased and 1, and what must be cancelled:\n%s",
			name, revoked, out)
	}
	if code, out := runMEMS(t, []string{"revocations", revocationsBeside(file)}, url); code != exitOK {
		t.Fatalf("mems revocations ...: exit %d, want %d:\n%s", code, exitOK, out)
	}
	if name, revoked, out := restored(file); name != "Erased" || revoked != 1 {
		t.Errorf("restored with the list: patient %s, %d keys revoked; want Erased and 1:\n%s", name, revoked, out)
	}
	if name, revoked, _ := restored("--without-revocations", file); name != "Eve" || revoked != 0 {
		t.Errorf("restored without revocations: patient %s, %d keys revoked; want Eve and 0", name, revoked)
	}
	into := storetest.Empty(t)
	if code, out := runMEMS(t, []string{"restore", "--revocations", filepath.Join(t.TempDir(), "none"), file}, "MEMS_DATABASE_URL="+into.DSN); code != exitFailed {
		t.Errorf("a list that is not there: mems restore --revocations ...: exit %d, want %d:\n%s",
			code, exitFailed, out)
	}
}

// A restore restarts one that was killed, and a database with an unfinished restore is not
// served.
func TestUnfinishedRestore(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	file := filepath.Join(t.TempDir(), "backup.gz")
	if code, out := runMEMS(t, []string{"backup", file}, "MEMS_DATABASE_URL="+d.DSN); code != exitOK {
		t.Fatalf("mems backup ...: exit %d, want %d:\n%s", code, exitOK, out)
	}
	into := storetest.New(t)
	url := "MEMS_DATABASE_URL=" + into.DSN
	// The state after a restore was killed while inserting rows.
	for _, text := range []string{
		`SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO')`,
		`INSERT INTO goose_db_version (id, version_id, is_applied) VALUES (0, 0, 0)`,
		`INSERT INTO doctors (full_name, specialization, created_at, updated_at) VALUES ('Dr. Half', 'Any', '2026-01-01', '2026-01-01')`,
	} {
		into.DB.SetMaxOpenConns(1)
		if _, err := into.DB.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	elsewhere := t.TempDir()
	for _, args := range [][]string{
		{"serve"},
		{"migrate", "up"},
		{"keys", "create", "--role", "admin", "too early"},
		{"keys", "list"},
		{"zone", "set", "UTC"},
		{"retain"},
		{"audit", "verify"},
		{"demo"},
		{"backup", filepath.Join(elsewhere, "half.gz")},
		{"revocations", filepath.Join(elsewhere, "mems-revocations.gz")},
	} {
		if code, out := runMEMS(t, args, url, "MEMS_HTTP_ADDR=127.0.0.1:0"); code != exitFailed || !contains(out, "being restored") {
			t.Errorf("mems %q: exit %d, want %d and \"being restored\" in the output:\n%s",
				args, code, exitFailed, out)
		}
	}
	// Rows are missing, so it must not be opened.
	if code, out := runMEMS(t, []string{"restore", "--finish", file}, url); code != exitFailed || !contains(out, "rows of the backup are missing") {
		t.Errorf("mems restore --finish ...: exit %d, want %d and \"rows of the backup are missing\" in the output:\n%s",
			code, exitFailed, out)
	}
	if code, out := runMEMS(t, []string{"restore", file}, url); code != exitOK {
		t.Errorf("mems restore ...: exit %d, want %d:\n%s", code, exitOK, out)
	}
	_, want := runMEMS(t, []string{"checksum"}, "MEMS_DATABASE_URL="+d.DSN)
	if _, got := runMEMS(t, []string{"checksum"}, url); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A private server's backup is restored into another private server that is empty.
func TestRestorePrivateIntoPrivate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	engine := "MEMS_DATABASE_ENGINE=" + cmp.Or(os.Getenv("MEMS_TEST_DATABASE_ENGINE"), "auto")
	one, two := "MEMS_DATA_DIR="+filepath.Join(dir, "1"), "MEMS_DATA_DIR="+filepath.Join(dir, "2")
	startMEMS(t, one, engine)
	startMEMS(t, two, engine)
	for _, args := range [][]string{{"keys", "create", "--role", "manager", "one"}, {"backup", filepath.Join(dir, "b.gz")}} {
		if code, out := runMEMS(t, args, one, engine); code != exitOK {
			t.Fatalf("mems %q: exit %d, want %d:\n%s", args, code, exitOK, out)
		}
	}
	if code, out := runMEMS(t, []string{"restore", filepath.Join(dir, "b.gz")}, two, engine); code != exitOK {
		t.Fatalf("mems restore ...: exit %d, want %d:\n%s", code, exitOK, out)
	}
	if code, out := runMEMS(t, []string{"keys", "list"}, two, engine); code != exitOK || !contains(out, "one", "manager") {
		t.Errorf("mems keys list: exit %d, want %d and \"one\", \"manager\" in the output:\n%s", code, exitOK, out)
	}
	if code, out := runMEMS(t, []string{"restore", filepath.Join(dir, "b.gz")}, two, engine); code != exitFailed || !contains(out, "not empty", "MEMS_DATA_DIR") {
		t.Errorf("mems restore ...: exit %d, want %d and \"not empty\", \"MEMS_DATA_DIR\" in the output:\n%s",
			code, exitFailed, out)
	}
}
