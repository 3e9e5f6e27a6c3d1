// Package storetest provides each test with a fresh, migrated database on a real server.
//
// The server is that of MEMS_TEST_DATABASE_URL ("make test" starts one and sets it);
// without it, each test process starts a private one. Tests cannot be skipped: without a
// database they fail.
package storetest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"

	"mems/internal/database"
	"mems/internal/localdb"
	"mems/internal/store"
)

// Database is a test's private database.
type Database struct {
	DSN    string   // for store.Open and for server processes
	DB     *sqlx.DB // raw connections, like a rogue script's
	Server string   // the result of SELECT VERSION()
}

// New creates a migrated database that is dropped when the test ends. The first one of the
// process is migrated; later ones are copies of its initial state.
func New(t testing.TB) *Database {
	t.Helper()
	d := Empty(t)
	migrated := false
	template.once.Do(func() {
		migrated = true
		d.Migrate(t)
		template.statements, template.err = readTemplate(t.Context(), d.DB)
	})
	if template.err != nil || template.statements == nil {
		t.Fatalf("the first migrated database could not be read: %v", template.err)
	}
	if migrated {
		return d
	}
	if err := writeTemplate(t.Context(), d.DSN, template.statements); err != nil {
		t.Fatalf("copy the first migrated database: %v", err)
	}
	return d
}

// Migrated is like New, for tests that compare schemas: MySQL shows the character set of
// copied columns where it does not show that of migrated ones.
func Migrated(t testing.TB) *Database {
	t.Helper()
	d := Empty(t)
	d.Migrate(t)
	return d
}

// OpenSchema opens the database's schema until the test ends.
func (d *Database) OpenSchema(t testing.TB) *database.Schema {
	t.Helper()
	schema, err := database.OpenSchema(d.DSN, store.RekeyPatients)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = schema.Close() })
	return schema
}

// Migrate runs all migrations.
func (d *Database) Migrate(t testing.TB) {
	t.Helper()
	schema := d.OpenSchema(t)
	defer func() { _ = schema.Close() }()
	if err := schema.Up(context.Background(), func(database.Migration) {}); err != nil {
		t.Fatalf("migrate the test's database: %v", err)
	}
}

// Empty creates an empty database that is dropped when the test ends.
func Empty(t testing.TB) *Database {
	t.Helper()
	return OnServer(t, serverDSN(t))
}

// OnServer is like Empty, on the server that dsn names, whose database name is ignored.
func OnServer(t testing.TB, dsn string) *Database {
	t.Helper()
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatalf("MEMS_TEST_DATABASE_URL: %v", err)
	}
	config.ParseTime, config.Loc, config.DBName = true, time.UTC, ""
	admin, err := sqlx.Connect("mysql", config.FormatDSN())
	if err != nil {
		t.Fatalf("connect to the test server: %v", err)
	}
	name := "mems_test_" + randomHex()
	if _, err := admin.ExecContext(t.Context(), "CREATE DATABASE "+name+" CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"); err != nil {
		t.Fatalf("create the test's database: %v", err)
	}
	config.DBName = name
	raw, err := sqlx.Connect("mysql", config.FormatDSN())
	if err != nil {
		t.Fatal(err)
	}
	d := &Database{DSN: config.FormatDSN(), DB: raw}
	if err := raw.Get(&d.Server, "SELECT VERSION()"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = raw.Close()
		if _, err := admin.ExecContext(context.WithoutCancel(t.Context()), "DROP DATABASE "+name); err != nil {
			t.Logf("drop the test's database: %v", err)
		}
		_ = admin.Close()
	})
	return d
}

// Open opens a store with a separate pool, like another server process, whose transactions
// fail the test if they leave the lock order. A nil clock is the real one, a nil zone UTC.
func (d *Database) Open(t testing.TB, now func() time.Time, zone *time.Location) *store.Store {
	t.Helper()
	if now == nil {
		now = time.Now
	}
	if zone == nil {
		zone = time.UTC
	}
	s, err := store.Open(store.Config{DSN: d.DSN, Now: now, Zone: zone, Log: slog.New(slog.DiscardHandler), OpenDB: lockOrder{t: t}.open, Batches: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// WaitForStatements waits until n statements of other connections are running in the
// database and keep running for a while, which means that they wait for a lock. It does not
// read their text: a server cannot show every statement as text.
func (d *Database) WaitForStatements(t testing.TB, n int) {
	t.Helper()
	steady := 0
	for deadline := time.Now().Add(20 * time.Second); steady < 10; time.Sleep(5 * time.Millisecond) {
		var waiting int
		err := d.DB.Get(&waiting, `
			SELECT COUNT(*)
			FROM information_schema.processlist
			WHERE db = DATABASE() AND command = 'Query' AND id <> CONNECTION_ID()`)
		steady++
		// MySQL cannot list a statement that contains bytes that are not text (3854); it
		// ends soon, so try again.
		if err != nil || waiting < n {
			steady = 0
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d statements are under way, not %d: %v", waiting, n, err)
		}
	}
}

var server struct {
	once sync.Once
	dsn  string
	err  error
}

// serverDSN returns the server for this process, starting it if necessary. The
// operating system stops it when the process ends; its directory is then removed.
func serverDSN(t testing.TB) string {
	t.Helper()
	if dsn := os.Getenv("MEMS_TEST_DATABASE_URL"); dsn != "" {
		return dsn
	}
	server.once.Do(func() {
		var dir string
		if dir, server.err = localdb.ScratchDir(); server.err != nil {
			return
		}
		removeAfterProcess(t, dir)
		var s *localdb.Server
		s, server.err = localdb.Start(context.Background(), localdb.Options{
			Dir:     dir,
			Engine:  localdb.Engine(os.Getenv("MEMS_TEST_DATABASE_ENGINE")),
			Install: true,
			Log:     t.Logf,
		})
		if server.err == nil {
			server.dsn = s.DSN("")
		}
	})
	if server.err != nil {
		t.Fatalf("start a database for the tests: %v", server.err)
	}
	return server.dsn
}

func randomHex() string {
	b := make([]byte, 6)
	_, _ = rand.Read(b) // never returns an error
	return hex.EncodeToString(b)
}
