package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// versionTable is goose's table of applied migrations.
const versionTable = "goose_db_version"

// Errors of databases that cannot be restored into, or whose restore is unfinished.
var (
	ErrNotEmpty          = errors.New("the database is not empty")
	ErrRestoreUnfinished = errors.New("this database is being restored, and locked until that is finished: " +
		"\"mems restore --finish\" completes it once all rows are restored, repeating the same \"mems restore\" starts over")
	ErrRowsMissing = errors.New("the restore into this database was interrupted, and rows of the backup are missing: " +
		"repeat the same \"mems restore\" to start over")
)

// Restore fills an empty database, created if necessary, with the rows of a backup: INSERT
// statements of literals. The schema of that version comes from the migrations, not from
// the backup. If it fails or ctx ends, the database is emptied again; the leftovers of a
// killed restore are removed by the next one. Until FinishRestore, Ready and Up reject the
// database.
//
// Errors: ErrNotEmpty, those of Up.
func (sc *Schema) Restore(ctx context.Context, source Source, inserts iter.Seq2[string, error]) (err error) {
	if err := sc.createDatabase(ctx); err != nil {
		return hint(err)
	}
	if err := sc.CheckEmpty(ctx); err != nil {
		return err
	}
	if err := sc.dropEverything(ctx); err != nil {
		return hint(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, sc.dropEverything(context.WithoutCancel(ctx)))
		}
	}()
	if err := sc.UpTo(ctx, source.Version, func(Migration) {}); err != nil {
		return err
	}
	conn, err := sc.pool.Conn(ctx)
	if err != nil {
		return err
	}
	// The session's settings must not leak to the next user of the connection.
	defer func() { _ = conn.Raw(func(any) error { return driver.ErrBadConn }) }()
	triggers, err := sc.prepareRestore(ctx, conn, source)
	if err != nil {
		return err
	}
	for insert, err := range inserts {
		if err != nil {
			return err
		}
		if _, err := conn.ExecContext(ctx, insert); err != nil {
			table, _, _ := strings.Cut(strings.TrimPrefix(insert, "INSERT INTO `"), "`")
			return fmt.Errorf("fill table %s: %w", table, err)
		}
	}
	for _, text := range triggers {
		if _, err := conn.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("create a trigger of the backstop: %w", err)
		}
	}
	_, err = conn.ExecContext(ctx, markFilled)
	return err
}

