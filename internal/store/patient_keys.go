package store

import (
	"context"
	"database/sql"
	"strings"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// rekeyBatch bounds how many patients one transaction computes keys of.
const rekeyBatch = 200

// execer is a transaction.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// addNames adds the keys of names to those by which their patients are found.
// Former names stay. Primary key.
func addNames(ctx context.Context, t execer, ps ...clinic.Patient) error {
	var args []any
	for _, p := range ps {
		for _, k := range clinic.NameKeys(p.FirstName, p.LastName) {
			args = append(args, p.ID, k.Key, k.Family)
		}
	}
	if len(args) == 0 {
		return nil
	}
	// Safety: the text is a constant and placeholders.
	_, err := t.ExecContext(ctx, `
		INSERT INTO patient_names (patient_id, name_key, family)
		VALUES (?, ?, ?)`+strings.Repeat(`, (?, ?, ?)`, len(args)/3-1)+`
		ON DUPLICATE KEY UPDATE family = GREATEST(family, VALUES(family))`, args...)
	return err
}

// moveNames makes the names of a merged record find the survivor.
func moveNames(ctx context.Context, t execer, survivor, duplicate int64) error {
	for _, statement := range []string{
		`UPDATE IGNORE patient_names SET patient_id = ? WHERE patient_id = ?`,
		`DELETE FROM patient_names WHERE patient_id <> ? AND patient_id = ?`, // what the survivor has, too
	} {
		if _, err := t.ExecContext(ctx, statement, survivor, duplicate); err != nil {
			return err
		}
	}
	return nil
}

// RekeyPatients computes out-of-date keys of a bounded number of patients and returns
// how many there were.
func (s *Store) RekeyPatients(ctx context.Context) (int, error) {
	n, err := RekeyPatients(ctx, s.db)
	return n, translate(ctx, "rekey patients", err)
}

// RekeyPatients computes the keys of patients whose record is of another version
// than its keys: those of before the keys, and those that a program of before has
// written since. It returns how many there were, a bounded number. It reads the primary
// key to the first rekeyBatch that are out of date, then locks and writes these.
func RekeyPatients(ctx context.Context, db *sqlx.DB) (int, error) {
	var ids []int64
	err := db.SelectContext(ctx, &ids, `SELECT id FROM patients WHERE keys_of <> version ORDER BY id LIMIT ?`, rekeyBatch)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	t, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = t.Rollback() }() // nothing, once it is committed
	query, args, err := sqlx.In(`
		SELECT `+patientColumns+`, phone_key, email_key
		FROM patients
		WHERE id IN (?)
		ORDER BY id
		FOR UPDATE`, ids)
	if err != nil {
		return 0, err
	}
	var rows []struct {
		patientRow
		PhoneKey *string `db:"phone_key"`
		EmailKey *string `db:"email_key"`
	}
	if err := t.SelectContext(ctx, &rows, query, args...); err != nil {
		return 0, err
	}
	var named []clinic.Patient
	for _, r := range rows {
		p := r.patient()
		switch {
		case p.ErasedAt != nil:
			_, err = t.ExecContext(ctx, `DELETE FROM patient_names WHERE patient_id = ?`, p.ID)
		case p.MergedInto != nil:
			survivor := p
			survivor.ID = *p.MergedInto
			if err = moveNames(ctx, t, survivor.ID, p.ID); err == nil {
				named = append(named, survivor)
			}
		default:
			named = append(named, p)
		}
		if err != nil {
			return 0, err
		}
		if phone := phoneKey(p.Phone); phone != nil && (r.PhoneKey == nil || *phone != *r.PhoneKey) {
			if _, err := t.ExecContext(ctx, `UPDATE patients SET phone_key = ? WHERE id = ?`, phone, p.ID); err != nil {
				return 0, err
			}
		}
		if email := emailKey(p.Email); email != nil && *email != *r.EmailKey {
			// Two who share a mailbox under two names of its domain were registered before
			// these were one; the second keeps the key it has.
			_, err := t.ExecContext(ctx, `UPDATE patients SET email_key = ? WHERE id = ?`, email, p.ID)
			if err != nil && !isDuplicate(err) {
				return 0, err
			}
		}
	}
	if err := addNames(ctx, t, named...); err != nil {
		return 0, err
	}
	query, args, err = sqlx.In(`UPDATE patients SET keys_of = version WHERE id IN (?)`, ids)
	if err != nil {
		return 0, err
	}
	if _, err := t.ExecContext(ctx, query, args...); err != nil {
		return 0, err
	}
	return len(ids), t.Commit()
}
