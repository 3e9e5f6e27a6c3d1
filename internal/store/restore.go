package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"strings"
)

// ErrNotEmpty refuses to restore into a database that has tables.
var ErrNotEmpty = errors.New("the database is not empty")

// Restore fills an empty database, which it creates if need be, with the rows of a
// backup: INSERT statements that hold literals alone. The schema of that version
// comes from the migrations, not from the backup. When it fails or ctx ends, the
// database is empty again.
//
// Errors: ErrNotEmpty, those of Up.
func (sc *Schema) Restore(ctx context.Context, version int64, inserts iter.Seq2[string, error]) (err error) {
	if err := sc.createDatabase(ctx); err != nil {
		return err
	}
	if n, err := sc.Tables(ctx); err != nil || n > 0 {
		return firstError(err, ErrNotEmpty)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, sc.dropEverything(context.WithoutCancel(ctx)))
		}
	}()
	if err := sc.UpTo(ctx, version, func(Migration) {}); err != nil {
		return err
	}
	conn, err := sc.pool.Conn(ctx)
	if err != nil {
		return err
	}
	// The session's settings must not reach the next user of the connection.
	defer func() { _ = conn.Raw(func(any) error { return driver.ErrBadConn }) }()
	triggers, err := sc.prepareRestore(ctx, conn)
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
	return nil
}

// prepareRestore makes a migrated database ready for rows that are right already:
// no triggers, which it returns, no checks of foreign keys, and no rows that the
// migrations made.
func (sc *Schema) prepareRestore(ctx context.Context, conn *sql.Conn) (triggers []string, err error) {
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
			return nil, fmt.Errorf("no migration makes the trigger %s", name)
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
	for _, name := range tables {
		statements = append(statements, `DELETE FROM `+name)
	}
	for _, text := range statements {
		if _, err := conn.ExecContext(ctx, text); err != nil {
			return nil, fmt.Errorf("prepare the database for the rows: %w", err)
		}
	}
	return triggers, nil
}

// columnOf reads the one column of a query.
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
