package database

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/go-sql-driver/mysql"
)

// Loss is a table or column that undoing a migration drops, with the number of rows that
// have data there.
type Loss struct {
	Name string // table or table.column
	Rows int64
}

var (
	dropsTable   = regexp.MustCompile(`(?s)^DROP TABLE (?:IF EXISTS )?([a-z_0-9]+)`)
	altersTable  = regexp.MustCompile(`^ALTER TABLE ([a-z_0-9]+)`)
	dropsColumns = regexp.MustCompile(`DROP COLUMN (?:IF EXISTS )?([a-z_0-9]+)`)
)

// ErrSealsLost reports that undoing a migration would drop seals.
var ErrSealsLost = errors.New("this would drop seals, which no migration can restore")

// sealColumns hold seals, which only a running server with MEMS_AUDIT_KEYS can write, and
// only over data that it has read itself.
var sealColumns = []string{"audit_chains.seal", "audit_chains.seal_seq", "api_keys.seal"}

// checkSeals returns ErrSealsLost if Down would drop seals. Empty columns afterwards would
// mean that seals of the audit trail were removed, or that API keys were never sealed: the
// next server would trust and seal any keys that it finds.
func (sc *Schema) checkSeals(ctx context.Context) error {
	losses, err := sc.Losses(ctx)
	if err != nil || sc.LoseSeals {
		return err
	}
	if slices.ContainsFunc(losses, func(l Loss) bool { return slices.Contains(sealColumns, l.Name) }) {
		return ErrSealsLost
	}
	return nil
}

// Losses returns the tables and columns with data that Down would drop. It scans each of
// these tables.
func (sc *Schema) Losses(ctx context.Context) ([]Loss, error) {
	files, err := migrationFiles()
	if err != nil {
		return nil, err
	}
	at, err := sc.version(ctx)
	if err != nil {
		return nil, err
	}
	var undone []statement
	for i, f := range files { // ordered by version
		if f.version == at {
			undone = append(undone, f.down...)
		} else if i > 0 && f.version > at && files[i-1].version <= at { // of an interrupted run
			undone = append(undone, f.down...)
		}
	}
	var losses []Loss
	count := func(name, query string) error {
		loss := Loss{Name: name}
		err := sc.pool.QueryRowContext(ctx, query).Scan(&loss.Rows)
		if e, ok := errors.AsType[*mysql.MySQLError](err); ok && (e.Number == 1146 || e.Number == 1054) {
			return nil // no such table or column
		}
		if err == nil && loss.Rows > 0 && !slices.Contains(losses, loss) {
			losses = append(losses, loss)
		}
		return err
	}
	// Safety: names from our own files.
	for _, st := range undone {
		if table := dropsTable.FindStringSubmatch(st.text); table != nil {
			if err := count(table[1], `SELECT COUNT(*) FROM `+table[1]); err != nil {
				return nil, fmt.Errorf("count the rows of %s: %w", table[1], err)
			}
		}
		table := altersTable.FindStringSubmatch(st.text)
		for _, column := range dropsColumns.FindAllStringSubmatch(st.text, -1) {
			if table == nil {
				continue
			}
			if err := count(table[1]+"."+column[1], `SELECT COUNT(`+column[1]+`) FROM `+table[1]); err != nil {
				return nil, fmt.Errorf("count the rows of %s: %w", table[1], err)
			}
		}
	}
	return losses, nil
}
