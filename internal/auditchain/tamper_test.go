package auditchain

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var testKeys = []Key{NewKey([]byte("the key that writes now")), NewKey([]byte("the key before it"))}

// source derives decisions from bytes; once these are exhausted, every value is 0.
type source struct{ data []byte }

func (s *source) below(n int) int {
	if len(s.data) == 0 {
		return 0
	}
	b := s.data[0]
	s.data = s.data[1:]
	return int(b) % n
}

// text returns a value of a text column, which is always UTF-8.
func (s *source) text() string {
	n := min(s.below(6), len(s.data))
	text := strings.ToValidUTF8(string(s.data[:n]), "?")
	s.data = s.data[n:]
	return text
}

// trail is the stored trail: the list of chains, the root first, and the entries in the
// order of writing.
type trail struct {
	chains  []Chain
	entries []Entry
}

func (tr *trail) clone() *trail {
	c := &trail{slices.Clone(tr.chains), slices.Clone(tr.entries)}
	for i := range c.chains {
		chain := &c.chains[i]
		for _, b := range []*[]byte{&chain.Hash, &chain.PrunedHash, &chain.Seal, &chain.SealKey} {
			*b = bytes.Clone(*b)
		}
	}
	for i := range c.entries {
		e := &c.entries[i]
		for _, b := range []*[]byte{&e.Details, &e.MACKey, &e.Hash} {
			*b = bytes.Clone(*b)
		}
	}
	return c
}

// verify verifies the trail as if read from the database.
func (tr *trail) verify() Report {
	chains, entries := slices.Clone(tr.chains), slices.Clone(tr.entries)
	slices.SortStableFunc(chains, func(a, b Chain) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortStableFunc(entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Chain, b.Chain), cmp.Compare(a.Seq, b.Seq))
	})
	v := NewVerifier(testKeys, chains, nil)
	for i := range entries {
		v.Entry(&entries[i])
	}
	return v.Finish()
}

// write returns a trail of one to three chains with up to four entries each, all sealed at
// their ends; some were written with the previous key, and some were pruned.
func write(s *source) *trail {
	at := time.Date(2027, 3, 1, 8, 0, 0, 0, time.UTC)
	tr := &trail{chains: []Chain{{ID: 1, StartedAt: at, Hash: bytes.Repeat([]byte{1}, 32)}}}
	root := &tr.chains[0]
	before, key := root.Hash, testKeys[1]
	for n := range int64(1 + s.below(3)) {
		if s.below(2) == 0 {
			key = testKeys[0] // from here on the current key
		}
		at = at.Add(time.Duration(s.below(256)) * time.Microsecond)
		begin := BeginHash(before, at, key)
		tip := Tip{Chain: n + 2, Begin: begin, Hash: begin}
		chain := Chain{ID: tip.Chain, StartedAt: at, Hash: begin}
		before = begin
		var entries []Entry
		for range s.below(5) {
			entries = append(entries, entry(s, at))
		}
		pruned := s.below(len(entries) + 1)
		if pruned > 0 {
			object := tip.Chain
			entries = append(entries, Entry{
				At: at, Object: PruneObject, ObjectID: &object,
				Details: fmt.Appendf(nil, `{"changes":[{"member":%q,"before":null,"after":"%d"}]}`, PruneMember, pruned),
			})
		}
		for i := range entries {
			entries[i].ID = int64(len(tr.entries) + i + 1)
			tip.Append(key, &entries[i])
			if i+1 == pruned {
				chain.PrunedSeq, chain.PrunedHash = tip.Seq, tip.Hash
			}
		}
		tr.entries = append(tr.entries, entries[pruned:]...)
		chain.SealedSeq, chain.SealedHash = tip.Seq, tip.Hash
		chain.SealSeq, chain.Seal, chain.SealKey = new(tip.Seq), tip.Seal(key), key.ID
		tr.chains = append(tr.chains, chain)
		root = &tr.chains[0]
		root.SealedSeq++
	}
	last := tr.chains[len(tr.chains)-1].ID
	root.SealSeq, root.Seal, root.SealKey = new(last), SealList(key, tr.chains, last), key.ID
	return tr
}

func entry(s *source, at time.Time) Entry {
	e := Entry{At: at, Subject: s.text(), Operation: s.text(), Action: "change", Object: s.text()}
	switch s.below(4) {
	case 1:
		e.Address, e.ObjectID = new(s.text()), new(int64(s.below(9)))
	case 2:
		e.RequestID, e.PatientID = new(s.text()), new(int64(s.below(9)))
		e.Details, e.Secret = []byte(s.text()), true
	case 3:
		e.PatientIDs = new(s.text())
	}
	return e
}

