package database

import (
	"context"
	"time"

	"github.com/go-sql-driver/mysql"
)

// MigrationStatements are the statements that a migration file runs on the way up.
func MigrationStatements(name, text string) ([]string, error) {
	f, err := parseMigration(name, text)
	var texts []string
	for _, st := range f.up {
		texts = append(texts, st.text)
	}
	return texts, err
}

// SetLock sets the name of the server's lock: two names stand for two servers, whose
// locks do not see each other.
func (sc *Schema) SetLock(name string) { sc.lock = name }

// Waits are how long a migration waits for another process, for the lease of one that
// lost its server, and for the cluster's next primary.
func (sc *Schema) Waits() (lock, lease, primary time.Duration) {
	return sc.within.lock, sc.within.lease, sc.within.primary
}

// SetWaits shortens what Waits returns.
func (sc *Schema) SetWaits(lock, lease, primary time.Duration) {
	sc.within = waits{lock, lease, primary}
}

// LockName is the name of the server's lock.
func (sc *Schema) LockName() string { return sc.lock }

// ThroughFailover runs work as a migration is run.
func (sc *Schema) ThroughFailover(ctx context.Context, work func() error) error {
	return sc.throughFailover(ctx, work)
}

// CheckHosts asks every host of a cluster, as before a migration.
func (sc *Schema) CheckHosts(ctx context.Context) error { return sc.checkHosts(ctx) }

// TakeLease takes the lease for a migration.
func (sc *Schema) TakeLease(ctx context.Context, within time.Duration) error {
	conn, err := sc.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return sc.takeLease(ctx, conn, within)
}

// ConnectToFormerPrimary connects to a server as to one of several hosts that was the
// primary when it was asked last.
func ConnectToFormerPrimary(ctx context.Context, dsn string) error {
	c, err := mysql.ParseDSN(dsn)
	if err != nil {
		return err
	}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return err
	}
	h := &hosts{names: []string{c.Addr}, hosts: []host{{connector: connector}}, probed: make(chan struct{})}
	h.start.Do(func() {}) // it is not asked again
	close(h.probed)
	conn, err := h.Connect(ctx)
	if err != nil {
		return err
	}
	return conn.Close()
}
