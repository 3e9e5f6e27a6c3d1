package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// Merge is the result of merging a duplicate's record into another.
type Merge struct {
	Survivor     clinic.Patient // as it is, or would be, afterwards
	Gained       []string       // members taken over from the duplicate
	Appointments []clinic.Appointment
	Conflicts    []clinic.Appointment // those of the two that overlap, by start
}

// MergePair are two records of one patient.
type MergePair struct {
	Survivor, Duplicate int64
}

// PreviewMerge returns what MergePatients would do and changes nothing. Errors:
// clinic.ErrPatientNotFound, clinic.CodePatientMerged,
// clinic.CodeValidationFailed (a patient and itself).
func (s *Store) PreviewMerge(ctx context.Context, req Request, of MergePair) (Merge, error) {
	q, err := s.snapshot(ctx, req)
	if err != nil {
		return Merge{}, translate(ctx, "preview merge", err)
	}
	defer q.end()
	m, _, err := readMerge(ctx, q, of)
	if err != nil {
		return m, translate(ctx, "preview merge", err)
	}
	q.end() // before recording the read: holding a connection while waiting for another can deadlock
	return m, s.recordRead(ctx, req, clinic.KindPatient, 0, of.Survivor, of.Duplicate)
}

// MergePatients merges the record of a duplicate into the survivor's: it reassigns
// appointments, tickets, holds, series, waitlist entries and identifiers, copies members
// that the survivor lacks, and makes the duplicate's id resolve to the survivor. Two open
// tickets for one doctor, and two waitlist entries for the same, become the earlier one.
//
// Guards, in lock order: the doctors of the duplicate's appointments, of open
// tickets and of offers, both patients, ids ascending within each. So a booking for either
// comes before the merge and is reassigned, or after it and finds the record merged.
//
// Errors: those of PreviewMerge; clinic.CodeMergeConflict with the appointments
// of the two that overlap; clinic.ErrPreconditionFailed.
func (s *Store) MergePatients(ctx context.Context, req Request, of MergePair, match Versions) (Merge, error) {
	var m Merge
	err := s.inTx(ctx, req, "merge patients", func(t *tx) error {
		var doctors []int64
		err := t.SelectContext(ctx, &doctors, `
			SELECT doctor_id FROM appointments WHERE patient_id = ?
			UNION
			SELECT doctor_id FROM tickets WHERE patient_id IN (?, ?) AND `+openTickets+`
			UNION
			SELECT offered_doctor FROM waitlist WHERE patient_id IN (?, ?) AND status = 'offered'
			ORDER BY 1`, of.Duplicate, of.Survivor, of.Duplicate, of.Survivor, of.Duplicate)
		if err != nil {
			return err
		}
		for _, d := range doctors {
			if _, err := t.guardDoctor(ctx, d); err != nil {
				return err
			}
		}
		for _, p := range []int64{min(of.Survivor, of.Duplicate), max(of.Survivor, of.Duplicate)} {
			if exists, err := t.guardPatient(ctx, p); err != nil || !exists {
				return firstError(err, clinic.ErrPatientNotFound)
			}
		}
		var duplicate clinic.Patient
		if m, duplicate, err = readMerge(ctx, t, of); err != nil {
			return err
		}
		if err := match.check(m.Survivor.Version); err != nil {
			return err
		}
		for _, a := range m.Appointments {
			if !slices.Contains(doctors, a.DoctorID) {
				return errStale // booked with another doctor meanwhile
			}
		}
		if len(m.Conflicts) > 0 {
			return &clinic.Error{Code: clinic.CodeMergeConflict, Appointments: m.Conflicts}
		}
		m.Survivor.Version++
		m.Survivor.UpdatedAt = t.now
		if err := reassignRecords(ctx, t, of.Survivor, duplicate.ID, slices.Contains(m.Gained, "email")); err != nil {
			return err
		}
		if err := mergeTickets(ctx, t, of.Survivor, doctors); err != nil {
			return err
		}
		if err := s.mergeWaitlist(ctx, t, of.Survivor, doctors); err != nil {
			return err
		}
		if err := updatePatient(ctx, t, m.Survivor); err != nil {
			return err
		}
		for i := range m.Appointments {
			m.Appointments[i].PatientID = of.Survivor
		}
		ps := []clinic.Patient{m.Survivor}
		ps[0].Identifiers = nil
		err = withIdentifiers(ctx, t, ps)
		m.Survivor = ps[0]
		t.record(clinic.Touched(clinic.KindPatient, of.Survivor, m.Survivor))
		t.record(clinic.Touched(clinic.KindPatient, of.Duplicate, clinic.Members{"merged_into": of.Survivor}))
		return err
	}, &m)
	return m, err
}

