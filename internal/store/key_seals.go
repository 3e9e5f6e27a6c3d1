package store

import (
	"context"
	"crypto/hmac"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mems/internal/auditchain"
	"mems/internal/clinic"
)

// keySealer seals and verifies the records of API keys. The database user who serves
// can insert keys of any role; without the secret it cannot seal them.
type keySealer struct {
	secrets  [][]byte // derived: the first one seals, all verify; none: nothing is sealed
	prepared atomic.Bool
	working  sync.Mutex // held during preparation

	warning sync.Mutex
	minute  time.Time // when warned was begun
	warned  map[int64]bool
}

// maxWarned bounds how many keys are warned of in a minute.
const maxWarned = 100

func newKeySealer(keys []auditchain.Key) *keySealer {
	z := &keySealer{warned: map[int64]bool{}}
	for _, key := range keys {
		z.secrets = append(z.secrets, key.APIKeySecret())
	}
	return z
}

func (z *keySealer) active() bool { return len(z.secrets) > 0 }

// seal returns the seal of a record under the first secret.
func (z *keySealer) seal(k *clinic.APIKey) []byte { return sealBy(z.secrets[0], k) }

func sealBy(secret []byte, k *clinic.APIKey) []byte {
	instant := func(t time.Time) string { return clinic.Instant(t).Format(time.RFC3339Nano) }
	record := auditchain.APIKey{
		ID: k.ID, SecretHash: k.Hash[:], Name: k.Name, Role: string(k.Role), Scopes: append([]string{}, k.Scopes...), DoctorID: k.DoctorID,
		CreatedBy: k.CreatedBy, CreatedAt: instant(k.CreatedAt), ExpiresAt: instant(k.ExpiresAt),
	}
	return record.Seal(secret)
}

// verify returns the state of a record's seal.
func (z *keySealer) verify(k *clinic.APIKey, seal []byte) clinic.SealState {
	if !z.active() {
		return clinic.SealUnverified
	}
	if seal == nil {
		return clinic.SealMissing
	}
	for _, secret := range z.secrets {
		if hmac.Equal(seal, sealBy(secret, k)) {
			return clinic.SealValid
		}
	}
	return clinic.SealWrong
}

// outdated reports whether a valid seal was made with a secret other than the first.
func (z *keySealer) outdated(k *clinic.APIKey, seal []byte) bool {
	return len(z.secrets) > 1 && k.Seal == clinic.SealValid && !hmac.Equal(seal, z.seal(k))
}

// warn logs that a key was rejected because of its seal, at most once a minute per key.
func (z *keySealer) warn(ctx context.Context, log *slog.Logger, k *clinic.APIKey, now time.Time) {
	z.warning.Lock()
	defer z.warning.Unlock()
	if since := now.Sub(z.minute); since < 0 || since >= time.Minute {
		z.minute = now
		clear(z.warned)
	}
	if z.warned[k.ID] || len(z.warned) >= maxWarned {
		return
	}
	z.warned[k.ID] = true
	log.WarnContext(ctx, "an API key was refused: its record was not written by MEMS with these MEMS_AUDIT_KEYS; "+
		"\"mems keys list\" shows it, and \"mems keys seal\" trusts it", "api_key", k.ID, "role", string(k.Role), "seal", string(k.Seal))
}

// SealKeys prepares sealing, once in each process; without MACKeys it does nothing.
// The first process on a database whose keys have no seals seals all of them: it has
// to trust what it finds. After that, only seals by a former secret are replaced.
func (s *Store) SealKeys(ctx context.Context, req Request) error {
	z := s.sealer
	if !z.active() || z.prepared.Load() {
		return nil
	}
	z.working.Lock()
	defer z.working.Unlock()
	if z.prepared.Load() {
		return nil
	}
	trusted, err := s.sealAll(ctx, req)
	if err != nil {
		return err
	}
	if trusted > 0 {
		s.log.WarnContext(ctx, "API keys had no seals yet: all that are there are trusted and sealed, this once; "+
			"\"mems keys list\" shows them", "keys", trusted)
	}
	z.prepared.Store(true)
	return nil
}

