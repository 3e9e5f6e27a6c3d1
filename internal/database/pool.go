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

// configureSession gives every connection the session state that the program's SQL expects,
// whatever the server's defaults.
func configureSession(c *mysql.Config) {
	c.ParseTime, c.Loc = true, time.UTC
	c.ClientFoundRows = true   // RowsAffected counts matched rows, so that 0 means "no such row"
	c.InterpolateParams = true // saves a round trip per statement; safe with utf8mb4
	c.MultiStatements = false
	c.Collation = "utf8mb4_unicode_ci"
	c.AllowNativePasswords = true
	c.Logger = &mysql.NopLogger{} // everything that it logs is also returned as an error
	if c.Params == nil {
		c.Params = map[string]string{}
	}
	c.Params["time_zone"] = "'+00:00'"
	// Reject values that do not fit instead of truncating them; no zero dates.
	c.Params["sql_mode"] = "'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
}

// Options configure a pool. Zero means the server's limit, or none on the client.
type Options struct {
	// Dial, Read and Write are the timeouts of connecting and of each read and write.
	Dial, Read, Write time.Duration
	// RowLock and TableLock are the lock wait timeouts, in whole seconds.
	RowLock, TableLock time.Duration
	// Idle is the time after which the server closes an idle connection and rolls back its
	// transaction, in whole seconds.
	Idle time.Duration
	// OpenDB creates the pool; nil means sql.OpenDB.
	OpenDB func(driver.Connector) *sql.DB
}

// Server is the database server that a DSN names, or the writable primary of several.
// Whatever one of its pools finds out about the primary holds for all of them.
type Server struct {
	config *mysql.Config
	hosts  *hosts // nil for a single host
}

// NewServer returns the server of dsn. It does not connect. log receives changes of a
// cluster's primary; nil for none.
func NewServer(dsn string, log *slog.Logger) (*Server, error) {
	c, err := parseDSN(dsn)
	if err != nil {
		return nil, err
	}
	return newServer(c, log)
}

func newServer(c *mysql.Config, log *slog.Logger) (*Server, error) {
	s := &Server{config: c}
	if len(hostsOf(c)) == 1 {
		return s, nil
	}
	var err error
	if s.hosts, err = newHosts(c, log); err != nil {
		return nil, fmt.Errorf("database configuration: %w", err)
	}
	return s, nil
}

// Open returns a pool with the session state that the program's SQL expects. It does not
// connect.
func (s *Server) Open(options Options) (*sqlx.DB, error) {
	c := s.config.Clone()
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
	return s.open(c, options.OpenDB)
}

// open opens a pool whose connections use READ COMMITTED, the level that the booking guard
// was proved at: under REPEATABLE READ an earlier read would fix a snapshot that hides later
// bookings from the overlap check. A nil with is sql.OpenDB.
func (s *Server) open(c *mysql.Config, with func(driver.Connector) *sql.DB) (*sqlx.DB, error) {
	var base driver.Connector
	var err error
	if s.hosts != nil {
		base, err = s.hosts.connector(c)
	} else {
		base, err = mysql.NewConnector(c)
	}
	if err != nil {
		return nil, fmt.Errorf("database configuration: %w", err)
	}
	if with == nil {
		with = sql.OpenDB
	}
	return sqlx.NewDb(with(readCommitted{base}), "mysql"), nil
}

// openPool opens the only pool for a configuration.
func openPool(c *mysql.Config) (*sqlx.DB, error) {
	s, err := newServer(c, nil)
	if err != nil {
		return nil, err
	}
	return s.open(c, nil)
}

// readCommitted sets the isolation level once per connection instead of per transaction,
// with the statement that MySQL and MariaDB share (their variables have different names).
type readCommitted struct{ driver.Connector }

// Close closes the connector, if it can be closed.
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

// fullConn has all methods of the driver's connections.
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

// writableConn leaves the pool once the server has rejected a statement as read-only: it is
// no longer the primary, and the next connection may find the new one. The driver's
// rejectReadOnly does the same, but hides the error.
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

// IsValid reports whether the connection may return to the pool.
func (c *writableConn) IsValid() bool { return !c.readOnly && c.fullConn.IsValid() }
