package auditchain

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
)

// APIKeySecret derives the secret that seals records of API keys, apart from what else
// the key signs.
func (k Key) APIKeySecret() []byte {
	mac := hmac.New(sha256.New, k.Secret)
	_, _ = mac.Write([]byte("mems api key seal v1\n"))
	return mac.Sum(nil)
}

// APIKey is what the seal of an API key covers: all of the record but when it was
// revoked, which the database lets nobody undo, and last used. No name in it may ever
// change.
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

// Seal seals the record with what APIKeySecret returned.
func (r *APIKey) Seal(secret []byte) []byte {
	encoded, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings and numbers alone
	}
	mac := hmac.New(sha256.New, secret)
	_, _ = mac.Write(encoded)
	return mac.Sum(nil)
}
