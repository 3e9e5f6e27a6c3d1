package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"

	"mems/db"
)

// ErrSchemaBehind reports that a database has pending migrations.
var ErrSchemaBehind = errors.New("the schema is older than this program needs")

// CheckVersion returns the schema's version if it is at least the one that this
// program needs. Errors: ErrRestoreUnfinished, ErrSchemaBehind.
func CheckVersion(ctx context.Context, pool *sqlx.DB) (int64, error) {
	var version int64
	var restoring bool
	err := pool.QueryRowContext(ctx, `SELECT COALESCE(MAX(version_id), 0), `+isRestoring+` FROM `+versionTable).Scan(&version, &restoring)
	if err != nil {
		return 0, err
	}
	if restoring {
		return 0, ErrRestoreUnfinished
	}
	needed, err := latest(ctx, pool.DB)
	if err != nil {
		return 0, err
	}
	// A newer schema is accepted: every migration is compatible with the previous version
	// of the program (db/README.md).
	if version < needed {
		return 0, fmt.Errorf("database schema is at version %d, this program needs %d: run \"mems migrate up\" (%w)", version, needed, ErrSchemaBehind)
	}
	return version, nil
}

// latest returns the schema version that this program needs on this engine.
func latest(ctx context.Context, pool *sql.DB) (int64, error) {
	triggers, err := hasTriggers(ctx, pool)
	if err != nil {
		return 0, err
	}
	if triggers {
		return db.Latest, nil
	}
	files, err := migrationFiles()
	if err != nil {
		return 0, err
	}
	latest := int64(0)
	for _, f := range files {
		if !slices.Contains(db.Backstops, f.version) {
			latest = max(latest, f.version)
		}
	}
	return latest, nil
}

// version returns the newest migration that was completed; 0 for none.
func (sc *Schema) version(ctx context.Context) (int64, error) {
	var version int64
	err := sc.pool.QueryRowContext(ctx, `SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version`).Scan(&version)
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok && e.Number == 1146 {
		return 0, nil // no such table
	}
	return version, err
}

// hasTriggers reports whether the engine supports triggers, and so the backstop.
func hasTriggers(ctx context.Context, pool *sql.DB) (bool, error) {
	var version string
	if err := pool.QueryRowContext(ctx, `SELECT VERSION()`).Scan(&version); err != nil {
		return false, err
	}
	return !strings.Contains(version, "TiDB"), nil
}

// Engine returns "mariadb" or "mysql".
func (sc *Schema) Engine(ctx context.Context) (string, error) {
	var version string
	if err := sc.pool.QueryRowContext(ctx, `SELECT VERSION()`).Scan(&version); err != nil {
		return "", err
	}
	if strings.Contains(version, "MariaDB") {
		return "mariadb", nil
	}
	return "mysql", nil
}
