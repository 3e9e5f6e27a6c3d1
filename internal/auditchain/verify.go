package auditchain

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"maps"
	"time"
)

// Head is the end of a chain. Kept outside of the database, it reveals later removals
// before it.
type Head struct {
	Chain int64  `json:"chain"`
	Seq   int64  `json:"seq"`
	Hash  string `json:"hash"` // hexadecimal
}

// Report is the result of verifying an audit trail.
type Report struct {
	Chains, Entries int64
	Faults          []string // what was tampered with, for people; empty if nothing was found
	Heads           []Head
	// UnknownKeys is the number of faults that are merely missing keys.
	UnknownKeys int

	unknown map[string]bool
	sealed  bool            // seals are in use, so every entry needs a key from now on
	pruned  map[int64]int64 // by chain: how far it was pruned, until an entry confirms it
}

// maxFaults is the maximum number of faults in a report.
const maxFaults = 100

func (r *Report) fault(format string, args ...any) {
	if len(r.Faults) < maxFaults {
		r.Faults = append(r.Faults, fmt.Sprintf(format, args...))
	}
}

// unknownKey reports, once per key, that something cannot be verified without it.
func (r *Report) unknownKey(id []byte, format string, args ...any) {
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

// missing reports that the entries first to last of a chain do not exist.
func (r *Report) missing(chain, first, last int64) {
	if first == last {
		r.fault("chain %d: entry %d is gone", chain, first)
		return
	}
	r.fault("chain %d: entries %d to %d are gone", chain, first, last)
}

// checkChains checks the list of chains, the root first, each of which is bound to the
// previous one. It returns them by id.
func (r *Report) checkChains(rows []Chain, keys []Key) map[int64]Chain {
	chains := map[int64]Chain{}
	if len(rows) == 0 || rows[0].ID != 1 {
		r.fault("the first chain is gone")
		return chains
	}
	if started := int64(len(rows)) - 1; started != rows[0].SealedSeq {
		r.fault("number of chains: %d were started, %d exist", rows[0].SealedSeq, started)
	}
	for i, row := range rows[1:] {
		chains[row.ID] = row
		if row.Sealed() && *row.SealSeq < row.PrunedSeq {
			r.fault("chain %d: was pruned to entry %d, which is after its seal", row.ID, row.PrunedSeq)
		}
		if row.PrunedSeq > 0 {
			r.pruned[row.ID] = row.PrunedSeq
		}
		if !bytes.Equal(row.Hash, BeginHash(rows[i].Hash, row.StartedAt, Key{})) && !row.beginsKeyed(keys, rows[i].Hash) {
			if _, known := Find(keys, row.SealKey); row.SealKey != nil && !known {
				r.unknownKey(row.SealKey, "chain %d was sealed", row.ID)
				continue
			}
			r.fault("chain %d does not follow the one before it", row.ID)
		}
	}
	r.Chains = int64(len(chains))
	root := &rows[0]
	r.sealed = root.Sealed()
	if !r.sealed {
		if root.Seal != nil || sealedBefore(rows, 0, keys) {
			r.fault("the seal of the list of chains is gone")
			r.sealed = true
		}
	} else if _, known := Find(keys, root.SealKey); !known {
		r.unknownKey(root.SealKey, "the list of chains was sealed")
	} else if !root.opens(keys, listText(rows, *root.SealSeq)) {
		r.fault("the list of chains up to %d is not the one that was sealed: a chain, or the seal of one, was removed or altered", *root.SealSeq)
	}
	return chains
}

// Verifier verifies the entries of all chains.
type Verifier struct {
	keys   []Key
	report Report
	chains map[int64]Chain
	wanted map[[2]int64]string
	at     Chain // SealedSeq and SealedHash are the expected next position
	last   Entry
	begun  bool
	// prunedSeqs has how far each chain was pruned.
	prunedSeqs map[int64]int64
}

// NewVerifier checks the list of chains, the root first and the others by ascending id, and
// prepares to verify their entries with the keys that may have written them; anchor has
// heads from an earlier report.
func NewVerifier(keys []Key, chains []Chain, anchor []Head) *Verifier {
	w := &Verifier{keys: keys, report: Report{pruned: map[int64]int64{}}, wanted: map[[2]int64]string{}}
	w.chains = w.report.checkChains(chains, keys)
	w.prunedSeqs = maps.Clone(w.report.pruned)
	for _, h := range anchor {
		w.wanted[[2]int64{h.Chain, h.Seq}] = h.Hash
	}
	return w
}

// Entry verifies the next entry, in order of chain and number. It returns the number of
// entries so far.
func (w *Verifier) Entry(row *Entry) int64 {
	w.report.Entries++
	if !w.begun || row.Chain != w.last.Chain {
		w.endChain()
		chain, known := w.chains[row.Chain]
		if !known {
			w.report.fault("chain %d, entry %d: there is no such chain", row.Chain, row.Seq)
		}
		w.at, w.last, w.begun = chain, Entry{Chain: row.Chain, Hash: chain.Hash}, true
		if chain.PrunedSeq > 0 {
			w.last.Seq, w.last.Hash, w.last.MACKey = chain.PrunedSeq, chain.PrunedHash, row.MACKey
		}
		delete(w.chains, row.Chain)
		w.checkSeal(&w.at, w.last.Seq, w.last.Hash)
	}
	switch {
	case row.Seq != w.last.Seq+1:
		w.report.missing(row.Chain, w.last.Seq+1, row.Seq-1)
	case row.ID <= w.last.ID:
		w.report.fault("chain %d, entry %d: is not where it was written", row.Chain, row.Seq)
	default:
		w.check(row)
	}
	if row.Seq == w.at.SealedSeq && !bytes.Equal(row.Hash, w.at.SealedHash) {
		w.report.fault("chain %d, entry %d: is not the one that was sealed", row.Chain, row.Seq)
	}
	w.checkSeal(&w.at, row.Seq, row.Hash)
	if row.Object == PruneObject && row.ObjectID != nil && row.prunedTo() == w.report.pruned[*row.ObjectID] {
		delete(w.report.pruned, *row.ObjectID)
	}
	place := [2]int64{row.Chain, row.Seq}
	if hash, known := w.wanted[place]; known && hash != hex.EncodeToString(row.Hash) {
		w.report.fault("chain %d, entry %d: is not the one of the anchor", row.Chain, row.Seq)
	}
	delete(w.wanted, place)
	w.last = *row
	return w.report.Entries
}

func (w *Verifier) check(row *Entry) {
	key := Key{}
	switch {
	case len(row.MACKey) > 0:
		var known bool
		if key, known = Find(w.keys, row.MACKey); !known {
			w.report.unknownKey(row.MACKey, "chain %d, entry %d: was written", row.Chain, row.Seq)
			return
		}
	case len(w.last.MACKey) > 0:
		w.report.fault("chain %d, entry %d: has no key, but the previous one has", row.Chain, row.Seq)
	case w.report.sealed && (w.at.SealSeq == nil || row.Seq > *w.at.SealSeq):
		w.report.fault("chain %d, entry %d: was altered, or written without a key after keys were in use", row.Chain, row.Seq)
	}
	if !bytes.Equal(row.Hash, row.sum(w.last.Hash, key)) {
		w.report.fault("chain %d, entry %d (%s): was altered, or is not where it was written",
			row.Chain, row.Seq, row.At.Format(time.RFC3339))
	}
}

// checkSeal compares a chain's seal with its hash after the entry that the seal covers.
func (w *Verifier) checkSeal(chain *Chain, seq int64, hash []byte) {
	if !chain.Sealed() || *chain.SealSeq != seq {
		return
	}
	end := Tip{Chain: chain.ID, Seq: seq, Begin: chain.Hash, Hash: hash}
	if _, known := Find(w.keys, chain.SealKey); !known {
		w.report.unknownKey(chain.SealKey, "chain %d was sealed", chain.ID)
	} else if !chain.opens(w.keys, end.text()) {
		w.report.fault("chain %d: its seal after entry %d was altered, or is not of this entry", chain.ID, seq)
	}
}

func (w *Verifier) endChain() {
	if !w.begun {
		return
	}
	if w.last.Seq < w.at.SealedSeq {
		w.report.missing(w.last.Chain, w.last.Seq+1, w.at.SealedSeq)
	} else if w.at.Sealed() && w.last.Seq < *w.at.SealSeq {
		w.report.missing(w.last.Chain, w.last.Seq+1, *w.at.SealSeq)
	}
	w.report.Heads = append(w.report.Heads, Head{w.last.Chain, w.last.Seq, hex.EncodeToString(w.last.Hash)})
}

// Finish reports what is missing and returns the report.
func (w *Verifier) Finish() Report {
	w.endChain()
	for id, chain := range w.chains { // chains without any entry
		if chain.SealedSeq > chain.PrunedSeq {
			w.report.missing(id, chain.PrunedSeq+1, chain.SealedSeq)
			continue
		}
		if chain.Sealed() && *chain.SealSeq > chain.PrunedSeq {
			w.report.missing(id, chain.PrunedSeq+1, *chain.SealSeq)
			continue
		}
		end := chain.Hash
		if chain.PrunedSeq > 0 {
			end = chain.PrunedHash
		}
		w.checkSeal(&chain, chain.PrunedSeq, end)
	}
	for id, seq := range w.report.pruned {
		w.report.fault("chain %d: begins after entry %d, but no entry records that earlier ones were pruned", id, seq)
	}
	for place := range w.wanted {
		if place[1] <= w.prunedSeqs[place[0]] {
			continue
		}
		w.report.fault("chain %d, entry %d: is in the anchor, but not in the trail", place[0], place[1])
	}
	return w.report
}
