package store

import (
	"context"

	"mems/internal/auditchain"
)

// VerifyAudit verifies the whole audit trail on one snapshot, without blocking writers, and
// reports entries that were altered, removed or moved; known has the chain tips of an
// earlier report. progress is called with the number of entries from time to time.
func (s *Store) VerifyAudit(ctx context.Context, known []auditchain.Head, progress func(int64)) (auditchain.Report, error) {
	t, err := s.snapshot(ctx, SystemRequest())
	if err != nil {
		return auditchain.Report{}, translate(ctx, "verify audit trail", err)
	}
	defer t.end()
	chains, err := readChains(ctx, t)
	if err != nil {
		return auditchain.Report{}, translate(ctx, "verify audit trail", err)
	}
	walk := auditchain.NewVerifier(s.macKeys, chains, known)
	// The unique key (chain, seq), in order.
	rows, err := t.QueryxContext(ctx, `SELECT `+auditColumns+` FROM audit_entries ORDER BY chain, seq`)
	if err != nil {
		return auditchain.Report{}, translate(ctx, "verify audit trail", err)
	}
	defer func() { _ = rows.Close() }() // rows.Err below has what matters
	for rows.Next() {
		var row auditchain.Entry
		if err := rows.StructScan(&row); err != nil {
			return auditchain.Report{}, translate(ctx, "verify audit trail", err)
		}
		if n := walk.Entry(&row); n%1000 == 0 {
			progress(n)
		}
	}
	if err := rows.Err(); err != nil {
		return auditchain.Report{}, translate(ctx, "verify audit trail", err)
	}
	return walk.Finish(), nil
}
