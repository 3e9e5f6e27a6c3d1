package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"mems/internal/clinic"
)

// NewPatient is a patient to register.
type NewPatient struct {
	clinic.Patient

	RefuseDuplicate bool // refuse if there is a possible duplicate
}

// CreatePatient registers a patient and returns the record as stored, and possible
// duplicates. With RefuseDuplicate, concurrent requests for the same name wait for each
// other at the name's guard.
//
// Errors: clinic.CodeValidationFailed (text too long once normalised, birth
// date after today), clinic.CodePossibleDuplicate, clinic.ErrEmailTaken,
// clinic.ErrIdentifierTaken.
func (s *Store) CreatePatient(ctx context.Context, req Request, asked NewPatient) (clinic.Patient, []clinic.Candidate, error) {
	p := asked.Patient
	p.Normalize()
	if err := p.Validate(s.today()); err != nil {
		return clinic.Patient{}, nil, err
	}
	var alike []int64
	err := s.inTx(ctx, req, "create patient", func(t *tx) error {
		if err := t.guardName(ctx, p); err != nil {
			return err
		}
		var err error
		if alike, err = findAlike(ctx, t, p); err != nil {
			return err
		}
		if asked.RefuseDuplicate && len(alike) > 0 {
			if err := refuseTakenEmail(ctx, t, p); err != nil { // a certain rule comes before a possible one
				return err
			}
			return &clinic.Error{Code: clinic.CodePossibleDuplicate, Alike: alike}
		}
		p.MadeBy, p.Version, p.CreatedAt, p.UpdatedAt = req.Access.MadeBy(), 1, t.now, t.now
		if p.ID, err = insertPatient(ctx, t, p); err != nil {
			return err
		}
		t.record(clinic.Created(clinic.KindPatient, p.ID, p))
		return insertIdentifiers(ctx, t, p)
	}, &p, &alike)
	if err != nil {
		return p, nil, s.withCandidates(ctx, req, err)
	}
	candidates, err := s.candidates(ctx, req, alike)
	return p, candidates, err
}

// CreatePatients registers all of ps or none and returns their ids in the same order. It is
// for imports and does not check for possible duplicates; other errors are those of
// CreatePatient.
func (s *Store) CreatePatients(ctx context.Context, req Request, ps []clinic.Patient) ([]int64, error) {
	ids := make([]int64, len(ps))
	for i := range ps {
		ps[i].Normalize()
		if err := ps[i].Validate(s.today()); err != nil {
			return nil, err
		}
	}
	err := s.inTx(ctx, req, "create patients", func(t *tx) error {
		for i, p := range ps {
			p.Version, p.CreatedAt, p.UpdatedAt = 1, t.now, t.now
			var err error
			if ids[i], err = insertPatient(ctx, t, p); err != nil {
				return err
			}
			p.ID = ids[i]
			if err := insertIdentifiers(ctx, t, p); err != nil {
				return err
			}
		}
		t.recordMany(clinic.AuditCreated, clinic.KindPatient, ids)
		for i, id := range ids {
			t.announce(clinic.Created(clinic.KindPatient, id, ps[i]))
		}
		return nil
	})
	return ids, err
}

