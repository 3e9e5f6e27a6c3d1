package main

import (
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mems/internal/localdb"
)

// rehearse restores into the database of the later recovery and drops it, while the old one
// is in use: the binary log then has statements and rows of both.
func rehearse(t *testing.T, db *localdb.Server, client, log, file string) {
	t.Helper()
	into := "MEMS_DATABASE_URL=" + db.DSN("mems_restored")
	keys := "MEMS_AUDIT_KEYS=" + someKeys
	replay := []string{"replay", "--log", log, "--until", time.Now().UTC().Add(time.Second).Format(time.RFC3339)}
	expect := func(code int, args []string, says ...string) string {
		t.Helper()
		got, said := runMEMS(t, args, into, keys)
		if got != code || !contains(said, says...) {
			t.Fatalf("mems %q: exit %d, want %d and %q in the output:\n%s", args, got, code, says, said)
		}
		return said
	}
	apply := func(script string) string {
		c := exec.CommandContext(t.Context(), client, "--socket="+db.Socket(), "--user=root")
		c.Stdin = strings.NewReader(script)
		said, _ := c.CombinedOutput() // the output explains a failure
		return string(said)
	}
	if said := apply("UPDATE mems.doctors SET specialization = 'Other'"); said != "" { // or both backups are equal
		t.Fatalf("client's output after an UPDATE = %q, want none", said)
	}
	other := filepath.Join(t.TempDir(), "other.gz")
	if code, said := runMEMS(t, []string{"backup", "--binlog-position", other}, "MEMS_DATABASE_URL="+db.DSN("mems"), keys); code != exitOK {
		t.Fatalf("mems backup --binlog-position ...: exit %d, want %d:\n%s", code, exitOK, said)
	}
	expect(exitOK, []string{"restore", "--log-follows", "--without-revocations", file}, "mems restore --finish --without-revocations "+file)
	expect(exitFailed, []string{"restore", "--finish", "--without-revocations", file}, "mems replay", "--without-log")
	expect(exitFailed, append(replay, other), "restored from another backup")
	expect(exitFailed, []string{"restore", "--finish", "--without-revocations", other}, "restored from another backup")
	var written, notes strings.Builder // the note that the log ends early is not SQL
	if code := run(t.Context(), append(replay, file), []string{into, keys}, &written, &notes); code != exitOK {
		t.Fatalf("mems replay: exit %d, want %d:\n%s", code, exitOK, notes.String())
	}
	script := written.String()
	if said := apply("INSERT INTO mems_restored.mems_restore (step) VALUES ('log begun')"); said != "" {
		t.Fatalf("client's output after setting the mark = %q, want none", said) // the state after an error stopped the client
	}
	expect(exitFailed, []string{"restore", "--finish", "--without-revocations", file}, "not applied completely")
	apply("DELETE FROM mems_restored.mems_restore WHERE step = 'log begun'")
	if said := apply(script); said != "" {
		t.Fatalf("client's output after the log = %q, want none", said)
	}
	if said := apply(script); !contains(said, "Duplicate entry", "log begun") {
		t.Errorf("client's output after applying the log again = %q, want a duplicate entry of the mark", said)
	}
	expect(exitFailed, append(replay, file), "already applied to this database")
	expect(exitOK, []string{"restore", "--finish", "--without-revocations", file})
	if said := apply("SELECT step FROM mems_restored.mems_restore"); !contains(said, "1146") {
		t.Errorf("client's output when reading the marks = %q, want error 1146: no such table", said)
	}
	apply("DROP DATABASE mems_restored")
}

// spoilLog copies a log without its last file, and with a part of it: replaying either is
// rejected.
func spoilLog(t *testing.T, log, file string) {
	t.Helper()
	copied := t.TempDir()
	files, err := filepath.Glob(filepath.Join(log, "binlog.*"))
	if err != nil || len(files) < 3 { // including the index
		t.Fatalf("log files = %q (%v), want at least 3", files, err)
	}
	names := []string{}
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err == nil {
			err = os.WriteFile(filepath.Join(copied, filepath.Base(f)), content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, filepath.Base(f))
	}
	found, err := logFiles(names, "binlog.000001")
	if err != nil {
		t.Fatal(err)
	}
	lastName := found[len(found)-1]
	refused := func(words ...string) {
		t.Helper()
		code, said := runMEMS(t, []string{"replay", "--log", copied, "--until", time.Now().UTC().Add(time.Hour).Format(time.RFC3339), file},
			"MEMS_DATABASE_URL=nobody@unix(/nowhere)/mems", "MEMS_AUDIT_KEYS="+someKeys)
		if code != exitFailed || !contains(said, append(words, "Nothing was written")...) {
			t.Errorf("mems replay --log ... --until ...: exit %d, want %d and %q in the output:\n%s",
				code, exitFailed, append(words, "Nothing was written"), said)
		}
	}
	path := filepath.Join(copied, lastName)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, info.Size()-3); err != nil {
		t.Fatal(err)
	}
	refused(lastName + " is truncated within an event")
	for _, alsoIndex := range []bool{false, true} { // in that case the previous file names it
		gone := map[bool]string{false: lastName, true: "binlog.index"}[alsoIndex]
		if err := os.Remove(filepath.Join(copied, gone)); err != nil {
			t.Fatal(err)
		}
		refused(lastName + " is missing")
	}
}

// changeSchemaByHand makes schema changes that the log's reader drops or repeats when it
// filters by the session's default database.
func changeSchemaByHand(t *testing.T, db *localdb.Server) {
	t.Helper()
	root, err := sql.Open("mysql", db.DSN(""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	root.SetMaxOpenConns(1)
	for _, text := range []string{
		"CREATE DATABASE elsewhere", "ALTER TABLE mems.doctors ADD COLUMN by_hand INT NOT NULL DEFAULT 7", // no default database
		"USE elsewhere", "ALTER TABLE mems.rooms ADD COLUMN by_hand INT NULL",
		"USE mems", "CREATE TABLE elsewhere.notes (id INT PRIMARY KEY)", "ALTER TABLE mems.patients ADD COLUMN by_hand INT NULL",
		"ALTER TABLE appointments ADD COLUMN by_hand INT NULL", "GRANT SELECT ON mems.doctors TO 'mems_app'@'%'",
		"UPDATE mems.patients SET by_hand = id",
	} {
		if _, err := root.ExecContext(t.Context(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}
