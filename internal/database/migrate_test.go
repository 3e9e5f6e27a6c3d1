package database_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"

	"mems/db"
	"mems/internal/database"
	"mems/internal/storetest"
)

// released are the migrations of version 0.1.0. It ran a file at a time and restarted an
// interrupted one from the top, which then always failed.
const released = "testdata/migrations-0.1.0"

// deleteRestrict matches the ways in which servers show foreign keys without an action.
var deleteRestrict = regexp.MustCompile(` ON DELETE (RESTRICT|NO ACTION)`)

func sameSchema(t *testing.T, want, got string) {
	t.Helper()
	want, got = deleteRestrict.ReplaceAllString(want, ""), deleteRestrict.ReplaceAllString(got, "")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("schema (-want +got):\n%s", diff)
	}
}

// migrated returns the schema of a database that was migrated without interruption.
func migrated(t *testing.T) string {
	t.Helper()
	return dump(t, storetest.Migrated(t))
}

// A migration that was stopped after any statement continues from there, and so does
// undoing one.
func TestMigrationsStoppedAfterEveryStatement(t *testing.T) {
	t.Parallel()
	want := migrated(t)
	d := storetest.Empty(t)
	empty := dump(t, d)

	// run repeats step until it completes, stopping it one statement later each time.
	sc := d.OpenSchema(t)
	run := func(step func(context.Context) error) (stops int) {
		t.Helper()
		seen := map[string]bool{}
		for last := ""; ; stops++ {
			ctx, stop := context.WithCancel(t.Context())
			next := ""
			sc.OnStatement = func(name string, n, _ int) {
				at := fmt.Sprintf("%s %05d", name, n)
				if next == "" && !seen[at] {
					next, seen[at] = at, true
					stop()
				}
			}
			err := step(ctx)
			stop()
			switch {
			case err == nil && next == "":
				return stops
			case err == nil: // stopped after the last statement: completed
			case !errors.Is(err, context.Canceled):
				t.Fatalf("migration stopped after %q = %v, want %v", last, err, context.Canceled)
			}
			last = next
			if stops > 1000 {
				t.Fatalf("migration was stopped %d times, want it to end within 1000", stops)
			}
		}
	}
	stops := run(func(ctx context.Context) error { return sc.Up(ctx, ignore) })
	sameSchema(t, want, dump(t, d))
	if stops < 80 {
		t.Errorf("Up was stopped %d times, want at least 80", stops)
	}
	stops = run(func(ctx context.Context) error {
		for {
			if _, err := sc.Down(ctx); errors.Is(err, goose.ErrNoNextVersion) {
				return nil
			} else if err != nil {
				return err
			}
		}
	})
	if stops < 40 {
		t.Errorf("Down was stopped %d times, want at least 40", stops)
	}
	sameSchema(t, empty, dump(t, d))
}

// A first start that ends between goose's version table and its first row leaves a database
// that can still be migrated, listed and restored into.
func TestVersionsWithoutTheFirstRow(t *testing.T) {
	t.Parallel()
	d := storetest.Empty(t)
	p, err := goose.NewProvider(goose.DialectMySQL, d.DB.DB, os.DirFS(released))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.GetDBVersion(t.Context()); err != nil { // creates table and row
		t.Fatal(err)
	}
	d.DB.MustExec(`DELETE FROM goose_db_version`)
	d.DB.MustExec(`ALTER TABLE goose_db_version AUTO_INCREMENT = 1`)
	sc := d.OpenSchema(t)
	if err := sc.CheckEmpty(t.Context()); err != nil {
		t.Errorf("CheckEmpty: %v, want no error", err)
	}
	if all, err := sc.Status(t.Context()); err != nil || len(all) == 0 || all[0].Applied {
		t.Errorf("Status = %d migrations, %v, want some, the first not applied", len(all), err)
	}
	if err := sc.Up(t.Context(), ignore); err != nil {
		t.Fatal(err)
	}
	sameSchema(t, migrated(t), dump(t, d))
	var first int64
	if err := d.DB.Get(&first, `SELECT COUNT(*) FROM goose_db_version WHERE version_id = 0`); err != nil || first != 1 {
		t.Errorf("%d rows of version 0 (%v), want one", first, err)
	}
}

