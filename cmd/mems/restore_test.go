package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mems/internal/backup"
	"mems/internal/storetest"
)

// An attacker who can write a backup file with a valid hash cannot run any command or
// statement.
func TestHostileBackupIsRefused(t *testing.T) {
	t.Parallel()
	witness := filepath.Join(t.TempDir(), "pwned")
	for name, dump := range map[string]string{
		"Shell":   "\\! touch " + witness + "\n",
		"System":  "system touch " + witness + "\n",
		"Grant":   "CREATE USER 'evil'@'%';\n",
		"Outfile": "SELECT 1 INTO OUTFILE '" + witness + "';\n",
		"Trigger": "DELIMITER ;;\n/*!50003 CREATE*/ /*!50003 TRIGGER x BEFORE INSERT ON doctors FOR EACH ROW DELETE FROM api_keys */;;\nDELIMITER ;\n",
		"Table":   "CREATE TABLE `evil` (\n  `id` int NOT NULL\n) ENGINE=InnoDB;\n",
	} {
		var b bytes.Buffer
		w, err := backup.NewWriter(&b, backup.Head{At: time.Now(), Schema: 1, Program: "evil"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(dump)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		empty := storetest.Empty(t)
		code, output := runMEMS(t, []string{"restore", "--without-revocations", file}, "MEMS_DATABASE_URL="+empty.DSN)
		var tables, triggers int
		if err := empty.DB.Get(&tables, `SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'evil'`); err != nil {
			t.Fatal(err)
		}
		if err := empty.DB.Get(&triggers, `SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema = DATABASE() AND trigger_name = 'x'`); err != nil {
			t.Fatal(err)
		}
		// A trigger or table in the file is ignored: the schema is our own.
		if known := name == "Trigger" || name == "Table"; (code == exitOK) != known || tables+triggers > 0 {
			t.Errorf("restore of a backup with a %s: exit %d, %d tables, %d triggers; want success %t and nothing made of it:\n%s",
				name, code, tables, triggers, known, output)
		}
		if _, err := os.Stat(witness); err == nil {
			t.Errorf("restore of a backup with a %s ran its command, want it refused", name)
		}
	}
}

// A failed restore leaves the database empty, so that the next one succeeds; with keys,
// backups not signed by them are rejected.
func TestRestoreAgainAndSigned(t *testing.T) {
	t.Parallel()

	d := storetest.New(t)
	if _, err := d.DB.Exec(`INSERT INTO doctors (full_name, specialization, created_at, updated_at) VALUES ('Dr. Signed', 'Any', '2026-01-01', '2026-01-01')`); err != nil {
		t.Fatal(err)
	}
	const keys = "MEMS_AUDIT_KEYS=" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
	signed, plain := filepath.Join(t.TempDir(), "signed"), filepath.Join(t.TempDir(), "plain")
	for file, env := range map[string][]string{signed: {keys}, plain: nil} {
		if code, output := runMEMS(t, []string{"backup", file}, append(env, "MEMS_DATABASE_URL="+d.DSN)...); code != exitOK {
			t.Fatalf("mems backup ...: exit %d, want %d:\n%s", code, exitOK, output)
		}
	}
	into := storetest.Empty(t)
	url := "MEMS_DATABASE_URL=" + into.DSN

	var b bytes.Buffer
	w, err := backup.NewWriter(&b, backup.Head{At: time.Now(), Schema: 1, Program: "test"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("INSERT INTO `doctors` (`id`) VALUES (1);\nINSERT INTO `nothing` (`id`) VALUES (1);\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, output := runMEMS(t, []string{"restore", "--without-revocations", broken}, url); code != exitFailed || !strings.Contains(output, "empty again") {
		t.Errorf("broken: mems restore --without-revocations ...: exit %d, want %d and \"empty again\" in the output:\n%s",
			code, exitFailed, output)
	}
	if code, output := runMEMS(t, []string{"restore", plain}, url, keys); code != exitFailed || !strings.Contains(output, "--unsigned") {
		t.Errorf("unsigned: mems restore ...: exit %d, want %d and \"--unsigned\" in the output:\n%s",
			code, exitFailed, output)
	}
	if code, output := runMEMS(t, []string{"restore", signed}, url, keys); code != exitOK {
		t.Errorf("signed: mems restore ...: exit %d, want %d:\n%s", code, exitOK, output)
	}
	var name string
	if err := into.DB.Get(&name, `SELECT full_name FROM doctors`); err != nil || name != "Dr. Signed" {
		t.Errorf("doctor in the restored database = %q (%v), want %q", name, err, "Dr. Signed")
	}
	other := "MEMS_DATABASE_URL=" + storetest.Empty(t).DSN
	if code, output := runMEMS(t, []string{"restore", "--unsigned", plain}, other, keys); code != exitOK {
		t.Errorf("unsigned, allowed: mems restore --unsigned ...: exit %d, want %d:\n%s", code, exitOK, output)
	}
}

// A restore that restarts an unfinished one says so: changes from the log are gone.
func TestRestoreBeginsAnewAloud(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "backup.gz")
	if code, said := runMEMS(t, []string{"backup", file}, "MEMS_DATABASE_URL="+storetest.New(t).DSN); code != exitOK {
		t.Fatalf("mems backup ...: exit %d, want %d:\n%s", code, exitOK, said)
	}
	unfinished := storetest.New(t)
	unfinished.DB.MustExec(`UPDATE goose_db_version SET id = 0 WHERE version_id = 0`)
	code, said := runMEMS(t, []string{"restore", "--without-revocations", file}, "MEMS_DATABASE_URL="+unfinished.DSN)
	if code != exitOK || !contains(said, "was not finished", "starting over", "--finish") {
		t.Errorf("mems restore --without-revocations ...: exit %d, want %d"+
			" and \"was not finished\", \"starting over\", \"--finish\" in the output:\n%s",
			code, exitOK, said)
	}
	if code, said := runMEMS(t, []string{"restore", "--without-revocations", file}, "MEMS_DATABASE_URL="+storetest.Empty(t).DSN); code != exitOK || contains(said, "starting over") {
		t.Errorf("mems restore --without-revocations ...: exit %d, want %d, without \"starting over\":\n%s",
			code, exitOK, said)
	}
}

// A signed backup that is restored without keys is reported as unverified.
func TestUnverifiedSignatureIsTold(t *testing.T) {
	t.Parallel()
	const keys = "MEMS_AUDIT_KEYS=" + someKeys
	file := filepath.Join(t.TempDir(), "signed.gz")
	if code, said := runMEMS(t, []string{"backup", file}, "MEMS_DATABASE_URL="+storetest.New(t).DSN, keys); code != exitOK {
		t.Fatalf("mems backup ...: exit %d, want %d:\n%s", code, exitOK, said)
	}
	for _, env := range []string{keys, "MEMS_LOG_LEVEL=info"} {
		code, said := runMEMS(t, []string{"restore", file}, "MEMS_DATABASE_URL="+storetest.Empty(t).DSN, env)
		if code != exitOK || contains(said, "NOT verified", "MEMS_AUDIT_KEYS") == (env == keys) {
			t.Errorf("mems restore with %s: exit %d, want %d and, only without keys, that it was not verified:\n%s",
				env, code, exitOK, said)
		}
	}
}
