package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"mems/internal/storetest"
)

// writeIdentity makes a key pair, as age-keygen does.
func writeIdentity(t *testing.T) (file, public string) {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	public = identity.Recipient().String()
	return writeSecret(t, "# public key: "+public+"\n"+identity.String()+"\n"), public
}

// An encrypted backup shows nothing, is restored with the private key alone, and its
// signature inside counts as ever.
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
	if code, output := runMEMS(t, []string{"backup", file}, from, keys, "MEMS_BACKUP_ENCRYPT_TO="+public); code != exitOK {
		t.Fatalf("%d %s", code, output)
	}
	content, err := os.ReadFile(file)
	if err != nil || !bytes.HasPrefix(content, []byte("age-encryption.org/v1\n")) {
		t.Fatalf("not encrypted: %v %.30q", err, content)
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
		"another":      {[]string{"--identity", stranger, file}, keys, "encrypted to another key"},
		"not there":    {[]string{"--identity", "/nowhere/key.txt", file}, keys, "/nowhere/key.txt"},
		"no identity":  {[]string{"--identity", writeSecret(t, public), file}, keys, "holds no identity"},
		"other signer": {[]string{"--identity", private, file}, otherKeys, "signature"},
		"damaged":      {[]string{"--identity", private, damaged}, keys, "damaged"},
	} {
		code, output := runMEMS(t, append([]string{"restore", "--without-revocations"}, c.args...), into, c.key)
		if code != exitFailed || !strings.Contains(output, c.want) {
			t.Errorf("%s: %d %s", name, code, output)
		}
	}
	if code, output := runMEMS(t, []string{"restore", "--identity", private, file}, into, keys); code != exitOK {
		t.Fatalf("%d %s", code, output)
	}
	_, original := runMEMS(t, []string{"checksum"}, from)
	if _, copied := runMEMS(t, []string{"checksum"}, into); copied != original || !strings.Contains(original, "doctors") {
		t.Errorf("original:\n%s\nrestored:\n%s", original, copied)
	}

	// A flag wins over the setting, and takes a file too.
	both := filepath.Join(t.TempDir(), "both.age")
	list := writeSecret(t, "# one of the clinic, one of the vault\n"+public+"\n"+second+"\n")
	if code, output := runMEMS(t, []string{"backup", "--encrypt-to", "@" + list, both}, from, "MEMS_BACKUP_ENCRYPT_TO="+public); code != exitOK {
		t.Fatalf("%d %s", code, output)
	}
	if code, output := runMEMS(t, []string{"restore", "--without-revocations", "--identity", stranger, both}, "MEMS_DATABASE_URL="+storetest.Empty(t).DSN); code != exitOK {
		t.Errorf("%d %s", code, output)
	}
	if code, output := runMEMS(t, []string{"backup", "--encrypt-to", "age1nonsense", both + "2"}, from); code != exitFailed || !strings.Contains(output, "age-keygen") {
		t.Errorf("%d %s", code, output)
	}
}

