package storetest

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"
)

// Grant creates the users of db/grants.sql for this test's database alone and returns the
// database as seen by the application's user.
func Grant(t testing.TB, d *Database) *Database {
	t.Helper()
	return grant(t, d, "app_", "replace-this-2")
}

// GrantBackup is like Grant, for the user that makes backups.
func GrantBackup(t testing.TB, d *Database) *Database {
	t.Helper()
	return grant(t, d, "backup_", "replace-this-3")
}

func grant(t testing.TB, d *Database, user, password string) *Database {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	text, err := os.ReadFile(filepath.Join(filepath.Dir(here), "..", "..", "db", "grants.sql"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := mysql.ParseDSN(d.DSN)
	if err != nil {
		t.Fatal(err)
	}
	suffix := randomHex()
	host := "localhost"
	if config.Net == "tcp" {
		host = "%" // a server in a container sees our connections come from elsewhere
	}
	script := strings.NewReplacer(
		"mems_migrate", "migrate_"+suffix, "mems_app", "app_"+suffix, "mems_backup", "backup_"+suffix, "ON mems.", "ON "+config.DBName+".", "'localhost'", "'"+host+"'",
	).Replace(string(text))
	var lines []string
	for line := range strings.Lines(script) {
		if !strings.HasPrefix(line, "--") {
			lines = append(lines, line)
		}
	}
	for statement := range strings.SplitSeq(strings.Join(lines, ""), ";") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := d.DB.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	t.Cleanup(func() {
		for _, user := range []string{"migrate_", "app_", "backup_"} {
			if _, err := d.DB.ExecContext(context.WithoutCancel(t.Context()), "DROP USER '"+user+suffix+"'@'"+host+"'"); err != nil {
				t.Logf("drop user: %v", err)
			}
		}
	})
	config.User, config.Passwd = user+suffix, password
	db, err := sqlx.Connect("mysql", config.FormatDSN())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return &Database{DSN: config.FormatDSN(), DB: db, Server: d.Server}
}
