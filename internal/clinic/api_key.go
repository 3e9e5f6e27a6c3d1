package clinic

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of an API key's life.
const (
	DefaultKeyLife = 365 * 24 * time.Hour
	MaxKeyLife     = 5 * 366 * 24 * time.Hour
)

// APIKey is the record of an API key. The key itself is not stored.
type APIKey struct {
	ID         int64
	Name       string
	Hash       SecretHash `json:"-"`
	Role       Role
	Scopes     []string
	DoctorID   *int64
	CreatedBy  string
	CreatedAt  time.Time
	ExpiresAt  time.Time
	RevokedAt  *time.Time
	LastUsedAt *time.Time
	Seal       SealState `json:"-"`
}

// SecretHash is the SHA-256 of a secret that only its owner has.
type SecretHash [32]byte

// SealState is the result of verifying an API key's seal: whether the record is as MEMS
// wrote it.
type SealState string

// The states of a seal. Without MEMS_AUDIT_KEYS seals are not verified.
const (
	SealUnverified SealState = ""
	SealValid      SealState = "valid"
	SealMissing    SealState = "missing"
	SealWrong      SealState = "wrong"
)

// Sealed reports whether the record may be trusted.
func (k *APIKey) Sealed() bool { return k.Seal == SealUnverified || k.Seal == SealValid }

// Normalize puts the name into its stored form, and sets the default expiry.
func (k *APIKey) Normalize(now time.Time) {
	if k.ExpiresAt.IsZero() {
		k.ExpiresAt = now.Add(DefaultKeyLife)
	}
	k.Name = Text(k.Name)
}

// Validate returns CodeValidationFailed, with all violations, for members that contradict
// each other. k must be normalised.
func (k *APIKey) Validate(now time.Time) error {
	var vs []Violation
	refuse := func(pointer, code, detail string) {
		vs = append(vs, Violation{Pointer: pointer, Code: code, Detail: detail})
	}
	switch {
	case IsBlank(k.Name):
		refuse("#/name", "min_length", DetailBlank)
	case utf8.RuneCountInString(k.Name) > 100:
		refuse("#/name", "max_length", "must have at most 100 characters")
	case strings.ContainsFunc(k.Name, Unreadable): // over HTTP the contract rejects them
		refuse("#/name", "pattern", DetailUnreadable)
	}
	if !slices.Contains(Roles(), k.Role) {
		refuse("#/role", "enum", "must be a role")
	}
	if len(k.Scopes) > 0 && k.Role != RolePartner {
		refuse("#/scopes", "combination", "can be given to the role partner only")
	}
	for _, s := range k.Scopes {
		if !slices.Contains(Scopes(), s) {
			refuse("#/scopes", "enum", "must be scopes that can be granted")
		}
	}
	if (k.DoctorID != nil) != (k.Role == RoleDoctor) {
		refuse("#/doctor_id", "combination", "is needed by the role doctor, and by no other")
	}
	if !k.ExpiresAt.After(now) {
		refuse("#/expires_at", "minimum", "must be later than now")
	}
	if k.ExpiresAt.After(now.Add(MaxKeyLife)) {
		refuse("#/expires_at", "maximum", "must be at most five years ahead")
	}
	return invalid(vs)
}

// Caller returns the caller that authenticates with the key.
func (k *APIKey) Caller() Caller {
	c := Caller{Subject: "key:" + strconv.FormatInt(k.ID, 10), Roles: []Role{k.Role}, Scopes: k.Scopes, KeyID: k.ID}
	if k.DoctorID != nil {
		c.DoctorID = *k.DoctorID
	}
	return c
}

// Live reports whether the key is neither revoked nor expired.
func (k *APIKey) Live(now time.Time) bool { return k.RevokedAt == nil && now.Before(k.ExpiresAt) }

// keyPrefix lets secret scanners recognise keys.
const keyPrefix = "mems_"

// FormatKey returns the key as its owner gets it.
func FormatKey(id int64, secret string) string { return formatSecret(keyPrefix, id, secret) }

// ParseKey parses what FormatKey returns; ok is false for anything else.
func ParseKey(key string) (id int64, secret string, ok bool) { return parseSecret(keyPrefix, key) }

func formatSecret(prefix string, id int64, secret string) string {
	return prefix + strconv.FormatInt(id, 10) + "_" + secret
}

func parseSecret(prefix, text string) (id int64, secret string, ok bool) {
	number, secret, found := strings.Cut(strings.TrimPrefix(text, prefix), "_")
	id, err := strconv.ParseInt(number, 10, 64)
	ok = found && err == nil && id > 0 && len(secret) == 43 && formatSecret(prefix, id, secret) == text
	return id, secret, ok
}
