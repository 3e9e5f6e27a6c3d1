package database

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"

	"mems/db"
)

// ErrNotDisposable reports that a database to be reset or filled is not marked as
// disposable.
var ErrNotDisposable = errors.New("this database is not marked as disposable")

// ErrForeignDatabase reports that a database to be migrated holds another program's tables.
var ErrForeignDatabase = errors.New("this database has another program's tables: use an empty database, or one that does not exist yet")

// Schema migrates one database.
type Schema struct {
	// OnStatement, unless nil, is called after each statement of a migration with the
	// file's name, the statement's number from 1, and the number of statements.
	OnStatement func(migration string, n, of int)
	// OnFailover, unless nil, is called when the cluster's primary was lost, with the cause
	// and the time that the migration will wait for the next one.
	OnFailover func(cause error, wait time.Duration)
	// OnUnreachable, unless nil, is called before a migration's first statement for each
	// host of a cluster whose settings could not be read.
	OnUnreachable func(host string, cause error)
	// LoseSeals lets Down drop the seals of the audit trail and of API keys.
	LoseSeals bool

	config *mysql.Config
	pool   *sql.DB
	fill   FillFunc
	owner  string // of the lease
	lock   string // name of the GET_LOCK lock
	ran    int    // statements run
	within waits
}

// Migration is one step of the schema.
type Migration struct {
	Version   int64
	Name      string
	Applied   bool
	AppliedAt time.Time     // zero unless applied
	Took      time.Duration // zero unless just run
}

// FillFunc computes what SQL migrations cannot, for a bounded number of rows, and returns
// their number; it is called until that is 0.
type FillFunc func(context.Context, *sqlx.DB) (int, error)

// OpenSchema returns the Schema of the database that dsn names; fill is called after the
// last migration. It does not connect.
func OpenSchema(dsn string, fill FillFunc) (*Schema, error) {
	config, err := parseDSN(dsn)
	if err != nil {
		return nil, err
	}
	configureSession(config)
	config.Timeout = 5 * time.Second // no read timeout: altering a large table takes long
	pool, err := openPool(config)
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(4)
	// Lock names are global to the server, so the name identifies the database; MySQL
	// allows 64 characters.
	sum := sha256.Sum256([]byte(config.DBName))
	return &Schema{config: config, pool: pool.DB, fill: fill, owner: leaseOwner(), lock: "mems migrate " + hex.EncodeToString(sum[:16]), within: usualWaits}, nil
}

// Close closes the connections.
func (sc *Schema) Close() error { return sc.pool.Close() }

// Pool returns the connections, for reads and writes outside of migrations.
func (sc *Schema) Pool() *sqlx.DB { return sqlx.NewDb(sc.pool, "mysql") }

// DatabaseName returns the name of the database.
func (sc *Schema) DatabaseName() string { return sc.config.DBName }

// Up creates the database if it does not exist, runs every pending migration and reports
// each. It may be called concurrently: one process migrates, the others wait and find
// nothing to do. When ctx ends it stops between two statements and returns the error of
// ctx; the next call continues from there, as it does after a crash of the process or
// server. In a cluster it continues on the next primary.
//
// Errors: ErrForeignDatabase, ErrRestoreUnfinished, ErrTakenOver. Where possible, obstacles
// are reported before the first statement.
func (sc *Schema) Up(ctx context.Context, report func(Migration)) error {
	if restoring, err := sc.Restoring(ctx); err != nil || restoring {
		return cmp.Or(err, ErrRestoreUnfinished)
	}
	return sc.UpTo(ctx, math.MaxInt64, report)
}

// UpTo migrates like Up, to the given version, and accepts a database that is being
// restored.
func (sc *Schema) UpTo(ctx context.Context, version int64, report func(Migration)) error {
	if err := sc.createDatabase(ctx); err != nil {
		return err
	}
	return sc.throughFailover(ctx, func() error { return sc.upTo(ctx, version, report) })
}

