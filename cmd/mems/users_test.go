package main

import (
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mems/internal/contracttest"
)

// Runs the steps of .deploy on a separate server: the script creates the migration user,
// who migrates, then the users that serve and make backups. Repeating it changes the
// passwords.
func TestUsersScript(t *testing.T) {
	t.Parallel()

	db := durableServer(t)
	// As in compose.yaml: MySQL writes a binary log, and MariaDB may.
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
			t.Fatalf("users.sh migrate: %v, want no error:\n%s", err, said)
		}
		if said, err := script("app"); generation == 1 && (err == nil || !contains(said, "mems migrate up") || contains(said, "1146")) {
			t.Errorf("users.sh app before the first migration: %v, want an error that names mems migrate up:\n%s",
				err, said)
		}
		if code, said := runMEMS(t, []string{"migrate", "up"}, asUser(generation, "migrate")); code != exitOK {
			t.Fatalf("mems migrate up: exit %d, want %d:\n%s", code, exitOK, said)
		}
		if said, err := script("app", "backup"); err != nil {
			t.Fatalf("users.sh app backup: %v, want no error:\n%s", err, said)
		}
	}
	install(1)
	p := startMEMS(t, asUser(1, "app"))
	contracttest.New(t, p.URL).Post("/patients", map[string]any{"first_name": "P", "last_name": "Q"}).Want(t, http.StatusCreated, "")
	if code, said := runMEMS(t, []string{"checksum"}, asUser(1, "backup")); code != exitOK {
		t.Errorf("mems checksum: exit %d, want %d:\n%s", code, exitOK, said)
	}
	if code, said := runMEMS(t, []string{"migrate", "down", "--yes"}, asUser(1, "app")); code != exitFailed {
		t.Errorf("mems migrate down --yes: exit %d, want %d:\n%s", code, exitFailed, said)
	}

	install(2)
	if code, said := runMEMS(t, []string{"keys", "list"}, asUser(2, "app")); code != exitOK {
		t.Errorf("mems keys list: exit %d, want %d:\n%s", code, exitOK, said)
	}
	if code, said := runMEMS(t, []string{"keys", "list"}, asUser(1, "app")); code != exitFailed {
		t.Errorf("mems keys list: exit %d, want %d:\n%s", code, exitFailed, said)
	}

	usersThatGoBefore(t, root, script, asUser(2, "app"))
	for _, name := range []string{"bogus", "../app", ""} {
		if said, err := script("app", name); err == nil || !strings.HasPrefix(said, "usage: ") {
			t.Errorf("users.sh app %q: %v, want an error and its usage:\n%s", name, err, said)
		}
	}
	if err := os.Rename(filepath.Join(secrets, "app-url"), filepath.Join(secrets, "away")); err != nil {
		t.Fatal(err)
	}
	if said, err := script("app"); err == nil || !strings.HasPrefix(said, "users.sh: ") || !contains(said, "app-url") {
		t.Errorf("users.sh app without app-url: %v, want an error that names the file:\n%s", err, said)
	}
	write("app", "mysql://mems_app:short'@db:3306/mems")
	if said, err := script("app"); err == nil || !contains(said, "app-url", "16 or more") {
		t.Errorf("users.sh app with a password that ends its quotes: %v, want an error:\n%s", err, said)
	}
	grantsElsewhere(t, root, db.Socket())
}

