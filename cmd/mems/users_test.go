package main

import (
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"mems/internal/contracttest"
)

// The steps of .deploy, on a server of their own: the script makes a user, who
// migrates, then it makes those who serve and make backups. Running it again takes
// over new passwords.
func TestUsersScript(t *testing.T) {
	t.Parallel()

	db := durableServer(t)
	// As compose.yaml does: MySQL writes a binary log, and MariaDB may.
	root, err := sql.Open("mysql", db.DSN(""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	if _, err := root.Exec("SET GLOBAL log_bin_trust_function_creators = 1"); err != nil {
		t.Fatal(err)
	}
	secrets := t.TempDir()
	password := func(generation int, name string) string { return fmt.Sprintf("%s%dabcdefghijklmnop", name, generation) }
	write := func(name, url string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(secrets, name+"-url"), []byte(url+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script := func(names ...string) (string, error) {
		c := exec.CommandContext(t.Context(), "bash", append([]string{"../../.deploy/users.sh"}, names...)...)
		c.Env = append(os.Environ(), "SECRETS="+secrets, "GRANTS=../../db/grants.sql", "DB_SOCKET="+db.Socket())
		said, err := c.CombinedOutput()
		return string(said), err
	}
	asUser := func(generation int, name string) string {
		return fmt.Sprintf("MEMS_DATABASE_URL=mems_%s:%s@unix(%s)/mems", name, password(generation, name), db.Socket())
	}
	install := func(generation int) {
		t.Helper()
		for _, name := range []string{"migrate", "app", "backup"} {
			write(name, fmt.Sprintf("mysql://mems_%s:%s@db:3306/mems", name, password(generation, name)))
		}
		if said, err := script("migrate"); err != nil {
			t.Fatal(err, said)
		}
		if said, err := script("app"); generation == 1 && (err == nil || !contains(said, "mems migrate up") || contains(said, "1146")) {
			t.Errorf("before the first migration: %v %s", err, said)
		}
		if code, said := runMEMS(t, []string{"migrate", "up"}, asUser(generation, "migrate")); code != exitOK {
			t.Fatal(said)
		}
		if said, err := script("app", "backup"); err != nil {
			t.Fatal(err, said)
		}
	}
	install(1)
	p := startMEMS(t, asUser(1, "app"))
	contracttest.New(t, p.URL).Post("/patients", map[string]any{"first_name": "P", "last_name": "Q"}).Want(t, http.StatusCreated, "")
	if code, said := runMEMS(t, []string{"checksum"}, asUser(1, "backup")); code != exitOK {
		t.Error(said)
	}
	if code, said := runMEMS(t, []string{"migrate", "down", "--yes"}, asUser(1, "app")); code != exitFailed {
		t.Errorf("the user who serves can change the schema: %s", said)
	}

	install(2)
	if code, said := runMEMS(t, []string{"keys", "list"}, asUser(2, "app")); code != exitOK {
		t.Error(said)
	}
	if code, said := runMEMS(t, []string{"keys", "list"}, asUser(1, "app")); code != exitFailed {
		t.Errorf("the old password is still good: %s", said)
	}

	write("app", "mysql://mems_app:short'@db:3306/mems")
	if said, err := script("app"); err == nil || !contains(said, "app-url", "16 or more") {
		t.Errorf("%v: a password that could end its quotes is taken: %s", err, said)
	}
}
