package database_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"

	"mems/db"
	"mems/internal/database"
	"mems/internal/store"
	"mems/internal/storetest"
)

var update = flag.Bool("update", false, "rewrite db/schema.sql")

func ignore(database.Migration) {}

func TestMigrationsUpDownUp(t *testing.T) {
	t.Parallel()
	d := storetest.Empty(t)
	sc := d.OpenSchema(t)
	empty := dump(t, d)

	var ran []int64
	if err := sc.Up(t.Context(), func(m database.Migration) { ran = append(ran, m.Version) }); err != nil {
		t.Fatal(err)
	}
	if !slices.IsSorted(ran) || ran[len(ran)-1] != db.Latest {
		t.Errorf("ran %v, want up to %d", ran, db.Latest)
	}
	first := dump(t, d)

	for range ran {
		if _, err := sc.Down(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := sc.Down(t.Context()); !errors.Is(err, goose.ErrNoNextVersion) {
		t.Errorf("Down of an empty database = %v, want %v", err, goose.ErrNoNextVersion)
	}
	if diff := cmp.Diff(empty, dump(t, d)); diff != "" {
		t.Errorf("schema after Down (-empty +left):\n%s", diff)
	}
	if err := sc.Up(t.Context(), ignore); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, dump(t, d)); diff != "" {
		t.Errorf("schema after Up, Down, Up (-first +second):\n%s", diff)
	}
	states, err := sc.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range states {
		if !m.Applied || m.AppliedAt.IsZero() || !strings.HasSuffix(m.Name, ".sql") {
			t.Errorf("status = %+v, want it applied, with its time and file", m)
		}
	}

	// The reviewed schema is MySQL's; CI always runs this on MariaDB too.
	if strings.Contains(d.Server, "MariaDB") {
		compareSchema(t, first)
	}
}

// compareSchema compares db/schema.sql, which is for readers and reviewers, with the schema
// that the migrations create.
func compareSchema(t *testing.T, got string) {
	t.Helper()
	const path = "../../db/schema.sql"
	got = "-- What the migrations make, as MariaDB 10.11 shows it. Generated: go test ./internal/database -run UpDownUp -update\n\n" + got
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("db/schema.sql is not what the migrations make; run the test with -update (-file +made):\n%s", diff)
	}
}

var autoIncrement = regexp.MustCompile(` AUTO_INCREMENT=\d+`)

// dump returns the whole schema except goose's own table.
func dump(t *testing.T, d *storetest.Database) string {
	t.Helper()
	var out strings.Builder
	var tables []string
	if err := d.DB.Select(&tables, `SHOW TABLES`); err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		if table == "goose_db_version" {
			continue
		}
		var name, text string
		if err := d.DB.QueryRow("SHOW CREATE TABLE "+table).Scan(&name, &text); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s;\n\n", autoIncrement.ReplaceAllString(text, ""))
	}
	var triggers []struct {
		Name      string `db:"TRIGGER_NAME"`
		Timing    string `db:"ACTION_TIMING"`
		Event     string `db:"EVENT_MANIPULATION"`
		Table     string `db:"EVENT_OBJECT_TABLE"`
		Statement string `db:"ACTION_STATEMENT"`
	}
	if err := d.DB.Select(&triggers, `
		SELECT TRIGGER_NAME, ACTION_TIMING, EVENT_MANIPULATION, EVENT_OBJECT_TABLE, ACTION_STATEMENT
		FROM information_schema.TRIGGERS
		WHERE TRIGGER_SCHEMA = DATABASE()
		ORDER BY TRIGGER_NAME`); err != nil {
		t.Fatal(err)
	}
	for _, g := range triggers {
		fmt.Fprintf(&out, "CREATE TRIGGER %s %s %s ON %s FOR EACH ROW\n%s;\n\n", g.Name, g.Timing, g.Event, g.Table, g.Statement)
	}
	return out.String()
}

func TestSeveralProcessesMigrateAtOnce(t *testing.T) {
	t.Parallel()
	d := storetest.Empty(t)
	var processes sync.WaitGroup
	start := make(chan struct{})
	migrate := func() {
		<-start
		sc, err := database.OpenSchema(d.DSN, store.RekeyPatients)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = sc.Close() }()
		if err := sc.Up(context.Background(), ignore); err != nil {
			t.Errorf("Up: %v, want no error", err)
		}
	}
	for range 4 {
		processes.Go(migrate)
	}
	close(start)
	processes.Wait()
}

func TestUpCreatesTheDatabase(t *testing.T) {
	t.Parallel()
	d := storetest.Empty(t)
	name := strings.TrimSuffix(strings.Split(d.DSN, ")/")[1], "?"+strings.SplitN(d.DSN, "?", 2)[1]) + "_new"
	sc, err := database.OpenSchema(strings.Replace(d.DSN, strings.TrimSuffix(name, "_new"), name, 1), store.RekeyPatients)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sc.Close() }()
	if err := sc.Up(t.Context(), ignore); err != nil {
		t.Fatal(err)
	}
	if _, err := d.DB.Exec("DROP DATABASE " + name); err != nil {
		t.Fatal(err)
	}
}
