package storetest

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/jmoiron/sqlx"
)

// template is a copy of the process's first migrated database: running the migrations takes
// several times as long as copying.
var template struct {
	once       sync.Once
	statements []statement
	err        error
}

type statement struct {
	text string
	args []any
}

// readTemplate returns the statements that create the tables, rows and triggers of db in an
// empty database.
func readTemplate(ctx context.Context, db *sqlx.DB) ([]statement, error) {
	var tables []string
	if err := db.SelectContext(ctx, &tables, `SHOW TABLES`); err != nil {
		return nil, err
	}
	statements := []statement{{text: "SET foreign_key_checks = 0"}} // tables come in order of name
	for _, table := range tables {
		var name, text string
		if err := db.QueryRowContext(ctx, "SHOW CREATE TABLE "+table).Scan(&name, &text); err != nil {
			return nil, err
		}
		statements = append(statements, statement{text: text})
		rows, err := readRows(ctx, db, table)
		if err != nil {
			return nil, fmt.Errorf("read the rows of %s: %w", table, err)
		}
		if len(rows.args) > 0 {
			statements = append(statements, rows)
		}
	}
	// Every installation has a different value here.
	statements = append(statements, statement{text: "UPDATE installation SET calendar_uid = LOWER(HEX(RANDOM_BYTES(16)))"})
	triggers, err := readTriggers(ctx, db)
	return append(statements, triggers...), err
}

// readRows returns the statement that inserts all rows of a table.
func readRows(ctx context.Context, db *sqlx.DB, table string) (statement, error) {
	var columns []string
	if err := db.SelectContext(ctx, &columns, `
		SELECT column_name
		FROM information_schema.columns
		WHERE table_schema = DATABASE() AND table_name = ? AND extra NOT LIKE '%GENERATED'
		ORDER BY ordinal_position`, table); err != nil {
		return statement{}, err
	}
	list := "`" + strings.Join(columns, "`, `") + "`"
	rows, err := db.QueryContext(ctx, "SELECT "+list+" FROM "+table+" ORDER BY 1")
	if err != nil {
		return statement{}, err
	}
	defer func() { _ = rows.Close() }()
	var insert statement
	places := "(?" + strings.Repeat(", ?", len(columns)-1) + ")"
	for rows.Next() {
		values, targets := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return statement{}, err
		}
		if insert.text == "" {
			insert.text = "INSERT INTO " + table + " (" + list + ") VALUES " + places
		} else {
			insert.text += ", " + places
		}
		insert.args = append(insert.args, values...)
	}
	return insert, rows.Err()
}

// readTriggers returns the statements that create all triggers with the settings under
// which each was created.
func readTriggers(ctx context.Context, db *sqlx.DB) ([]statement, error) {
	var names []string
	if err := db.SelectContext(ctx, &names, `
		SELECT trigger_name
		FROM information_schema.triggers
		WHERE trigger_schema = DATABASE()
		ORDER BY event_object_table, action_timing, event_manipulation, action_order`); err != nil {
		return nil, err
	}
	var statements []statement
	for _, name := range names {
		trigger := map[string]any{}
		if err := db.QueryRowxContext(ctx, "SHOW CREATE TRIGGER "+name).MapScan(trigger); err != nil {
			return nil, err
		}
		text := func(column string) string { return fmt.Sprintf("%s", trigger[column]) }
		statements = append(statements,
			statement{
				"SET sql_mode = ?, character_set_client = ?, collation_connection = ?",
				[]any{text("sql_mode"), text("character_set_client"), text("collation_connection")},
			},
			statement{text: text("SQL Original Statement")})
	}
	return statements, nil
}

// writeTemplate runs the statements on one connection, which is unfit for reuse afterwards.
func writeTemplate(ctx context.Context, dsn string, statements []statement) error {
	db, err := sqlx.ConnectContext(ctx, "mysql", dsn)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	for _, s := range statements {
		if _, err := db.ExecContext(ctx, s.text, s.args...); err != nil {
			return fmt.Errorf("%s: %w", s.text, err)
		}
	}
	return nil
}
