package server_test

import (
	"fmt"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/store"
)

// What exceeds its retention period is removed, and nothing else; the remaining trail still
// verifies, and tampering with it is detected.
func TestRetention(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, nil)
	doctor := s.doctor()
	dormant, visiting, active := s.patient(), s.patient(), s.patient()
	s.booked(visiting, doctor, "2030-03-04T09:00:00Z", 30)
	time.Sleep(1200 * time.Millisecond) // the chains are sealed
	old := s.verify()
	s.pass(2 * 365 * 24 * time.Hour)
	cut := s.clock.now().Add(-24 * time.Hour)
	s.Patch(fmt.Sprintf("/patients/%d", active), object{"first_name": "Here"}).Want(t, 200, "")
	for range 3 {
		s.patient()
	}
	st := s.db.Open(t, s.clock.now, time.UTC)
	n, err := st.EraseDormant(t.Context(), store.SystemRequest(), cut, func(int) {})
	if err != nil || n != 1 {
		t.Errorf("EraseDormant = %d, %v, want 1", n, err)
	}
	for id, erased := range map[int64]bool{dormant: true, visiting: false, active: false} {
		var p api.Patient
		s.Get(fmt.Sprintf("/patients/%d", id)).Want(t, 200, "").Decode(t, &p)
		if (p.ErasedAt != nil) != erased {
			t.Errorf("patient %d: erased at %v, want erased %t", id, p.ErasedAt, erased)
		}
	}
	before := s.verify()
	removed, err := st.PruneAudit(t.Context(), store.SystemRequest(), cut)
	if err != nil || removed == 0 {
		t.Fatalf("PruneAudit = %d, %v, want some entries removed", removed, err)
	}
	for range 2 { // and once more, when there is nothing left to do
		report := s.verify(append(old.Heads, before.Heads...)...)
		if len(report.Faults) > 0 || report.Entries < before.Entries-removed {
			t.Errorf("verification after pruning %d of %d entries = %+v, want no faults and the rest",
				removed, before.Entries, report)
		}
		if n, err := st.PruneAudit(t.Context(), store.SystemRequest(), cut); err != nil || n != 0 {
			t.Errorf("PruneAudit again = %d, %v, want 0", n, err)
		}
	}
	for _, e := range s.trail() {
		if e.At.Before(cut) && e.ID != 0 {
			t.Logf("kept as the last of its chain: %s at %s", e.Operation, e.At)
		}
	}
	// A chain that was truncated without an entry recording it is detected.
	if _, err := s.db.DB.Exec(`DELETE FROM audit_entries WHERE object = 'audit_chain'`); err != nil {
		t.Fatal(err)
	}
	if report := s.verify(); len(report.Faults) == 0 {
		t.Error("verification of a chain that was cut found no fault, want one")
	}
}
