package main

import (
	"database/sql"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"mems/gen/api"
	"mems/internal/backup"
	"mems/internal/contracttest"
	"mems/internal/storetest"
)

// testdata/0.1.0 has a clinic as version 0.1.0 left it: its backup, checksums and audit
// keys, made by that version (see make.sh there).
const releasedData = "testdata/0.1.0/"

// A database of version 0.1.0, with the schema of its own migrations and rows written by
// its program, is upgraded: no column of any row changes, the audit trail verifies, and its
// appointments cannot be double-booked.
func TestUpgradeFromReleasedVersion(t *testing.T) {
	t.Parallel()
	d := storetest.Empty(t)
	loadReleased(t, d)
	env := releasedEnv(t, d)
	if strings.Contains(d.Server, "MariaDB") { // MySQL formats JSON differently
		want, err := os.ReadFile(releasedData + "checksums")
		if err != nil {
			t.Fatal(err)
		}
		if code, sums := runMEMS(t, []string{"checksum"}, env...); code != exitOK || !sameSums(sums, string(want)) {
			t.Fatalf("%d, the rows are not those that 0.1.0 wrote:\n%s\nwant\n%s", code, sums, want)
		}
	}
	before := allRows(t, d)
	if code, output := runMEMS(t, []string{"migrate", "up"}, env...); code != exitOK {
		t.Fatalf("mems migrate up: exit %d, want %d:\n%s", code, exitOK, output)
	}
	sameAfterUpgrade(t, d, before)
	serveUpgraded(t, d, env)
}

// A backup made by version 0.1.0 is restored with the same contents.
func TestRestoreOfReleasedVersion(t *testing.T) {
	t.Parallel()
	loaded, restored := storetest.Empty(t), storetest.Empty(t)
	loadReleased(t, loaded)
	env := releasedEnv(t, restored)
	code, output := runMEMS(t, []string{"restore", "--unsigned", "--without-revocations", releasedData + "backup.gz"}, env...)
	if code != exitOK {
		t.Fatalf("mems restore --unsigned --without-revocations ...: exit %d, want %d:\n%s", code, exitOK, output)
	}
	sameAfterUpgrade(t, restored, allRows(t, loaded))
	serveUpgraded(t, restored, env)
}

func releasedEnv(t *testing.T, d *storetest.Database) []string {
	t.Helper()
	keys, err := os.ReadFile(releasedData + "audit-keys")
	if err != nil {
		t.Fatal(err)
	}
	return []string{"MEMS_DATABASE_URL=" + d.DSN, "MEMS_AUDIT_KEYS=" + strings.TrimSpace(string(keys)), "MEMS_CLINIC_TIME_ZONE=Europe/Zurich"}
}

