package auditchain

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
)

// APIKeySecret derives the secret that seals API key records, separate from other uses of
// the key.
func (k Key) APIKeySecret() []byte {
	mac := hmac.New(sha256.New, k.Secret)
	_, _ = mac.Write([]byte("mems api key seal v1\n"))
	return mac.Sum(nil)
}

// APIKey is the part of an API key that its seal covers: all but the time of its
// revocation, which the database makes irreversible, and of its last use. Its names must
// never change.
type APIKey struct {
	ID         int64    `json:"id"`
	SecretHash []byte   `json:"secret_hash"`
	Name       string   `json:"name"`
	Role       string   `json:"role"`
	Scopes     []string `json:"scopes"`
	DoctorID   *int64   `json:"doctor_id"`
	CreatedBy  string   `json:"created_by"`
	CreatedAt  string   `json:"created_at"`
	ExpiresAt  string   `json:"expires_at"`
}

// Seal returns the record's seal, with a secret from APIKeySecret.
func (r *APIKey) Seal(secret []byte) []byte {
	encoded, err := json.Marshal(r)
	if err != nil {
		panic(err) // only strings and numbers
	}
	mac := hmac.New(sha256.New, secret)
	_, _ = mac.Write(encoded)
	return mac.Sum(nil)
}
