package store_test

import (
	"database/sql"
	"database/sql/driver"
	"log/slog"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"mems/internal/clinic"
	"mems/internal/store"
	"mems/internal/storetest"
)

// A process that stops in the middle of a transaction, or whose machine is gone, keeps the guard of
// a doctor's calendar only until the database releases it.
func TestGuardOfProcessThatHangs(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	var pool *sql.DB
	hung, err := store.Open(store.Config{
		DSN: d.DSN, Now: fixedClock, Zone: time.UTC, Log: slog.New(slog.DiscardHandler),
		OpenDB: func(c driver.Connector) *sql.DB { pool = sql.OpenDB(c); return pool },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = hung.Close() }()
	st := d.Open(t, fixedClock, nil)
	doctor, err := st.CreateDoctor(t.Context(), store.SystemRequest(), clinic.Doctor{FullName: "Dr. Held", Specialization: "Dermatology", IsActive: true})
	if err != nil {
		t.Fatal(err)
	}
	tx, err := pool.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(t.Context(), `UPDATE doctors SET calendar_rev = calendar_rev + 1 WHERE id = ?`, doctor.ID); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		_, err := d.DB.ExecContext(t.Context(), `SELECT id FROM doctors WHERE id = ? FOR UPDATE NOWAIT`, doctor.ID)
		if err == nil {
			break
		}
		if time.Since(began) > 25*time.Second {
			t.Fatal("the guard is still held: ", err)
		}
	}
}
