package store

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"sync"
	"time"

	"mems/internal/clinic"
)

// knownSecrets caches the hashes of the secrets in a table, so that a wrong API key is
// detected without a query: guesses cost the database nothing, and count against their
// address before any other check. It grants nothing: a known key is still looked up, so a
// revoked one is rejected immediately.
type knownSecrets struct {
	table string // with id, secret_hash, revoked_at and expires_at

	mu     sync.RWMutex
	hashes map[int64][sha256.Size]byte // of the secrets that were live when they were read

	reading sync.Mutex // held while hashes are extended
	last    int64      // the highest id that was read
	read    time.Time  // when; zero: never
}

const (
	// maxKnown bounds the memory: the newest secrets are cached, older ones when they are
	// used.
	maxKnown = 20_000
	// knownPause is the minimum interval between queries for new secrets.
	knownPause = time.Second
)

func newKnownSecrets(table string) *knownSecrets {
	return &knownSecrets{table: table, hashes: map[int64][sha256.Size]byte{}}
}

// knows reports whether id has this secret according to the cache. An id above those that
// were read causes a query, at most one a second in total.
func (k *knownSecrets) knows(ctx context.Context, s *Store, id int64, secret string) (bool, error) {
	hash := sha256.Sum256([]byte(secret))
	if k.has(id, hash) {
		return true, nil
	}
	if err := k.extend(ctx, s, id); err != nil {
		return false, err
	}
	return k.has(id, hash), nil
}

func (k *knownSecrets) has(id int64, hash [sha256.Size]byte) bool {
	k.mu.RLock()
	known, found := k.hashes[id]
	k.mu.RUnlock()
	return found && subtle.ConstantTimeCompare(known[:], hash[:]) == 1
}

// extend reads the secrets that were added since the last time, if id may be among
// them. Primary key.
func (k *knownSecrets) extend(ctx context.Context, s *Store, id int64) error {
	k.reading.Lock()
	defer k.reading.Unlock()
	now := s.now()
	if since := now.Sub(k.read); id <= k.last || !k.read.IsZero() && 0 <= since && since < knownPause {
		return nil
	}
	k.read = now
	var rows []struct {
		ID   int64  `db:"id"`
		Hash []byte `db:"secret_hash"`
		Live bool   `db:"live"`
	}
	// Safety: the name of the table is a constant.
	err := s.db.SelectContext(ctx, &rows, fmt.Sprintf(`
		SELECT id, secret_hash, revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?) AS live
		FROM %s
		WHERE id > ?
		ORDER BY id DESC
		LIMIT %d`, k.table, maxKnown), clinic.Instant(now), k.last)
	if err != nil {
		return translate(ctx, "read the hashes of secrets", err)
	}
	for _, row := range rows {
		k.last = max(k.last, row.ID)
		if row.Live {
			k.learn(row.ID, [sha256.Size]byte(row.Hash))
		}
	}
	return nil
}

// learn adds a secret that was just verified.
func (k *knownSecrets) learn(id int64, hash [sha256.Size]byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, found := k.hashes[id]; !found && len(k.hashes) >= maxKnown {
		for other := range k.hashes { // any: it is learnt again when it is used
			delete(k.hashes, other)
			break
		}
	}
	k.hashes[id] = hash
}

// forget removes an id's secret, so that using a revoked one counts as a guess.
func (k *knownSecrets) forget(id int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.hashes, id)
}

// reset removes all secrets, because the table was replaced.
func (k *knownSecrets) reset() {
	k.reading.Lock()
	defer k.reading.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.hashes)
	k.last, k.read = 0, time.Time{}
}
