package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/pressly/goose/v3"

	"mems/db"
)

// DDL commits implicitly, so a migration can be interrupted between any two of its
// statements. Every statement is therefore repeatable, and a migration always starts at its
// first statement: objects that already exist are skipped (isDone), data are copied only
// where missing. Statements run one at a time on one connection; cancelling the context
// stops the migration between two statements, never inside one.

// migrationFile is one file of db/migrations. The format is goose's with one more
// directive: "-- +mems Each 1000 appointments" runs the next statement once per range of at
// most that many ids of the table; its two "?" are the first and last id.
type migrationFile struct {
	version  int64
	name     string
	up, down []statement
}

type statement struct {
	text  string
	table string // whose ids are processed in ranges; empty: the statement runs once
	size  int64  // of the largest range, in ids
}

// metadataTries is the maximum number of attempts of a statement on a table in use: about
// three minutes.
const metadataTries = 240

// A statement over a range of ids locks its rows while it runs, and bookings wait for them:
// the next range is smaller after one that took longer than rangeLong, larger after one that
// took less than rangeShort.
const (
	firstRange = 250 // ids
	leastRange = 50
	rangeLong  = 100 * time.Millisecond
	rangeShort = 30 * time.Millisecond
)

var eachDirective = regexp.MustCompile(`^-- \+mems Each (\d+) ([a-z_]+)$`)

