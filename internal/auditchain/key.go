// Package auditchain makes an audit trail tamper-evident: it defines what the hashes of
// entries and chains and the seals cover, encrypts private values, and verifies whole
// trails. It is pure: its caller reads and writes the rows.
//
// Each entry's hash covers the entry and the previous hash. With a key, all hashes are
// keyed (HMAC) and cannot be recomputed without a secret that is not in the database. A
// chain's initial hash covers that of the previous chain. A seal binds the end of a chain,
// and the root's seal the list of chains. db/README.md ("The audit trail") says what this
// detects and what it does not.
package auditchain

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"slices"
)

// Key binds hashes to a secret that is not in the database. The zero value is no key: plain
// hashes.
type Key struct {
	ID     []byte // the first bytes of its hash
	Secret []byte
}

// NewKey returns the key with this secret.
func NewKey(secret []byte) Key {
	sum := sha256.Sum256(secret)
	return Key{ID: sum[:4], Secret: secret}
}

// Keyed reports whether the key has a secret.
func (k Key) Keyed() bool { return k.Secret != nil }

// newHash returns a keyed hash, or a plain one without a secret. Writing to it never fails.
func (k Key) newHash() hash.Hash {
	if k.Keyed() {
		return hmac.New(sha256.New, k.Secret)
	}
	return sha256.New()
}

// Find returns the key with this id.
func Find(keys []Key, id []byte) (Key, bool) {
	i := slices.IndexFunc(keys, func(k Key) bool { return bytes.Equal(k.ID, id) })
	if i < 0 {
		return Key{}, false
	}
	return keys[i], true
}