// A first start that is killed while it tries to create a trigger leaves a database that
// can still be restored into and migrated.
func TestTrialThatWasInterrupted(t *testing.T) {
	t.Parallel()
	d := storetest.Empty(t)
	d.DB.MustExec(`CREATE TABLE mems_may_create_triggers (id INT NOT NULL PRIMARY KEY)`)
	sc := d.OpenSchema(t)
	if err := sc.CheckEmpty(t.Context()); err != nil {
		t.Errorf("CheckEmpty: %v, want no error", err)
	}
	if err := sc.Up(t.Context(), ignore); err != nil {
		t.Fatal(err)
	}
	sameSchema(t, migrated(t), dump(t, d))
}

// The migrations produce the same schema as version 0.1.0 did, and what 0.1.0 left half-way
// can be continued, undone or reset.
func TestMigrationsHalfWayByReleasedVersion(t *testing.T) {
	t.Parallel()
	want := migrated(t)
	names, err := fs.Glob(os.DirFS(released), "*.sql")
	if err != nil || len(names) == 0 {
		t.Fatalf("found %d released migrations (%v), want some", len(names), err)
	}
	whole := storetest.Empty(t)
	old, err := goose.NewProvider(goose.DialectMySQL, whole.DB.DB, os.DirFS(released))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := whole.OpenSchema(t).Up(t.Context(), ignore); err != nil {
		t.Fatal(err)
	}
	sameSchema(t, want, dump(t, whole))

	for i, name := range names {
		text, err := os.ReadFile(filepath.Join(released, name))
		if err != nil {
			t.Fatal(err)
		}
		statements, err := database.MigrationStatements(name, string(text))
		if err != nil {
			t.Fatal(err)
		}
		cuts := []int{(len(statements) + 1) / 2} // each takes a second
		if i == 1 || i == 4 {
			cuts = append(cuts, 1, len(statements)) // the backstop: copies and triggers
		}
		for _, cut := range cuts {
			t.Run(fmt.Sprintf("%s after %d of %d", name, cut, len(statements)), func(t *testing.T) {
				d := storetest.Empty(t)
				p, err := goose.NewProvider(goose.DialectMySQL, d.DB.DB, os.DirFS(released))
				if err != nil {
					t.Fatal(err)
				}
				if i > 0 {
					if _, err := p.UpTo(t.Context(), int64(i)); err != nil {
						t.Fatal(err)
					}
				} else if _, err := p.GetDBVersion(t.Context()); err != nil { // creates its table
					t.Fatal(err)
				}
				conn, err := d.DB.Conn(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = conn.Close() }()
				for _, statement := range statements[:cut] {
					if _, err := conn.ExecContext(t.Context(), statement); err != nil {
						t.Fatal(err)
					}
				}
				sc := d.OpenSchema(t)
				if err := sc.Up(t.Context(), ignore); err != nil {
					t.Fatal(err)
				}
				sameSchema(t, want, dump(t, d))
			})
		}
	}
}