// migrationFiles reads all migrations, oldest first.
func migrationFiles() ([]migrationFile, error) {
	names, err := fs.Glob(db.Migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	var files []migrationFile
	for _, name := range names {
		text, err := fs.ReadFile(db.Migrations, name)
		if err != nil {
			return nil, err
		}
		file, err := parseMigration(path.Base(name), string(text))
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

// parseMigration splits a file into its statements.
func parseMigration(name, text string) (migrationFile, error) {
	number, _, _ := strings.Cut(name, "_")
	version, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return migrationFile{}, fmt.Errorf("migration %s: file name does not begin with a number", name)
	}
	f := migrationFile{version: version, name: name}
	var into *[]statement
	var next statement
	var lines []string
	whole := false // inside StatementBegin ... StatementEnd
	end := func() {
		next.text = strings.TrimSpace(strings.Join(lines, "\n"))
		if next.text != "" {
			*into = append(*into, next)
		}
		next, lines = statement{}, nil
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		directive, isDirective := strings.CutPrefix(line, "-- +goose ")
		each := eachDirective.FindStringSubmatch(line)
		switch {
		case directive == "Up":
			into = &f.up
		case directive == "Down":
			into = &f.down
		case directive == "StatementBegin":
			whole = true
		case directive == "StatementEnd":
			whole = false
			end()
		case isDirective, strings.HasPrefix(line, "-- +mems") && each == nil:
			return f, fmt.Errorf("migration %s: unknown directive %q", name, line)
		case each != nil:
			next.table = each[2]
			if next.size, err = strconv.ParseInt(each[1], 10, 64); err != nil || next.size < 1 {
				return f, fmt.Errorf("migration %s: bad directive %q", name, line)
			}
		case into == nil, len(lines) == 0 && (strings.TrimSpace(line) == "" || strings.HasPrefix(line, "--")):
			// A comment before a statement, or the file header.
		default:
			lines = append(lines, line)
			code, _, _ := strings.Cut(line, " --")
			if !whole && strings.HasSuffix(strings.TrimSpace(code), ";") {
				end()
			}
		}
	}
	if len(lines) > 0 || whole {
		return f, fmt.Errorf("migration %s: last statement is not terminated", name)
	}
	return f, nil
}

// gooseMigration wraps a file as a goose migration; goose records the versions.
func (sc *Schema) gooseMigration(f migrationFile) *goose.Migration {
	run := func(statements []statement) *goose.GoFunc {
		return &goose.GoFunc{RunDB: func(ctx context.Context, pool *sql.DB) error {
			return sc.runStatements(ctx, pool, f.name, statements)
		}}
	}
	return goose.NewGoMigration(f.version, run(f.up), run(f.down))
}

// runStatements runs the statements of a migration on one connection, whose session it
// restores. It stops between two statements when ctx ends.
func (sc *Schema) runStatements(ctx context.Context, pool *sql.DB, name string, statements []statement) error {
	whole := context.WithoutCancel(ctx)
	conn, err := pool.Conn(whole)
	if err != nil {
		return err
	}
	defer func() {
		// The migration's session settings must not leak to the next user of the
		// connection.
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}()
	// For what interruptWait misses; whole seconds.
	if _, err := conn.ExecContext(whole, `SET SESSION lock_wait_timeout = 1`); err != nil {
		return err
	}
	own := migrationConn{Conn: conn}
	if err := conn.QueryRowContext(whole, `SELECT CONNECTION_ID()`).Scan(&own.id); err != nil {
		return err
	}
	for i, st := range statements {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := sc.runStatement(ctx, own, st); err != nil {
			return fmt.Errorf("%s, statement %d of %d: %w", name, i+1, len(statements), err)
		}
		if sc.OnStatement != nil {
			sc.OnStatement(name, i+1, len(statements))
		}
	}
	return nil
}

// runStatement runs one statement, once or per range of ids.
func (sc *Schema) runStatement(ctx context.Context, conn migrationConn, st statement) error {
	if st.table == "" {
		return sc.execPatiently(ctx, conn, st.text)
	}
	// The bounds are read once: rows inserted later are handled by the triggers and the
	// program, which are in place by then.
	var first, last sql.NullInt64
	row := conn.QueryRowContext(context.WithoutCancel(ctx), `SELECT MIN(id), MAX(id) FROM `+st.table)
	if err := row.Scan(&first, &last); err != nil || !first.Valid {
		return err
	}
	size := min(firstRange, st.size)
	for from := first.Int64; from <= last.Int64; {
		if err := ctx.Err(); err != nil {
			return err
		}
		to := min(from+size-1, last.Int64)
		began := time.Now() //nolint:forbidigo // for a duration; no rule of the domain sees it
		if err := sc.execPatiently(ctx, conn, st.text, from, to); err != nil {
			return fmt.Errorf("ids %d to %d of %s: %w", from, to, st.table, err)
		}
		from, size = to+1, nextRange(size, st.size, time.Since(began)) //nolint:forbidigo // as above
	}
	return nil
}

// nextRange returns the size of the range after one of size ids that took so long.
func nextRange(size, largest int64, took time.Duration) int64 {
	switch {
	case took > rangeLong:
		return min(max(size/2, leastRange), largest)
	case took < rangeShort:
		return min(2*size, largest)
	}
	return size
}

// execPatiently runs a statement under the lease. It retries after a pause while the table
// is in use, and skips a statement whose effect is already there.
func (sc *Schema) execPatiently(ctx context.Context, conn migrationConn, text string, args ...any) error {
	for try := 1; ; try++ {
		whole := context.WithoutCancel(ctx)
		interrupted := false
		err := sc.renewLease(whole, conn.Conn)
		if err == nil {
			interrupted, err = sc.execBriefly(whole, conn, text, args...)
		}
		if err == nil || isDone(err) {
			sc.ran++
			return nil
		}
		if try == metadataTries || !interrupted && !IsTransient(err) {
			return err
		}
		pause := time.Duration(200+rand.IntN(400)) * time.Millisecond //nolint:gosec // G404: spreads load, guards nothing
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// isDone reports whether an error means that a statement already took effect: the object it
// creates exists, or the object it drops does not.
func isDone(err error) bool {
	e, ok := errors.AsType[*mysql.MySQLError](err)
	if !ok {
		return false
	}
	switch e.Number {
	case 1050, // table exists
		1060, // column exists
		1061, // key exists
		1359, // trigger exists
		1826, // foreign key exists; MariaDB: or a CHECK constraint
		3822, // MySQL: CHECK constraint exists
		1091, // no such column, key or constraint to drop
		3821, // MySQL: no such CHECK constraint to drop
		3940: // MySQL: no such constraint to drop
		return true
	case 1005: // MariaDB: foreign key exists
		return strings.Contains(e.Message, "errno: 121")
	}
	return false
}

// checkBeforeUp rejects, before the first statement, what would stop a migration half-way.
// Errors: ErrForeignDatabase; the server's error if a pending migration creates a trigger
// and the user may not; the same for the other servers of a cluster.
func (sc *Schema) checkBeforeUp(ctx context.Context, pending []migrationFile) error {
	var tables, ours int
	err := sc.pool.QueryRowContext(ctx, `
		SELECT COUNT(*), COALESCE(SUM(table_name IN ('installation', 'goose_db_version')), 0)
		FROM information_schema.tables
		WHERE table_schema = DATABASE() AND table_name NOT IN `+ownTables).Scan(&tables, &ours)
	if err != nil {
		return err
	}
	if tables > 0 && ours == 0 {
		return ErrForeignDatabase
	}
	for _, f := range pending {
		for _, st := range f.up {
			if strings.HasPrefix(st.text, "CREATE TRIGGER") {
				if err := sc.checkHosts(ctx); err != nil {
					return err
				}
				return sc.tryTrigger(ctx)
			}
		}
	}
	return nil
}

// trialTable is created and dropped by tryTrigger. A killed process may leave it behind,
// which is harmless.
const trialTable = `mems_may_create_triggers`

// tryTrigger creates a trigger on a table made for this, and drops both: checking
// privileges and settings would be less reliable.
func (sc *Schema) tryTrigger(ctx context.Context) error {
	const drop = `DROP TABLE IF EXISTS ` + trialTable // drops its triggers, too
	defer func() {
		// On a separate connection, because an interrupted statement closes its own.
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), trialLimit)
		defer cancel()
		_, _ = sc.pool.ExecContext(limit, drop)
	}()
	for _, text := range []string{
		drop,
		`CREATE TABLE ` + trialTable + ` (id INT NOT NULL PRIMARY KEY)`,
		`CREATE TRIGGER mems_may_create_triggers BEFORE INSERT ON ` + trialTable + ` FOR EACH ROW SET @mems_unused = 1`,
	} {
		if _, err := sc.pool.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("try to create a trigger, as a pending migration does (nothing was changed): %w", err)
		}
	}
	return nil
}

// trialLimit is the time that an interrupted trial has to clean up.
const trialLimit = 2 * time.Second

// dropEverything drops every table of the database except the lease, in whatever state an
// interrupted migration left it. The disposable mark is dropped last, so that an
// interrupted reset can be repeated.
func (sc *Schema) dropEverything(ctx context.Context) error {
	conn, err := sc.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Raw(func(any) error { return driver.ErrBadConn }) }()
	tables, err := columnOf(ctx, conn, `
		SELECT table_name
		FROM information_schema.tables
		WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' AND table_name <> '`+leaseTable+`'
		ORDER BY table_name = 'installation', table_name = 'goose_db_version', table_name`)
	if err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, `SET SESSION foreign_key_checks = 0`); err != nil {
		return err
	}
	for _, name := range tables {
		if _, err := conn.ExecContext(ctx, "DROP TABLE IF EXISTS `"+strings.ReplaceAll(name, "`", "``")+"`"); err != nil {
			return fmt.Errorf("drop table %s: %w", name, err)
		}
	}
	return nil
}
