package store

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"

	"mems/internal/clinic"
)

// newSecret draws the secret part of a key, 256 random bits, and its hash.
// They are too many to be guessed, so a fast hash is enough.
func newSecret() (secret string, hash clinic.SecretHash) {
	var bits [32]byte
	_, _ = rand.Read(bits[:]) // never fails
	secret = base64.RawURLEncoding.EncodeToString(bits[:])
	return secret, hashOf(secret)
}

func hashOf(secret string) clinic.SecretHash { return sha256.Sum256([]byte(secret)) }

// isSecret reports whether a hash is of the secret, in constant time.
func isSecret(secret string, hash clinic.SecretHash) bool {
	given := hashOf(secret)
	return subtle.ConstantTimeCompare(given[:], hash[:]) == 1
}

// newWebhookSecret draws what a webhook's messages are signed with.
func newWebhookSecret() clinic.WebhookSecret {
	var s clinic.WebhookSecret
	_, _ = rand.Read(s[:]) // never fails
	return s
}
