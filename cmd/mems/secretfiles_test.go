package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writeSecret writes a file that ends in a newline, like an editor.
func writeSecret(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(content+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const (
	someURL  = "mysql://mems_app:hush@db/mems"
	someKeys = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
)

// A secret is read from a file as from the variable.
func TestSecretFiles(t *testing.T) {
	t.Parallel()
	c, err := readConfig([]string{
		"MEMS_DATABASE_URL_FILE=" + writeSecret(t, someURL),
		"MEMS_AUDIT_KEYS_FILE=" + writeSecret(t, someKeys),
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.DatabaseURL != someURL || len(c.macKeys()) != 1 {
		t.Errorf("readConfig: URL %q and %d keys, want %q and 1", c.DatabaseURL, len(c.macKeys()), someURL)
	}
}

// A file that cannot be used stops the start: without a database URL, MEMS would serve an
// empty private database instead of the clinic's. Its contents are not printed.
func TestSecretFilesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		environ []string
		says    string
	}{
		"missing": {[]string{"MEMS_DATABASE_URL_FILE=" + filepath.Join(t.TempDir(), "none")}, "MEMS_DATABASE_URL_FILE: open"},
		"empty":   {[]string{"MEMS_DATABASE_URL_FILE=" + writeSecret(t, "")}, "is empty"},
		"both":    {[]string{"MEMS_DATABASE_URL=" + someURL, "MEMS_DATABASE_URL_FILE=" + writeSecret(t, someURL)}, "both set"},
		"bad":     {[]string{"MEMS_AUDIT_KEYS_FILE=" + writeSecret(t, "hush")}, "MEMS_AUDIT_KEYS: invalid value"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := readConfig(test.environ)
			if err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "hush") {
				t.Errorf("error %v, want %q", err, test.says)
			}
		})
	}
}

// Secret files that every user can read cause a warning; files for owner and group do not.
func TestReadersOfSecretsAreToldOf(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	url := file("app-url", "nobody@unix(/nowhere)/mems", 0o640)
	setsNone := file("mems.env", "MEMS_AUTH=required\n", 0o644)
	if _, said := runMEMS(t, []string{"keys", "list"}, "MEMS_SERVICE_DIR="+dir); contains(said, "can read") {
		t.Errorf("%s has no secrets: mems keys list, want no warning:\n%s", setsNone, said)
	}
	keys := file("audit-keys", someKeys, 0o644)
	env := file("mems.env", "MEMS_DATABASE_URL=nobody@unix(/nowhere)/mems\n", 0o604)
	_, said := runMEMS(t, []string{"keys", "list"}, "MEMS_SERVICE_DIR="+dir)
	if !contains(said, "can read "+keys, "can read "+env) || contains(said, "can read "+url) {
		t.Errorf("mems keys list, want warnings about %s and %s, none about %s:\n%s", keys, env, url, said)
	}
	identity := file("key.txt", "none", 0o644)
	if _, said := runMEMS(t, []string{"restore", "--identity", identity, url}, "MEMS_DATABASE_URL="+someURL); !contains(said, "can read "+identity) {
		t.Errorf("mems restore, want a warning about %s:\n%s", identity, said)
	}
}
