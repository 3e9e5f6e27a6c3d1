package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"
)

// configureSession puts every connection into the one state that the program's
// SQL is written for, whatever the server's defaults are.
func configureSession(c *mysql.Config) {
	c.ParseTime, c.Loc = true, time.UTC
	c.ClientFoundRows = true   // RowsAffected counts matched rows, so that 0 means "no such row"
	c.InterpolateParams = true // one round trip a statement; safe, because the charset is utf8mb4
	c.MultiStatements = false
	c.Collation = "utf8mb4_unicode_ci"
	c.AllowNativePasswords = true
	c.Logger = &mysql.NopLogger{} // what it would print comes back as an error, too
	if c.Params == nil {
		c.Params = map[string]string{}
	}
	c.Params["time_zone"] = "'+00:00'"
	// Refuse what does not fit instead of cutting it; no zero dates.
	c.Params["sql_mode"] = "'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
}

// Options are those of a pool. A limit of zero is the server's own, or none of the
// client's.
type Options struct {
	// Dial, Read and Write bound connecting and each wait for an answer of the server.
	Dial, Read, Write time.Duration
	// RowLock and TableLock bound the waits for a lock, in whole seconds.
	RowLock, TableLock time.Duration
	// Idle is after how long the server closes a connection that sends it nothing, in
	// whole seconds, with the transaction that it may be in.
	Idle time.Duration
	// OpenDB makes the pool; nil means sql.OpenDB.
	OpenDB func(driver.Connector) *sql.DB
	// Log is told which host of a cluster is the primary; nil for a second pool of the
	// same program, which would repeat the first.
	Log *slog.Logger
}

// Open prepares the pool of the database that dsn names, in the session state that
// the program's SQL is written for. It does not connect.
func Open(dsn string, options Options) (*sqlx.DB, error) {
	c, err := parseDSN(dsn)
	if err != nil {
		return nil, err
	}
	configureSession(c)
	c.Timeout, c.ReadTimeout, c.WriteTimeout = options.Dial, options.Read, options.Write
	for name, limit := range map[string]time.Duration{
		"innodb_lock_wait_timeout": options.RowLock,
		"lock_wait_timeout":        options.TableLock,
		"wait_timeout":             options.Idle,
	} {
		if limit > 0 {
			c.Params[name] = strconv.Itoa(int(limit / time.Second))
		}
	}
	return openPool(c, options.OpenDB, options.Log)
}

// openPool opens a pool whose connections are READ COMMITTED, the level that
// the booking guard was proved at: under REPEATABLE READ an earlier read in the
// transaction would fix a snapshot that the overlap check must not see. A nil
// open is sql.OpenDB; log is that of connectorOf.
func openPool(c *mysql.Config, open func(driver.Connector) *sql.DB, log *slog.Logger) (*sqlx.DB, error) {
	base, err := connectorOf(c, log)
	if err != nil {
		return nil, fmt.Errorf("database configuration: %w", err)
	}
	if open == nil {
		open = sql.OpenDB
	}
	return sqlx.NewDb(open(readCommitted{base}), "mysql"), nil
}

// readCommitted sets the isolation level once per connection, by the statement
// that MySQL and MariaDB share (their variables have different names), instead
// of once per transaction.
type readCommitted struct{ driver.Connector }

// Close lets go of what the connector holds.
func (r readCommitted) Close() error {
	if closer, ok := r.Connector.(io.Closer); ok {
		return closer.Close()
	}
	return nil
}

// Connect opens a connection and sets its isolation level.
func (r readCommitted) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := r.Connector.Connect(ctx)
	if err != nil {
		return nil, notConnected(err)
	}
	execer, ok := conn.(driver.ExecerContext)
	if !ok {
		return nil, errors.New("database driver cannot execute statements")
	}
	if _, err := execer.ExecContext(ctx, `SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED`, nil); err != nil {
		_ = conn.Close()
		return nil, notConnected(err)
	}
	whole, ok := conn.(fullConn)
	if !ok {
		_ = conn.Close()
		return nil, errors.New("database driver lacks methods of a connection")
	}
	return &writableConn{fullConn: whole}, nil
}

// fullConn is all that the driver's connections can do.
type fullConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// writableConn leaves the pool when the server has refused a statement for being
// read-only: it is then no primary any more, and the next connection may find the
// one that is. The driver's rejectReadOnly does the same, but hides the error.
type writableConn struct {
	fullConn

	readOnly bool // a connection is used by one goroutine at a time
}

// ExecContext runs a statement.
func (c *writableConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	result, err := c.fullConn.ExecContext(ctx, query, args)
	c.note(err)
	return result, err
}

// QueryContext runs a query.
func (c *writableConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := c.fullConn.QueryContext(ctx, query, args)
	c.note(err)
	return rows, err
}

func (c *writableConn) note(err error) {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		c.readOnly = c.readOnly || isReadOnly(e)
	}
}

// IsValid reports whether the connection may go back to the pool.
func (c *writableConn) IsValid() bool { return !c.readOnly && c.fullConn.IsValid() }