func (sc *Schema) upTo(ctx context.Context, version int64, report func(Migration)) error {
	return sc.locked(ctx, func(p *goose.Provider, files []migrationFile) error {
		at, err := sc.version(ctx)
		if err != nil {
			return err
		}
		pending := slices.DeleteFunc(slices.Clone(files), func(f migrationFile) bool {
			return f.version <= at || f.version > version
		})
		if len(pending) == 0 {
			return sc.finish(ctx, version)
		}
		if err := sc.checkBeforeUp(ctx, pending); err != nil {
			return hint(err)
		}
		for range pending {
			r, err := p.UpByOne(ctx)
			if errors.Is(err, goose.ErrNoNextVersion) {
				break
			}
			if err != nil {
				return hint(cmp.Or(ctx.Err(), err))
			}
			report(migration(r, files))
		}
		return sc.finish(ctx, version)
	})
}

// finish calls fill until it is done, once the last migration has run.
func (sc *Schema) finish(ctx context.Context, version int64) error {
	if version < db.Latest {
		return nil
	}
	for {
		if n, err := sc.fill(ctx, sc.Pool()); err != nil || n == 0 {
			return err
		}
	}
}

// Down undoes the newest migration and returns it. It first undoes what an interrupted run
// of the next one left. Errors: goose.ErrNoNextVersion if there is none; ErrSealsLost.
func (sc *Schema) Down(ctx context.Context) (Migration, error) {
	var m Migration
	err := sc.locked(ctx, func(p *goose.Provider, files []migrationFile) error {
		if err := sc.checkSeals(ctx); err != nil {
			return err
		}
		at, err := sc.version(ctx)
		if err != nil {
			return err
		}
		if next := slices.IndexFunc(files, func(f migrationFile) bool { return f.version > at }); next >= 0 { // files are sorted by version
			if err := sc.runStatements(ctx, sc.pool, files[next].name, files[next].down); err != nil {
				return hint(cmp.Or(ctx.Err(), err))
			}
		}
		r, err := p.Down(ctx)
		if err != nil {
			return hint(cmp.Or(ctx.Err(), err))
		}
		m = migration(r, files)
		return nil
	})
	return m, err
}

// Status lists all migrations, oldest first.
func (sc *Schema) Status(ctx context.Context) ([]Migration, error) {
	p, files, err := sc.provider(ctx)
	if err != nil {
		return nil, err
	}
	states, err := p.Status(ctx)
	if err != nil {
		return nil, err
	}
	var ms []Migration
	for _, s := range states {
		ms = append(ms, Migration{
			Version: s.Source.Version, Name: nameOf(files, s.Source.Version),
			Applied: s.State == goose.StateApplied, AppliedAt: s.AppliedAt,
		})
	}
	return ms, nil
}

// Disposable reports whether the database is marked as disposable.
func (sc *Schema) Disposable(ctx context.Context) (bool, error) {
	var disposable bool
	err := sc.pool.QueryRowContext(ctx, `SELECT disposable FROM installation WHERE id = 1`).Scan(&disposable)
	return disposable, err
}

// MarkDisposable permits Reset and the demo data on this database.
func (sc *Schema) MarkDisposable(ctx context.Context) error {
	_, err := sc.pool.ExecContext(ctx, `UPDATE installation SET disposable = 1 WHERE id = 1`)
	return err
}

// Reset drops every table, whatever its state, and migrates again. The database stays
// marked as disposable. Errors: ErrNotDisposable.
func (sc *Schema) Reset(ctx context.Context, report func(Migration)) error {
	disposable, err := sc.Disposable(ctx)
	if err != nil {
		return fmt.Errorf("read the disposable mark: %w", err)
	}
	if !disposable {
		return ErrNotDisposable
	}
	err = sc.locked(ctx, func(*goose.Provider, []migrationFile) error { return sc.dropEverything(ctx) })
	if err != nil {
		return hint(err)
	}
	if err := sc.Up(ctx, report); err != nil {
		return err
	}
	return sc.MarkDisposable(ctx)
}

