package store

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
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
	// UnknownKeys is how many of the faults only say that a key is missing.
	UnknownKeys int

	unknown map[string]bool
	sealed  bool            // seals are in use, so that nothing may be written without a key any more
	pruned  map[int64]int64 // by chain, how far it was pruned, until an entry says so
}

// maxFaults bounds what a report lists.
const maxFaults = 100

func (r *AuditReport) fault(format string, args ...any) {
	if len(r.Faults) < maxFaults {
		r.Faults = append(r.Faults, fmt.Sprintf(format, args...))
	}
}

// unknownKey notes, once for each key, that something cannot be verified without it.
func (r *AuditReport) unknownKey(id []byte, format string, args ...any) {
	if r.unknown[string(id)] {
		return
	}
	if r.unknown == nil {
		r.unknown = map[string]bool{}
	}
	r.unknown[string(id)] = true
	if len(r.Faults) < maxFaults {
		r.UnknownKeys++
	}
	r.fault(format+" with a key that is not in MEMS_AUDIT_KEYS (unknown key %x): what it wrote cannot be verified without it", append(args, id)...)
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
	chains, err := s.verifyChains(ctx, t, &r)
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

// verifyChains checks the list of chains, each of which is bound to the one
// before.
func (s *Store) verifyChains(ctx context.Context, t *sqlx.Tx, r *AuditReport) (map[int64]chainRow, error) {
	rows, err := readChains(ctx, t)
	if err != nil {
		return nil, err
	}
	chains := map[int64]chainRow{}
	if rows[0].ID != 1 {
		r.fault("the first chain is gone")
		return chains, nil
	}
	if started := int64(len(rows)) - 1; started != rows[0].SealedSeq {
		r.fault("%d chains were started, and %d are there", rows[0].SealedSeq, started)
	}
	for i, row := range rows[1:] {
		chains[row.ID] = row
		if row.sealed() && *row.SealSeq < row.PrunedSeq {
			r.fault("chain %d: was pruned to entry %d, which is after its seal", row.ID, row.PrunedSeq)
		}
		if row.PrunedSeq > 0 {
			r.pruned[row.ID] = row.PrunedSeq
		}
		if !bytes.Equal(row.Hash, chainHash(rows[i].Hash, row.StartedAt, MACKey{})) && !row.beginsKeyed(s.macKeys, rows[i].Hash) {
			if _, known := keyWith(s.macKeys, row.SealKey); row.SealKey != nil && !known {
				r.unknownKey(row.SealKey, "chain %d was sealed", row.ID)
				continue
			}
			r.fault("chain %d does not follow the one before it", row.ID)
		}
	}
	r.Chains = int64(len(chains))
	root := &rows[0]
	r.sealed = root.sealed()
	if !r.sealed {
		if root.Seal != nil || sealedBefore(rows, 0, s.macKeys) {
			r.fault("the seal of the list of chains is gone")
			r.sealed = true
		}
	} else if _, known := keyWith(s.macKeys, root.SealKey); !known {
		r.unknownKey(root.SealKey, "the list of chains was sealed")
	} else if !root.opens(s.macKeys, rootText(rows, *root.SealSeq)) {
		r.fault("the list of chains up to %d is not the one that was sealed: a chain, or the seal of one, was removed or altered", *root.SealSeq)
	}
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
		w.checkSeal(&w.at, w.last.Seq, w.last.Hash)
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
	w.checkSeal(&w.at, row.Seq, row.Hash)
	if row.Object == clinic.KindAuditChain.String() && row.ObjectID != nil && prunedTo(row) == w.report.pruned[*row.ObjectID] {
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
	switch {
	case len(row.MACKey) > 0:
		var known bool
		if key, known = keyWith(w.keys, row.MACKey); !known {
			w.report.unknownKey(row.MACKey, "chain %d, entry %d: was written", row.Chain, row.Seq)
			return
		}
	case len(w.last.MACKey) > 0:
		w.report.fault("chain %d, entry %d: has no key, and the one before it has", row.Chain, row.Seq)
	case w.report.sealed && (w.at.SealSeq == nil || row.Seq > *w.at.SealSeq):
		w.report.fault("chain %d, entry %d: was altered, or written without a key after keys were in use", row.Chain, row.Seq)
	}
	if !bytes.Equal(row.Hash, row.sum(w.last.Hash, key)) {
		w.report.fault("chain %d, entry %d (%s): was altered, or stands in another place than it was written",
			row.Chain, row.Seq, row.At.Format(time.RFC3339))
	}
}

// checkSeal compares the seal of a chain with its hash after an entry, if it is of that.
func (w *walker) checkSeal(chain *chainRow, seq int64, hash []byte) {
	if !chain.sealed() || *chain.SealSeq != seq {
		return
	}
	if _, known := keyWith(w.keys, chain.SealKey); !known {
		w.report.unknownKey(chain.SealKey, "chain %d was sealed", chain.ID)
	} else if !chain.opens(w.keys, endText(chain.ID, seq, chain.Hash, hash)) {
		w.report.fault("chain %d: its seal after entry %d was altered, or is not of this entry", chain.ID, seq)
	}
}

func (w *walker) endChain() {
	if !w.begun {
		return
	}
	if w.last.Seq < w.at.SealedSeq {
		w.report.fault("chain %d: entries %d to %d are gone", w.last.Chain, w.last.Seq+1, w.at.SealedSeq)
	} else if w.at.sealed() && w.last.Seq < *w.at.SealSeq {
		w.report.fault("chain %d: entries %d to %d are gone", w.last.Chain, w.last.Seq+1, *w.at.SealSeq)
	}
	w.report.Heads = append(w.report.Heads, Head{w.last.Chain, w.last.Seq, hex.EncodeToString(w.last.Hash)})
}

func (w *walker) finish() {
	w.endChain()
	for id, chain := range w.chains { // those without any entry
		if chain.SealedSeq > chain.PrunedSeq {
			w.report.fault("chain %d: all of its %d entries are gone", id, chain.SealedSeq)
			continue
		}
		if chain.sealed() && *chain.SealSeq > chain.PrunedSeq {
			w.report.fault("chain %d: all of its %d entries are gone", id, *chain.SealSeq)
			continue
		}
		end := chain.Hash
		if chain.PrunedSeq > 0 {
			end = chain.PrunedHash
		}
		w.checkSeal(&chain, chain.PrunedSeq, end)
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
