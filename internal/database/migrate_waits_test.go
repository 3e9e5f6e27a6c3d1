package database_test

import (
	"database/sql/driver"
	"strings"
	"testing"
	"time"

	"mems/internal/database"
	"mems/internal/store"
	"mems/internal/storetest"
)

// Pins the default timeouts, which the tests below shorten.
func TestMigrationWaits(t *testing.T) {
	t.Parallel()
	sc, err := database.OpenSchema("mems@tcp(127.0.0.1:1)/mems", store.RekeyPatients)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sc.Close() }()
	if lock, lease, primary := sc.Waits(); lock != 10*time.Minute || lease != time.Minute || primary != time.Minute {
		t.Errorf("waits %s for another process, %s for its lease, %s for a primary; want 10m, 1m and 1m",
			lock, lease, primary)
	}
}

// A process that holds the server's lock for too long is reported, and the migration
// succeeds once it has ended.
func TestMigrationGivesUpWaitingForTheLock(t *testing.T) {
	t.Parallel()
	d := storetest.Empty(t)
	sc := d.OpenSchema(t)
	sc.SetWaits(time.Second, time.Minute, time.Minute)
	conn, err := d.DB.Connx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	var got int
	if err := conn.GetContext(t.Context(), &got, `SELECT GET_LOCK(?, 0)`, sc.LockName()); err != nil || got != 1 {
		t.Fatalf("GET_LOCK = %d, %v, want 1", got, err)
	}
	began := time.Now()
	err = sc.Up(t.Context(), ignore)
	if err == nil || !strings.Contains(err.Error(), "another process has been migrating this database for 1s") || time.Since(began) < time.Second {
		t.Errorf("Up = %v after %s, want the refusal after 1 s of waiting", err, time.Since(began))
	}
	if _, err := conn.ExecContext(t.Context(), `DO RELEASE_LOCK(?)`, sc.LockName()); err != nil {
		t.Fatal(err)
	}
	if err := sc.UpTo(t.Context(), 1, ignore); err != nil {
		t.Errorf("UpTo after the other process has ended: %v, want no error", err)
	}
}

// A lease that is not renewed expires by the database's clock: until then others wait, and
// one with a shorter timeout gives up.
func TestMigrationLeaseEndsByItself(t *testing.T) {
	t.Parallel()
	d := storetest.Empty(t)
	lost, next := d.OpenSchema(t), d.OpenSchema(t)
	if err := lost.TakeLease(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	var seconds float64
	if err := d.DB.Get(&seconds, `SELECT TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), expires_at) / 1e6 FROM mems_migration_lease`); err != nil || seconds > 60 || seconds < 30 {
		t.Errorf("the lease is for %f s more (%v), want nearly 60", seconds, err)
	}
	lost.SetWaits(time.Minute, 2*time.Second, time.Minute)
	if err := lost.TakeLease(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	d.DB.MustExec(`UPDATE mems_migration_lease SET server = 'another'`)
	if err := next.TakeLease(t.Context(), time.Millisecond); err == nil || !strings.Contains(err.Error(), "on the server another") {
		t.Errorf("while the lease holds: %v, want a refusal", err)
	}
	if err := next.TakeLease(t.Context(), time.Minute); err != nil || time.Since(began) < time.Second {
		t.Errorf("TakeLease = %v after %s, want no error after the lease has expired, 1 s or more",
			err, time.Since(began))
	}
}

// A migration that lost its primary gives up when no new one appears in time.
func TestMigrationGivesUpWaitingForAPrimary(t *testing.T) {
	t.Parallel()
	sc, err := database.OpenSchema("mysql://mems@127.0.0.1:1,127.0.0.1:2/mems", store.RekeyPatients)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sc.Close() }()
	const within = 300 * time.Millisecond
	sc.SetWaits(time.Minute, time.Minute, within)
	waits := 0
	sc.OnFailover = func(_ error, wait time.Duration) {
		if waits++; wait != within {
			t.Errorf("reported wait = %s, want %s", wait, within)
		}
	}
	began := time.Now()
	err = sc.ThroughFailover(t.Context(), func() error { return driver.ErrBadConn })
	if err == nil || !strings.Contains(err.Error(), "no server of the cluster accepted changes within 300ms: ") || time.Since(began) < within || waits != 1 {
		t.Errorf("ThroughFailover = %v after %s and %d waits, want that no server accepted changes, after %s and one",
			err, time.Since(began), waits, within)
	}
}

// Every host of a cluster that cannot be reached before a migration is reported.
func TestUnreachableHostsAreReported(t *testing.T) {
	t.Parallel()
	sc, err := database.OpenSchema("mysql://mems:secret@127.0.0.1:1,127.0.0.1:2/mems", store.RekeyPatients)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sc.Close() }()
	var reported []string
	sc.OnUnreachable = func(host string, cause error) {
		if cause == nil || strings.Contains(cause.Error(), "secret") {
			t.Errorf("host %s is reported with %v, want a cause without the password", host, cause)
		}
		reported = append(reported, host)
	}
	if err := sc.CheckHosts(t.Context()); err != nil || strings.Join(reported, " ") != "127.0.0.1:1 127.0.0.1:2" {
		t.Errorf("reported hosts = %q (%v), want both", reported, err)
	}
}

// A statement whose table is in use lets the queries behind it pass, and is retried: it is
// interrupted before the server's own timeout, and succeeds once the table is free.
func TestStatementDoesNotHoldUpItsTable(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	sc := d.OpenSchema(t)
	user, err := d.DB.Beginx()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = user.Rollback() }()
	var n int
	if err := user.Get(&n, `SELECT COUNT(*) FROM rooms`); err != nil {
		t.Fatal(err)
	}
	const alter = "ALTER TABLE rooms\n\tADD COLUMN of_this_test INT NULL, ALGORITHM = INSTANT"
	if interrupted, err := sc.ExecBriefly(t.Context(), alter); !interrupted || err == nil {
		t.Errorf("table in use: interrupted %v (%v), want true", interrupted, err)
	}
	if err := d.DB.Get(&n, `SELECT COUNT(*) FROM rooms`); err != nil {
		t.Errorf("query after it: %v, want no error", err)
	}
	if err := user.Rollback(); err != nil {
		t.Fatal(err)
	}
	if interrupted, err := sc.ExecBriefly(t.Context(), alter); interrupted || err != nil {
		t.Errorf("table free: interrupted %v (%v), want false and no error", interrupted, err)
	}
}