// loadReleased migrates like 0.1.0 and inserts its rows. As in every restore, there are no
// triggers meanwhile: these rows have already passed them.
func loadReleased(t *testing.T, d *storetest.Database) {
	t.Helper()
	old, err := goose.NewProvider(goose.DialectMySQL, d.DB.DB, os.DirFS("../../internal/database/testdata/migrations-0.1.0"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, err := d.DB.Connx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	exec := func(text string) {
		t.Helper()
		if _, err := conn.ExecContext(t.Context(), text); err != nil {
			t.Fatalf("%.200s: %v", text, err)
		}
	}
	exec(`SET SESSION foreign_key_checks = 0, sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO'), time_zone = '+00:00'`)
	var triggers []string
	if err := conn.SelectContext(t.Context(), &triggers, `SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE()`); err != nil {
		t.Fatal(err)
	}
	created := make([]string, len(triggers))
	for i, name := range triggers {
		row := conn.QueryRowxContext(t.Context(), `SHOW CREATE TRIGGER `+name)
		columns := map[string]any{}
		if err := row.MapScan(columns); err != nil {
			t.Fatal(err)
		}
		created[i] = string(columns["SQL Original Statement"].([]byte))
		exec(`DROP TRIGGER ` + name)
	}
	var tables []string
	if err := conn.SelectContext(t.Context(), &tables, `SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()`); err != nil {
		t.Fatal(err)
	}
	for _, name := range tables {
		exec(`DELETE FROM ` + name)
	}
	f, err := os.Open(releasedData + "backup.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for insert, err := range backup.Rows(f) {
		if err != nil {
			t.Fatal(err)
		}
		exec(insert)
	}
	for _, text := range created {
		exec(text)
	}
	exec(`SET SESSION foreign_key_checks = 1`)
}

// sameSums compares outputs of "mems checksum", whose order changed after 0.1.0.
func sameSums(a, b string) bool {
	sorted := func(text string) []string { return slices.Sorted(strings.Lines(strings.TrimSpace(text) + "\n")) }
	return slices.Equal(sorted(a), sorted(b))
}

// records are the rows of a table, each mapping columns to values, ordered by the table's
// first columns.
type records []map[string]string

// allRows reads a whole database, which must be small.
func allRows(t *testing.T, d *storetest.Database) map[string]records {
	t.Helper()
	var tables []string
	if err := d.DB.Select(&tables, `SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()`); err != nil {
		t.Fatal(err)
	}
	all := map[string]records{}
	for _, table := range tables {
		all[table] = rowsOf(t, d, table)
	}
	return all
}

func rowsOf(t *testing.T, d *storetest.Database, table string) (all records) {
	t.Helper()
	rows, err := d.DB.Queryx(`SELECT * FROM ` + table + ` ORDER BY 1, 2`) //nolint:unqueryvet // whatever columns there are
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values, into := make([]sql.RawBytes, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		record := map[string]string{}
		for i, name := range names {
			record[name] = fmt.Sprintf("%t %s", values[i] != nil, values[i])
		}
		all = append(all, record)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// endForgotten does to the tickets what migration 16 does: one that is open a day after it was
// made ends. The clinic of 0.1.0 was made on 2026-11-27, and one patient still waits there.
func endForgotten(t *testing.T, tickets records) {
	t.Helper()
	forgotten := map[string]string{"true waiting": "true left", "true called": "true left", "true in_progress": "true done"}
	for _, ticket := range tickets {
		text, _ := strings.CutPrefix(ticket["created_at"], "true ")
		made, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		ended, open := forgotten[ticket["status"]]
		if !open || time.Since(made) < 24*time.Hour {
			continue
		}
		var version int
		if _, err := fmt.Sscanf(ticket["version"], "true %d", &version); err != nil {
			t.Fatal(err)
		}
		ticket["status"], ticket["version"] = ended, fmt.Sprintf("true %d", version+1)
		delete(ticket, "updated_at") // when it was upgraded
	}
}

// sameAfterUpgrade compares every row and column that 0.1.0 had.
func sameAfterUpgrade(t *testing.T, d *storetest.Database, before map[string]records) {
	t.Helper()
	after := allRows(t, d)
	endForgotten(t, before["tickets"])
	if len(before["appointments"]) < 300 || len(before["audit_entries"]) < 50 || len(before["changes"]) < 400 {
		t.Fatalf("%d appointments, %d audit entries, %d changes; want at least 300, 50 and 400",
			len(before["appointments"]), len(before["audit_entries"]), len(before["changes"]))
	}
	for _, table := range slices.Sorted(maps.Keys(before)) {
		if table == "goose_db_version" {
			continue
		}
		if len(after[table]) != len(before[table]) {
			t.Errorf("%s has %d rows after the upgrade, want %d", table, len(after[table]), len(before[table]))
			continue
		}
		changed := map[string]string{}
		for i, record := range before[table] {
			for column, value := range record {
				if now, there := after[table][i][column]; !there || now != value {
					changed[table+"."+column] = fmt.Sprintf("%q, was %q", now, value)
				}
			}
		}
		for column, what := range changed {
			t.Errorf("%s: %s", column, what)
		}
	}
}

// serveUpgraded verifies the audit trail and exercises the clinic.
func serveUpgraded(t *testing.T, d *storetest.Database, env []string) {
	t.Helper()
	if code, output := runMEMS(t, []string{"audit", "verify"}, env...); code != exitOK || !strings.Contains(output, "intact") {
		t.Errorf("mems audit verify: exit %d, want %d and \"intact\" in the output:\n%s", code, exitOK, output)
	}
	c := contracttest.New(t, startMEMS(t, env...).URL)
	var old []struct {
		ID      int64     `db:"id"`
		Patient int64     `db:"patient_id"`
		Doctor  int64     `db:"doctor_id"`
		Start   time.Time `db:"start_time"`
		Minutes int       `db:"duration_minutes"`
	}
	if err := d.DB.Select(&old, `
		SELECT id, patient_id, doctor_id, start_time, duration_minutes
		FROM appointments WHERE status = 'scheduled' ORDER BY id DESC LIMIT 10`); err != nil || len(old) != 10 {
		t.Fatalf("%d scheduled appointments (%v), want 10", len(old), err)
	}
	for _, a := range old {
		var read api.Appointment
		c.Get(fmt.Sprintf("/appointments/%d", a.ID)).Want(t, http.StatusOK, "").Decode(t, &read)
		if read.DoctorID != a.Doctor || read.PatientID != a.Patient || !read.StartTime.Equal(a.Start) || int(read.DurationMinutes) != a.Minutes {
			t.Errorf("upgraded appointment = %+v, want %+v", read, a)
		}
	}
	var found struct{ Items []api.Patient }
	c.Get("/patients?q=Brunner").Want(t, http.StatusOK, "").Decode(t, &found)
	if len(found.Items) == 0 || found.Items[0].LastName != "Brunner" {
		t.Errorf("search by the name of an old patient = %+v, want Brunner first", found)
	}
	if _, err := d.DB.Exec(`
		INSERT INTO appointments (patient_id, doctor_id, start_time, end_time, duration_minutes, status, version, created_at, updated_at)
		SELECT patient_id, doctor_id, start_time, end_time, duration_minutes, status, version, created_at, updated_at
		FROM appointments WHERE id = ?`, old[0].ID); err == nil {
		t.Error("INSERT of a second appointment at one time into the upgraded database succeeded, want a trigger's error")
	}
	start := time.Now().AddDate(0, 0, 40).Truncate(24 * time.Hour).Add(2 * time.Hour)
	book := booking(old[0].Patient, old[0].Doctor, start, 30)
	book["override"] = map[string]any{"rules": []string{"outside-working-hours"}, "reason": "A test at night."}
	c.Post("/appointments", book).Want(t, http.StatusCreated, "")
	book["patient_id"] = old[0].Patient - 1
	c.Post("/appointments", book).Want(t, http.StatusConflict, "doctor-overlap")
}
