package auditchain

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"
)

// Chain is a chain as the table keeps it, or with id 1 the root, whose SealedSeq counts
// the chains that were begun.
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

// Sealed reports whether the chain has a seal, right or wrong.
func (c *Chain) Sealed() bool { return c.Seal != nil && c.SealSeq != nil }

// BeginHash is the hash that a chain begins with, after a chain that begins with before.
func BeginHash(before []byte, at time.Time, key Key) []byte {
	h := key.newHash()
	_, _ = fmt.Fprintf(h, "mems audit chain\n%x\n%s", before, at.UTC().Format(time.RFC3339Nano))
	return h.Sum(nil)
}

// beginsKeyed reports whether a chain was begun by a program that seals.
func (c *Chain) beginsKeyed(keys []Key, before []byte) bool {
	return slices.ContainsFunc(keys, func(k Key) bool { return bytes.Equal(c.Hash, BeginHash(before, c.StartedAt, k)) })
}

// Seal seals the end of a chain: where it began, and its hash after its last entry.
func (t *Tip) Seal(key Key) []byte { return sealOf(key, t.text()) }

func (t *Tip) text() string {
	return fmt.Sprintf("chain %d\n%x\n%d\n%x", t.Chain, t.Begin, t.Seq, t.Hash)
}

// SealList seals the list of chains up to one: which there are, and which are sealed.
// The first one is the root.
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
	_, _ = mac.Write([]byte("mems audit seal v1\n" + text)) // a hash never fails
	return mac.Sum(nil)
}

// opens reports whether one of the keys made a seal.
func (c *Chain) opens(keys []Key, text string) bool {
	key, known := Find(keys, c.SealKey)
	return known && hmac.Equal(c.Seal, sealOf(key, text))
}

// ListState is what the seal of the list of chains says.
type ListState int

// The states of the list's seal.
const (
	ListUnsealed ListState = iota // seals were never in use
	ListIntact                    // it is the list that was sealed
	ListAltered                   // it is not, or the key is not known
	ListSealGone                  // a chain shows that there was a seal
)

// ListStateOf compares the list of chains, of which the first one is the root, with its
// seal. A chain that is about to be counted, with the id except, shows nothing.
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

// sealedBefore reports whether a chain other than one shows that seals were in use.
func sealedBefore(chains []Chain, other int64, keys []Key) bool {
	for i := 1; i < len(chains); i++ {
		c := &chains[i]
		if c.ID != other && (c.Seal != nil || c.beginsKeyed(keys, chains[i-1].Hash)) {
			return true
		}
	}
	return false
}
