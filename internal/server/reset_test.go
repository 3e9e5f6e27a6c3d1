package server_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"mems/internal/auditchain"
	"mems/internal/clinic"
	"mems/internal/contracttest"
	"mems/internal/database"
	"mems/internal/store"
	"mems/internal/storetest"
)

// reset does what "mems reset" does while servers run.
func reset(t *testing.T, d *storetest.Database) {
	t.Helper()
	schema := d.OpenSchema(t)
	if err := schema.MarkDisposable(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := schema.Reset(t.Context(), func(database.Migration) {}); err != nil {
		t.Fatal(err)
	}
}

// wantWholeTrail verifies the audit trail as "mems audit verify" does.
func wantWholeTrail(t *testing.T, d *storetest.Database) {
	t.Helper()
	st := d.Open(t, nil, nil)
	defer func() { _ = st.Close() }()
	report, err := st.VerifyAudit(t.Context(), []auditchain.Head{}, func(int64) {})
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Faults) > 0 {
		t.Errorf("verification after the reset: faults %q, want none", report.Faults)
	}
}

// eventually waits for something that a server does by itself.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting until %s", what)
		}
	}
}

// Servers that run during a reset continue on the new database, both a busy one and one that is
// idle until others have written: no change fails, and the trail verifies.
func TestServersGoOnAfterAReset(t *testing.T) {
	t.Parallel()
	busy := setup(t, "UTC")
	idle := setupOn(t, busy.db, "UTC")
	for _, f := range []*fixture{busy, idle} {
		together(12, func(int) { f.doctor() }) // several chains each
		f.Get("/patients").Want(t, 200, "")
	}
	reset(t, busy.db)
	together(12, func(int) { busy.doctor() })
	busy.Get("/patients").Want(t, 200, "")
	wantWholeTrail(t, busy.db)
	together(12, func(int) { idle.doctor() })
	idle.Get("/patients").Want(t, 200, "") // shown: an entry without a transaction
	together(12, func(i int) { []*fixture{busy, idle}[i%2].doctor() })
	wantWholeTrail(t, busy.db)
}

// A key of the new database works even though the server knew an older key with a higher id.
func TestKeysAfterAReset(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, nil)
	st := s.db.Open(t, s.clock.now, time.UTC) // as "mems keys create"
	client := func() *contracttest.Client {
		_, key, err := st.CreateAPIKey(t.Context(), store.SystemRequest(), clinic.APIKey{Name: "admin", Role: clinic.RoleAdmin, ExpiresAt: now.AddDate(4, 0, 0)})
		if err != nil {
			t.Fatal(err)
		}
		return contracttest.New(t, s.url).With("X-API-Key", key)
	}
	client()
	client().Get("/doctors").Want(t, 200, "")
	reset(t, s.db)
	again := client()
	eventually(t, "the new key is accepted", func() bool { return again.Get("/doctors").Status == http.StatusOK })
	s.Get("/doctors").Want(t, 401, "unauthenticated")
}

// A stream of the former database ends, so that its client starts again.
func TestStreamsEndAtAReset(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	for range 3 {
		f.doctor()
	}
	events, _ := listen(t, f.url, nil)
	<-events // hello
	f.doctor()
	before := <-events
	reset(t, f.db)
	select {
	case e, open := <-events:
		if open && e.name != "" {
			t.Errorf("stream after the reset sent %v, want it closed", e)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the stream is still open 20 s after the reset, want it closed")
	}
	again, _ := listen(t, f.url, nil)
	<-again
	f.doctor()
	if e := <-again; e.name != "change" || slices.Contains([]string{"", before.id}, e.id) {
		t.Errorf("event after the reset = %v, want a change with another id than %v", e, before)
	}
}
