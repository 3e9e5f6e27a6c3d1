package store

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

// Bounds of one batch of the audit trail's index.
const (
	indexEntries  = 2000  // entries read
	indexPatients = 20000 // rows written, roughly
	indexAtOnce   = 1000  // rows per statement
	// indexAge is the minimum age of an indexed entry. Ids are assigned before rows are
	// visible: an entry with a smaller id may not be committed yet.
	indexAge = 15 * time.Second
)

// IndexAudit adds the next batch of entries to audit_patients, and returns their number.
// Entries written by other programs are included.
func (s *Store) IndexAudit(ctx context.Context) (int, error) {
	n, err := s.indexAudit(ctx, indexAge)
	return n, translate(ctx, "index audit trail", err)
}

// indexAudit first writes the index's own row, which serialises processes. It reads the
// entries with a lock, which waits for uncommitted ones. Primary keys.
func (s *Store) indexAudit(ctx context.Context, age time.Duration) (int, error) {
	t, err := s.db.BeginTxx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = t.Rollback() }() // after a commit this does nothing
	if _, err := t.ExecContext(ctx, `UPDATE audit_index SET runs = runs + 1 WHERE id = 1`); err != nil {
		return 0, err
	}
	var from int64
	if err := t.GetContext(ctx, &from, `SELECT indexed_to FROM audit_index WHERE id = 1`); err != nil {
		return 0, err
	}
	var rows []struct {
		ID         int64     `db:"id"`
		At         time.Time `db:"at"`
		PatientID  *int64    `db:"patient_id"`
		PatientIDs *string   `db:"patient_ids"`
	}
	err = t.SelectContext(ctx, &rows, `
		SELECT id, at, patient_id, patient_ids
		FROM audit_entries
		WHERE id > ?
		ORDER BY id
		LIMIT ?
		LOCK IN SHARE MODE`, from, indexEntries)
	if err != nil {
		return 0, err
	}
	until, settled := from, s.now().Add(-age)
	n := 0
	var pairs []any
	for _, r := range rows {
		if r.At.After(settled) || len(pairs) > 2*indexPatients {
			break
		}
		until, n = r.ID, n+1
		if r.PatientID != nil {
			pairs = append(pairs, *r.PatientID, r.ID)
		}
		var shown []int64
		if r.PatientIDs != nil && json.Unmarshal([]byte(*r.PatientIDs), &shown) != nil {
			continue // tampered with: "mems audit verify" reports it
		}
		for _, id := range shown {
			pairs = append(pairs, id, r.ID)
		}
	}
	if until == from {
		return 0, nil
	}
	if err := insertAuditPatients(ctx, t, pairs); err != nil {
		return 0, err
	}
	if _, err := t.ExecContext(ctx, `UPDATE audit_index SET indexed_to = ? WHERE id = 1`, until); err != nil {
		return 0, err
	}
	return n, t.Commit()
}

// insertAuditPatients inserts rows of patient and entry, ignoring existing ones.
func insertAuditPatients(ctx context.Context, t sqlx.ExecerContext, pairs []any) error {
	for len(pairs) > 0 {
		n := min(len(pairs)/2, indexAtOnce)
		// Safety: the text is a constant and placeholders.
		_, err := t.ExecContext(ctx, `INSERT IGNORE INTO audit_patients (patient_id, entry_id) VALUES (?, ?)`+
			strings.Repeat(`, (?, ?)`, n-1), pairs[:2*n]...)
		if err != nil {
			return err
		}
		pairs = pairs[2*n:]
	}
	return nil
}