// Patient reads one patient. Errors: clinic.ErrPatientNotFound.
func (s *Store) Patient(ctx context.Context, req Request, id int64) (clinic.Patient, error) {
	var row patientRow
	err := s.db.GetContext(ctx, &row, `
		SELECT `+patientColumns+`
		FROM patients
		WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return clinic.Patient{}, patientNotFound(id)
	}
	if err != nil {
		return clinic.Patient{}, translate(ctx, "read patient", err)
	}
	if reached, err := s.queries(req).reachesPatient(ctx, id); err != nil || !reached {
		return clinic.Patient{}, firstError(translate(ctx, "read patient", err), patientNotFound(id))
	}
	ps := []clinic.Patient{row.patient()}
	if err := withIdentifiers(ctx, s.db, ps); err != nil {
		return ps[0], translate(ctx, "read patient", err)
	}
	return ps[0], s.recordRead(ctx, req, clinic.KindPatient, id, id)
}

// UpdatePatient applies a patch and returns the record as stored, and possible duplicates.
// Locks the patient's row.
//
// Errors: clinic.ErrPatientNotFound, clinic.ErrPreconditionFailed,
// clinic.CodeValidationFailed, clinic.ErrEmailTaken.
func (s *Store) UpdatePatient(ctx context.Context, req Request, id int64, c clinic.PatientPatch, match Versions) (clinic.Patient, []clinic.Candidate, error) {
	var p clinic.Patient
	var alike []int64
	var unchanged bool
	err := s.inTx(ctx, req, "update patient", func(t *tx) error {
		var err error
		if p, err = lockPatient(ctx, t, id); err != nil {
			return err
		}
		if err := match.check(p.Version); err != nil {
			return err
		}
		ps := []clinic.Patient{p}
		if err := withIdentifiers(ctx, t, ps); err != nil {
			return err
		}
		before := ps[0]
		p = ps[0]
		c.Apply(&p)
		if err := p.Validate(s.today()); err != nil {
			return err
		}
		if alike, err = findAlike(ctx, t, p); err != nil {
			return err
		}
		if unchanged = t.leaves(before, p); unchanged {
			p = before
			return nil
		}
		p.Version++
		p.UpdatedAt = t.now
		t.record(clinic.Changed(clinic.KindPatient, p.ID, before, p))
		if err := updatePatient(ctx, t, p); err != nil || !c.Identifiers.Set {
			return err
		}
		if _, err := t.exec(ctx, `DELETE FROM patient_identifiers WHERE patient_id = ?`, p.ID); err != nil {
			return err
		}
		return insertIdentifiers(ctx, t, p)
	})
	if err == nil && unchanged {
		err = s.recordRead(ctx, req, clinic.KindPatient, id, id)
	}
	if err != nil {
		return p, nil, err
	}
	candidates, err := s.candidates(ctx, req, alike)
	return p, candidates, err
}

// DeletePatient deletes a patient who never had an appointment. Locks the
// patient's row. The foreign key decides, so a concurrent booking either prevents the
// deletion or finds no patient.
//
// Errors: clinic.ErrPatientNotFound, clinic.ErrPreconditionFailed,
// clinic.ErrHasAppointments.
func (s *Store) DeletePatient(ctx context.Context, req Request, id int64, match Versions) error {
	return s.inTx(ctx, req, "delete patient", func(t *tx) error {
		p, err := lockPatient(ctx, t, id)
		if err != nil {
			return err
		}
		if err := match.check(p.Version); err != nil {
			return err
		}
		if err := freeHoldsOf(ctx, t, "patient_id", id); err != nil {
			return err
		}
		if err := t.recordCascade(ctx, clinic.KindPatient, id); err != nil {
			return err
		}
		t.record(clinic.Deleted(clinic.KindPatient, id, p))
		_, err = t.exec(ctx, `DELETE FROM patients WHERE id = ?`, id)
		return err
	})
}

func insertPatient(ctx context.Context, t *tx, p clinic.Patient) (int64, error) {
	id, err := t.insert(ctx, `
		INSERT INTO patients (first_name, last_name, email, email_key, phone, phone_key, birth_date,
		                      made_by_key, version, keys_of, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		p.FirstName, p.LastName, p.Email, emailKey(p.Email), p.Phone, phoneKey(p.Phone), sqlDate(p.BirthDate),
		p.MadeBy, p.Version, p.Version, p.CreatedAt, p.UpdatedAt)
	if err != nil {
		return 0, err
	}
	p.ID = id
	return id, addNames(ctx, t, p)
}

// lockPatient reads a patient within reach. Primary key; exclusive lock on the row.
func lockPatient(ctx context.Context, t *tx, id int64) (clinic.Patient, error) {
	var row patientRow
	err := t.GetContext(ctx, &row, `
		SELECT `+patientColumns+`
		FROM patients
		WHERE id = ?
		FOR UPDATE`, id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return clinic.Patient{}, patientNotFound(id)
	case err == nil && row.MergedInto != nil:
		return clinic.Patient{}, firstError(t.checkMerged(ctx, id), patientNotFound(id))
	}
	if err != nil {
		return clinic.Patient{}, err
	}
	if reached, err := t.reachesPatient(ctx, id); err != nil || !reached || row.ErasedAt != nil {
		return clinic.Patient{}, firstError(err, patientNotFound(id))
	}
	return row.patient(), nil
}

// updatePatient writes the record and adds its name to the search keys. The record may take
// over the address of a record that was merged into it.
func updatePatient(ctx context.Context, t *tx, p clinic.Patient) error {
	if p.Email != nil {
		_, err := t.exec(ctx, `UPDATE patients SET email = NULL, email_key = NULL WHERE email_key = ? AND merged_into = ?`,
			emailKey(p.Email), p.ID)
		if err != nil {
			return err
		}
	}
	key := emailKey(p.Email)
	if key != nil {
		var err error
		if *key, err = emailKeyToKeep(ctx, t, p.ID, *p.Email); err != nil {
			return err
		}
	}
	_, err := t.exec(ctx, `
		UPDATE patients
		SET first_name = ?, last_name = ?, email = ?, email_key = ?, phone = ?, phone_key = ?, birth_date = ?,
		    version = ?, keys_of = ?, updated_at = ?
		WHERE id = ?`,
		p.FirstName, p.LastName, p.Email, key, p.Phone, phoneKey(p.Phone), sqlDate(p.BirthDate),
		p.Version, p.Version, p.UpdatedAt, p.ID)
	if err != nil {
		return err
	}
	return addNames(ctx, t, p)
}

// emailKeyToKeep returns the key of a patient's e-mail address; if the address stays as it
// is and another record has its key, the one it has (see rekeyPatients), so that the second
// of two old records with one mailbox can be changed. Primary key and patients_email_key.
func emailKeyToKeep(ctx context.Context, t *tx, id int64, email string) (string, error) {
	key := clinic.EmailKey(email)
	var kept *string
	err := t.GetContext(ctx, &kept, `
		SELECT MIN(own.email_key)
		FROM patients AS own
		JOIN patients AS other ON other.email_key = ? AND other.id <> own.id
		WHERE own.id = ? AND CAST(own.email AS BINARY) = CAST(? AS BINARY)`, key, id, email)
	if kept != nil {
		key = *kept
	}
	return key, err
}

// patientColumns are those of patientRow.
const patientColumns = `id, first_name, last_name, email, phone, birth_date, merged_into, made_by_key, erased_at, version, created_at, updated_at`

type patientRow struct {
	ID         int64      `db:"id"`
	FirstName  string     `db:"first_name"`
	LastName   string     `db:"last_name"`
	Email      *string    `db:"email"`
	Phone      *string    `db:"phone"`
	BirthDate  *time.Time `db:"birth_date"`
	MergedInto *int64     `db:"merged_into"`
	MadeBy     *int64     `db:"made_by_key"`
	ErasedAt   *time.Time `db:"erased_at"`
	Version    int64      `db:"version"`
	CreatedAt  time.Time  `db:"created_at"`
	UpdatedAt  time.Time  `db:"updated_at"`
}

func (r patientRow) patient() clinic.Patient {
	p := clinic.Patient{
		ID: r.ID, FirstName: r.FirstName, LastName: r.LastName, Email: r.Email, Phone: r.Phone, MergedInto: r.MergedInto,
		MadeBy: r.MadeBy, ErasedAt: r.ErasedAt,
		Version: r.Version, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
	if r.BirthDate != nil {
		d := clinic.DateOf(*r.BirthDate)
		p.BirthDate = &d
	}
	return p
}

func emailKey(email *string) *string {
	if email == nil {
		return nil
	}
	k := clinic.EmailKey(*email)
	return &k
}

func phoneKey(phone *string) *string {
	if phone == nil {
		return nil
	}
	k := clinic.PhoneKey(*phone)
	return &k
}

func sqlDate(d *clinic.Date) *string {
	if d == nil {
		return nil
	}
	s := d.String()
	return &s
}