// sealAll seals all keys, once, and returns how many it trusted without a seal. Lock: the
// row of api_key_sealing, so that only one process does it.
func (s *Store) sealAll(ctx context.Context, req Request) (trusted int, err error) {
	started, err := s.KeysAreSealed(ctx)
	if err != nil {
		return 0, err
	}
	if started {
		return 0, s.replaceSeals(ctx)
	}
	err = s.inTx(ctx, req, "seal API keys", func(t *tx) error {
		trusted, t.bookkeeping = 0, true
		n, err := t.exec(ctx, `INSERT IGNORE INTO api_key_sealing (id, started_at) VALUES (1, ?)`, t.now)
		if err != nil || n == 0 { // another process did it, and has committed
			return err
		}
		// All of a clinic's keys are a few dozen.
		var rows []keyRow
		if err := t.SelectContext(ctx, &rows, `SELECT `+keyColumns+` FROM api_keys ORDER BY id`); err != nil {
			return err
		}
		if slices.ContainsFunc(rows, func(r keyRow) bool { return r.Seal != nil }) {
			return nil // api_key_sealing was emptied: that is no first use
		}
		reason := "sealed on first use"
		for i := range rows {
			k, err := s.keyOf(&rows[i])
			if err != nil {
				return err
			}
			if _, err := t.exec(ctx, `UPDATE api_keys SET seal = ? WHERE id = ?`, s.sealer.seal(&k), k.ID); err != nil {
				return err
			}
			t.record(clinic.Changed(clinic.KindAPIKey, k.ID, k, k).Because(reason))
			trusted++
		}
		return nil
	})
	return trusted, err
}

// replaceSeals replaces the seals of former secrets with seals of the first one.
func (s *Store) replaceSeals(ctx context.Context) error {
	if len(s.sealer.secrets) == 1 {
		return nil
	}
	var rows []keyRow
	if err := s.db.SelectContext(ctx, &rows, `SELECT `+keyColumns+` FROM api_keys ORDER BY id`); err != nil {
		return translate(ctx, "replace seals of API keys", err)
	}
	for i := range rows {
		k, err := s.keyOf(&rows[i])
		if err != nil {
			return err
		}
		if !s.sealer.outdated(&k, rows[i].Seal) {
			continue
		}
		if err := s.replaceSeal(ctx, &k, rows[i].Seal); err != nil {
			return translate(ctx, "replace seals of API keys", err)
		}
	}
	return nil
}

// replaceSeal replaces the seal of a former secret with one of the first.
func (s *Store) replaceSeal(ctx context.Context, k *clinic.APIKey, former []byte) error {
	_, err := s.db.ExecContext(ctx, `UPDATE api_keys SET seal = ? WHERE id = ? AND seal = ?`, s.sealer.seal(k), k.ID, former)
	return err
}

// KeysAreSealed reports whether a server with MACKeys has used this database. Such a
// server rejects keys that were made without MACKeys.
func (s *Store) KeysAreSealed(ctx context.Context) (bool, error) {
	var started bool
	err := s.db.GetContext(ctx, &started, `SELECT EXISTS (SELECT 1 FROM api_key_sealing)`)
	return started, translate(ctx, "check seals of API keys", err)
}

// SealKey seals a key in its current state, which the administrator has read and trusts.
// It needs MACKeys. Errors: clinic.ErrKeyNotFound.
func (s *Store) SealKey(ctx context.Context, req Request, id int64) (clinic.APIKey, error) {
	if err := s.SealKeys(ctx, req); err != nil {
		return clinic.APIKey{}, err
	}
	var k clinic.APIKey
	err := s.inTx(ctx, req, "seal API key", func(t *tx) error {
		var row keyRow
		if err := t.GetContext(ctx, &row, `SELECT `+keyColumns+` FROM api_keys WHERE id = ? FOR UPDATE`, id); err != nil {
			return notFound(err, clinic.ErrKeyNotFound)
		}
		var err error
		if k, err = s.keyOf(&row); err != nil || k.Sealed() {
			return err
		}
		reason := "sealed; the seal was " + string(k.Seal)
		t.record(clinic.Changed(clinic.KindAPIKey, id, k, k).Because(reason))
		_, err = t.exec(ctx, `UPDATE api_keys SET seal = ? WHERE id = ?`, s.sealer.seal(&k), id)
		k.Seal = clinic.SealValid
		return err
	}, &k)
	return k, err
}
