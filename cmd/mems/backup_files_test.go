package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"mems/internal/storetest"
)

// writeIdentity creates a key pair, like age-keygen.
func writeIdentity(t *testing.T) (file, public string) {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	public = identity.Recipient().String()
	return writeSecret(t, "# public key: "+public+"\n"+identity.String()+"\n"), public
}

// An encrypted backup reveals nothing, is restored only with the private key, and its
// signature inside is checked as usual.
func TestEncryptedBackup(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	if _, err := d.DB.Exec(`INSERT INTO doctors (full_name, specialization, created_at, updated_at) VALUES ('Dr. Sealed', 'Any', '2026-01-01', '2026-01-01')`); err != nil {
		t.Fatal(err)
	}
	const keys = "MEMS_AUDIT_KEYS=" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
	const otherKeys = "MEMS_AUDIT_KEYS=" + "OTg3NjU0MzIxMDk4NzY1NDMyMTA5ODc2NTQzMjEwOTg="
	from := "MEMS_DATABASE_URL=" + d.DSN
	private, public := writeIdentity(t)
	stranger, second := writeIdentity(t)
	file := filepath.Join(t.TempDir(), "mems.gz.age")
	if code, output := runMEMS(t, []string{"backup", file}, from, keys, "MEMS_BACKUP_ENCRYPT_TO="+public); code != exitOK || !contains(output, "encrypted to "+public[:12]+"...") || contains(output, "the backup is") {
		t.Fatalf("mems backup ...: exit %d, want %d and %q in the output, without \"the backup is\":\n%s",
			code, exitOK, "encrypted to "+public[:12]+"...", output)
	}
	content, err := os.ReadFile(file)
	if err != nil || !bytes.HasPrefix(content, []byte("age-encryption.org/v1\n")) {
		t.Fatalf("backup begins with %.30q (%v), want an age file", content, err)
	}
	damaged := filepath.Join(t.TempDir(), "damaged")
	if err := os.WriteFile(damaged, content[:len(content)-30], 0o600); err != nil {
		t.Fatal(err)
	}
	untouched := storetest.Empty(t)
	into := "MEMS_DATABASE_URL=" + untouched.DSN
	for name, c := range map[string]struct {
		args []string
		key  string
		want string
	}{
		"none":         {[]string{file}, keys, "--identity key.txt"},
		"another":      {[]string{"--identity", stranger, file}, keys, "encrypted to a different key"},
		"not there":    {[]string{"--identity", "/nowhere/key.txt", file}, keys, "/nowhere/key.txt"},
		"no identity":  {[]string{"--identity", writeSecret(t, public), file}, keys, "has no private key"},
		"other signer": {[]string{"--identity", private, file}, otherKeys, "signature"},
		"damaged":      {[]string{"--identity", private, damaged}, keys, "damaged"},
	} {
		code, output := runMEMS(t, append([]string{"restore", "--without-revocations"}, c.args...), into, c.key)
		if code != exitFailed || !strings.Contains(output, c.want) {
			t.Errorf("%s: mems %q: exit %d, want %d and %q in the output:\n%s",
				name, append([]string{"restore", "--without-revocations"}, c.args...), code, exitFailed, c.want, output)
		}
	}
	if code, output := runMEMS(t, []string{"restore", "--identity", private, file}, into, keys); code != exitOK {
		t.Fatalf("mems restore --identity ...: exit %d, want %d:\n%s", code, exitOK, output)
	}
	_, original := runMEMS(t, []string{"checksum"}, from)
	if _, copied := runMEMS(t, []string{"checksum"}, into); copied != original || !strings.Contains(original, "doctors") {
		t.Errorf("checksums after the restore:\n%s\nwant those of the original, doctors among them:\n%s",
			copied, original)
	}

	// The flag takes precedence over the setting, and also accepts a file.
	both := filepath.Join(t.TempDir(), "both.age")
	list := writeSecret(t, "# one of the clinic, one of the vault\n"+public+"\n"+second+"\n")
	if code, output := runMEMS(t, []string{"backup", "--encrypt-to", "@" + list, both}, from, "MEMS_BACKUP_ENCRYPT_TO="+public); code != exitOK {
		t.Fatalf("mems backup --encrypt-to ...: exit %d, want %d:\n%s", code, exitOK, output)
	}
	if code, output := runMEMS(t, []string{"restore", "--without-revocations", "--identity", stranger, both}, "MEMS_DATABASE_URL="+storetest.Empty(t).DSN); code != exitOK {
		t.Errorf("mems restore --without-revocations --identity ...: exit %d, want %d:\n%s",
			code, exitOK, output)
	}
	if code, output := runMEMS(t, []string{"backup", "--encrypt-to", "age1nonsense", both + "2"}, from); code != exitFailed || !strings.Contains(output, "age-keygen") {
		t.Errorf("mems backup --encrypt-to age1nonsense ...: exit %d, want %d and \"age-keygen\" in the output:\n%s",
			code, exitFailed, output)
	}
}

