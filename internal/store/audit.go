package store

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
)

// Head is the end of a chain of the audit trail. Kept outside of the database, it
// shows later that nothing before it was taken away.
type Head struct {
	Chain int64  `json:"chain"`
	Seq   int64  `json:"seq"`
	Hash  string `json:"hash"` // hexadecimal
}

// AuditReport is what became of verifying the audit trail.
type AuditReport struct {
	Chains, Entries int64
	Faults          []string // what was tampered with, for people; none: nothing was found
	Heads           []Head

	pruned map[int64]int64 // by chain, how far it was pruned, until an entry says so
}

// maxFaults bounds what a report lists.
const maxFaults = 100

func (r *AuditReport) fault(format string, args ...any) {
	if len(r.Faults) < maxFaults {
		r.Faults = append(r.Faults, fmt.Sprintf(format, args...))
	}
}

// VerifyAudit walks the whole audit trail, in one snapshot while others write,
// and finds what was altered, removed or put elsewhere; known are heads from an
// earlier report. progress is told the number of entries now and then.
func (s *Store) VerifyAudit(ctx context.Context, known []Head, progress func(int64)) (AuditReport, error) {
	t, err := s.snapshot(ctx)
	if err != nil {
		return AuditReport{}, translate(ctx, err)
	}
	defer func() { _ = t.Rollback() }() // nothing was changed
	r := AuditReport{pruned: map[int64]int64{}}
	chains, err := verifyChains(ctx, t, &r)
	if err != nil {
		return r, translate(ctx, err)
	}
	wanted := map[[2]int64]string{}
	for _, h := range known {
		wanted[[2]int64{h.Chain, h.Seq}] = h.Hash
	}
	// The unique key (chain, seq), in order.
	rows, err := t.QueryxContext(ctx, `SELECT `+auditColumns+` FROM audit_entries ORDER BY chain, seq`)
	if err != nil {
		return r, translate(ctx, err)
	}
	defer func() { _ = rows.Close() }() // rows.Err below has what matters
	walk := walker{keys: s.macKeys, report: &r, chains: chains, wanted: wanted, prunedSeqs: maps.Clone(r.pruned)}
	for rows.Next() {
		var row auditRow
		if err := rows.StructScan(&row); err != nil {
			return r, translate(ctx, err)
		}
		walk.entry(&row)
		if r.Entries%1000 == 0 {
			progress(r.Entries)
		}
	}
	if err := rows.Err(); err != nil {
		return r, translate(ctx, err)
	}
	walk.finish()
	return r, nil
}

type chainRow struct {
	ID         int64     `db:"id"`
	StartedAt  time.Time `db:"started_at"`
	Hash       []byte    `db:"hash"`
	SealedSeq  int64     `db:"sealed_seq"`
	SealedHash []byte    `db:"sealed_hash"`
	PrunedSeq  int64     `db:"pruned_seq"`
	PrunedHash []byte    `db:"pruned_hash"`
}

// verifyChains checks the list of chains, each of which is bound to the one
// before.
func verifyChains(ctx context.Context, t *sqlx.Tx, r *AuditReport) (map[int64]chainRow, error) {
	var rows []chainRow
	if err := t.SelectContext(ctx, &rows, `SELECT id, started_at, hash, sealed_seq, sealed_hash, pruned_seq, pruned_hash FROM audit_chains ORDER BY id`); err != nil {
		return nil, err
	}
	chains := map[int64]chainRow{}
	if len(rows) == 0 || rows[0].ID != 1 {
		r.fault("the first chain is gone")
		return chains, nil
	}
	if started := int64(len(rows)) - 1; started != rows[0].SealedSeq {
		r.fault("%d chains were started, and %d are there", rows[0].SealedSeq, started)
	}
	for i, row := range rows[1:] {
		chains[row.ID] = row
		if row.PrunedSeq > 0 {
			r.pruned[row.ID] = row.PrunedSeq
		}
		if !bytes.Equal(row.Hash, chainHash(rows[i].Hash, row.StartedAt)) {
			r.fault("chain %d does not follow the one before it", row.ID)
		}
	}
	r.Chains = int64(len(chains))
	return chains, nil
}

