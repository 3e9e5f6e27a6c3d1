package auditchain

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// Any tampering with a sealed trail is found, and an intact one is never reported.
func TestTamperingIsFound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), 0, 120).Draw(r, "data")
		checkTampering(t, data)
	})
}

// Each alteration of an entry or chain is found, anywhere in a trail with a pruned chain.
func TestEveryAlterationIsFound(t *testing.T) {
	t.Parallel()
	whole := write(&source{[]byte{
		2,
		1, 5, 4, 0, 0, 0, 0, 0, 0, 0, 1, 0, 3, 0, 0, 0, 2, 0, 4, 0, 0, 0, 0, 3, 0, 2, // four entries, of which two are pruned
		0, 9, 3, 0, 0, 0, 1, 0, 5, 0, 0, 0, 0, 1, 'a', 0, 0, 0, 0, // three, by the next key
		1, 7, 2, 0, 0, 0, 1, 1, 'b', 2, 0, 0, 0, 2, 0, 1, 1, 'c', 0,
	}})
	if len(whole.chains) != 4 || len(whole.entries) != 8 || whole.chains[1].PrunedSeq != 2 {
		t.Fatalf("%d chains with %d entries, the first one pruned to %d; want 4, 8 and 2", len(whole.chains), len(whole.entries), whole.chains[1].PrunedSeq)
	}
	if r := whole.verify(); len(r.Faults) > 0 {
		t.Fatalf("faults in an intact trail: %q, want none", r.Faults)
	}
	for i := range whole.entries {
		for _, a := range alterations {
			tr := whole.clone()
			a.alter(&tr.entries[i], &source{[]byte{7, 3, 5}})
			if len(tr.verify().Faults) == 0 {
				t.Errorf("entry %d: %s altered and not found, want a fault", i, a.name)
			}
		}
	}
	for i := range whole.chains[1:] {
		for _, a := range chainAlterations {
			tr := whole.clone()
			a.alter(&tr.chains[i+1], &source{[]byte{7, 3, 5}})
			if len(tr.verify().Faults) == 0 {
				t.Errorf("chain %d: %s altered and not found, want a fault", tr.chains[i+1].ID, a.name)
			}
		}
	}
}

// A fault names the entries that are gone: one, or the first and the last.
func TestFaultsNameMissingEntries(t *testing.T) {
	t.Parallel()
	whole := write(&source{[]byte{0, 0, 0, 2}})
	for _, c := range []struct {
		kept int
		want string
	}{
		{1, "chain 2: entry 2 is gone"},
		{0, "chain 2: entries 1 to 2 are gone"},
	} {
		tr := whole.clone()
		tr.entries = tr.entries[:c.kept]
		if got := tr.verify().Faults; len(got) != 1 || got[0] != c.want {
			t.Errorf("%d of 2 entries: faults %q, want %q", c.kept, got, c.want)
		}
	}
}

// An anchor reveals removals even if the seals of that time were removed as well.
func TestAnchorOutlivesSeals(t *testing.T) {
	t.Parallel()
	s := &source{[]byte{0, 0, 0, 2}}
	tr := write(s)
	heads := tr.verify().Heads
	if len(heads) != 1 || heads[0].Seq != 2 {
		t.Fatalf("heads %+v, want one after entry 2", heads)
	}
	chain := &tr.chains[1]
	tip := Tip{Chain: chain.ID, Seq: 1, Begin: chain.Hash, Hash: tr.entries[0].Hash}
	tr.entries = tr.entries[:1]
	chain.SealedSeq, chain.SealedHash = tip.Seq, tip.Hash
	*chain.SealSeq, chain.Seal = tip.Seq, tip.Seal(testKeys[0])
	if r := tr.verify(); len(r.Faults) > 0 {
		t.Fatalf("faults without an anchor: %q, want none", r.Faults)
	}
	v := NewVerifier(testKeys, tr.chains, heads)
	v.Entry(&tr.entries[0])
	if r := v.Finish(); len(r.Faults) == 0 {
		t.Error("the entry of the anchor is gone and not reported, want a fault")
	}
}

// Private values are decrypted only with their key, and not after an alteration.
func TestEncrypt(t *testing.T) {
	t.Parallel()
	secret := NewSecret()
	sealed, err := Encrypt(secret, []byte("plain"))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := Decrypt(secret, sealed); err != nil || string(plain) != "plain" {
		t.Errorf("Decrypt = %q, %v, want %q", plain, err, "plain")
	}
	if bytes.Contains(sealed, []byte("plain")) {
		t.Errorf("encrypted text = %q, want it without the plain one", sealed)
	}
	for i := range sealed {
		altered := bytes.Clone(sealed)
		altered[i] ^= 1
		if _, err := Decrypt(secret, altered); err == nil {
			t.Errorf("Decrypt with byte %d altered = nil, want an error", i)
		}
	}
	if _, err := Decrypt(NewSecret(), sealed); err == nil {
		t.Error("Decrypt with another key = nil, want an error")
	}
	if _, err := Decrypt(secret, sealed[:5]); err == nil {
		t.Error("Decrypt of the first 5 bytes = nil, want an error")
	}
}