// A backup replaces a file only with --replace, and so does a copy; failures set the exit
// status, and nothing partial is left.
func TestBackupReplacesNothing(t *testing.T) {
	t.Parallel()
	url := "MEMS_DATABASE_URL=" + storetest.New(t).DSN
	dir, elsewhere := t.TempDir(), t.TempDir()
	file := filepath.Join(dir, "mems.gz")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	read := func(file string) string {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
		}
		return string(content)
	}
	if code, output := runMEMS(t, []string{"backup", file}, url); code != exitFailed || !contains(output, file, "already exists", "--replace") || read(file) != "precious" {
		t.Errorf("mems backup onto another file: exit %d, want %d, the file unchanged, and that it exists:\n%s",
			code, exitFailed, output)
	}
	// It may appear while the backup is being written.
	if err := place(writeSecret(t, "new"), file, false); err == nil || read(file) != "precious" {
		t.Errorf("place onto a file without replacing: %v, want an error and the file unchanged", err)
	}
	// --replace replaces backups only.
	copies := "MEMS_BACKUP_COPY_DIR=" + elsewhere
	if code, output := runMEMS(t, []string{"backup", "--replace", file}, url, copies); code != exitFailed || !contains(output, "is not a backup", "Nothing was written") || read(file) != "precious" {
		t.Errorf("mems backup --replace of a file that is no backup: exit %d, want %d and the file unchanged:\n%s",
			code, exitFailed, output)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if code, output := runMEMS(t, []string{"backup", file}, url, copies); code != exitOK {
		t.Fatalf("mems backup ...: exit %d, want %d:\n%s", code, exitOK, output)
	}
	before := read(file)
	time.Sleep(1100 * time.Millisecond) // backup times are whole seconds
	if code, output := runMEMS(t, []string{"backup", "--replace", file}, url, copies); code != exitOK || read(file) == before {
		t.Errorf("mems backup --replace of a backup: exit %d, want %d and another file:\n%s", code, exitOK, output)
	}
	list := revocationsBeside(file)
	renamed := filepath.Join(dir, "list.gz")
	if err := os.Link(list, renamed); err != nil {
		t.Fatal(err)
	}
	held := read(list)
	for _, target := range []string{list, renamed, file + notCopied, dir} {
		for _, args := range [][]string{{"backup", target}, {"backup", "--replace", target}} {
			if code, output := runMEMS(t, args, url, copies); code != exitFailed || read(list) != held {
				t.Errorf("mems %q: exit %d, want %d and the list of revocations unchanged:\n%s",
					args, code, exitFailed, output)
			}
		}
	}
	if err := os.Remove(renamed); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"mems.gz", "mems-revocations.gz"} {
		if read(filepath.Join(elsewhere, name)) != read(filepath.Join(dir, name)) {
			t.Errorf("the copy of %s differs from it, want the same bytes", name)
		}
	}
	second := filepath.Join(dir, "second.gz")
	if err := os.WriteFile(filepath.Join(elsewhere, "second.gz"), []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, output := runMEMS(t, []string{"backup", "--replace", second}, url, copies); code != exitFailed || !contains(output, "is not a backup", elsewhere) {
		t.Errorf("mems backup --replace ...: exit %d, want %d and \"is not a backup\", %q in the output:\n%s",
			code, exitFailed, elsewhere, output)
	}
	if code, output := runMEMS(t, []string{"backup", second}, url, copies); code != exitFailed || !contains(output, "copying it to MEMS_BACKUP_COPY_DIR failed", "already exists") || read(filepath.Join(elsewhere, "second.gz")) != "precious" {
		t.Errorf("mems backup with a foreign file in the place of its copy: exit %d, want %d and that file unchanged:\n%s",
			code, exitFailed, output)
	}
	// An unmounted share.
	third, missing := filepath.Join(dir, "third.gz"), "MEMS_BACKUP_COPY_DIR="+filepath.Join(elsewhere, "missing")
	if code, output := runMEMS(t, []string{"backup", third}, url, missing); code != exitFailed || !contains(output, third+" is complete", "MEMS_BACKUP_COPY_DIR") {
		t.Errorf("mems backup ...: exit %d, want %d and %q, \"MEMS_BACKUP_COPY_DIR\" in the output:\n%s",
			code, exitFailed, third+" is complete", output)
	}
	if code, output := runMEMS(t, []string{"revocations", filepath.Join(dir, "mems-revocations.gz")}, url, missing); code != exitFailed || !strings.Contains(output, "MEMS_BACKUP_COPY_DIR") {
		t.Errorf("mems revocations ...: exit %d, want %d and \"MEMS_BACKUP_COPY_DIR\" in the output:\n%s",
			code, exitFailed, output)
	}
	for folder, want := range map[string]int{dir: 6, elsewhere: 3} { // no temporary file, two marks of missing copies
		if entries, err := os.ReadDir(folder); err != nil || len(entries) != want {
			t.Errorf("files = %v (%v), want %d", entries, err, want)
		}
	}
}