// readMerge reads both records, what would be reassigned and what conflicts.
func readMerge(ctx context.Context, q sqlx.QueryerContext, of MergePair) (Merge, clinic.Patient, error) {
	if of.Survivor == of.Duplicate {
		return Merge{}, clinic.Patient{}, clinic.Invalid(clinic.Violation{Pointer: "#/duplicate_id", Code: "combination", Detail: "must be another patient"})
	}
	var both [2]clinic.Patient
	for i, patient := range []int64{of.Survivor, of.Duplicate} {
		var row patientRow
		if err := sqlx.GetContext(ctx, q, &row, `SELECT `+patientColumns+` FROM patients WHERE id = ?`, patient); err != nil {
			return Merge{}, both[1], notFound(err, clinic.ErrPatientNotFound)
		}
		if row.MergedInto != nil {
			return Merge{}, both[1], &clinic.Error{Code: clinic.CodePatientMerged, MergedInto: *row.MergedInto}
		}
		both[i] = row.patient()
	}
	if err := withIdentifiers(ctx, q, both[:]); err != nil {
		return Merge{}, both[1], err
	}
	m := Merge{Survivor: both[0]}
	m.Gained = clinic.MergeGain(&m.Survivor, both[1])
	m.Survivor.Identifiers = append(m.Survivor.Identifiers, both[1].Identifiers...)
	var rows []appointmentRow
	// Index appointments_patient.
	err := sqlx.SelectContext(ctx, q, &rows, `SELECT `+appointmentColumns+` FROM appointments WHERE patient_id = ? ORDER BY start_time, id`, of.Duplicate)
	if err != nil {
		return m, both[1], err
	}
	for i := range rows {
		m.Appointments = append(m.Appointments, rows[i].appointment())
	}
	var inTheWay []appointmentRow
	err = sqlx.SelectContext(ctx, q, &inTheWay, `
		SELECT `+appointmentColumns+`
		FROM appointments AS a
		WHERE patient_id IN (?, ?) AND a.`+occupying+` AND patient_overbooked = 0
		  AND EXISTS (
		    SELECT 1 FROM appointments AS b
		    WHERE b.patient_id = IF(a.patient_id = ?, ?, ?)
		      AND b.start_time > a.start_time - INTERVAL ? MINUTE AND b.start_time < a.end_time AND b.end_time > a.start_time
		      AND b.`+occupying+`)
		ORDER BY start_time, id`, of.Survivor, of.Duplicate, of.Survivor, of.Duplicate, of.Survivor, clinic.MaxDuration/time.Minute)
	for i := range inTheWay {
		m.Conflicts = append(m.Conflicts, inTheWay[i].appointment())
	}
	return m, both[1], err
}

// reassignRecords reassigns a duplicate's records to the survivor, inserts an event for each
// appointment, and makes the duplicate's id resolve to the survivor. Its e-mail address is
// released if the survivor takes it over, and otherwise stays taken.
func reassignRecords(ctx context.Context, t *tx, id, duplicateID int64, emailGoes bool) error {
	// Assignments are made from left to right.
	_, err := t.exec(ctx, `
		UPDATE patients
		SET merged_into = ?, email = IF(?, NULL, email), email_key = IF(?, NULL, email_key),
		    version = version + 1, keys_of = version, updated_at = ?
		WHERE id = ?`, id, emailGoes, emailGoes, t.now, duplicateID)
	if err != nil {
		return err
	}
	if err := moveNames(ctx, t, id, duplicateID); err != nil {
		return err
	}
	if err := t.announcePatientRecords(ctx, false, duplicateID); err != nil {
		return err
	}
	err = t.announceRows(ctx, clinic.KindPatient, clinic.VerbUpdated, `SELECT id, NULL AS doctor_id, made_by_key FROM patients WHERE merged_into = ?`, duplicateID)
	if err != nil {
		return err
	}
	var moving []int64
	if err := t.SelectContext(ctx, &moving, `SELECT id FROM appointments WHERE patient_id = ?`, duplicateID); err != nil {
		return err
	}
	if err := t.reassign(ctx, id, duplicateID); err != nil {
		return err
	}
	if len(moving) == 0 {
		return nil
	}
	statement, args, err := sqlx.In(`
		INSERT INTO appointment_events (appointment_id, version, at, action, actor, from_status, to_status,
		                                start_time, duration_minutes, doctor_id, patient_id, room_id)
		SELECT id, version, updated_at, ?, ?, status AS was, status, start_time, duration_minutes, doctor_id, patient_id, room_id
		FROM appointments
		WHERE id IN (?)`, string(clinic.ActionMerge), t.req.actor(), moving)
	if err != nil {
		return err
	}
	if _, err = t.exec(ctx, statement, args...); err != nil {
		return err
	}
	statement, args, err = sqlx.In(`
		INSERT INTO appointment_event_overrides (appointment_id, version, doctor_overbooked, patient_overbooked, outside_hours, reason)
		SELECT id, version, doctor_overbooked, patient_overbooked, outside_hours, override_reason
		FROM appointments
		WHERE id IN (?) AND doctor_overbooked + patient_overbooked + outside_hours > 0`, moving)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, statement, args...)
	return err
}

// survivorOf returns the id of the record that a patient's was merged into, over
// any number of merges, or the id itself if it was not merged. Primary key.
func survivorOf(ctx context.Context, q sqlx.QueryerContext, id int64) (int64, error) {
	for range 100 { // a merge updates earlier ones; a restored database may not have it
		var into *int64
		err := sqlx.GetContext(ctx, q, &into, `SELECT merged_into FROM patients WHERE id = ?`, id)
		if errors.Is(err, sql.ErrNoRows) || err == nil && into == nil {
			return id, nil
		}
		if err != nil {
			return id, err
		}
		id = *into
	}
	return id, nil
}

// recordsOf returns the ids of a patient's record and of those merged into it,
// asked for by any of them. Index patients_merged_into.
func recordsOf(ctx context.Context, q sqlx.QueryerContext, id int64) ([]int64, error) {
	id, err := survivorOf(ctx, q, id)
	if err != nil {
		return nil, err
	}
	ids := []int64{id}
	var merged []int64
	err = sqlx.SelectContext(ctx, q, &merged, `SELECT id FROM patients WHERE merged_into = ? ORDER BY id`, id)
	return append(ids, merged...), err
}
