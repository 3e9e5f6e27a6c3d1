package store

import (
	"context"
	"errors"

	"github.com/jmoiron/sqlx"

	"mems/internal/auditchain"
	"mems/internal/clinic"
)

// Seals bind the ends of chains, and how many chains there are, to the secret that the
// database does not have. The root's seal is only ever advanced from one that verifies:
// a process that counted again would seal what was deleted before.

// ErrUnknownAuditKey reports an audit trail that was written with a key that this process does
// not have.
var ErrUnknownAuditKey = errors.New("the audit trail was written with a key that is not in MEMS_AUDIT_KEYS. " +
	"To use a new key, put it first and keep the former ones behind it: MEMS_AUDIT_KEYS=new,former")

// chainColumns are those of auditchain.Chain.
const chainColumns = `id, started_at, hash, sealed_seq, sealed_hash, pruned_seq, pruned_hash, seal_seq, seal, seal_key`

// sealStart seals a chain that was begun in this transaction, which holds the root's
// row, and counts it in the root. The first time, all older chains are sealed as they are.
func (s *Store) sealStart(ctx context.Context, t *sqlx.Tx, tip auditchain.Tip) error {
	_, err := t.ExecContext(ctx, `UPDATE audit_chains SET seal_seq = 0, seal = ?, seal_key = ? WHERE id = ?`,
		tip.Seal(s.macKey), s.macKey.ID, tip.Chain)
	if err != nil {
		return err
	}
	// There are a few for each process that ever ran.
	chains, err := readChains(ctx, t)
	if err != nil {
		return err
	}
	switch auditchain.ListStateOf(chains, tip.Chain, s.macKeys) {
	case auditchain.ListIntact:
	case auditchain.ListAltered:
		s.log.ErrorContext(ctx, "the list of the audit trail's chains is not as it was sealed: run \"mems audit verify\"")
		return nil // left for verification to report
	case auditchain.ListSealGone:
		s.log.ErrorContext(ctx, "the seal of the audit trail's chains is gone: run \"mems audit verify\"")
		return nil
	case auditchain.ListUnsealed:
		if err := s.sealOlder(ctx, t, chains, tip.Chain); err != nil {
			return err
		}
		if chains, err = readChains(ctx, t); err != nil {
			return err
		}
	}
	_, err = t.ExecContext(ctx, `UPDATE audit_chains SET seal_seq = ?, seal = ?, seal_key = ? WHERE id = 1`,
		tip.Chain, auditchain.SealList(s.macKey, chains, tip.Chain), s.macKey.ID)
	return err
}

func readChains(ctx context.Context, q sqlx.QueryerContext) ([]auditchain.Chain, error) {
	var chains []auditchain.Chain
	err := sqlx.SelectContext(ctx, q, &chains, `SELECT `+chainColumns+` FROM audit_chains ORDER BY id`)
	if err == nil && (len(chains) == 0 || chains[0].ID != 1) {
		chains = append([]auditchain.Chain{{}}, chains...)
	}
	return chains, err
}

// sealOlder seals the chains before one at their ends.
func (s *Store) sealOlder(ctx context.Context, t *sqlx.Tx, chains []auditchain.Chain, before int64) error {
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
		tip := auditchain.Tip{Chain: c.ID, Seq: end.Seq, Begin: c.Hash, Hash: end.Hash}
		_, err = t.ExecContext(ctx, `UPDATE audit_chains SET seal_seq = ?, seal = ?, seal_key = ? WHERE id = ?`,
			tip.Seq, tip.Seal(s.macKey), s.macKey.ID, tip.Chain)
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
		if end.sealed < end.Seq {
			ends = append(ends, end)
		}
	}
	s.chainTips.mu.Unlock()
	for _, end := range ends {
		// Primary key; no other process writes this row.
		statement, args := `UPDATE audit_chains SET sealed_seq = ?, sealed_hash = ?`, []any{end.Seq, end.Hash}
		if s.macKey.Keyed() {
			statement += `, seal_seq = ?, seal = ?, seal_key = ?`
			args = append(args, end.Seq, end.Seal(s.macKey), s.macKey.ID)
		}
		if _, err := s.db.ExecContext(ctx, statement+`
			WHERE id = ? AND sealed_seq < ? AND COALESCE((SELECT data_id FROM installation WHERE id = 1), '') = ?`,
			append(args, end.Chain, end.Seq, end.data)...); err != nil {
			return err
		}
		s.chainTips.mu.Lock()
		if now, known := s.chainTips.ends[end.Chain]; known && now.data == end.data {
			now.sealed = end.Seq
			s.chainTips.ends[end.Chain] = now
		}
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
func CheckAuditKeys(ctx context.Context, q sqlx.QueryerContext, keys []auditchain.Key) error {
	root := auditchain.Chain{}
	if err := sqlx.GetContext(ctx, q, &root, `SELECT `+chainColumns+` FROM audit_chains WHERE id = 1`); err != nil {
		return translate(ctx, "check audit keys", err)
	}
	last := root.SealKey
	if last == nil { // not sealed yet
		var newest [][]byte
		// Primary key, from its end.
		if err := sqlx.SelectContext(ctx, q, &newest, `SELECT mac_key FROM audit_entries ORDER BY id DESC LIMIT 1`); err != nil {
			return translate(ctx, "check audit keys", err)
		}
		if len(newest) == 0 {
			return nil
		}
		last = newest[0]
	}
	if _, known := auditchain.Find(keys, last); last != nil && !known {
		return &clinic.Error{Code: clinic.CodeUnavailable, Cause: ErrUnknownAuditKey}
	}
	return nil
}