// Version 0.1.0 offered only times that became free. After the upgrade, its waiting entries
// are searched for once, in the order of the list, however often the migration runs.
func TestWaitingEntriesAreSearchedForAfterUpgrade(t *testing.T) {
	t.Parallel()
	d := storetest.Empty(t)
	old, err := goose.NewProvider(goose.DialectMySQL, d.DB.DB, os.DirFS(released))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	const at = `'2027-03-01 08:00:00'`
	for _, statement := range []string{
		`INSERT INTO patients (id, first_name, last_name, created_at, updated_at) VALUES (1, 'Ann', 'Muster', ` + at + `, ` + at + `)`,
		`INSERT INTO waitlist (id, patient_id, doctor_ids, duration_minutes, from_time, to_time, status, created_at, updated_at)
		VALUES (1, 1, '[]', 30, '2027-03-02', '2027-03-03', 'waiting', ` + at + `, ` + at + `),
			(2, 1, '[]', 30, '2027-03-02', '2027-03-03', 'withdrawn', ` + at + `, ` + at + `),
			(3, 1, '[]', 45, '2027-03-04', '2027-03-05', 'waiting', ` + at + `, ` + at + `)`,
	} {
		if _, err := d.DB.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.OpenSchema(t).Up(t.Context(), ignore); err != nil {
		t.Fatal(err)
	}
	const entries = `
		SELECT f.waitlist_id FROM freed_times AS f
		JOIN waitlist AS w ON w.id = f.waitlist_id AND w.from_time = f.start_time AND w.to_time = f.end_time
		WHERE f.doctor_id IS NULL ORDER BY f.due_at, f.id`
	check := func() {
		t.Helper()
		var got []int64
		if err := d.DB.SelectContext(t.Context(), &got, entries); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]int64{1, 3}, got); diff != "" {
			t.Errorf("entries to search for (-want +got):\n%s", diff)
		}
	}
	check()
	const name = "00017_waitlist.sql"
	text, err := fs.ReadFile(db.Migrations, "migrations/"+name)
	if err != nil {
		t.Fatal(err)
	}
	statements, err := database.MigrationStatements(name, string(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range statements {
		if _, err := d.DB.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	check()
}

// Reset works on a disposable database in any state.
func TestResetHalfWay(t *testing.T) {
	t.Parallel()
	want := migrated(t)
	d := storetest.New(t)
	sc := d.OpenSchema(t)
	if err := sc.MarkDisposable(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := sc.Down(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, statement := range []string{
		`CREATE TABLE left_over (id BIGINT PRIMARY KEY, doctor BIGINT NOT NULL, FOREIGN KEY (doctor) REFERENCES doctors (id))`,
		`DROP TABLE appointment_event_overrides`,
		`DROP TABLE appointment_events`,
		`DROP TRIGGER appointments_after_update`,
	} {
		if _, err := d.DB.Exec(statement); err != nil && !strings.Contains(err.Error(), "Trigger does not exist") {
			t.Fatal(err)
		}
	}
	if err := sc.Reset(t.Context(), ignore); err != nil {
		t.Fatal(err)
	}
	sameSchema(t, want, dump(t, d))
	if disposable, err := sc.Disposable(t.Context()); err != nil || !disposable {
		t.Errorf("Disposable after a reset = %t, %v, want true", disposable, err)
	}
}

// A database of another program is left unchanged.
func TestForeignDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	d := storetest.Empty(t)
	if _, err := d.DB.Exec(`CREATE TABLE patients (id BIGINT PRIMARY KEY)`); err != nil {
		t.Fatal(err)
	}
	before := dump(t, d)
	if err := d.OpenSchema(t).Up(t.Context(), ignore); !errors.Is(err, database.ErrForeignDatabase) {
		t.Errorf("up: %v, want ErrForeignDatabase", err)
	}
	sameSchema(t, before, dump(t, d))
}

// Every migration has the form that the runner parses, and none is left out.
func TestMigrationFiles(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(db.Migrations, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	// Gaps in the numbers are allowed: parallel branches reserve theirs.
	if last := filepath.Base(names[len(names)-1]); !strings.HasPrefix(last, fmt.Sprintf("%05d_", db.Latest)) {
		t.Errorf("newest migration is %s, want that of db.Latest, %d", last, db.Latest)
	}
	for _, name := range names {
		text, err := fs.ReadFile(db.Migrations, name)
		if err != nil {
			t.Fatal(err)
		}
		version, err := strconv.ParseInt(filepath.Base(name)[:5], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		// Engines without triggers leave out whole files.
		if creates := bytes.Contains(text, []byte("CREATE TRIGGER")); creates != slices.Contains(db.Backstops, version) {
			t.Errorf("%s creates triggers: %t, want it in db.Backstops exactly then", name, creates)
		}
	}
	for name, text := range map[string]string{
		"00001_unknown.sql":   "-- +goose Up\n-- +goose NO TRANSACTION\nSELECT 1;\n",
		"00001_endless.sql":   "-- +goose Up\nSELECT 1\n",
		"00001_each.sql":      "-- +goose Up\n-- +mems Each 0 patients\nSELECT 1;\n",
		"unnumbered_file.sql": "-- +goose Up\nSELECT 1;\n",
	} {
		if _, err := database.MigrationStatements(name, text); err == nil {
			t.Errorf("MigrationStatements of %s = nil, want an error", name)
		}
	}
}
