package database

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"
)

// dumpStatement is the size at which a dump ends an INSERT and begins the next one: below
// any server's max_allowed_packet.
const dumpStatement = 512 << 10

// ErrNoBinaryLog reports that a server has no binary log, or that this user may not read
// its position.
var ErrNoBinaryLog = errors.New("cannot read the position of the server's binary log")

// LogPosition is a position in a server's binary log. The zero value is none.
type LogPosition struct {
	File     string `json:"log_file,omitempty"`
	Position uint64 `json:"log_position,omitempty"`
}

// Snapshot reads a database at one point in time without blocking writers.
type Snapshot struct {
	Version int64 // of the schema
	// Log is the binary log's position at the same point in time. MariaDB always reports
	// it; MySQL only if requested, which takes a lock and privileges.
	Log LogPosition

	pool *sqlx.DB
	conn *sqlx.Conn
}

// OpenSnapshot begins a snapshot. needLog requires the position of the binary log; on MySQL
// this blocks commits for some milliseconds.
//
// Errors: ErrNoBinaryLog.
func (sc *Schema) OpenSnapshot(ctx context.Context, needLog bool) (_ *Snapshot, err error) {
	config := sc.config.Clone()
	config.ParseTime = false // values as the server formats them
	pool, err := openPool(config)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{pool: pool}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.conn, err = pool.Connx(ctx); err != nil {
		return nil, err
	}
	var server string
	if err := s.conn.GetContext(ctx, &server, `SELECT VERSION()`); err != nil {
		return nil, err
	}
	mariadb := strings.Contains(server, "MariaDB")
	statements := []string{`SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ`, `START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY`}
	if needLog && !mariadb {
		statements = []string{statements[0], `SET SESSION lock_wait_timeout = 30`, `FLUSH TABLES WITH READ LOCK`, statements[1]}
	}
	for _, text := range statements {
		if _, err := s.conn.ExecContext(ctx, text); err != nil {
			return nil, logHint(err)
		}
	}
	switch {
	case mariadb:
		err = s.readMariaDBLog(ctx)
	case needLog:
		err = s.readMySQLLog(ctx)
	}
	if err == nil && needLog && s.Log.File == "" {
		err = fmt.Errorf("%w: log_bin is off (db/README.md has the settings)", ErrNoBinaryLog)
	}
	if err != nil {
		return nil, logHint(err)
	}
	err = s.conn.GetContext(ctx, &s.Version, `SELECT MAX(version_id) FROM goose_db_version WHERE is_applied = 1`)
	return s, err
}

// logHint adds the missing privileges to the error of a user who may not lock or read the
// log's position.
func logHint(err error) error {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok && (e.Number == 1227 || e.Number == 1045) {
		return fmt.Errorf("%w: %w\nOn MySQL the backup user needs GRANT RELOAD, REPLICATION CLIENT ON *.*", ErrNoBinaryLog, err)
	}
	return err
}

func (s *Snapshot) readMariaDBLog(ctx context.Context) error {
	var status []struct {
		Name  string `db:"Variable_name"`
		Value string `db:"Value"`
	}
	// From the transaction's own snapshot, without a lock.
	if err := s.conn.SelectContext(ctx, &status, `SHOW SESSION STATUS LIKE 'binlog_snapshot_%'`); err != nil {
		return err
	}
	for _, v := range status {
		var err error
		switch strings.ToLower(v.Name) {
		case "binlog_snapshot_file":
			s.Log.File = v.Value
		case "binlog_snapshot_position":
			_, err = fmt.Sscan(v.Value, &s.Log.Position)
		}
		if err != nil {
			return fmt.Errorf("position of the binary log: %w", err)
		}
	}
	if s.Log.File == "" {
		s.Log = LogPosition{}
	}
	return nil
}