// alterations alter one value of an entry. The id is not covered: the table assigns it, and
// only its order is checked.
var alterations = []struct {
	name  string
	alter func(e *Entry, s *source)
}{
	{"chain", func(e *Entry, s *source) { e.Chain += int64(1 + s.below(3)) }},
	{"seq", func(e *Entry, s *source) { e.Seq += int64(1 + s.below(3)) }},
	{"at", func(e *Entry, s *source) { e.At = e.At.Add(time.Duration(1+s.below(255)) * time.Microsecond) }},
	{"subject", func(e *Entry, s *source) { e.Subject = otherText(e.Subject, s) }},
	{"address", func(e *Entry, s *source) { e.Address = otherTextOrNone(e.Address, s) }},
	{"request_id", func(e *Entry, s *source) { e.RequestID = otherTextOrNone(e.RequestID, s) }},
	{"operation", func(e *Entry, s *source) { e.Operation = otherText(e.Operation, s) }},
	{"action", func(e *Entry, s *source) { e.Action = otherText(e.Action, s) }},
	{"object", func(e *Entry, s *source) { e.Object = otherText(e.Object, s) }},
	{"object_id", func(e *Entry, s *source) { e.ObjectID = otherNumberOrNone(e.ObjectID, s) }},
	{"patient_id", func(e *Entry, s *source) { e.PatientID = otherNumberOrNone(e.PatientID, s) }},
	{"patient_ids", func(e *Entry, s *source) { e.PatientIDs = otherTextOrNone(e.PatientIDs, s) }},
	{"details", func(e *Entry, s *source) { e.Details = otherBytes(e.Details, s) }},
	{"secret", func(e *Entry, _ *source) { e.Secret = !e.Secret }},
	{"mac_key", func(e *Entry, s *source) { e.MACKey = otherBytes(e.MACKey, s) }},
	{"mac_key gone", func(e *Entry, _ *source) { e.MACKey = nil }},
	{"hash", func(e *Entry, s *source) { e.Hash = otherBytes(e.Hash, s) }},
}

// chainAlterations alter a chain's row. sealed_seq and sealed_hash, which are all that a
// program without keys writes, are not covered: the keyed seal replaces them.
var chainAlterations = []struct {
	name  string
	alter func(c *Chain, s *source)
}{
	{"started_at", func(c *Chain, s *source) {
		c.StartedAt = c.StartedAt.Add(time.Duration(1+s.below(255)) * time.Microsecond)
	}},
	{"hash", func(c *Chain, s *source) { c.Hash = otherBytes(c.Hash, s) }},
	{"pruned_seq", func(c *Chain, s *source) { c.PrunedSeq += int64(1 + s.below(3)) }},
	{"pruned_seq gone", func(c *Chain, _ *source) {
		if c.PrunedSeq == 0 {
			c.PrunedSeq = 1
		} else {
			c.PrunedSeq, c.PrunedHash = 0, nil
		}
	}},
	{"seal_seq", func(c *Chain, s *source) { *c.SealSeq += []int64{-2, -1, 1, 2}[s.below(4)] }},
	{"seal", func(c *Chain, s *source) { c.Seal = otherBytes(c.Seal, s) }},
	{"seal_key", func(c *Chain, s *source) { c.SealKey = otherBytes(c.SealKey, s) }},
	{"seal gone", func(c *Chain, _ *source) { c.Seal, c.SealKey, c.SealSeq = nil, nil, nil }},
}

func otherText(text string, s *source) string { return text + string(rune('a'+s.below(26))) }

func otherTextOrNone(text *string, s *source) *string {
	switch {
	case text == nil:
		return new(s.text())
	case s.below(2) == 0:
		return nil
	default:
		return new(otherText(*text, s))
	}
}

func otherNumberOrNone(n *int64, s *source) *int64 {
	switch {
	case n == nil:
		return new(int64(s.below(9)))
	case s.below(2) == 0:
		return nil
	default:
		return new(*n + int64(1+s.below(9)))
	}
}

// otherBytes alters one byte, or adds one to an empty value.
func otherBytes(b []byte, s *source) []byte {
	b = bytes.Clone(b)
	if len(b) == 0 {
		return append(b, byte(s.below(256)))
	}
	b[s.below(len(b))] ^= byte(1 + s.below(255))
	return b
}

