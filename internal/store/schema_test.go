package store_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"

	"mems/db"
	"mems/internal/clinic"
	"mems/internal/store"
	"mems/internal/storetest"
)

var update = flag.Bool("update", false, "rewrite db/schema.sql")

func openSchema(t *testing.T, d *storetest.Database) *store.Schema {
	t.Helper()
	sc, err := store.OpenSchema(d.DSN)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sc.Close() })
	return sc
}

func ignore(store.Migration) {}

func TestMigrationsUpDownUp(t *testing.T) {
	t.Parallel()
	d := storetest.Empty(t)
	sc := openSchema(t, d)
	empty := dump(t, d)

	var ran []int64
	if err := sc.Up(t.Context(), func(m store.Migration) { ran = append(ran, m.Version) }); err != nil {
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
		t.Errorf("down of nothing: %v", err)
	}
	if diff := cmp.Diff(empty, dump(t, d)); diff != "" {
		t.Errorf("down leaves something behind (-empty +left):\n%s", diff)
	}
	if err := sc.Up(t.Context(), ignore); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, dump(t, d)); diff != "" {
		t.Errorf("up, down, up differs (-first +second):\n%s", diff)
	}
	states, err := sc.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range states {
		if !m.Applied || m.AppliedAt.IsZero() || !strings.HasSuffix(m.Name, ".sql") {
			t.Errorf("status %+v", m)
		}
	}

	// One engine's words are enough for people who read the schema; CI always
	// runs this on MariaDB too.
	if strings.Contains(d.Server, "MariaDB") {
		compareSchema(t, first)
	}
}

// compareSchema holds db/schema.sql, which people read and review, to what the
// migrations really make.
func compareSchema(t *testing.T, got string) {
	t.Helper()
	const path = "../../db/schema.sql"
	got = "-- What the migrations make, as MariaDB 10.11 shows it. Generated: go test ./internal/store -run UpDownUp -update\n\n" + got
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

// dump is the whole schema but for goose's own table.
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

// The backstop takes over what is already booked.
func TestBackstopOverExistingAppointments(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 1)
	sc := openSchema(t, f.Database)
	if _, err := sc.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	start := now
	if _, err := f.DB.Exec(rawInsert, f.patients[0], f.doctors[0], start, start, 30, 30); err != nil {
		t.Fatal(err)
	}
	if err := sc.Up(t.Context(), ignore); err != nil {
		t.Fatal(err)
	}
	if n := f.mirrorDifferences(t); n != 0 {
		t.Errorf("the mirror differs in %d rows", n)
	}
}

func TestSeveralProcessesMigrateAtOnce(t *testing.T) {
	t.Parallel()
	d := storetest.Empty(t)
	together(4, func(int) {
		sc, err := store.OpenSchema(d.DSN)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = sc.Close() }()
		if err := sc.Up(background, ignore); err != nil {
			t.Errorf("up: %v", err)
		}
	})
}

func TestReady(t *testing.T) {
	t.Parallel()
	d := storetest.Empty(t)
	s := d.Open(t, fixedClock, nil)
	sc := openSchema(t, d)

	_, err := s.Ready(t.Context())
	wantErr(t, err, clinic.ErrUnavailable)
	if err := sc.Up(t.Context(), ignore); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Ready(t.Context()); err != nil || v != db.Latest {
		t.Errorf("version %d (%v), want %d", v, err, db.Latest)
	}
	if _, err := sc.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = d.Open(t, fixedClock, nil).Ready(t.Context()) // s remembers its last result for a second
	wantErr(t, err, clinic.ErrUnavailable)
}

func TestReset(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 1)
	sc := openSchema(t, f.Database)
	if err := sc.Reset(t.Context(), ignore); !errors.Is(err, store.ErrNotDisposable) {
		t.Fatalf("reset of a database that is not disposable: %v", err)
	}
	if _, err := f.store.Doctor(t.Context(), f.doctors[0]); err != nil {
		t.Fatalf("a refused reset destroyed something: %v", err)
	}
	if err := sc.MarkDisposable(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := sc.Reset(t.Context(), ignore); err != nil {
		t.Fatal(err)
	}
	_, err := f.store.Doctor(t.Context(), f.doctors[0])
	wantErr(t, err, clinic.ErrDoctorNotFound)
	if disposable, err := sc.Disposable(t.Context()); err != nil || !disposable {
		t.Errorf("disposable %v (%v) after a reset", disposable, err)
	}
}

func TestUpCreatesTheDatabase(t *testing.T) {
	t.Parallel()
	d := storetest.Empty(t)
	name := strings.TrimSuffix(strings.Split(d.DSN, ")/")[1], "?"+strings.SplitN(d.DSN, "?", 2)[1]) + "_new"
	sc, err := store.OpenSchema(strings.Replace(d.DSN, strings.TrimSuffix(name, "_new"), name, 1))
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