// A backup replaces no file but with --replace, and a copy is no exception; what
// fails is told by the exit status, and nothing half is left.
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
	if code, output := runMEMS(t, []string{"backup", file}, url); code != exitFailed || !contains(output, file, "is there already", "--replace") || read(file) != "precious" {
		t.Errorf("%d %s", code, output)
	}
	// It may come while the backup is written.
	if err := place(writeSecret(t, "new"), file, false); err == nil || read(file) != "precious" {
		t.Errorf("%v", err)
	}
	if code, output := runMEMS(t, []string{"backup", "--replace", file}, url, "MEMS_BACKUP_COPY_DIR="+elsewhere); code != exitOK || read(file) == "precious" {
		t.Errorf("%d %s", code, output)
	}
	for _, name := range []string{"mems.gz", "mems-revocations.gz"} {
		if read(filepath.Join(elsewhere, name)) != read(filepath.Join(dir, name)) {
			t.Errorf("the copy of %s differs", name)
		}
	}
	second := filepath.Join(dir, "second.gz")
	if err := os.WriteFile(filepath.Join(elsewhere, "second.gz"), []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, output := runMEMS(t, []string{"backup", second}, url, "MEMS_BACKUP_COPY_DIR="+elsewhere); code != exitFailed || !contains(output, "its copy is not", "is there already") || read(filepath.Join(elsewhere, "second.gz")) != "precious" {
		t.Errorf("%d %s", code, output)
	}
	// A share that is not mounted.
	third, missing := filepath.Join(dir, "third.gz"), "MEMS_BACKUP_COPY_DIR="+filepath.Join(elsewhere, "missing")
	if code, output := runMEMS(t, []string{"backup", third}, url, missing); code != exitFailed || !contains(output, third+" is complete", "MEMS_BACKUP_COPY_DIR") {
		t.Errorf("%d %s", code, output)
	}
	if code, output := runMEMS(t, []string{"revocations", filepath.Join(dir, "mems-revocations.gz")}, url, missing); code != exitFailed || !strings.Contains(output, "MEMS_BACKUP_COPY_DIR") {
		t.Errorf("%d %s", code, output)
	}
	for folder, want := range map[string]int{dir: 6, elsewhere: 3} { // nothing temporary, two marks of missing copies
		if entries, err := os.ReadDir(folder); err != nil || len(entries) != want {
			t.Errorf("%v, %v", entries, err)
		}
	}
}

// A copy that failed is made up for by the next backup; a mark tells which are missing.
func TestMissingCopiesAreMadeUpFor(t *testing.T) {
	t.Parallel()
	url := "MEMS_DATABASE_URL=" + storetest.New(t).DSN
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "share")
	copies := "MEMS_BACKUP_COPY_DIR=" + elsewhere
	for _, name := range []string{"first.gz", "gone.gz"} {
		if code, said := runMEMS(t, []string{"backup", filepath.Join(dir, name)}, url, copies); code != exitFailed {
			t.Fatalf("%d %s", code, said)
		}
	}
	if err := errors.Join(os.Remove(filepath.Join(dir, "gone.gz")), os.Mkdir(elsewhere, 0o700)); err != nil {
		t.Fatal(err)
	}
	code, said := runMEMS(t, []string{"backup", filepath.Join(dir, "second.gz")}, url, copies)
	if code != exitOK || !contains(said, "first.gz, which had no copy yet, has one now") {
		t.Errorf("%d %s", code, said)
	}
	for _, name := range []string{"first.gz", "second.gz"} {
		if !isSame(filepath.Join(dir, name), filepath.Join(elsewhere, name)) {
			t.Errorf("%s has no copy", name)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 3 { // and the list
		t.Errorf("%v %v", entries, err)
	}
}

// --binlog-position=auto notes the position where there is one; where not, it says so
// and makes the backup.
func TestBackupWithoutBinaryLog(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	url := "MEMS_DATABASE_URL=" + storetest.GrantBackup(t, d).DSN
	dir := t.TempDir()
	code, output := runMEMS(t, []string{"backup", "--binlog-position=auto", filepath.Join(dir, "auto.gz")}, url)
	noted, told := strings.Contains(output, "the binary log stood at"), strings.Contains(output, "no recovery to a point in time will start from this backup")
	if code != exitOK || noted == told {
		t.Errorf("%d %s", code, output)
	}
	if code, output := runMEMS(t, []string{"backup", "--binlog-position", filepath.Join(dir, "needed.gz")}, url); (code == exitOK) != noted {
		t.Errorf("%d %s", code, output)
	}
	if code, output := runMEMS(t, []string{"backup", "--binlog-position=perhaps", filepath.Join(dir, "no.gz")}, url); code != exitUsage || !strings.Contains(output, "auto") {
		t.Errorf("%d %s", code, output)
	}
}
