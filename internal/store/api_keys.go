package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"mems/internal/clinic"
)

// CreateAPIKey makes an API key and returns its record and the key itself,
// which is known to nobody afterwards. Errors: clinic.CodeValidationFailed,
// clinic.ErrDoctorNotFound.
func (s *Store) CreateAPIKey(ctx context.Context, req Request, k clinic.APIKey) (clinic.APIKey, string, error) {
	now := clinic.Instant(s.now())
	k.Normalize(now)
	if err := k.Validate(now); err != nil {
		return k, "", err
	}
	if err := s.SealKeys(ctx, req); err != nil { // or sealing what is older would come after this one
		return k, "", err
	}
	var key string
	err := s.inTx(ctx, req, "create API key", func(t *tx) error {
		if k.DoctorID != nil {
			if err := checkDoctors(ctx, t, *k.DoctorID); err != nil {
				return err
			}
		}
		secret, hash := newSecret()
		k.Hash, k.CreatedBy, k.CreatedAt = hash, req.Access.Subject, t.now
		k.ExpiresAt = clinic.Instant(k.ExpiresAt)
		var err error
		k.ID, err = t.insert(ctx, `
			INSERT INTO api_keys (name, secret_hash, role, scopes, doctor_id, created_by, created_at, expires_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			k.Name, k.Hash[:], string(k.Role), list(k.Scopes), k.DoctorID, k.CreatedBy, k.CreatedAt, k.ExpiresAt)
		if err != nil {
			return err
		}
		if s.sealer.active() {
			// Its id is part of what is sealed.
			if _, err := t.exec(ctx, `UPDATE api_keys SET seal = ? WHERE id = ?`, s.sealer.seal(&k), k.ID); err != nil {
				return err
			}
		}
		key = clinic.FormatKey(k.ID, secret)
		t.record(clinic.Created(clinic.KindAPIKey, k.ID, k))
		return nil
	}, &k, &key)
	if id, secret, ok := clinic.ParseKey(key); ok && err == nil {
		s.knownKeys.learn(id, sha256.Sum256([]byte(secret)))
	}
	return k, key, err
}

// APIKey returns the record of a key. Errors: clinic.ErrKeyNotFound.
func (s *Store) APIKey(ctx context.Context, id int64) (clinic.APIKey, error) {
	var row keyRow
	if err := s.db.GetContext(ctx, &row, `SELECT `+keyColumns+` FROM api_keys WHERE id = ?`, id); err != nil {
		return clinic.APIKey{}, translate(ctx, "read API key", notFound(err, clinic.ErrKeyNotFound))
	}
	return s.keyOf(&row)
}

// ListAPIKeys reads a page of the records of keys by id.
func (s *Store) ListAPIKeys(ctx context.Context, after int64, limit int) (Page[clinic.APIKey], error) {
	var rows []keyRow
	err := s.db.SelectContext(ctx, &rows, `SELECT `+keyColumns+` FROM api_keys WHERE id > ? ORDER BY id LIMIT ?`, after, limit+1)
	if err != nil {
		return Page[clinic.APIKey]{}, translate(ctx, "list API keys", err)
	}
	items := make([]clinic.APIKey, len(rows))
	for i := range rows {
		if items[i], err = s.keyOf(&rows[i]); err != nil {
			return Page[clinic.APIKey]{}, err
		}
	}
	return page(items, limit), nil
}

// RevokeAPIKey ends a key: no request that begins after this was answered can use
// it, in any process. Errors: clinic.ErrKeyNotFound.
func (s *Store) RevokeAPIKey(ctx context.Context, req Request, id int64) (clinic.APIKey, error) {
	var k clinic.APIKey
	err := s.inTx(ctx, req, "revoke API key", func(t *tx) error {
		var row keyRow
		if err := t.GetContext(ctx, &row, `SELECT `+keyColumns+` FROM api_keys WHERE id = ? FOR UPDATE`, id); err != nil {
			return notFound(err, clinic.ErrKeyNotFound)
		}
		var err error
		if k, err = s.keyOf(&row); err != nil || k.RevokedAt != nil {
			return err
		}
		before := k
		k.RevokedAt = &t.now
		t.record(clinic.Changed(clinic.KindAPIKey, id, before, k))
		_, err = t.exec(ctx, `UPDATE api_keys SET revoked_at = ? WHERE id = ?`, t.now, id)
		return err
	}, &k)
	s.knownKeys.forget(id)
	return k, err
}

// KnowsAPIKey reports whether a key is, as far as this process knows, a good one. It
// hardly ever asks the database, and decides only whose rate limit a request counts
// for. Errors: clinic.ErrUnavailable.
func (s *Store) KnowsAPIKey(ctx context.Context, key string) (bool, error) {
	id, secret, ok := clinic.ParseKey(key)
	if !ok {
		return false, nil
	}
	return s.knownKeys.knows(ctx, s, id, secret)
}

// Authenticate returns the caller whose key it is. The database is asked each time,
// so that a revoked key is refused at once. With MACKeys, a key whose record has no valid
// seal is refused as an unknown one. Errors: clinic.ErrUnauthenticated.
func (s *Store) Authenticate(ctx context.Context, key string) (clinic.Caller, error) {
	id, secret, ok := clinic.ParseKey(key)
	if !ok {
		return clinic.Caller{}, clinic.ErrUnauthenticated
	}
	if err := s.SealKeys(ctx, SystemRequest()); err != nil {
		return clinic.Caller{}, err
	}
	var row keyRow
	err := s.db.GetContext(ctx, &row, `SELECT `+keyColumns+` FROM api_keys WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) {
		s.knownKeys.forget(id)
		return clinic.Caller{}, clinic.ErrUnauthenticated
	}
	if err != nil {
		return clinic.Caller{}, translate(ctx, "authenticate", err)
	}
	k, err := s.keyOf(&row)
	if err != nil {
		return clinic.Caller{}, err
	}
	now := clinic.Instant(s.now())
	if !isSecret(secret, k.Hash) || !k.Live(now) {
		if !k.Live(now) {
			s.knownKeys.forget(id)
		}
		return clinic.Caller{}, &clinic.Error{Code: clinic.CodeUnauthenticated, Cause: fmt.Errorf("API key %d is revoked, expired or has another secret", id)}
	}
	if !k.Sealed() {
		s.knownKeys.forget(id)
		s.sealer.warn(ctx, s.log, &k, now)
		return clinic.Caller{}, &clinic.Error{Code: clinic.CodeUnauthenticated, Cause: fmt.Errorf("the seal of API key %d is %s", id, k.Seal)}
	}
	s.knownKeys.learn(id, k.Hash)
	if s.sealer.outdated(&k, row.Seal) {
		if err := s.replaceSeal(ctx, &k, row.Seal); err != nil {
			return clinic.Caller{}, translate(ctx, "authenticate", err)
		}
	}
	if k.LastUsedAt == nil || now.Sub(*k.LastUsedAt) > time.Minute {
		// To the minute, so that busy keys do not cost a write each time.
		if _, err := s.db.ExecContext(ctx, `UPDATE api_keys SET last_used_at = ? WHERE id = ?`, now, id); err != nil {
			return clinic.Caller{}, translate(ctx, "authenticate", err)
		}
	}
	return k.Caller(), nil
}

// keyColumns are those of keyRow.
const keyColumns = `id, name, secret_hash, role, scopes, doctor_id, created_by, created_at, expires_at, revoked_at, last_used_at, seal`

type keyRow struct {
	ID         int64      `db:"id"`
	Name       string     `db:"name"`
	Hash       []byte     `db:"secret_hash"`
	Role       string     `db:"role"`
	Scopes     string     `db:"scopes"` // JSON
	DoctorID   *int64     `db:"doctor_id"`
	CreatedBy  string     `db:"created_by"`
	CreatedAt  time.Time  `db:"created_at"`
	ExpiresAt  time.Time  `db:"expires_at"`
	RevokedAt  *time.Time `db:"revoked_at"`
	LastUsedAt *time.Time `db:"last_used_at"`
	Seal       []byte     `db:"seal"`
}

// keyOf returns a row's record, with the state of its seal.
func (s *Store) keyOf(row *keyRow) (clinic.APIKey, error) {
	k, err := row.key()
	if err == nil {
		k.Seal = s.sealer.verify(&k, row.Seal)
	}
	return k, err
}

func (r *keyRow) key() (clinic.APIKey, error) {
	k := clinic.APIKey{
		ID: r.ID, Name: r.Name, Role: clinic.Role(r.Role), DoctorID: r.DoctorID, CreatedBy: r.CreatedBy, CreatedAt: r.CreatedAt,
		ExpiresAt: r.ExpiresAt, RevokedAt: r.RevokedAt, LastUsedAt: r.LastUsedAt,
	}
	copy(k.Hash[:], r.Hash)
	return k, json.NewDecoder(strings.NewReader(r.Scopes)).Decode(&k.Scopes)
}