// usersThatGoBefore creates users that the database prefers to the script's: those of the
// same name for this host, as in grants.sql, and anonymous ones.
func usersThatGoBefore(t *testing.T, root *sql.DB, script func(...string) (string, error), app string) {
	t.Helper()
	must := func(statement string) {
		t.Helper()
		if _, err := root.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	must("CREATE USER 'mems_app'@'localhost' IDENTIFIED BY 'replace-this-2'")
	if code, said := runMEMS(t, []string{"keys", "list"}, app); code != exitFailed || !contains(said, "DROP USER 'mems_app'@'localhost'") {
		t.Errorf("mems keys list: exit %d, want %d and \"DROP USER 'mems_app'@'localhost'\" in the output:\n%s",
			code, exitFailed, said)
	}
	if said, err := script("app", "backup"); err == nil || !contains(said, "DROP USER 'mems_app'@'localhost'", "mems_backup is up to date") || contains(said, "mems_app is up to date") {
		t.Errorf("users.sh app backup beside a user for this host: %v, want an error that drops it, and mems_backup up to date:\n%s",
			err, said)
	}
	must("DROP USER 'mems_app'@'localhost'")
	must("CREATE USER 'mems_app'@'192.0.2.1' IDENTIFIED BY 'replace-this-2'")
	must("CREATE USER ''@'localhost'")
	if said, err := script("app"); err == nil || !contains(said, "DROP USER ''@'localhost'", "note: 'mems_app'@'192.0.2.1'") {
		t.Errorf("users.sh app beside an anonymous user: %v, want an error that drops it:\n%s", err, said)
	}
	must("DROP USER ''@'localhost'")
	if said, err := script("app"); err != nil || !contains(said, "mems_app is up to date") {
		t.Errorf("users.sh app with a user of another host: %v, want mems_app up to date:\n%s", err, said)
	}
}

// grantsElsewhere runs grants.sql for a database with another name, as db/README.md says,
// before and after the migration, and checks that its users work there and not in the first
// database.
func grantsElsewhere(t *testing.T, root *sql.DB, socket string) {
	t.Helper()
	readme, err := os.ReadFile("../../db/README.md")
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile(`(?m)^sed .* grants\.sql > clinic\.sql$`).FindString(string(readme))
	if command == "" {
		t.Fatal("db/README.md has no command for a database of another name, want one")
	}
	edit := exec.CommandContext(t.Context(), "bash", "-c", strings.ReplaceAll(command, "clinic.sql", "/dev/stdout"))
	edit.Dir = "../../db"
	grants, err := edit.Output()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := root.Exec("CREATE DATABASE clinic CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"); err != nil {
		t.Fatal(err)
	}
	statements := regexp.MustCompile(`(?m)^(CREATE|GRANT) .*;$`).FindAllString(string(grants), -1)
	for _, statement := range statements {
		_, _ = root.Exec(statement) // like --force: the tables do not exist yet
	}
	url := func(user string, n int) string {
		return fmt.Sprintf("MEMS_DATABASE_URL=%s:replace-this-%d@unix(%s)/clinic", user, n, socket)
	}
	if code, said := runMEMS(t, []string{"migrate", "up"}, url("clinic_migrate", 1)); code != exitOK {
		t.Fatalf("mems migrate up: exit %d, want %d:\n%s", code, exitOK, said)
	}
	for _, statement := range statements {
		if _, err := root.Exec(statement); err != nil {
			t.Errorf("%s: %v, want no error", statement, err)
		}
	}
	if code, said := runMEMS(t, []string{"keys", "create", "--role", "admin", "first"}, url("clinic_app", 2)); code != exitOK {
		t.Errorf("mems keys create --role admin first: exit %d, want %d:\n%s", code, exitOK, said)
	}
	if code, said := runMEMS(t, []string{"checksum"}, url("clinic_backup", 3)); code != exitOK {
		t.Errorf("mems checksum: exit %d, want %d:\n%s", code, exitOK, said)
	}
	first := strings.TrimSuffix(url("clinic_app", 2), "/clinic") + "/mems"
	if code, said := runMEMS(t, []string{"keys", "list"}, first); code != exitFailed || !contains(said, "1044") {
		t.Errorf("a second clinic's user may read the first one's database: mems keys list: exit %d, want %d"+
			" and \"1044\" in the output:\n%s",
			code, exitFailed, said)
	}
	var shared int
	err = root.QueryRow("SELECT COUNT(*) FROM mysql.user WHERE User LIKE 'mems%' AND Host = 'localhost'").Scan(&shared)
	if err != nil || shared != 0 {
		t.Errorf("%d users of the first clinic's names exist (%v), want none", shared, err)
	}
}
