package store

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"

	"mems/internal/clinic"
)

// newSecret returns a random secret of 256 bits and its hash. A fast hash is enough, because
// so many bits cannot be guessed.
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

// newWebhookSecret returns a random secret for signing a webhook's messages.
func newWebhookSecret() clinic.WebhookSecret {
	var s clinic.WebhookSecret
	_, _ = rand.Read(s[:]) // never fails
	return s
}
