package database_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"mems/internal/database"
	"mems/internal/storetest"
)

// A second process whose server does not know the first one's lock waits for the lease, and
// reports its owner.
func TestMigrationLeaseHoldsAcrossServers(t *testing.T) {
	t.Parallel()
	d := storetest.Empty(t)
	first, second := d.OpenSchema(t), d.OpenSchema(t)
	second.SetLock("the other server's")
	var refused error
	tried := false
	first.OnStatement = func(string, int, int) {
		if tried {
			return
		}
		tried = true
		d.DB.MustExec(`UPDATE mems_migration_lease SET server = 'another'`)
		refused = second.TakeLease(t.Context(), 0)
	}
	if err := first.Up(t.Context(), ignore); err != nil {
		t.Fatal(err)
	}
	if refused == nil || !strings.Contains(refused.Error(), "on the server another") {
		t.Errorf("the second process: %v, want a refusal that names the first", refused)
	}
	sameSchema(t, migrated(t), dump(t, d)) // the lease is dropped, too
	if err := second.Up(t.Context(), ignore); err != nil {
		t.Errorf("Up after the first process has ended: %v, want no error", err)
	}
}

// An expired lease is taken over, and its former owner runs no further statement.
func TestMigrationLeaseExpires(t *testing.T) {
	t.Parallel()
	d := storetest.Empty(t)
	first, second := d.OpenSchema(t), d.OpenSchema(t)
	second.SetLock("the other server's")
	statements := 0
	var taken error
	first.OnStatement = func(string, int, int) {
		if statements++; statements == 3 {
			d.DB.MustExec(`UPDATE mems_migration_lease SET server = 'another', expires_at = UTC_TIMESTAMP(6)`)
			taken = second.TakeLease(t.Context(), time.Minute)
		}
	}
	if err := first.Up(t.Context(), ignore); !errors.Is(err, database.ErrTakenOver) {
		t.Errorf("the former owner: %v, want ErrTakenOver", err)
	}
	if taken != nil || statements != 3 {
		t.Errorf("taken: %v; the former owner ran %d statements, want 3", taken, statements)
	}
	if err := second.Up(t.Context(), ignore); err != nil {
		t.Fatal(err)
	}
	sameSchema(t, migrated(t), dump(t, d))
}

// A lease that a killed process left on the same server is taken over immediately.
func TestMigrationLeaseOfKilledProcess(t *testing.T) {
	t.Parallel()
	d := storetest.Empty(t)
	if err := d.OpenSchema(t).TakeLease(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	next := d.OpenSchema(t)
	if err := next.TakeLease(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if err := next.CheckEmpty(t.Context()); err != nil {
		t.Errorf("CheckEmpty: %v, want no error", err)
	}
	if err := next.Up(t.Context(), ignore); err != nil {
		t.Fatal(err)
	}
	sameSchema(t, migrated(t), dump(t, d))
}
