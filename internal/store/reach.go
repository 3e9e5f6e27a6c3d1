package store

import (
	"context"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// reachesPatient reports whether a patient's record is within the caller's
// reach: a doctor's, when there is an appointment or a ticket with the doctor; a
// partner's, when it registered the patient. A patient who does not exist is
// not. Indexes appointments_patient, tickets_patient.
func reachesPatient(ctx context.Context, req Request, q sqlx.QueryerContext, id int64) (bool, error) {
	reach := req.Access.Reach
	if reach.All {
		return true, nil
	}
	condition, args := patientReach(reach, "p.id", "p.made_by_key")
	var reached bool
	err := sqlx.GetContext(ctx, q, &reached, `SELECT COUNT(*) > 0 FROM patients AS p WHERE p.id = ? AND `+condition, append([]any{id}, args...)...)
	return reached, err
}

// patientNotFound is the answer for a patient who does not exist or is beyond reach,
// with the id for the audit trail.
func patientNotFound(id int64) error {
	return &clinic.Error{Code: clinic.CodePatientNotFound, Patient: id}
}

// reachedSurvivor returns the id of the record that a patient's was merged into,
// its own when it was not; 0 when neither is within the caller's reach.
func reachedSurvivor(ctx context.Context, req Request, q sqlx.QueryerContext, id int64) (int64, error) {
	survivor, err := survivorOf(ctx, q, id)
	if err != nil {
		return 0, err
	}
	for _, record := range []int64{survivor, id} {
		if reached, err := reachesPatient(ctx, req, q, record); err != nil || reached {
			return survivor, err
		}
	}
	return 0, nil
}

// patientReach is the condition for a patient to be within reach, "" for none;
// id and maker are the columns.
//
// Safety: constants only; every value is an argument.
func patientReach(r clinic.Reach, id, maker string) (string, []any) {
	if r.All {
		return "", nil
	}
	return `(` + maker + ` = ?
		OR EXISTS (SELECT 1 FROM appointments AS mine WHERE mine.patient_id = ` + id + ` AND mine.doctor_id = ?)
		OR EXISTS (SELECT 1 FROM tickets AS mine WHERE mine.patient_id = ` + id + ` AND mine.doctor_id = ?))`,
		[]any{r.KeyID, r.DoctorID, r.DoctorID}
}

// recordReach is the condition for an appointment to be within reach, "" for
// none. No id is 0.
func recordReach(r clinic.Reach) (string, []any) {
	if r.All {
		return "", nil
	}
	return `(doctor_id = ? OR made_by_key = ?)`, []any{r.DoctorID, r.KeyID}
}

// idsOf collects the patients of a list, each once.
func idsOf[T any](items []T, id func(T) int64) []int64 {
	seen := map[int64]bool{}
	var ids []int64
	for _, item := range items {
		if i := id(item); !seen[i] {
			seen[i] = true
			ids = append(ids, i)
		}
	}
	return ids
}
