package localdb_test

import (
	"context"
	"database/sql"
	"os"
	"testing"
	"time"

	"mems/internal/localdb"
)

// TestMain lets the test binary act as an owner, which another test kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("MEMS_TEST_OWN"); dir != "" {
		own(dir)
		return
	}
	os.Exit(m.Run())
}

// own starts a server in dir, reports it, and waits to be killed.
func own(dir string) {
	s, err := localdb.Start(context.Background(), options(dir, func(string, ...any) {}))
	if err != nil {
		_, _ = os.Stdout.WriteString(err.Error() + "\n") // read in one piece by the test
		os.Exit(1)
	}
	_, _ = os.Stdout.WriteString("serving " + s.Version() + "\n")
	select {}
}

func options(dir string, log func(string, ...any)) localdb.Options {
	return localdb.Options{
		Dir: dir, Engine: engine(), Durable: true, Install: true, BufferPoolMB: 32, Log: log,
	}
}

// engine returns the engine under test, set by "make test" and "make test-mysql".
func engine() localdb.Engine {
	if e := os.Getenv("MEMS_TEST_DATABASE_ENGINE"); e != "" {
		return localdb.Engine(e)
	}
	return localdb.MariaDB
}

func start(t *testing.T, dir string) *localdb.Server {
	t.Helper()
	s, err := localdb.Start(t.Context(), options(dir, t.Logf))
	if err != nil {
		t.Fatal(err)
	}
	stopLater(t, s)
	return s
}

func stopLater(t *testing.T, s *localdb.Server) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
}

func connect(t *testing.T, s *localdb.Server) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", s.DSN("kept"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func must(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func count(t *testing.T, s *localdb.Server) int {
	t.Helper()
	var n int
	if err := connect(t, s).QueryRowContext(t.Context(), `SELECT COUNT(*) FROM kept.things`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func fill(t *testing.T, s *localdb.Server) {
	t.Helper()
	server, err := sql.Open("mysql", s.DSN(""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	must(t, server, `CREATE DATABASE kept`)
	must(t, server, `CREATE TABLE kept.things (id INT PRIMARY KEY)`)
	must(t, server, `INSERT INTO kept.things VALUES (1), (2)`)
}

func TestDataSurvive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, dir)
	if !first.Owned() || first.Engine() != engine() || first.Version() == "" {
		t.Fatalf("first start: owned %t, engine %q, version %q; want it owned, %q and a version",
			first.Owned(), first.Engine(), first.Version(), engine())
	}
	fill(t, first)

	t.Run("SecondAttaches", func(t *testing.T) {
		second := start(t, dir)
		if second.Owned() || second.Engine() != engine() {
			t.Errorf("second start: owned %t, engine %q; want it attached, %q",
				second.Owned(), second.Engine(), engine())
		}
		if n := count(t, second); n != 2 {
			t.Errorf("%d rows through the second, want 2", n)
		}
		if err := second.Stop(t.Context()); err != nil {
			t.Errorf("Stop of an attached server: %v, want no error", err)
		}
		if err := second.Kill(); err == nil {
			t.Error("Kill by an attached process = nil, want an error")
		}
		if err := second.Restart(t.Context()); err == nil {
			t.Error("Restart by an attached process = nil, want an error")
		}
		if n := count(t, first); n != 2 {
			t.Errorf("%d rows after the second stopped, want 2", n)
		}
	})
	t.Run("KilledAndRestarted", func(t *testing.T) {
		if err := first.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := first.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := count(t, first); n != 2 {
			t.Errorf("%d rows, want 2", n)
		}
	})
	t.Run("StoppedAndStarted", func(t *testing.T) {
		if err := first.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := count(t, start(t, dir)); n != 2 {
			t.Errorf("%d rows, want 2", n)
		}
	})
}
