package store

import (
	"context"
	"errors"
	"time"

	"mems/internal/clinic"
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

// SetSearchBounds sets how many patients a search reads at once.
func (s *Store) SetSearchBounds(narrow, walk int) { s.patientSearch = searchBounds{narrow, walk} }

// SetMaxScanned sets how many appointments a page examines.
func (s *Store) SetMaxScanned(n int) { s.maxScanned = n }

// StartUnsealedChain begins a chain as a program before seals does.
func (s *Store) StartUnsealedChain(ctx context.Context) error {
	var before []byte
	if err := s.db.GetContext(ctx, &before, `SELECT hash FROM audit_chains ORDER BY id DESC LIMIT 1`); err != nil {
		return err
	}
	at := clinic.Instant(s.now())
	hash := chainHash(before, at, MACKey{})
	if _, err := s.db.ExecContext(ctx, `UPDATE audit_chains SET sealed_seq = sealed_seq + 1 WHERE id = 1`); err != nil {
		return err
	}
	result, err := s.db.ExecContext(ctx, `INSERT INTO audit_chains (started_at, hash, sealed_hash) VALUES (?, ?, ?)`, at, hash, hash)
	if err != nil {
		return err
	}
	id, err := result.LastInsertId()
	s.releaseChain(&chainTip{id: id, hash: hash, begin: hash}, true)
	return err
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

// ConnectToFormerPrimary connects to the first of several hosts, which was the primary when
// it was asked last.
func ConnectToFormerPrimary(ctx context.Context, dsn string) error {
	c, err := parseDSN(dsn)
	if err != nil {
		return err
	}
	connector, err := connectorOf(c, nil)
	if err != nil {
		return err
	}
	h, several := connector.(*hosts)
	if !several {
		return errors.New("one host")
	}
	h.start.Do(func() {}) // it is not asked again
	h.current = 0
	close(h.probed)
	conn, err := h.Connect(ctx)
	if err != nil {
		return err
	}
	return conn.Close()
}