func (s *Snapshot) readMySQLLog(ctx context.Context) error {
	rows, err := s.conn.QueryxContext(ctx, `SHOW BINARY LOG STATUS`)
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok && e.Number == 1064 { // before 8.2
		rows, err = s.conn.QueryxContext(ctx, `SHOW MASTER STATUS`)
	}
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	if rows.Next() {
		names, err := rows.Columns()
		if err != nil {
			return err
		}
		into := make([]any, len(names)) // the number of columns depends on the version
		for i := range into {
			into[i] = new(sql.RawBytes)
		}
		into[0], into[1] = &s.Log.File, &s.Log.Position
		if err := rows.Scan(into...); err != nil {
			return fmt.Errorf("position of the binary log: %w", err)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	_, err = s.conn.ExecContext(ctx, `UNLOCK TABLES`)
	return err
}

// Close ends the snapshot.
func (s *Snapshot) Close() error {
	var err error
	if s.conn != nil {
		err = s.conn.Close()
	}
	return errors.Join(err, s.pool.Close())
}

// Write writes every table and row as SQL: CREATE TABLE, for use without the program's
// migrations, and INSERTs of literals.
func (s *Snapshot) Write(ctx context.Context, w io.Writer) error {
	var columns []struct {
		Table string `db:"t"`
		Name  string `db:"c"`
	}
	err := s.conn.SelectContext(ctx, &columns, `
		SELECT c.table_name AS t, c.column_name AS c
		FROM information_schema.columns AS c
		JOIN information_schema.tables AS t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
		WHERE c.table_schema = DATABASE() AND t.table_type = 'BASE TABLE' AND t.table_name NOT IN `+ownTables+` AND `+isContent+`
		  AND COALESCE(c.generation_expression, '') = ''
		ORDER BY c.table_name, c.ordinal_position`)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, "SET FOREIGN_KEY_CHECKS=0;\n"); err != nil {
		return err
	}
	for first := 0; first < len(columns); {
		table, names := columns[first].Table, []string{}
		for ; first < len(columns) && columns[first].Table == table; first++ {
			names = append(names, "`"+columns[first].Name+"`")
		}
		if err := s.writeTable(ctx, w, table, strings.Join(names, ", ")); err != nil {
			return fmt.Errorf("table %s: %w", table, err)
		}
	}
	return nil
}

func (s *Snapshot) writeTable(ctx context.Context, w io.Writer, table, columns string) error {
	var name, create string
	if err := s.conn.QueryRowxContext(ctx, "SHOW CREATE TABLE `"+table+"`").Scan(&name, &create); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "%s;\n", create); err != nil {
		return err
	}
	// Safety: names of the schema's own tables and columns.
	query := "SELECT " + columns + " FROM `" + table + "`"
	if table == versionTable {
		query += " WHERE id <> 0" // the restore mark (markRestore)
	}
	rows, err := s.conn.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // rows.Err below reports what matters
	types, err := rows.ColumnTypes()
	if err != nil {
		return err
	}
	spell := make([]func(*bytes.Buffer, []byte), len(types))
	values := make([]sql.RawBytes, len(types))
	into := make([]any, len(types))
	for i, t := range types {
		spell[i] = literalOf(t.DatabaseTypeName())
		into[i] = &values[i]
	}
	var b bytes.Buffer
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if b.Len() == 0 {
			fmt.Fprintf(&b, "INSERT INTO `%s` (%s) VALUES\n(", table, columns)
		} else {
			b.WriteString(",\n(")
		}
		for i, v := range values {
			if i > 0 {
				b.WriteByte(',')
			}
			if v == nil {
				b.WriteString("NULL")
			} else {
				spell[i](&b, v)
			}
		}
		b.WriteByte(')')
		if b.Len() > dumpStatement {
			b.WriteString(";\n")
			if _, err := b.WriteTo(w); err != nil {
				return err
			}
		}
	}
	if b.Len() > 0 {
		b.WriteString(";\n")
	}
	_, err = b.WriteTo(w)
	return errors.Join(rows.Err(), err)
}

// literalOf returns a function that formats values of a type as SQL.
func literalOf(typeName string) func(*bytes.Buffer, []byte) {
	switch {
	case strings.Contains(typeName, "INT"), typeName == "DECIMAL", typeName == "DOUBLE", typeName == "FLOAT", typeName == "YEAR":
		return func(b *bytes.Buffer, v []byte) { b.Write(v) }
	case strings.Contains(typeName, "BINARY"), strings.Contains(typeName, "BLOB"), typeName == "BIT":
		return func(b *bytes.Buffer, v []byte) {
			if len(v) == 0 {
				b.WriteString("''")
				return
			}
			b.WriteString("0x")
			b.Write(hex.AppendEncode(b.AvailableBuffer(), v))
		}
	default:
		return writeText
	}
}

// writeText writes any text as a single-line SQL literal.
func writeText(b *bytes.Buffer, v []byte) {
	b.WriteByte('\'')
	for _, c := range v {
		switch c {
		case '\'', '\\':
			b.Write([]byte{'\\', c})
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case 0:
			b.WriteString(`\0`)
		case 0x1a:
			b.WriteString(`\Z`)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('\'')
}
