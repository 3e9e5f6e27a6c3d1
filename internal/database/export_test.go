package database

import (
	"context"
	"database/sql/driver"
	"time"

	"github.com/go-sql-driver/mysql"
)

// MigrationStatements returns the statements that a migration file runs on the way up.
func MigrationStatements(name, text string) ([]string, error) {
	f, err := parseMigration(name, text)
	var texts []string
	for _, st := range f.up {
		texts = append(texts, st.text)
	}
	return texts, err
}

// SetLock sets the name of the server's lock: two names simulate two servers, whose locks
// are independent.
func (sc *Schema) SetLock(name string) { sc.lock = name }

// Waits returns a migration's timeouts: for another process, for the lease of one that lost
// its server, and for the cluster's next primary.
func (sc *Schema) Waits() (lock, lease, primary time.Duration) {
	return sc.within.lock, sc.within.lease, sc.within.primary
}

// SetWaits sets what Waits returns.
func (sc *Schema) SetWaits(lock, lease, primary time.Duration) {
	sc.within = waits{lock, lease, primary}
}

// LockName returns the name of the server's lock.
func (sc *Schema) LockName() string { return sc.lock }

// ThroughFailover runs work like a migration.
func (sc *Schema) ThroughFailover(ctx context.Context, work func() error) error {
	return sc.throughFailover(ctx, work)
}

// CheckHosts checks every host of a cluster, as before a migration.
func (sc *Schema) CheckHosts(ctx context.Context) error { return sc.checkHosts(ctx) }

// TakeLease acquires the lease for a migration.
func (sc *Schema) TakeLease(ctx context.Context, within time.Duration) error {
	conn, err := sc.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return sc.takeLease(ctx, conn, within)
}

// ConnectToFormerPrimary connects to a server as if it were one of several hosts and the
// last probe had found it to be the primary.
func ConnectToFormerPrimary(ctx context.Context, dsn string) error {
	c, err := mysql.ParseDSN(dsn)
	if err != nil {
		return err
	}
	connector, err := mysql.NewConnector(c) // any network: the tests' server listens on a socket
	if err != nil {
		return err
	}
	h, err := newHosts(c, nil)
	if err != nil {
		return err
	}
	h.current = 0
	h.start.Do(func() {}) // no further probes
	close(h.probed)
	p := &primaryConnector{hosts: h, each: []driver.Connector{connector}}
	conn, err := p.Connect(ctx)
	if err != nil {
		return err
	}
	return conn.Close()
}

// ExecBriefly runs a statement like one of a migration, once, and reports whether it was
// interrupted because its table was in use.
func (sc *Schema) ExecBriefly(ctx context.Context, text string) (interrupted bool, err error) {
	conn, err := sc.pool.Conn(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close() }()
	own := migrationConn{Conn: conn}
	if err := conn.QueryRowContext(ctx, `SELECT CONNECTION_ID()`).Scan(&own.id); err != nil {
		return false, err
	}
	return sc.execBriefly(ctx, own, text)
}
