package store

import (
	"context"
	"errors"
	"time"

	"mems/internal/auditchain"
	"mems/internal/clinic"
)

// EraseDormant erases, as ErasePatient does, the patients without activity since an instant:
// no change of the record, no appointment, no ticket, no waitlist entry. It reports the
// number so far to progress.
func (s *Store) EraseDormant(ctx context.Context, req Request, since time.Time, progress func(int)) (int, error) {
	erased := 0
	for after := int64(0); ; {
		var ids []int64
		// The primary key, and of each patient the end of appointments_patient.
		err := s.db.SelectContext(ctx, &ids, `
			SELECT p.id
			FROM patients AS p
			WHERE p.id > ? AND p.erased_at IS NULL AND p.merged_into IS NULL AND p.updated_at < ?
			  AND NOT EXISTS (SELECT 1 FROM appointments AS a WHERE a.patient_id = p.id AND (a.end_time >= ? OR a.updated_at >= ?))
			  AND NOT EXISTS (SELECT 1 FROM tickets AS k WHERE k.patient_id = p.id AND k.updated_at >= ?)
			  AND NOT EXISTS (SELECT 1 FROM waitlist AS w WHERE w.patient_id = p.id AND (w.to_time >= ? OR w.updated_at >= ?))
			ORDER BY p.id
			LIMIT 100`, after, since, since, since, since, since, since)
		if err != nil {
			return erased, translate(ctx, "erase dormant patients", err)
		}
		if len(ids) == 0 {
			return erased, nil
		}
		for _, id := range ids {
			after = id
			_, err := s.ErasePatient(ctx, req, id, "kept for as long as is wanted")
			if errors.Is(err, clinic.ErrHasOpenAppointments) || errors.Is(err, clinic.ErrPatientNotFound) || errors.Is(err, clinic.ErrPatientMerged) {
				continue // something is open after all, or another process was faster
			}
			if err != nil {
				return erased, err
			}
			erased++
		}
		progress(erased)
	}
}

// PruneAudit deletes the entries of the audit trail that are older than an instant and
// returns their number. Each chain keeps its last entry and its new beginning, and an entry
// records the pruning, so the rest still verifies. It needs the rights of the user who
// migrates.
func (s *Store) PruneAudit(ctx context.Context, req Request, before time.Time) (int64, error) {
	var chains []int64
	if err := s.db.SelectContext(ctx, &chains, `SELECT id FROM audit_chains WHERE id > 1 ORDER BY id`); err != nil {
		return 0, translate(ctx, "prune audit trail", err)
	}
	var removed int64
	for _, chain := range chains {
		var gone int64
		err := s.inTx(ctx, req, "prune audit trail", func(t *tx) error {
			var c auditchain.Chain
			err := t.GetContext(ctx, &c, `
				SELECT `+chainColumns+`
				FROM audit_chains
				WHERE id = ?
				FOR UPDATE`, chain)
			if err != nil {
				return err
			}
			// The unique key (chain, seq). The last one stays.
			var until int64
			err = t.GetContext(ctx, &until, `
				SELECT COALESCE(LEAST(
				  (SELECT MAX(seq) FROM audit_entries WHERE chain = ?) - 1,
				  COALESCE((SELECT MIN(seq) FROM audit_entries WHERE chain = ? AND at >= ?) - 1, 9223372036854775807)), 0)`,
				chain, chain, before)
			if err != nil {
				return err
			}
			if c.Sealed() {
				until = min(until, *c.SealSeq) // whose hash the seal is verified with
			}
			until = max(until, c.PrunedSeq)
			if until == 0 {
				return nil
			}
			t.record(clinic.Touched(clinic.KindAuditChain, chain, clinic.Members{auditchain.PruneMember: until}))
			if until == c.PrunedSeq {
				return nil // recorded again, because the earlier entry may be pruned one day
			}
			_, err = t.exec(ctx, `
				UPDATE audit_chains
				SET pruned_seq = ?, pruned_hash = (SELECT hash FROM audit_entries WHERE chain = ? AND seq = ?)
				WHERE id = ?`, until, chain, until, chain)
			if err != nil {
				return err
			}
			// Index audit_patients_entry.
			_, err = t.exec(ctx, `
				DELETE a FROM audit_entries AS e JOIN audit_patients AS a ON a.entry_id = e.id
				WHERE e.chain = ? AND e.seq <= ?`, chain, until)
			if err != nil {
				return err
			}
			gone, err = t.exec(ctx, `DELETE FROM audit_entries WHERE chain = ? AND seq <= ?`, chain, until)
			return err
		})
		if err != nil {
			return removed, err
		}
		removed += gone
	}
	return removed, nil
}
