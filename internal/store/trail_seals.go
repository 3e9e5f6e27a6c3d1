package store

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// Seals bind the ends of chains, and how many chains there are, to the secret that the
// database does not have. The root's seal is only ever advanced from one that verifies:
// a process that counted anew would vouch for what was taken away before.

// ErrUnknownAuditKey says that the audit trail was written with a key that this process
// does not have.
var ErrUnknownAuditKey = errors.New("the audit trail was written with a key that is not in MEMS_AUDIT_KEYS. " +
	"To use a new key, put it first and keep the former ones behind it: MEMS_AUDIT_KEYS=new,former")

// chainRow is a chain, or with id 1 the root.
type chainRow struct {
	ID         int64     `db:"id"`
	StartedAt  time.Time `db:"started_at"`
	Hash       []byte    `db:"hash"`
	SealedSeq  int64     `db:"sealed_seq"`
	SealedHash []byte    `db:"sealed_hash"`
	PrunedSeq  int64     `db:"pruned_seq"`
	PrunedHash []byte    `db:"pruned_hash"`
	SealSeq    *int64    `db:"seal_seq"`
	Seal       []byte    `db:"seal"`
	SealKey    []byte    `db:"seal_key"`
}

const chainColumns = `id, started_at, hash, sealed_seq, sealed_hash, pruned_seq, pruned_hash, seal_seq, seal, seal_key`

func (c *chainRow) sealed() bool { return c.Seal != nil && c.SealSeq != nil }

func sealOf(key MACKey, text string) []byte {
	mac := hmac.New(sha256.New, key.Secret)
	_, _ = mac.Write([]byte("mems audit seal v1\n" + text)) // a hash never fails
	return mac.Sum(nil)
}

// endText is what the seal of a chain covers: where it began, and its hash after an entry.
func endText(id, seq int64, begin, hash []byte) string {
	return fmt.Sprintf("chain %d\n%x\n%d\n%x", id, begin, seq, hash)
}

// rootText is what the root's seal covers: the chains up to one, and which are sealed.
func rootText(chains []chainRow, upTo int64) string {
	h := sha256.New()
	for i := range chains {
		if c := &chains[i]; c.ID > 1 && c.ID <= upTo {
			_, _ = fmt.Fprintf(h, "%d %x %t\n", c.ID, c.Hash, c.sealed())
		}
	}
	return fmt.Sprintf("root %d\n%x", upTo, h.Sum(nil))
}

func keyWith(keys []MACKey, id []byte) (MACKey, bool) {
	i := slices.IndexFunc(keys, func(k MACKey) bool { return bytes.Equal(k.ID, id) })
	if i < 0 {
		return MACKey{}, false
	}
	return keys[i], true
}

// opens reports whether one of the keys made a seal.
func (c *chainRow) opens(keys []MACKey, text string) bool {
	key, known := keyWith(keys, c.SealKey)
	return known && hmac.Equal(c.Seal, sealOf(key, text))
}

// beginsKeyed reports whether a chain was begun by a program that seals.
func (c *chainRow) beginsKeyed(keys []MACKey, before []byte) bool {
	return slices.ContainsFunc(keys, func(k MACKey) bool { return bytes.Equal(c.Hash, chainHash(before, c.StartedAt, k)) })
}

// sealStart seals a chain that was begun in this transaction, which holds the root's
// row, and counts it in the root. The first time, all older chains are sealed as they are.
func (s *Store) sealStart(ctx context.Context, t *sqlx.Tx, id int64, hash []byte) error {
	_, err := t.ExecContext(ctx, `UPDATE audit_chains SET seal_seq = 0, seal = ?, seal_key = ? WHERE id = ?`,
		sealOf(s.macKey, endText(id, 0, hash, hash)), s.macKey.ID, id)
	if err != nil {
		return err
	}
	// A few for each process that ever ran.
	chains, err := readChains(ctx, t)
	if err != nil {
		return err
	}
	root := &chains[0]
	switch {
	case root.sealed():
		if !root.opens(s.macKeys, rootText(chains, *root.SealSeq)) {
			s.log.ErrorContext(ctx, "the list of the audit trail's chains is not as it was sealed: run \"mems audit verify\"")
			return nil // it stays to be found
		}
	case sealedBefore(chains, id, s.macKeys):
		s.log.ErrorContext(ctx, "the seal of the audit trail's chains is gone: run \"mems audit verify\"")
		return nil
	default:
		if err := s.sealOlder(ctx, t, chains, id); err != nil {
			return err
		}
		if chains, err = readChains(ctx, t); err != nil {
			return err
		}
	}
	_, err = t.ExecContext(ctx, `UPDATE audit_chains SET seal_seq = ?, seal = ?, seal_key = ? WHERE id = 1`,
		id, sealOf(s.macKey, rootText(chains, id)), s.macKey.ID)
	return err
}