// A failed copy is made by the next backup; marks tell which are missing.
func TestMissingCopiesAreMadeUpFor(t *testing.T) {
	t.Parallel()
	url := "MEMS_DATABASE_URL=" + storetest.New(t).DSN
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "share")
	copies := "MEMS_BACKUP_COPY_DIR=" + elsewhere
	for _, name := range []string{"first.gz", "gone.gz"} {
		if code, said := runMEMS(t, []string{"backup", filepath.Join(dir, name)}, url, copies); code != exitFailed {
			t.Fatalf("mems backup ...: exit %d, want %d:\n%s", code, exitFailed, said)
		}
	}
	if err := errors.Join(os.Remove(filepath.Join(dir, "gone.gz")), os.Mkdir(elsewhere, 0o700)); err != nil {
		t.Fatal(err)
	}
	code, said := runMEMS(t, []string{"backup", filepath.Join(dir, "second.gz")}, url, copies)
	if code != exitOK || !contains(said, "first.gz, whose earlier copy had failed") {
		t.Errorf("mems backup ...: exit %d, want %d and \"first.gz, whose earlier copy had failed\" in the output:\n%s",
			code, exitOK, said)
	}
	for _, name := range []string{"first.gz", "second.gz"} {
		if !isSame(filepath.Join(dir, name), filepath.Join(elsewhere, name)) {
			t.Errorf("%s has no equal copy in the copy directory, want one", name)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 3 { // and the list of revocations
		t.Errorf("files = %v (%v), want 3", entries, err)
	}
}

// --binlog-position=auto records the position if there is one; otherwise the backup is made
// and says so.
func TestBackupWithoutBinaryLog(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	url := "MEMS_DATABASE_URL=" + storetest.GrantBackup(t, d).DSN
	dir := t.TempDir()
	code, output := runMEMS(t, []string{"backup", "--binlog-position=auto", filepath.Join(dir, "auto.gz")}, url)
	noted, told := strings.Contains(output, "binary log position"), strings.Contains(output, "point-in-time recovery from this backup will not be possible")
	if code != exitOK || noted == told {
		t.Errorf("mems backup --binlog-position=auto: exit %d, want %d, and the position noted (%t) or its absence told (%t):\n%s",
			code, exitOK, noted, told, output)
	}
	if code, output := runMEMS(t, []string{"backup", "--binlog-position", filepath.Join(dir, "needed.gz")}, url); (code == exitOK) != noted {
		t.Errorf("mems backup --binlog-position: exit %d, want success: %t\n%s", code, noted, output)
	}
	if code, output := runMEMS(t, []string{"backup", "--binlog-position=perhaps", filepath.Join(dir, "no.gz")}, url); code != exitUsage || !strings.Contains(output, "auto") {
		t.Errorf("mems backup --binlog-position=perhaps ...: exit %d, want %d and \"auto\" in the output:\n%s",
			code, exitUsage, output)
	}
}

// A flag with an empty value, as from an unset variable, is rejected: the backup would not
// be encrypted, or the command would do something else than intended.
func TestEmptyFlagsAreRefused(t *testing.T) {
	t.Parallel()
	_, public := writeIdentity(t)
	file := filepath.Join(t.TempDir(), "mems.gz")
	for _, args := range [][]string{
		{"backup", "--encrypt-to", "", file},
		{"backup", "--encrypt-to=", file},
		{"backup", "--backup-encrypt-to", "", file},
		{"backup", "--backup-copy-dir=", file},
		{"backup", "--binlog-position=", file},
		{"backup", ""},
		{"restore", "--identity", "", file},
		{"restore", "--old-database", "", file},
		{"restore", "--revocations", "", file},
		{"replay", "--log", "", "--until", "2027-03-01T12:00:00Z", file},
		{"replay", "--log", "x", "--until", "", file},
		{"replay", "--log", "x", "--until", "2027-03-01T12:00:00Z", "--identity=", file},
		{"audit", "verify", "--anchor", ""},
		{"conformance", "--url", "http://127.0.0.1:1", "--key", ""},
		{"keys", "create", "--role", "", "x"},
	} {
		code, said := runMEMS(t, args, "MEMS_DATABASE_URL=nobody@unix(/nowhere)/mems", "MEMS_BACKUP_ENCRYPT_TO="+public)
		if code != exitUsage {
			t.Errorf("mems %q: exit %d, want %d:\n%s", args, code, exitUsage, said)
		}
	}
	// An empty variable counts as unset: the service's own settings apply.
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mems.env"), []byte("MEMS_BACKUP_ENCRYPT_TO="+public+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	all, _, err := withService("backup", []string{"MEMS_SERVICE_DIR=" + dir, "MEMS_BACKUP_ENCRYPT_TO="})
	if c, faults := readConfig(all); err != nil || faults != nil || c.BackupEncryptTo != public {
		t.Errorf("readConfig: BackupEncryptTo %q, %v, %v; want %q", c.BackupEncryptTo, err, faults, public)
	}
}

// The example key of age's documentation is rejected.
func TestExampleKeyIsRefused(t *testing.T) {
	t.Parallel()
	const example = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
	_, public := writeIdentity(t)
	nowhere, file := "MEMS_DATABASE_URL=nobody@unix(/nowhere)/mems", filepath.Join(t.TempDir(), "mems.gz")
	for _, keys := range []string{example, public + "," + example, "@" + writeSecret(t, public+"\n"+example+"\n")} {
		for code, c := range map[int][2]string{exitFailed: {"--encrypt-to=" + keys, ""}, exitConfig: {"--replace", keys}} {
			if c[1] != "" && keys[0] == '@' {
				code = exitFailed // read when needed
			}
			if got, said := runMEMS(t, []string{"backup", c[0], file}, nowhere, "MEMS_BACKUP_ENCRYPT_TO="+c[1]); got != code || !contains(said, "documentation of age", "age-keygen") {
				t.Errorf("%q: mems backup ...: exit %d, want %d and \"documentation of age\", \"age-keygen\" in the output:\n%s",
					c, got, code, said)
			}
		}
	}
	if code, said := runMEMS(t, []string{"backup", file}, nowhere, "MEMS_BACKUP_ENCRYPT_TO=age1nonsense"); code != exitConfig || !contains(said, "=age1...\n") {
		t.Errorf("mems backup ...: exit %d, want %d and \"=age1...\\n\" in the output:\n%s",
			code, exitConfig, said)
	}
}

// An unsigned backup says so. Beside a service whose keys are missing, no backup is made if
// the trail was written with one.
func TestUnsignedBackupSaysSo(t *testing.T) {
	t.Parallel()
	d, dir := storetest.New(t), t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "mems.env"), nil, 0o600),
		os.WriteFile(filepath.Join(dir, "backup-url"), []byte(storetest.GrantBackup(t, d).DSN), 0o600)); err != nil {
		t.Fatal(err)
	}
	service := "MEMS_SERVICE_DIR=" + dir
	named, keys, otherKeys := "MEMS_DATABASE_URL="+d.DSN, "MEMS_AUDIT_KEYS="+someKeys, "MEMS_AUDIT_KEYS="+"OTg3NjU0MzIxMDk4NzY1NDMyMTA5ODc2NTQzMjEwOTg="
	made := 0
	backup := func(want int, words string, env ...string) {
		t.Helper()
		made++
		file := filepath.Join(dir, fmt.Sprintf("mems-%d.gz", made))
		code, said := runMEMS(t, []string{"backup", file}, env...)
		if _, err := os.Stat(file); code != want || !contains(said, words) || (err == nil) != (want == exitOK) || words == "" && contains(said, "the backup is") {
			t.Errorf("mems backup with %v: exit %d, want %d and %q in the output:\n%s", env, code, want, words, said)
		}
	}
	backup(exitOK, "NOT signed", service)
	if code, said := runMEMS(t, []string{"zone", "set", "Europe/Zurich"}, named, keys); code != exitOK {
		t.Fatalf("mems zone set Europe/Zurich: exit %d, want %d:\n%s", code, exitOK, said)
	}
	backup(exitConfig, "audit-keys", service)
	backup(exitConfig, "audit-keys", service, otherKeys)
	backup(exitOK, "", service, keys)
	backup(exitOK, "NOT signed", named)
	backup(exitOK, ", not encrypted", named, keys)
	if err := os.Remove(filepath.Join(dir, revocationsName)); err != nil { // signed with the right key
		t.Fatal(err)
	}
	backup(exitOK, "a key that is not in MEMS_AUDIT_KEYS", named, otherKeys)
}
