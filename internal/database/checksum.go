package database

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"
)

// TableSum summarises the contents of a table.
type TableSum struct {
	Table string
	Rows  int64
	Sum   string // SHA-256 over all rows in primary key order, hexadecimal
}

// Checksums reads every table of the schema in one snapshot, without blocking writers. Two
// databases with the same sums have the same contents. Rows are streamed.
func (sc *Schema) Checksums(ctx context.Context) ([]TableSum, error) {
	t, err := sqlx.NewDb(sc.pool, "mysql").BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = t.Rollback() }() // read-only
	var columns []struct {
		Table string `db:"t"`
		Name  string `db:"c"`
		Key   bool   `db:"k"`
	}
	err = t.SelectContext(ctx, &columns, `
		SELECT c.table_name AS t, c.column_name AS c, c.column_key = 'PRI' AS k
		FROM information_schema.columns AS c
		JOIN information_schema.tables AS t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
		WHERE c.table_schema = DATABASE() AND t.table_type = 'BASE TABLE' AND t.table_name NOT IN `+ownTables+` AND `+isContent+`
		ORDER BY c.table_name, c.ordinal_position`)
	if err != nil {
		return nil, err
	}
	var names []string
	all, keys := map[string][]string{}, map[string][]string{}
	for _, c := range columns {
		if !slices.Contains(names, c.Table) {
			names = append(names, c.Table)
		}
		quoted := "`" + c.Name + "`"
		all[c.Table] = append(all[c.Table], quoted)
		if c.Key {
			keys[c.Table] = append(keys[c.Table], quoted)
		}
	}
	slices.Sort(names) // each engine lists tables in a different order
	sums := make([]TableSum, len(names))
	for i, name := range names {
		order := keys[name]
		if len(order) == 0 {
			order = all[name]
		}
		// Safety: names of the schema's own tables and columns.
		where := ""
		if name == versionTable {
			where = " WHERE id <> 0" // the restore mark (markRestore)
		}
		query := fmt.Sprintf("SELECT %s FROM `%s`%s ORDER BY %s", strings.Join(all[name], ", "), name, where, strings.Join(order, ", "))
		if sums[i], err = sumRows(ctx, t, name, query); err != nil {
			return nil, fmt.Errorf("table %s: %w", name, err)
		}
	}
	return sums, nil
}

func sumRows(ctx context.Context, t *sqlx.Tx, table, query string) (TableSum, error) {
	rows, err := t.QueryContext(ctx, query)
	if err != nil {
		return TableSum{}, err
	}
	defer func() { _ = rows.Close() }() // rows.Err below reports what matters
	columns, err := rows.Columns()
	if err != nil {
		return TableSum{}, err
	}
	values := make([]sql.RawBytes, len(columns))
	into := make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	sum := TableSum{Table: table}
	hash := sha256.New()
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return sum, err
		}
		sum.Rows++
		for _, v := range values {
			// The length prefix, with 0 for NULL, keeps different rows from hashing alike.
			length := uint64(0)
			if v != nil {
				length = uint64(len(v)) + 1
			}
			_, _ = hash.Write(binary.BigEndian.AppendUint64(nil, length)) // hash.Hash never returns an error
			_, _ = hash.Write(v)
		}
	}
	sum.Sum = hex.EncodeToString(hash.Sum(nil))
	return sum, rows.Err()
}
