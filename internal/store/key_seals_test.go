package store_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"mems/internal/auditchain"
	"mems/internal/clinic"
	"mems/internal/store"
	"mems/internal/storetest"
)

var (
	firstMAC  = auditchain.NewKey(bytes.Repeat([]byte("a"), 32))
	secondMAC = auditchain.NewKey(bytes.Repeat([]byte("b"), 32))
)

// openSealed opens a store with keys that seal, and returns what it logs.
func openSealed(t *testing.T, d *storetest.Database, keys ...auditchain.Key) (*store.Store, *bytes.Buffer) {
	t.Helper()
	log := &bytes.Buffer{}
	s, err := store.Open(store.Config{DSN: d.DSN, Now: fixedClock, Zone: time.UTC, Log: slog.New(slog.NewTextHandler(log, nil)), MACKeys: keys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, log
}

func createKey(t *testing.T, s *store.Store, role clinic.Role) (int64, string) {
	t.Helper()
	k, key, err := s.CreateAPIKey(t.Context(), store.SystemRequest(), clinic.APIKey{Name: "Desk", Role: role, ExpiresAt: fixedClock().AddDate(0, 1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	return k.ID, key
}

func wantRole(t *testing.T, s *store.Store, key string, want clinic.Role) {
	t.Helper()
	c, err := s.Authenticate(t.Context(), key)
	if err != nil || len(c.Roles) != 1 || c.Roles[0] != want {
		t.Errorf("authenticate: %+v, %v, want %s", c, err, want)
	}
}

func wantRefused(t *testing.T, s *store.Store, key, what string) {
	t.Helper()
	if _, err := s.KnowsAPIKey(t.Context(), key); err != nil { // as the server does first
		t.Fatal(err)
	}
	if c, err := s.Authenticate(t.Context(), key); !errors.Is(err, clinic.ErrUnauthenticated) {
		t.Errorf("%s: caller %+v, error %v; want unauthenticated", what, c, err)
	}
	id, _, _ := clinic.ParseKey(key)
	if k, err := s.APIKey(t.Context(), id); err != nil || k.Sealed() {
		t.Errorf("key %d after %s: seal %q (%v), want none", id, what, k.Seal, err)
	}
	if known, err := s.KnowsAPIKey(t.Context(), key); err != nil || known {
		t.Errorf("%s: key is known or error %v, want neither", what, err)
	}
}

// With the application's database user alone, it is impossible to forge a key of any role.
func TestTheApplicationsUserCannotMakeKeys(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	user := storetest.Grant(t, d)
	s, log := openSealed(t, user, firstMAC)
	id, key := createKey(t, s, clinic.RoleReceptionist)
	wantRole(t, s, key, clinic.RoleReceptionist)

	secret := strings.Repeat("a", 43)
	hash := sha256.Sum256([]byte(secret))
	forge := func(columns, values string) string {
		t.Helper()
		result, err := user.DB.Exec(`
			INSERT INTO api_keys (name, secret_hash, role, scopes, created_by, created_at, expires_at`+columns+`)
			SELECT name, ?, 'admin', scopes, created_by, created_at, expires_at`+values+` FROM api_keys WHERE id = ?`, hash[:], id)
		if err != nil {
			t.Fatal(err)
		}
		forged, err := result.LastInsertId()
		if err != nil {
			t.Fatal(err)
		}
		return clinic.FormatKey(forged, secret)
	}
	admin := forge("", "")
	wantRefused(t, s, admin, "inserted")
	wantRefused(t, s, forge(", seal", ", seal"), "inserted with another's seal")
	wantRefused(t, s, forge(", seal", ", REPEAT('x', 32)"), "inserted with a seal made up")

	// A revoked key's row is copied under another id, to make its secret valid again.
	oldID, old := createKey(t, s, clinic.RoleManager)
	if _, err := s.RevokeAPIKey(t.Context(), store.SystemRequest(), oldID); err != nil {
		t.Fatal(err)
	}
	result, err := user.DB.Exec(`
		INSERT INTO api_keys (name, secret_hash, role, scopes, created_by, created_at, expires_at, seal)
		SELECT name, secret_hash, role, scopes, created_by, created_at, expires_at, seal FROM api_keys WHERE id = ?`, oldID)
	if err != nil {
		t.Fatal(err)
	}
	copied, _ := result.LastInsertId()
	_, oldSecret, _ := clinic.ParseKey(old)
	wantRefused(t, s, clinic.FormatKey(copied, oldSecret), "copied")

	// A restart does not trust any of that, even with the seals cleared.
	_, err = user.DB.Exec(`UPDATE api_keys SET role = 'admin' WHERE id = ?`, id)
	if e, ok := errors.AsType[*mysql.MySQLError](err); !ok || e.Number != 1143 {
		t.Errorf("changing a role: error %v, want number 1143", err)
	}
	_, err = user.DB.Exec(`DELETE FROM api_key_sealing`)
	if e, ok := errors.AsType[*mysql.MySQLError](err); !ok || e.Number != 1142 {
		t.Errorf("deleting from api_key_sealing: error %v, want number 1142", err)
	}
	if _, err := user.DB.Exec(`UPDATE api_keys SET seal = NULL`); err != nil {
		t.Fatal(err)
	}
	again, _ := openSealed(t, user, firstMAC)
	wantRefused(t, again, admin, "inserted, and seals cleared")
	wantRefused(t, again, key, "cleared")

	// An administrator who has the secret can inspect the key and trust it.
	if _, err := again.SealKey(t.Context(), store.SystemRequest(), id); err != nil {
		t.Fatal(err)
	}
	wantRole(t, s, key, clinic.RoleReceptionist)
	// A user with more rights alters whatever they can: the seal shows it.
	for _, change := range []string{
		`role = 'admin'`, `scopes = '["records:all"]'`, `expires_at = '2999-01-01'`, `name = 'x'`, `created_by = 'x'`,
		`created_at = '2001-01-01'`, `secret_hash = REPEAT('x', 32)`,
	} {
		if _, err := d.DB.Exec(`UPDATE api_keys SET `+change+` WHERE id = ?`, id); err != nil {
			t.Fatal(err)
		}
		if k, err := s.APIKey(t.Context(), id); err != nil || k.Seal != clinic.SealWrong {
			t.Errorf("key whose %s was altered: seal %q (%v), want %q", change, k.Seal, err, clinic.SealWrong)
		}
		if change == `role = 'admin'` {
			wantRefused(t, s, key, change)
		}
		if _, err := again.SealKey(t.Context(), store.SystemRequest(), id); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 5 || strings.Contains(log.String(), secret) {
		t.Errorf("%d warnings, want one for each refused key:\n%s", n, log)
	}
}

// Existing keys are sealed once, by the first process that has a secret.
func TestKeysAreSealedOnFirstUse(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	plain := d.Open(t, fixedClock, nil)
	id, key := createKey(t, plain, clinic.RoleManager)
	user := storetest.Grant(t, d)
	s, log := openSealed(t, user, firstMAC)
	if err := s.SealKeys(t.Context(), store.SystemRequest()); err != nil || !strings.Contains(log.String(), "keys=1") {
		t.Fatalf("SealKeys: %v, log %s; want no error and keys=1 in the log", err, log)
	}
	wantRole(t, s, key, clinic.RoleManager)
	wantRole(t, plain, key, clinic.RoleManager)

	// A process without the secret, like a version without seals, runs beside it.
	_, late := createKey(t, plain, clinic.RoleAdmin)
	wantRole(t, plain, late, clinic.RoleAdmin)
	wantRefused(t, s, late, "made without the secret")
	another, log := openSealed(t, user, firstMAC)
	wantRefused(t, another, late, "made without the secret, after a start")
	if strings.Contains(log.String(), "keys=") {
		t.Errorf("SealKeys again logged %s, want nothing about keys", log)
	}

	// With another secret, the former one still verifies, and its seals are replaced.
	rotated, _ := openSealed(t, user, secondMAC, firstMAC)
	wantRole(t, rotated, key, clinic.RoleManager)
	only, _ := openSealed(t, user, secondMAC)
	wantRole(t, only, key, clinic.RoleManager)
	// Seals made by another process meanwhile are replaced on use, too.
	_, between := createKey(t, another, clinic.RoleAuditor)
	wantRefused(t, only, between, "sealed with a secret that is gone")
	wantRole(t, rotated, between, clinic.RoleAuditor)
	wantRole(t, only, between, clinic.RoleAuditor)

	report, err := only.VerifyAudit(t.Context(), nil, func(int64) {})
	if err != nil {
		t.Fatalf("VerifyAudit: %v, report %+v; want no error", err, report)
	}
	entries := 0
	if err := d.DB.Get(&entries, `SELECT COUNT(*) FROM audit_entries WHERE object = 'api_key' AND object_id = ? AND details LIKE '%sealed on first use%'`, id); err != nil || entries != 1 {
		t.Errorf("%d entries of sealing, error %v; want 1 and none", entries, err)
	}
}

// A database that starts empty counts as sealed from the beginning.
func TestSealsOfAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	user := storetest.Grant(t, d)
	s, _ := openSealed(t, user, firstMAC)
	if err := s.SealKeys(t.Context(), store.SystemRequest()); err != nil {
		t.Fatal(err)
	}
	_, forged := createKey(t, user.Open(t, fixedClock, nil), clinic.RoleAdmin)
	again, _ := openSealed(t, user, firstMAC)
	wantRefused(t, again, forged, "made in an empty database")
}