// provider returns goose with all migrations that this engine supports.
func (sc *Schema) provider(ctx context.Context) (*goose.Provider, []migrationFile, error) {
	files, err := migrationFiles()
	if err != nil {
		return nil, nil, err
	}
	triggers, err := hasTriggers(ctx, sc.pool)
	if err != nil {
		return nil, nil, err
	}
	if !triggers {
		files = slices.DeleteFunc(files, func(f migrationFile) bool { return slices.Contains(db.Backstops, f.version) })
	}
	migrations := make([]*goose.Migration, len(files))
	for i, f := range files {
		migrations[i] = sc.gooseMigration(f)
	}
	p, err := goose.NewProvider(goose.DialectMySQL, sc.pool, nil,
		goose.WithGoMigrations(migrations...), goose.WithDisableGlobalRegistry(true))
	return p, files, err
}

// locked runs work while no other process migrates this database.
func (sc *Schema) locked(ctx context.Context, work func(*goose.Provider, []migrationFile) error) error {
	p, files, err := sc.provider(ctx)
	if err != nil {
		return err
	}
	conn, err := sc.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // releases the lock if RELEASE_LOCK could not
	var got sql.NullInt64
	if err := conn.QueryRowContext(ctx, `SELECT GET_LOCK(?, ?)`, sc.lock, int(sc.within.lock/time.Second)).Scan(&got); err != nil {
		return err
	}
	if got.Int64 != 1 {
		return fmt.Errorf("another process has been migrating this database for %s", sc.within.lock)
	}
	whole := context.WithoutCancel(ctx)
	defer func() { _, _ = conn.ExecContext(whole, `DO RELEASE_LOCK(?)`, sc.lock) }()
	if err := sc.takeLease(ctx, conn, sc.within.lock); err != nil {
		return err
	}
	defer sc.dropLease(whole, conn)
	if err := beginVersions(whole, conn); err != nil {
		return err
	}
	return work(p, files)
}

// beginVersions inserts the first row of goose's version table. Goose creates the table and
// the row separately; if it is stopped in between, it later finds a table without any
// version. Does nothing if there is no table.
func beginVersions(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, `
		INSERT INTO `+versionTable+` (version_id, is_applied)
		SELECT 0, 1 FROM (SELECT COUNT(*) AS n FROM `+versionTable+`) AS versions WHERE n = 0`)
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok && e.Number == 1146 {
		return nil
	}
	return err
}

// createDatabase creates the database if the server does not have it.
func (sc *Schema) createDatabase(ctx context.Context) error {
	err := sc.pool.PingContext(ctx)
	var refused *mysql.MySQLError
	if !errors.As(err, &refused) || refused.Number != 1049 { // unknown database
		return err
	}
	server := sc.config.Clone()
	server.DBName = ""
	pool, err := openPool(server)
	if err != nil {
		return err
	}
	defer func() { _ = pool.Close() }()
	name := "`" + strings.ReplaceAll(sc.config.DBName, "`", "``") + "`"
	_, err = pool.ExecContext(ctx, `CREATE DATABASE IF NOT EXISTS `+name+` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci`)
	if err != nil {
		return fmt.Errorf("create database %s: %w", sc.config.DBName, err)
	}
	return nil
}

func migration(r *goose.MigrationResult, files []migrationFile) Migration {
	return Migration{Version: r.Source.Version, Name: nameOf(files, r.Source.Version), Applied: r.Direction == "up", Took: r.Duration}
}

func nameOf(files []migrationFile, version int64) string {
	for _, f := range files {
		if f.version == version {
			return f.name
		}
	}
	return ""
}

// hint adds the remedy to errors that administrators commonly see.
func hint(err error) error {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok && e.Number == 1419 {
		return fmt.Errorf("%w\nThe server has a binary log and allows only administrators to create triggers. "+
			"Have an administrator run this migration, or set log_bin_trust_function_creators = 1 while it runs", err)
	}
	return err
}