// walker goes along the entries of all chains.
type walker struct {
	keys   []MACKey
	report *AuditReport
	chains map[int64]chainRow
	wanted map[[2]int64]string
	at     chainRow // SealedSeq and SealedHash are where the chain should be next
	last   auditRow
	begun  bool
	// prunedSeqs is how far each chain was pruned.
	prunedSeqs map[int64]int64
}

func (w *walker) entry(row *auditRow) {
	w.report.Entries++
	if !w.begun || row.Chain != w.last.Chain {
		w.endChain()
		chain, known := w.chains[row.Chain]
		if !known {
			w.report.fault("chain %d, entry %d: there is no such chain", row.Chain, row.Seq)
		}
		w.at, w.last, w.begun = chain, auditRow{Chain: row.Chain, Hash: chain.Hash}, true
		if chain.PrunedSeq > 0 {
			w.last.Seq, w.last.Hash, w.last.MACKey = chain.PrunedSeq, chain.PrunedHash, row.MACKey
		}
		delete(w.chains, row.Chain)
	}
	switch {
	case row.Seq == w.last.Seq+2:
		w.report.fault("chain %d: entry %d is gone", row.Chain, row.Seq-1)
	case row.Seq != w.last.Seq+1:
		w.report.fault("chain %d: entries %d to %d are gone", row.Chain, w.last.Seq+1, row.Seq-1)
	case row.ID <= w.last.ID:
		w.report.fault("chain %d, entry %d: stands in another place than it was written", row.Chain, row.Seq)
	default:
		w.check(row)
	}
	if row.Seq == w.at.SealedSeq && !bytes.Equal(row.Hash, w.at.SealedHash) {
		w.report.fault("chain %d, entry %d: is not the one that was sealed", row.Chain, row.Seq)
	}
	if row.Object == prunedObject && row.ObjectID != nil && prunedTo(row) == w.report.pruned[*row.ObjectID] {
		delete(w.report.pruned, *row.ObjectID)
	}
	place := [2]int64{row.Chain, row.Seq}
	if hash, known := w.wanted[place]; known && hash != hex.EncodeToString(row.Hash) {
		w.report.fault("chain %d, entry %d: is not the one of the anchor", row.Chain, row.Seq)
	}
	delete(w.wanted, place)
	w.last = *row
}

func (w *walker) check(row *auditRow) {
	key := MACKey{}
	if len(row.MACKey) > 0 {
		i := slices.IndexFunc(w.keys, func(k MACKey) bool { return bytes.Equal(k.ID, row.MACKey) })
		if i < 0 {
			w.report.fault("chain %d, entry %d: was written with a key that is not in MEMS_AUDIT_KEYS", row.Chain, row.Seq)
			return
		}
		key = w.keys[i]
	} else if len(w.last.MACKey) > 0 {
		w.report.fault("chain %d, entry %d: has no key, and the one before it has", row.Chain, row.Seq)
	}
	if !bytes.Equal(row.Hash, row.sum(w.last.Hash, key)) {
		w.report.fault("chain %d, entry %d (%s): was altered, or stands in another place than it was written",
			row.Chain, row.Seq, row.At.Format(time.RFC3339))
	}
}

func (w *walker) endChain() {
	if !w.begun {
		return
	}
	if w.last.Seq < w.at.SealedSeq {
		w.report.fault("chain %d: entries %d to %d are gone", w.last.Chain, w.last.Seq+1, w.at.SealedSeq)
	}
	w.report.Heads = append(w.report.Heads, Head{w.last.Chain, w.last.Seq, hex.EncodeToString(w.last.Hash)})
}

func (w *walker) finish() {
	w.endChain()
	for id, chain := range w.chains { // those without any entry
		if chain.SealedSeq > chain.PrunedSeq {
			w.report.fault("chain %d: all of its %d entries are gone", id, chain.SealedSeq)
		}
	}
	for id, seq := range w.report.pruned {
		w.report.fault("chain %d: begins after entry %d, and no entry says that what was before has been kept long enough", id, seq)
	}
	for place := range w.wanted {
		if place[1] <= w.prunedSeqs[place[0]] {
			continue
		}
		w.report.fault("chain %d, entry %d: is in the anchor, and gone from the trail", place[0], place[1])
	}
}
