package store

import (
	"context"

	"mems/internal/clinic"
)

// reachesPatient reports whether the caller can access a patient's record: a doctor, if
// there is an appointment or a ticket with them; a partner, if it registered the patient.
// It is false for a patient who does not exist. Indexes appointments_patient,
// tickets_patient.
func (q *queries) reachesPatient(ctx context.Context, id int64) (bool, error) {
	reach := q.req.Access.Reach
	if reach.All {
		return true, nil
	}
	condition, args := patientReach(reach, "p.id", "p.made_by_key")
	var reached bool
	err := q.GetContext(ctx, &reached, `SELECT COUNT(*) > 0 FROM patients AS p WHERE p.id = ? AND `+condition, append([]any{id}, args...)...)
	return reached, err
}

// patientNotFound is the answer for a patient who does not exist or is beyond reach,
// with the id for the audit trail.
func patientNotFound(id int64) error {
	return &clinic.Error{Code: clinic.CodePatientNotFound, Patient: id}
}

// reachedSurvivor returns the id of the record that a patient's was merged into, its own
// if it was not merged, and 0 if the caller can access neither.
func (q *queries) reachedSurvivor(ctx context.Context, id int64) (int64, error) {
	survivor, err := survivorOf(ctx, q, id)
	if err != nil {
		return 0, err
	}
	for _, record := range []int64{survivor, id} {
		if reached, err := q.reachesPatient(ctx, record); err != nil || reached {
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
