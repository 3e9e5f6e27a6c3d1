package store_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"mems/internal/auditchain"
	"mems/internal/clinic"
	"mems/internal/store"
	"mems/internal/storetest"
)

// writeTrail writes a chain of entries in a process of its own.
func writeTrail(t *testing.T, d *storetest.Database, entries int, keys ...auditchain.Key) {
	t.Helper()
	s, _ := openSealed(t, d, keys...)
	for range entries {
		if _, err := s.CreateDoctor(t.Context(), store.SystemRequest(), clinic.Doctor{FullName: "Dr. X", Specialization: "Any", IsActive: true}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func verifyTrail(t *testing.T, d *storetest.Database, keys ...auditchain.Key) auditchain.Report {
	t.Helper()
	s, _ := openSealed(t, d, keys...)
	defer func() { _ = s.Close() }()
	report, err := s.VerifyAudit(t.Context(), nil, func(int64) {})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func wantWhole(t *testing.T, d *storetest.Database, keys ...auditchain.Key) {
	t.Helper()
	if r := verifyTrail(t, d, keys...); len(r.Faults) > 0 {
		t.Fatalf("VerifyAudit found the faults %q, want none", r.Faults)
	}
}

// execAll runs statements.
func execAll(t *testing.T, d *storetest.Database, statements ...string) {
	t.Helper()
	for _, text := range statements {
		if _, err := d.DB.Exec(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

const (
	// noSeals removes the seals.
	noSeals = `UPDATE audit_chains SET seal_seq = NULL, seal = NULL, seal_key = NULL`
	// noteEnd records the current end of a chain, as far as that is possible without a key.
	noteEnd = `UPDATE audit_chains AS c JOIN audit_entries AS e ON e.chain = c.id
		SET c.sealed_seq = e.seq, c.sealed_hash = e.hash
		WHERE c.id = %d AND e.seq = (SELECT MAX(seq) FROM (SELECT seq FROM audit_entries WHERE chain = %[1]d) AS x)`
)

// Without the key, nothing that was sealed can be removed undetected, even by a database
// administrator who changes everything else.
func TestSealsFindWhatIsTakenAway(t *testing.T) {
	t.Parallel()
	// Chain 2 is from before keys, 3 and 4 are sealed.
	for name, tamper := range map[string][]string{
		"end cut off":                     {`DELETE FROM audit_entries WHERE chain = 4 AND seq > 2`, fmt.Sprintf(noteEnd, 4)},
		"end cut off, seal moved":         {`DELETE FROM audit_entries WHERE chain = 4 AND seq > 2`, fmt.Sprintf(noteEnd, 4), `UPDATE audit_chains SET seal_seq = 2 WHERE id = 4`},
		"end cut off, seal removed":       {`DELETE FROM audit_entries WHERE chain = 4 AND seq > 2`, fmt.Sprintf(noteEnd, 4), noSeals + ` WHERE id = 4`},
		"end cut off, seal without seq":   {`DELETE FROM audit_entries WHERE chain = 4 AND seq > 2`, fmt.Sprintf(noteEnd, 4), `UPDATE audit_chains SET seal_seq = NULL WHERE id = 4`},
		"end cut off, another's seal":     {`DELETE FROM audit_entries WHERE chain = 4 AND seq > 2`, fmt.Sprintf(noteEnd, 4), `UPDATE audit_chains AS c JOIN audit_chains AS o ON o.id = 3 SET c.seal = o.seal, c.seal_seq = 2 WHERE c.id = 4`},
		"end cut off, all seals removed":  {`DELETE FROM audit_entries WHERE chain = 4 AND seq > 2`, fmt.Sprintf(noteEnd, 4), noSeals},
		"end of an older chain cut off":   {`DELETE FROM audit_entries WHERE chain = 2 AND seq > 2`, fmt.Sprintf(noteEnd, 2)},
		"pruned beyond the seal":          {`UPDATE audit_chains SET seal_seq = 0, pruned_seq = 1, pruned_hash = (SELECT hash FROM audit_entries WHERE chain = 4 AND seq = 1) WHERE id = 4`, `DELETE FROM audit_entries WHERE chain = 4 AND seq = 1`},
		"last chain gone":                 {`DELETE FROM audit_entries WHERE chain = 4`, `DELETE FROM audit_chains WHERE id = 4`, `UPDATE audit_chains SET sealed_seq = 2 WHERE id = 1`},
		"last chain gone, root moved":     {`DELETE FROM audit_entries WHERE chain = 4`, `DELETE FROM audit_chains WHERE id = 4`, `UPDATE audit_chains SET sealed_seq = 2, seal_seq = 3 WHERE id = 1`},
		"last chain gone, root unsealed":  {`DELETE FROM audit_entries WHERE chain = 4`, `DELETE FROM audit_chains WHERE id = 4`, `UPDATE audit_chains SET sealed_seq = 2, seal = NULL, seal_seq = NULL, seal_key = NULL WHERE id = 1`},
		"entries of a chain gone":         {`DELETE FROM audit_entries WHERE chain = 4`, `UPDATE audit_chains SET sealed_seq = 0, sealed_hash = hash, seal_seq = 0 WHERE id = 4`},
		"keys taken out of a chain":       {`UPDATE audit_entries SET mac_key = NULL, hash = REPEAT('x', 32) WHERE chain = 4`, fmt.Sprintf(noteEnd, 4)},
		"entry without a key at the end":  {`INSERT INTO audit_entries (chain, seq, at, subject, operation, action, object, hash) VALUES (4, 6, '2027-01-01', 'x', 'x', 'read', 'x', REPEAT('x', 32))`},
		"chain of its own without a seal": {`INSERT INTO audit_chains (started_at, hash, sealed_hash) VALUES ('2027-01-01', REPEAT('x', 32), REPEAT('x', 32))`, `UPDATE audit_chains SET sealed_seq = 4 WHERE id = 1`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := storetest.New(t)
			writeTrail(t, d, 5)
			wantWhole(t, d, firstMAC)
			writeTrail(t, d, 5, firstMAC)
			writeTrail(t, d, 5, firstMAC)
			wantWhole(t, d, firstMAC)
			execAll(t, d, tamper...)
			r := verifyTrail(t, d, firstMAC)
			if len(r.Faults) == 0 || r.UnknownKeys > 0 {
				t.Errorf("VerifyAudit after tampering: faults %q, %d of unknown keys; want faults, none of an unknown key",
					r.Faults, r.UnknownKeys)
			}
			// Another process that starts does not vouch for any of it.
			writeTrail(t, d, 1, firstMAC)
			if r := verifyTrail(t, d, firstMAC); len(r.Faults) == 0 {
				t.Error("VerifyAudit after another process has written found nothing, want the faults from before")
			}
		})
	}
}

// Once keys were used, entries of a process without them are reported as faults.
func TestNothingIsWrittenWithoutAKeyAgain(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	writeTrail(t, d, 2, firstMAC)
	writeTrail(t, d, 2)
	r := verifyTrail(t, d, firstMAC)
	if len(r.Faults) != 2 || !strings.Contains(r.Faults[0], "without a key") {
		t.Errorf("VerifyAudit after writing without a key: faults %q, want two, the first \"without a key\"",
			r.Faults)
	}
}

// A missing key is distinguished from an altered trail, and a process with other keys does not
// start.
func TestUnknownAuditKey(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	check := func(want error, keys ...auditchain.Key) {
		t.Helper()
		s, _ := openSealed(t, d, keys...)
		defer func() { _ = s.Close() }()
		if err := s.CheckAuditKeys(t.Context()); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	check(nil)
	check(nil, firstMAC)
	writeTrail(t, d, 3)
	check(nil, firstMAC)
	writeTrail(t, d, 3, firstMAC)
	check(nil, firstMAC)
	check(store.ErrUnknownAuditKey)
	check(store.ErrUnknownAuditKey, secondMAC)
	r := verifyTrail(t, d, secondMAC)
	if len(r.Faults) == 0 || len(r.Faults) != r.UnknownKeys || !strings.Contains(r.Faults[0], "unknown key") {
		t.Errorf("VerifyAudit with another key: faults %q, %d of unknown keys; want faults, all of an unknown key",
			r.Faults, r.UnknownKeys)
	}
	check(nil, secondMAC, firstMAC)
	writeTrail(t, d, 3, secondMAC, firstMAC)
	wantWhole(t, d, secondMAC, firstMAC)
	check(store.ErrUnknownAuditKey, firstMAC)
	check(nil, secondMAC)
	execAll(t, d, `UPDATE audit_entries SET subject = 'x' WHERE chain = 3 AND seq = 2`)
	if r := verifyTrail(t, d, secondMAC, firstMAC); len(r.Faults) != 1 || r.UnknownKeys != 0 {
		t.Errorf("VerifyAudit of an altered trail: faults %q, %d of unknown keys; want one, of a known key",
			r.Faults, r.UnknownKeys)
	}
}

// A process that is killed between an entry and its seal leaves no fault, and entries older than a
// second or two are sealed while chains are in use.
func TestEntryWithoutASealYet(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	user := storetest.Grant(t, d)
	s, _ := openSealed(t, user, firstMAC)
	for i := range 3 {
		if _, err := s.CreateDoctor(t.Context(), store.SystemRequest(), clinic.Doctor{FullName: "Dr. X", Specialization: "Any", IsActive: true}); err != nil {
			t.Fatal(err)
		}
		if i < 2 {
			wantWhole(t, d, firstMAC)
		}
	}
	var sealed int64
	for deadline := time.Now().Add(time.Minute); sealed != 3 && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if err := d.DB.Get(&sealed, `SELECT seal_seq FROM audit_chains WHERE id = 2`); err != nil {
			t.Fatal(err)
		}
	}
	wantWhole(t, d, firstMAC)
	// Only entries before the seal are pruned, and the rest verifies.
	later := func() time.Time { return now.AddDate(1, 0, 0) }
	p, err := store.Open(store.Config{DSN: d.DSN, Now: later, Zone: time.UTC, Log: slog.New(slog.DiscardHandler), MACKeys: []auditchain.Key{firstMAC}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	n, err := p.PruneAudit(t.Context(), store.SystemRequest(), later())
	if err != nil || n != 2 {
		t.Errorf("pruned %d entries (%v), want 2", n, err)
	}
	wantWhole(t, d, firstMAC)
}

// A server that was started before its user got the right to seal is not ready, and reports what to
// run; without an audit key it does not need that right.
func TestReadinessWithoutTheRightToSeal(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	user := storetest.Grant(t, d)
	var name, host string
	if err := user.DB.QueryRow(`SELECT SUBSTRING_INDEX(CURRENT_USER(), '@', 1), SUBSTRING_INDEX(CURRENT_USER(), '@', -1)`).Scan(&name, &host); err != nil {
		t.Fatal(err)
	}
	if _, err := d.DB.Exec(fmt.Sprintf("REVOKE UPDATE (seal_seq, seal, seal_key) ON audit_chains FROM '%s'@'%s'", name, host)); err != nil {
		t.Fatal(err)
	}
	s, _ := openSealed(t, user, firstMAC)
	_, err := s.Ready(t.Context())
	if !errors.Is(err, clinic.ErrUnavailable) || !strings.Contains(store.AdviceFor(err), "grants.sql") {
		t.Errorf("Ready with a key: %v, advice %q; want %v and advice that names grants.sql",
			err, store.AdviceFor(err), clinic.ErrUnavailable)
	}
	s, _ = openSealed(t, user)
	if _, err := s.Ready(t.Context()); err != nil {
		t.Errorf("Ready without a key: %v, want success", err)
	}
}

// A trail that a version without seals has written with keys is intact before and after the
// upgrade, and while such a version keeps running beside the new one.
func TestUpgradeToSeals(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	chain := int64(1)
	old := func() {
		t.Helper()
		chain++
		s, _ := openSealed(t, d, firstMAC)
		if err := s.StartUnsealedChain(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := s.CreateDoctor(t.Context(), store.SystemRequest(), clinic.Doctor{FullName: "Dr. X", Specialization: "Any", IsActive: true}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		execAll(t, d, fmt.Sprintf(noSeals+` WHERE id = %d`, chain))
		wantWhole(t, d, firstMAC)
	}
	old()
	for _, keys := range [][]auditchain.Key{nil, {secondMAC}} {
		s, _ := openSealed(t, d, keys...)
		if err := s.CheckAuditKeys(t.Context()); !errors.Is(err, store.ErrUnknownAuditKey) {
			t.Errorf("CheckAuditKeys with %d other keys: %v, want %v", len(keys), err, store.ErrUnknownAuditKey)
		}
	}
	writeTrail(t, d, 2, firstMAC)
	chain++
	wantWhole(t, d, firstMAC)
	old()
	writeTrail(t, d, 2, firstMAC)
	wantWhole(t, d, firstMAC)
	// What the old version wrote before the first seal can no longer be cut off undetected.
	execAll(t, d, `DELETE FROM audit_entries WHERE chain = 2 AND seq = 3`, fmt.Sprintf(noteEnd, 2))
	if r := verifyTrail(t, d, firstMAC); len(r.Faults) == 0 {
		t.Error("VerifyAudit after tampering found nothing, want faults")
	}
}
