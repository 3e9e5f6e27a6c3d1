// Package auditchain keeps an audit trail honest: what the hashes of its entries and
// chains cover, what seals cover, how private values are encrypted, and how a whole
// trail is verified. It is pure: rows come from and go to its caller.
//
// Each entry's hash covers the entry and the hash before it. With a key, all hashes are
// keyed (HMAC), so that they cannot be computed anew without a secret that the database
// does not have. A chain begins with a hash that covers the beginning of the chain before
// it. A seal binds the end of a chain, and the root's seal the list of chains.
// db/README.md ("The audit trail") says what this finds and what it does not.
package auditchain

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"slices"
)

// Key binds hashes to a secret that the database does not have. The zero value is no
// key: hashes are plain.
type Key struct {
	ID     []byte // the first bytes of its hash
	Secret []byte
}

// NewKey prepares a key.
func NewKey(secret []byte) Key {
	sum := sha256.Sum256(secret)
	return Key{ID: sum[:4], Secret: secret}
}

// Keyed reports whether there is a secret.
func (k Key) Keyed() bool { return k.Secret != nil }

// newHash is a keyed hash, or a plain one without a secret. Writing to it never fails.
func (k Key) newHash() hash.Hash {
	if k.Keyed() {
		return hmac.New(sha256.New, k.Secret)
	}
	return sha256.New()
}

// Find returns the key with an id.
func Find(keys []Key, id []byte) (Key, bool) {
	i := slices.IndexFunc(keys, func(k Key) bool { return bytes.Equal(k.ID, id) })
	if i < 0 {
		return Key{}, false
	}
	return keys[i], true
}
