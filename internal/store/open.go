// Package store keeps the clinic in a MySQL-compatible database.
//
// An exported method is one use case and, but for the few that work in batches,
// one transaction. Each statement is written out in the function that runs it,
// with the index that it uses and the rows that it locks. Functions of package
// clinic decide what is allowed, on what was read under the locks that this
// package takes. db/README.md has the lock order and its reasons ("Rules").
package store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// DefaultMaxOpenConns bounds the pool unless configured otherwise. Beyond this
// the database's own queueing costs more than ours.
const DefaultMaxOpenConns = 32

// Config says which database to use and how.
type Config struct {
	// DSN is a go-sql-driver DSN or a mysql:// URL, with a database name.
	DSN string
	// MaxOpenConns bounds the pool; 0 means DefaultMaxOpenConns.
	MaxOpenConns int
	// Now is the clock. Required.
	Now func() time.Time
	// Zone is the clinic's time zone. Required.
	Zone *time.Location
	// MACKeys bind the audit trail to secrets that the database does not have: the
	// first one writes, all of them verify. None: plain hashes. They seal API keys, too.
	MACKeys []MACKey
	// Partners bounds how far ahead partners book.
	Partners clinic.PartnerWindow
	// Log receives what no caller is told: retries and causes.
	Log *slog.Logger
	// Observe is told what happens inside.
	Observe Observe
	// OpenDB makes the pool, so that it can be instrumented; nil means sql.OpenDB.
	OpenDB func(driver.Connector) *sql.DB
}

// Store is the clinic's database. It is safe for concurrent use, by any number
// of processes on one database.
type Store struct {
	db   *sqlx.DB
	now  func() time.Time
	zone *time.Location
	log  *slog.Logger

	observe       Observe
	changed       signal // a change was committed here
	patientSearch searchBounds
	partners      clinic.PartnerWindow
	knownKeys     *knownSecrets
	knownFeeds    *knownSecrets
	sealer        *keySealer
	ready         *readiness
	maxScanned    int
	refused       recentlyRefused

	// Of the audit trail.
	macKey    MACKey // writes
	macKeys   []MACKey
	chainTips chainTips
	reads     chan read
	close     sync.Once
	closed    chan struct{}
	stopped   chan struct{}
}

// heldWithin bounds how long a transaction may wait for its own program's next statement,
// and so how long a program that does not go on can keep others from a calendar.
const heldWithin = 15 * time.Second

// Open prepares a Store. It does not connect; Ready tells whether the database
// can be used.
func Open(cfg Config) (*Store, error) {
	if cfg.Now == nil || cfg.Zone == nil || cfg.Log == nil {
		return nil, errors.New("store: Now, Zone and Log are required")
	}
	dsn, err := parseDSN(cfg.DSN)
	if err != nil {
		return nil, err
	}
	configureSession(dsn)
	// No request waits longer than this for one answer of the database; a
	// server that hangs or a cable that was pulled ends in 503, not in a leak.
	dsn.Timeout, dsn.ReadTimeout, dsn.WriteTimeout = 5*time.Second, 15*time.Second, 15*time.Second
	dsn.Params["innodb_lock_wait_timeout"] = "3" // seconds; then the transaction is tried again
	dsn.Params["lock_wait_timeout"] = "5"        // seconds, for a table that is being altered
	// A process that stands still, or whose machine is gone, holds its guards until the
	// database closes its connection: by default after eight hours.
	dsn.Params["wait_timeout"] = strconv.Itoa(int(heldWithin / time.Second))
	db, err := openPool(dsn, cfg.OpenDB, cfg.Log)
	if err != nil {
		return nil, err
	}
	ready, err := newReadiness(dsn)
	if err != nil {
		return nil, err
	}
	n := cfg.MaxOpenConns
	if n <= 0 {
		n = DefaultMaxOpenConns
	}
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)                     // or every peak would pay for handshakes
	db.SetConnMaxIdleTime(heldWithin * 2 / 3) // before the database closes it
	db.SetConnMaxLifetime(30 * time.Minute)   // so that a fail-over behind a proxy is noticed
	st := &Store{
		db: db, now: cfg.Now, zone: cfg.Zone, log: cfg.Log, observe: cfg.Observe, macKeys: cfg.MACKeys,
		patientSearch: defaultSearchBounds, partners: cfg.Partners, knownKeys: newKnownSecrets("api_keys"), knownFeeds: newKnownSecrets("calendar_feeds"),
		sealer: newKeySealer(cfg.MACKeys), chainTips: chainTips{ends: map[int64]chainTip{}},
		ready: ready, maxScanned: maxScanned, reads: make(chan read), closed: make(chan struct{}), stopped: make(chan struct{}),
	}
	if len(cfg.MACKeys) > 0 {
		st.macKey = cfg.MACKeys[0]
	}
	go st.keepTrail()
	return st, nil
}