func readChains(ctx context.Context, q sqlx.QueryerContext) ([]chainRow, error) {
	var chains []chainRow
	err := sqlx.SelectContext(ctx, q, &chains, `SELECT `+chainColumns+` FROM audit_chains ORDER BY id`)
	if err == nil && (len(chains) == 0 || chains[0].ID != 1) {
		chains = append([]chainRow{{}}, chains...)
	}
	return chains, err
}

// sealedBefore reports whether a chain other than one shows that seals were in use.
func sealedBefore(chains []chainRow, other int64, keys []MACKey) bool {
	for i := 1; i < len(chains); i++ {
		c := &chains[i]
		if c.ID != other && (c.Seal != nil || c.beginsKeyed(keys, chains[i-1].Hash)) {
			return true
		}
	}
	return false
}

// sealOlder seals the chains before one at their ends.
func (s *Store) sealOlder(ctx context.Context, t *sqlx.Tx, chains []chainRow, before int64) error {
	for _, c := range chains[1:] {
		if c.ID >= before {
			continue
		}
		var end struct {
			Seq  int64  `db:"seq"`
			Hash []byte `db:"hash"`
		}
		// The end of the unique key (chain, seq), else where the chain begins.
		err := t.GetContext(ctx, &end, `
			(SELECT seq, hash FROM audit_entries WHERE chain = ? ORDER BY seq DESC LIMIT 1)
			UNION ALL
			(SELECT pruned_seq, COALESCE(pruned_hash, hash) FROM audit_chains WHERE id = ?)
			ORDER BY seq DESC LIMIT 1`, c.ID, c.ID)
		if err != nil {
			return err
		}
		_, err = t.ExecContext(ctx, `UPDATE audit_chains SET seal_seq = ?, seal = ?, seal_key = ? WHERE id = ?`,
			end.Seq, sealOf(s.macKey, endText(c.ID, end.Seq, c.Hash, end.Hash)), s.macKey.ID, c.ID)
		if err != nil {
			return err
		}
	}
	return nil
}

// sealChains writes the ends of this process's chains to their rows: of those that are
// lent, as of the last commit.
func (s *Store) sealChains(ctx context.Context) error {
	s.chainTips.mu.Lock()
	var ends []chainTip
	for _, end := range s.chainTips.ends {
		if end.sealed < end.seq {
			ends = append(ends, end)
		}
	}
	s.chainTips.mu.Unlock()
	for _, end := range ends {
		// Primary key; no other process writes this row.
		statement, args := `UPDATE audit_chains SET sealed_seq = ?, sealed_hash = ?`, []any{end.seq, end.hash}
		if s.macKey.Secret != nil {
			statement += `, seal_seq = ?, seal = ?, seal_key = ?`
			args = append(args, end.seq, sealOf(s.macKey, endText(end.id, end.seq, end.begin, end.hash)), s.macKey.ID)
		}
		if _, err := s.db.ExecContext(ctx, statement+` WHERE id = ? AND sealed_seq < ?`, append(args, end.id, end.seq)...); err != nil {
			return err
		}
		s.chainTips.mu.Lock()
		now := s.chainTips.ends[end.id]
		now.sealed = end.seq
		s.chainTips.ends[end.id] = now
		s.chainTips.mu.Unlock()
	}
	return nil
}

// CheckAuditKeys returns ErrUnknownAuditKey unless the keys of this process include the
// one that wrote to the audit trail last.
func (s *Store) CheckAuditKeys(ctx context.Context) error {
	return CheckAuditKeys(ctx, s.db, s.macKeys)
}

// CheckAuditKeys is Store.CheckAuditKeys for a command that opens no store.
func CheckAuditKeys(ctx context.Context, q sqlx.QueryerContext, keys []MACKey) error {
	root := chainRow{}
	if err := sqlx.GetContext(ctx, q, &root, `SELECT `+chainColumns+` FROM audit_chains WHERE id = 1`); err != nil {
		return translate(ctx, err)
	}
	last := root.SealKey
	if last == nil { // not sealed yet
		var newest [][]byte
		// Primary key, from its end.
		if err := sqlx.SelectContext(ctx, q, &newest, `SELECT mac_key FROM audit_entries ORDER BY id DESC LIMIT 1`); err != nil {
			return translate(ctx, err)
		}
		if len(newest) == 0 {
			return nil
		}
		last = newest[0]
	}
	if _, known := keyWith(keys, last); last != nil && !known {
		return &clinic.Error{Code: clinic.CodeUnavailable, Cause: ErrUnknownAuditKey}
	}
	return nil
}