// CheckEmpty returns ErrNotEmpty if the database holds data of a clinic. It accepts one
// that does not exist, has no tables, was migrated but never used, or was left by an
// interrupted restore.
func (sc *Schema) CheckEmpty(ctx context.Context) error {
	tables, err := sc.tableNames(ctx)
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok && e.Number == 1049 {
		return nil // no such database
	}
	if err != nil || len(tables) == 0 {
		return err
	}
	if !slices.Contains(tables, versionTable) {
		for _, name := range tables { // how far a killed restore came
			if name != "installation" && name != trialTable && name != leaseTable && name != restoreTable {
				return ErrNotEmpty
			}
		}
		return nil
	}
	if unfinished, err := sc.Restoring(ctx); err != nil || unfinished {
		return err
	}
	for _, name := range []string{"doctors", "patients", "appointments", "rooms", "api_keys", "audit_entries"} {
		if !slices.Contains(tables, name) {
			continue // added by a later migration
		}
		var rows bool
		if err := sc.pool.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM `+name+`)`).Scan(&rows); err != nil {
			return err
		}
		if rows {
			return ErrNotEmpty
		}
	}
	return nil
}

func (sc *Schema) tableNames(ctx context.Context) ([]string, error) {
	conn, err := sc.pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	return columnOf(ctx, conn, `SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()`)
}

// markRestore marks the database as having an unfinished restore: a row of version 0, which
// goose ignores and every user of ours may read.
const markRestore = `INSERT INTO ` + versionTable + ` (id, version_id, is_applied) VALUES (0, 0, 0)`

// markFilled adds to the mark that all rows are restored.
const markFilled = `UPDATE ` + versionTable + ` SET is_applied = 1 WHERE id = 0`

// isRestoring is an SQL expression that is 1 if the mark is set.
const isRestoring = `COALESCE(MAX(id = 0), 0)`

// Restoring reports whether a restore of this database is unfinished.
func (sc *Schema) Restoring(ctx context.Context) (bool, error) {
	var restoring bool
	err := sc.pool.QueryRowContext(ctx, `SELECT `+isRestoring+` FROM `+versionTable).Scan(&restoring)
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok && (e.Number == 1146 || e.Number == 1049) {
		return false, nil // no such database or table
	}
	return restoring, err
}

// CheckFilled returns ErrRowsMissing if this database's restore was interrupted before all
// rows were restored.
func (sc *Schema) CheckFilled(ctx context.Context) error {
	var filled bool
	err := sc.pool.QueryRowContext(ctx, `SELECT COALESCE(MAX(is_applied), 0) FROM `+versionTable+` WHERE id = 0`).Scan(&filled)
	if err == nil && !filled {
		return ErrRowsMissing
	}
	return err
}

// FinishRestore opens a restored database for use; call CheckFinish first. It can be
// repeated if interrupted.
func (sc *Schema) FinishRestore(ctx context.Context) error {
	if restoring, err := sc.Restoring(ctx); err != nil {
		return err
	} else if restoring {
		if _, err := sc.pool.ExecContext(ctx, newDataID); err != nil {
			return err
		}
	}
	if _, err := sc.pool.ExecContext(ctx, `DELETE FROM `+versionTable+` WHERE id = 0`); err != nil {
		return err
	}
	_, err := sc.pool.ExecContext(ctx, `DROP TABLE IF EXISTS `+restoreTable)
	return err
}

// prepareRestore prepares a migrated database for rows that are known to be valid: it drops
// the triggers, which it returns, disables foreign key checks and deletes the rows that
// migrations inserted.
func (sc *Schema) prepareRestore(ctx context.Context, conn *sql.Conn, source Source) (triggers []string, err error) {
	files, err := migrationFiles()
	if err != nil {
		return nil, err
	}
	names, err := columnOf(ctx, conn, `SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE()`)
	if err != nil {
		return nil, err
	}
	version, err := sc.version(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		newest := ""
		for _, f := range files {
			for _, st := range f.up {
				if f.version <= version && strings.HasPrefix(st.text, "CREATE TRIGGER "+name+" ") {
					newest = st.text
				}
			}
		}
		if newest == "" {
			return nil, fmt.Errorf("no migration creates the trigger %s", name)
		}
		triggers = append(triggers, newest)
	}
	tables, err := columnOf(ctx, conn, `SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()`)
	if err != nil {
		return nil, err
	}
	statements := []string{
		`SET SESSION foreign_key_checks = 0`, `SET SESSION unique_checks = 0`,
		`SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO')`,
	}
	for _, name := range names {
		statements = append(statements, `DROP TRIGGER `+name)
	}
	statements = append(append(statements, makeSteps(source)...), markRestore) // before any row is deleted
	if version >= dataIDVersion {
		statements = append(statements, `UPDATE installation SET data_id = NULL`) // servers write nothing from here on
	}
	for _, name := range tables {
		if name == versionTable {
			name += ` WHERE id <> 0`
		}
		statements = append(statements, `DELETE FROM `+name)
	}
	for _, text := range statements {
		if _, err := conn.ExecContext(ctx, text); err != nil {
			return nil, fmt.Errorf("prepare the database for the rows: %w", err)
		}
	}
	return triggers, nil
}

// columnOf returns the only column of a query's result.
func columnOf(ctx context.Context, conn *sql.Conn, query string) ([]string, error) {
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var values []string
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, rows.Err()
}