// Close seals the audit trail and closes the pool. It may be called again.
func (s *Store) Close() error {
	s.close.Do(func() { close(s.closed) })
	<-s.stopped
	return errors.Join(s.ready.db.Close(), s.db.Close())
}

// today is the clinic's local day.
func (s *Store) today() clinic.Date { return clinic.DateOf(s.now().In(s.zone)) }

// TrustCA makes "tls=mems" in a DSN mean: encrypted, with a server whose
// certificate one of these authorities (PEM) has signed for its name.
func TrustCA(pem []byte) error {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return errors.New("there is no certificate (PEM) in it")
	}
	return mysql.RegisterTLSConfig("mems", &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool})
}

// parseDSN reads a go-sql-driver DSN or a mysql:// URL. The error never holds
// the text, which may contain a password.
func parseDSN(s string) (*mysql.Config, error) {
	if rest, isURL := strings.CutPrefix(s, "mysql://"); isURL {
		one, list := firstHost(rest)
		u, err := url.Parse("mysql://" + one)
		if err != nil {
			return nil, errors.New("database URL cannot be read; it should look like mysql://user:password@host:3306/mems")
		}
		c := mysql.NewConfig()
		c.User = u.User.Username()
		c.Passwd, _ = u.User.Password()
		c.Net, c.Addr = "tcp", u.Host
		if u.Port() == "" {
			c.Addr = u.Hostname() + ":3306"
		}
		if list != "" {
			c.Addr = "[" + list + "]:3306"
		}
		c.DBName = strings.TrimPrefix(u.Path, "/")
		// The driver knows its own parameters (tls, ...): let it read them.
		s = c.FormatDSN()
		if u.RawQuery != "" {
			sep := "?"
			if strings.Contains(s[strings.LastIndex(s, "/"):], "?") {
				sep = "&"
			}
			s += sep + u.RawQuery
		}
	}
	c, err := mysql.ParseDSN(s)
	if scheme, _, isURL := strings.Cut(s, "://"); err != nil && isURL && isScheme(scheme) {
		return nil, errors.New("database URL is not of MySQL or MariaDB; it should look like mysql://user:password@host:3306/mems")
	}
	if err != nil {
		return nil, errors.New("database DSN cannot be read; it should look like mysql://user:password@host:3306/mems, or user:password@tcp(host:3306)/mems")
	}
	if c.DBName == "" {
		return nil, errors.New("database DSN has no database name; it should end like .../mems")
	}
	for _, host := range hostsOf(c) {
		if c.Net == "tcp" && (host == "" || strings.HasPrefix(host, ":")) {
			return nil, errors.New("database URL has an empty host in its list; it should look like mysql://user:password@host1:3306,host2:3306/mems")
		}
	}
	return c, nil
}

// isScheme reports whether s is the scheme of a URL (RFC 3986, 3.1), not the user and
// password of a DSN.
func isScheme(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r > 'z' || r < 'a' && r != '+' && r != '-' && r != '.' && (r < '0' || r > '9') && (r < 'A' || r > 'Z')
	})
}

// firstHost leaves the first of several hosts in what follows mysql://, and returns
// the list, empty for a single host.
func firstHost(rest string) (one, list string) {
	authority, path, _ := strings.Cut(rest, "/")
	at := strings.LastIndex(authority, "@") + 1
	first, _, several := strings.Cut(authority[at:], ",")
	if !several {
		return rest, ""
	}
	return authority[:at] + first + "/" + path, authority[at:]
}

// configureSession puts every connection into the one state that the SQL in
// this package is written for, whatever the server's defaults are.
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

// connectError is a failure to connect that the server did not state itself: the driver
// has errors of its own for a connection that breaks before its first statement.
type connectError struct{ error }

func (e connectError) Unwrap() error { return e.error }

func notConnected(err error) error {
	if _, stated := errors.AsType[*mysql.MySQLError](err); stated {
		return err
	}
	return connectError{err}
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
		switch e.Number {
		case 1290, 1792, 1836:
			c.readOnly = true
		}
	}
}

// IsValid reports whether the connection may go back to the pool.
func (c *writableConn) IsValid() bool { return !c.readOnly && c.fullConn.IsValid() }