// tamper alters the trail once and describes the alteration; "" if there was nothing to
// alter.
func tamper(tr *trail, s *source) string {
	what := s.below(8)
	if len(tr.entries) == 0 && what < 5 {
		what = 5
	}
	switch what {
	case 0:
		i := s.below(len(tr.entries))
		a := alterations[s.below(len(alterations))]
		a.alter(&tr.entries[i], s)
		return fmt.Sprintf("entry %d: %s altered", i, a.name)
	case 1:
		i := s.below(len(tr.entries))
		tr.entries = slices.Delete(tr.entries, i, i+1)
		return fmt.Sprintf("entry %d deleted", i)
	case 2: // up to all entries at the end of a chain
		i := s.below(len(tr.entries))
		first := tr.entries[i]
		tr.entries = slices.DeleteFunc(tr.entries, func(e Entry) bool { return e.Chain == first.Chain && e.Seq >= first.Seq })
		return fmt.Sprintf("cut before entry %d", i)
	case 3:
		i, j := s.below(len(tr.entries)), s.below(len(tr.entries))
		if i == j {
			return ""
		}
		a, b := &tr.entries[i], &tr.entries[j]
		a.Chain, b.Chain = b.Chain, a.Chain
		a.Seq, b.Seq = b.Seq, a.Seq
		return fmt.Sprintf("entries %d and %d swapped", i, j)
	case 4: // a forged entry, with or without a key id
		e := tr.entries[s.below(len(tr.entries))]
		e.ID = int64(len(tr.entries) + 100)
		e.Seq = tr.lastSeq(e.Chain) + 1
		if s.below(2) == 0 {
			e.MACKey = nil
			e.Hash = e.sum(tr.hashOf(e.Chain, e.Seq-1), Key{})
		}
		tr.entries = append(tr.entries, e)
		return "an entry forged"
	case 5:
		i := 1 + s.below(len(tr.chains)-1)
		a := chainAlterations[s.below(len(chainAlterations))]
		a.alter(&tr.chains[i], s)
		return fmt.Sprintf("chain %d: %s altered", tr.chains[i].ID, a.name)
	case 6: // a chain with all its entries, counted or not
		i := 1 + s.below(len(tr.chains)-1)
		id := tr.chains[i].ID
		tr.chains = slices.Delete(tr.chains, i, i+1)
		tr.entries = slices.DeleteFunc(tr.entries, func(e Entry) bool { return e.Chain == id })
		if s.below(2) == 0 {
			tr.chains[0].SealedSeq--
		}
		return fmt.Sprintf("chain %d deleted", id)
	default:
		root := &tr.chains[0]
		switch s.below(5) {
		case 0:
			root.Hash = otherBytes(root.Hash, s)
		case 1:
			*root.SealSeq += []int64{-1, 1}[s.below(2)]
		case 2:
			root.Seal = otherBytes(root.Seal, s)
		case 3:
			root.Seal, root.SealKey, root.SealSeq = nil, nil, nil
		default:
			root.SealedSeq += []int64{-1, 1}[s.below(2)]
		}
		return "the root altered"
	}
}

func (tr *trail) lastSeq(chain int64) int64 {
	last := int64(0)
	for i := range tr.entries {
		if tr.entries[i].Chain == chain {
			last = max(last, tr.entries[i].Seq)
		}
	}
	return last
}

func (tr *trail) hashOf(chain, seq int64) []byte {
	for i := range tr.entries {
		if tr.entries[i].Chain == chain && tr.entries[i].Seq == seq {
			return tr.entries[i].Hash
		}
	}
	return nil
}

// checkTampering checks that a new trail is intact and that one alteration of it is found.
func checkTampering(t *testing.T, data []byte) {
	t.Helper()
	s := &source{data}
	tr := write(s)
	if r := tr.verify(); len(r.Faults) > 0 {
		t.Fatalf("faults of a whole trail = %s, want none", strings.Join(r.Faults, "; "))
	}
	other := tr.clone()
	if what := tamper(other, s); what != "" && len(other.verify().Faults) == 0 {
		t.Fatalf("%s: no faults, want some", what)
	}
}

// FuzzTampering checks that verification finds any cut, deletion, swap, forgery or altered
// value in a sealed trail, and nothing in an intact one.
func FuzzTampering(f *testing.F) {
	for what := range byte(8) {
		f.Add([]byte{2, 0, 7, 3, 2, 'a', 'b', 1, 'c', 0, 1, 0, 1, 1, what, 1, 2})
		f.Add([]byte{0, 1, 0, 4, 1, 'x', 2, 'y', 'z', 0, 2, 1, 'q', 5, what, 0, 0, 1})
	}
	f.Fuzz(func(t *testing.T, data []byte) { checkTampering(t, data) })
}
