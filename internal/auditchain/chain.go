package auditchain

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"
)

// Chain is a chain's row, or with id 1 the root, whose SealedSeq is the number of chains
// started.
type Chain struct {
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

// Sealed reports whether the chain has a seal, valid or not.
func (c *Chain) Sealed() bool { return c.Seal != nil && c.SealSeq != nil }

// BeginHash returns the initial hash of a chain whose predecessor begins with before.
func BeginHash(before []byte, at time.Time, key Key) []byte {
	h := key.newHash()
	_, _ = fmt.Fprintf(h, "mems audit chain\n%x\n%s", before, at.UTC().Format(time.RFC3339Nano))
	return h.Sum(nil)
}

// beginsKeyed reports whether a chain was started by a program with keys.
func (c *Chain) beginsKeyed(keys []Key, before []byte) bool {
	return slices.ContainsFunc(keys, func(k Key) bool { return bytes.Equal(c.Hash, BeginHash(before, c.StartedAt, k)) })
}

// Seal returns the seal of a chain's end: its initial hash and its hash after the last
// entry.
func (t *Tip) Seal(key Key) []byte { return sealOf(key, t.text()) }

func (t *Tip) text() string {
	return fmt.Sprintf("chain %d\n%x\n%d\n%x", t.Chain, t.Begin, t.Seq, t.Hash)
}

// SealList returns the seal of the list of chains up to upTo: which exist, and which are
// sealed. The first one is the root.
func SealList(key Key, chains []Chain, upTo int64) []byte { return sealOf(key, listText(chains, upTo)) }

func listText(chains []Chain, upTo int64) string {
	h := sha256.New()
	for i := range chains {
		if c := &chains[i]; c.ID > 1 && c.ID <= upTo {
			_, _ = fmt.Fprintf(h, "%d %x %t\n", c.ID, c.Hash, c.Sealed())
		}
	}
	return fmt.Sprintf("root %d\n%x", upTo, h.Sum(nil))
}

func sealOf(key Key, text string) []byte {
	mac := hmac.New(sha256.New, key.Secret)
	_, _ = mac.Write([]byte("mems audit seal v1\n" + text)) // hash.Hash never returns an error
	return mac.Sum(nil)
}

// opens reports whether one of the keys made the chain's seal.
func (c *Chain) opens(keys []Key, text string) bool {
	key, known := Find(keys, c.SealKey)
	return known && hmac.Equal(c.Seal, sealOf(key, text))
}

// ListState is the state of the list of chains according to its seal.
type ListState int

// The states of the list of chains.
const (
	ListUnsealed ListState = iota // seals were never in use
	ListIntact                    // the list matches its seal
	ListAltered                   // it does not match, or the key is unknown
	ListSealGone                  // a chain shows that there was a seal
)

// ListStateOf compares the list of chains, the root first, with its seal. The chain with
// the id except, which is about to be counted, is no evidence of seals.
func ListStateOf(chains []Chain, except int64, keys []Key) ListState {
	root := &chains[0]
	switch {
	case root.Sealed() && root.opens(keys, listText(chains, *root.SealSeq)):
		return ListIntact
	case root.Sealed():
		return ListAltered
	case sealedBefore(chains, except, keys):
		return ListSealGone
	default:
		return ListUnsealed
	}
}

// sealedBefore reports whether another chain than other shows that seals were in use.
func sealedBefore(chains []Chain, other int64, keys []Key) bool {
	for i := 1; i < len(chains); i++ {
		c := &chains[i]
		if c.ID != other && (c.Seal != nil || c.beginsKeyed(keys, chains[i-1].Hash)) {
			return true
		}
	}
	return false
}
