package store

import (
	"context"
	"errors"
	"slices"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// maxAlike bounds the possible duplicates that are shown.
const maxAlike = 5

// findAlike returns the patients other than p who may be the same person, by id:
// with the same name, as it is or was, and the same birth date or phone number, theirs
// or that of a record merged into theirs. Indexes patient_names_key, patients_merged_into.
func findAlike(ctx context.Context, t *tx, p clinic.Patient) ([]int64, error) {
	if p.BirthDate == nil && p.Phone == nil {
		return nil, nil
	}
	names := clinic.WholeNames(p.FirstName, p.LastName)
	begins := ""
	if p.Phone != nil {
		begins = clinic.PhoneKey(*p.Phone)
		begins = prefix(begins[:min(len(begins), 4)])
	}
	var rows []struct {
		ID       int64   `db:"id"`
		Born     bool    `db:"born"`
		PhoneKey *string `db:"phone_key"`
	}
	born := sqlDate(p.BirthDate)
	err := t.SelectContext(ctx, &rows, `
		SELECT p.id, COALESCE(p.birth_date = ?, 0) AS born, p.phone_key
		FROM patient_names AS n
		JOIN patients AS p ON p.id = n.patient_id
		WHERE n.name_key IN (?, ?) AND p.id <> ? AND p.merged_into IS NULL AND (p.birth_date = ? OR p.phone_key LIKE ?)
		UNION
		SELECT n.patient_id AS id, COALESCE(m.birth_date = ?, 0) AS born, m.phone_key
		FROM patient_names AS n
		JOIN patients AS m ON m.merged_into = n.patient_id
		WHERE n.name_key IN (?, ?) AND n.patient_id <> ? AND (m.birth_date = ? OR m.phone_key LIKE ?)
		ORDER BY id
		LIMIT 50`, born, names[0], names[1], p.ID, born, begins, born, names[0], names[1], p.ID, born, begins)
	var ids []int64
	for _, r := range rows {
		same := r.Born || p.Phone != nil && r.PhoneKey != nil && clinic.SamePhone(*r.PhoneKey, clinic.PhoneKey(*p.Phone))
		if same && len(ids) < maxAlike && !slices.Contains(ids, r.ID) {
			ids = append(ids, r.ID)
		}
	}
	return ids, err
}

// refuseTakenEmail returns clinic.ErrEmailTaken if another patient has p's e-mail address.
// Index patients_email_key.
func refuseTakenEmail(ctx context.Context, t *tx, p clinic.Patient) error {
	if p.Email == nil {
		return nil
	}
	var taken bool
	err := t.GetContext(ctx, &taken, `SELECT COUNT(*) > 0 FROM patients WHERE email_key = ?`, emailKey(p.Email))
	if err == nil && taken {
		err = clinic.ErrEmailTaken
	}
	return err
}

// candidates returns possible duplicates as the caller may see them, and records the read.
// Patients beyond the caller's reach are left out, as in every list; the others are masked
// for callers who may write, but not read, patients. A replayed response shows them as they
// are now.
func (s *Store) candidates(ctx context.Context, req Request, ids []int64) ([]clinic.Candidate, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	access := req.Access
	rows, err := s.readReached(ctx, access.Reach, ids)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	var readable []int64
	if access.May(clinic.PatientsRead) {
		reached, err := s.readReached(ctx, access.Caller.Reach(clinic.PatientsRead), ids)
		if err != nil {
			return nil, err
		}
		readable = idsOf(reached, func(r patientRow) int64 { return r.ID })
	}
	shown := make([]clinic.Candidate, len(rows))
	for i, r := range rows {
		shown[i] = clinic.CandidateOf(r.patient(), slices.Contains(readable, r.ID))
	}
	return shown, s.recordRead(ctx, req, clinic.KindPatient, 0, idsOf(rows, func(r patientRow) int64 { return r.ID })...)
}

// readReached returns the patients that are within reach, by id.
func (s *Store) readReached(ctx context.Context, reach clinic.Reach, ids []int64) ([]patientRow, error) {
	statement, args, err := sqlx.In(`
		SELECT `+patientColumns+`
		FROM patients
		WHERE id IN (?) AND merged_into IS NULL AND erased_at IS NULL`, ids)
	if err != nil {
		return nil, err
	}
	if condition, values := patientReach(reach, "patients.id", "made_by_key"); condition != "" {
		statement, args = statement+` AND `+condition, append(args, values...)
	}
	var rows []patientRow
	err = s.db.SelectContext(ctx, &rows, statement+` ORDER BY id`, args...)
	return rows, translate(ctx, "find duplicates", err)
}

// withCandidates adds the candidates that the caller may see to a refusal for a possible
// duplicate.
func (s *Store) withCandidates(ctx context.Context, req Request, err error) error {
	refusal, ok := errors.AsType[*clinic.Error](err)
	if !ok || len(refusal.Alike) == 0 {
		return err
	}
	candidates, failed := s.candidates(ctx, req, refusal.Alike)
	if failed != nil {
		return failed
	}
	return &clinic.Error{Code: refusal.Code, Alike: refusal.Alike, Candidates: candidates}
}
