package store

import (
	"context"
	"errors"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// insertIdentifiers inserts all identifiers of a patient. The primary key keeps them
// unique. Errors: clinic.ErrIdentifierTaken.
func insertIdentifiers(ctx context.Context, t *tx, p clinic.Patient) error {
	if len(p.Identifiers) == 0 {
		return nil
	}
	var args []any
	for _, i := range p.Identifiers {
		args = append(args, i.System, i.Value, p.ID)
	}
	// Safety: the text is a constant and placeholders.
	_, err := t.exec(ctx, `
		INSERT INTO patient_identifiers (id_system, id_value, patient_id)
		VALUES (?, ?, ?)`+strings.Repeat(`, (?, ?, ?)`, len(p.Identifiers)-1), args...)
	if refused, ok := errors.AsType[*mysql.MySQLError](err); ok && refused.Number == 1062 {
		return clinic.ErrIdentifierTaken
	}
	return err
}

// withIdentifiers fills in the identifiers of patients, with one statement.
// Index patient_identifiers_patient.
func withIdentifiers(ctx context.Context, q sqlx.QueryerContext, ps []clinic.Patient) error {
	if len(ps) == 0 {
		return nil
	}
	ids := make([]int64, len(ps))
	for i, p := range ps {
		ids[i] = p.ID
	}
	statement, args, err := sqlx.In(`
		SELECT patient_id, id_system, id_value
		FROM patient_identifiers
		WHERE patient_id IN (?)
		ORDER BY id_system, id_value`, ids)
	if err != nil {
		return err
	}
	var rows []struct {
		PatientID int64  `db:"patient_id"`
		System    string `db:"id_system"`
		Value     string `db:"id_value"`
	}
	if err := sqlx.SelectContext(ctx, q, &rows, statement, args...); err != nil {
		return err
	}
	of := map[int64][]clinic.Identifier{}
	for _, r := range rows {
		of[r.PatientID] = append(of[r.PatientID], clinic.Identifier{System: r.System, Value: r.Value})
	}
	for i, p := range ps {
		ps[i].Identifiers = of[p.ID]
	}
	return nil
}

// PatientByMRN returns the patient with a medical record number; for a merged record, the
// survivor. Errors: clinic.ErrPatientNotFound.
func (s *Store) PatientByMRN(ctx context.Context, req Request, id int64) (clinic.Patient, error) {
	p, err := s.Patient(ctx, req, id)
	if err == nil && p.MergedInto != nil {
		return s.Patient(ctx, req, *p.MergedInto)
	}
	return p, err
}
