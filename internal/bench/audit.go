package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// trailAtOnce is the number of audit entries that one statement inserts.
const trailAtOnce = 100_000

// fillTrail inserts audit entries of reads by 20 callers in 50 operations, every other one of
// two patients, with their rows in audit_patients. A running server may index some of them,
// too.
func fillTrail(ctx context.Context, dsn string, entries int) error {
	db, err := sqlx.ConnectContext(ctx, "mysql", dsn)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1) // the settings below are the session's
	started := time.Now()
	// The fastest way to load InnoDB. The database is deleted after the run.
	for _, statement := range []string{
		`SET SESSION unique_checks = 0`,
		`CREATE TABLE bench_digits (n INT NOT NULL PRIMARY KEY)`,
		`INSERT INTO bench_digits VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)`,
		`INSERT INTO audit_chains (id, started_at, hash, sealed_hash) VALUES (1000000, '` + created + `', UNHEX(REPEAT('0', 64)), UNHEX(REPEAT('0', 64)))`,
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	const numbers = `(SELECT ? + a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n AS n
		FROM bench_digits AS e, bench_digits AS d, bench_digits AS c, bench_digits AS b, bench_digits AS a) AS numbers`
	for first := 0; first < entries; first += trailAtOnce {
		for _, statement := range []struct {
			text string
			args []any
		}{
			{`INSERT INTO audit_entries (id, chain, seq, at, subject, operation, action, object, patient_id, patient_ids, hash)
				SELECT n + 1, 1000000, n + 1, '2025-01-01' + INTERVAL n SECOND, CONCAT('key:', n % 20), CONCAT('readNumber', n % 50), 'read', 'patient',
					IF(n % 2 = 0, n % ? + 1, NULL), IF(n % 2 = 0, NULL, CONCAT('[', n % ? + 1, ',', (n + 1) % ? + 1, ']')), UNHEX(REPEAT('0', 64))
				FROM ` + numbers, []any{patients, patients, patients, first}},
			{`INSERT IGNORE INTO audit_patients (patient_id, entry_id) SELECT n % ? + 1, n + 1 FROM ` + numbers, []any{patients, first}},
			{`INSERT IGNORE INTO audit_patients (patient_id, entry_id) SELECT (n + 1) % ? + 1, n + 1 FROM ` + numbers + ` WHERE n % 2 = 1`, []any{patients, first}},
		} {
			if _, err := db.ExecContext(ctx, statement.text, statement.args...); err != nil {
				return err
			}
		}
		if done := first + trailAtOnce; done%(10*trailAtOnce) == 0 {
			say("  %d of %d entries after %s", done, entries, time.Since(started).Round(time.Second))
		}
	}
	if _, err := db.ExecContext(ctx, `UPDATE audit_index SET indexed_to = ? WHERE id = 1`, entries); err != nil {
		return err
	}
	say("filled %d entries of the audit trail in %s", entries, time.Since(started).Round(time.Second))
	return nil
}

// trail measures reading a long audit trail in pages of 50, and the export of a patient.
func (b *bench) trail(ctx context.Context, o options) error {
	if err := fillTrail(ctx, b.dsn, o.entries); err != nil {
		return fmt.Errorf("fill the trail: %w", err)
	}
	fmt.Printf("\n### Audit trail of %d entries\n\n", o.entries)
	fmt.Println("| what | answers/s | p50 | p99 | failed |")
	fmt.Println("|---|--:|--:|--:|--:|")
	connection, err := dial(ctx, b.address)
	if err != nil {
		return err
	}
	defer func() { _ = connection.conn.Close() }()
	for _, row := range []struct {
		name string
		path func(i int64) string
	}{
		{"a patient's entries", func(i int64) string { return fmt.Sprintf("/audit?patient_id=%d", 1+i*patientStep%patients) }},
		{"a caller's entries", func(i int64) string { return fmt.Sprintf("/audit?subject=key:%d", i%20) }},
		{"an operation's entries", func(i int64) string { return fmt.Sprintf("/audit?operation=readNumber%d", i%50) }},
		{"a patient's export", func(i int64) string { return fmt.Sprintf("/patients/%d/export", 1+i*patientStep%patients) }},
	} {
		r, err := round(ctx, 1, o.duration, func(context.Context, int) error {
			return expect(200)(connection.send("GET", row.path(b.next.Add(1)), nil))
		})
		if err != nil {
			return err
		}
		fmt.Printf("| %s | %.0f | %s | %s | %d |\n", row.name, r.perSecond, ms(percentile(r.latencies, 0.5)), ms(percentile(r.latencies, 0.99)), r.failures)
	}
	return nil
}
