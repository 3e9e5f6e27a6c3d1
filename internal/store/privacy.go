package store

import (
	"context"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// PatientFile is all data stored about a patient.
type PatientFile struct {
	At           time.Time
	Patient      clinic.Patient
	Merged       []clinic.Patient // records that were merged into it
	Appointments []clinic.Appointment
	Events       []clinic.Event
	Series       []clinic.Series
	Tickets      []clinic.Ticket
	Waitlist     []clinic.WaitlistEntry
	Holds        []clinic.Hold
	Audit        []clinic.AuditEntry // oldest first, the newest maxExportedAudit
}

// records returns the number of records in the file.
func (f *PatientFile) records() int {
	return 1 + len(f.Merged) + len(f.Appointments) + len(f.Events) + len(f.Series) + len(f.Tickets) + len(f.Waitlist) + len(f.Holds) + len(f.Audit)
}

// maxExportedAudit bounds the audit entries in an export.
const maxExportedAudit = 10000

// ExportPatient returns all data stored about a patient, from one snapshot; for a merged
// record, the survivor's. Errors:
// clinic.ErrPatientNotFound.
func (s *Store) ExportPatient(ctx context.Context, req Request, id int64) (PatientFile, error) {
	id, err := survivorOf(ctx, s.db, id)
	if err != nil {
		return PatientFile{}, translate(ctx, "export patient", err)
	}
	if err := s.recordRead(ctx, req, clinic.KindPatient, id, id); err != nil { // first, so that the file includes it
		return PatientFile{}, err
	}
	t, err := s.snapshot(ctx, req)
	if err != nil {
		return PatientFile{}, translate(ctx, "export patient", err)
	}
	defer t.end()
	f, err := s.readFile(ctx, t, id)
	req.CountWork(clinic.WorkRecords, f.records())
	return f, translate(ctx, "export patient", err)
}

func (s *Store) readFile(ctx context.Context, t *snapshot, id int64) (PatientFile, error) {
	f := PatientFile{At: clinic.Instant(s.now())}
	var records []patientRow
	err := t.SelectContext(ctx, &records, `SELECT `+patientColumns+` FROM patients WHERE id = ? OR merged_into = ? ORDER BY id <> ?, id`, id, id, id)
	if err != nil {
		return f, err
	}
	if len(records) == 0 || records[0].ID != id {
		return f, clinic.ErrPatientNotFound
	}
	if into := records[0].MergedInto; into != nil {
		return f, &clinic.Error{Code: clinic.CodePatientMerged, MergedInto: *into}
	}
	people := make([]clinic.Patient, len(records))
	for i, r := range records {
		people[i] = r.patient()
	}
	if err := withIdentifiers(ctx, t, people); err != nil {
		return f, err
	}
	f.Patient, f.Merged = people[0], people[1:]
	for _, read := range []func(context.Context, *snapshot, int64, *PatientFile) error{readVisits, readSeriesOf, readQueueOf, readAuditOf} {
		if err := read(ctx, t, id, &f); err != nil {
			return f, err
		}
	}
	return f, nil
}

// Indexes appointments_patient and the primary key of appointment_events.
func readVisits(ctx context.Context, t *snapshot, id int64, f *PatientFile) error {
	var rows []appointmentRow
	err := t.SelectContext(ctx, &rows, `SELECT `+appointmentColumns+` FROM appointments WHERE patient_id = ? ORDER BY start_time, id`, id)
	if err != nil {
		return err
	}
	for i := range rows {
		f.Appointments = append(f.Appointments, rows[i].appointment())
		events, err := readHistory(ctx, t, rows[i].ID)
		if err != nil {
			return err
		}
		f.Events = append(f.Events, events...)
	}
	return nil
}

func readSeriesOf(ctx context.Context, t *snapshot, id int64, f *PatientFile) error {
	var ids []int64
	if err := t.SelectContext(ctx, &ids, `SELECT id FROM appointment_series WHERE patient_id = ? ORDER BY id`, id); err != nil {
		return err
	}
	for _, one := range ids {
		series, err := t.readSeries(ctx, one)
		if err != nil {
			return err
		}
		f.Series = append(f.Series, series)
	}
	return nil
}

func readQueueOf(ctx context.Context, t *snapshot, id int64, f *PatientFile) error {
	var tickets []ticketRow
	if err := t.SelectContext(ctx, &tickets, `SELECT `+ticketColumns+` FROM tickets WHERE patient_id = ? ORDER BY id`, id); err != nil {
		return err
	}
	for _, r := range tickets {
		f.Tickets = append(f.Tickets, r.ticket())
	}
	var entries []waitlistRow
	if err := t.SelectContext(ctx, &entries, `SELECT `+waitlistColumns+` FROM waitlist WHERE patient_id = ? ORDER BY id`, id); err != nil {
		return err
	}
	for i := range entries {
		e, err := entries[i].entry()
		if err != nil {
			return err
		}
		f.Waitlist = append(f.Waitlist, e)
	}
	var holds []holdRow
	err := t.SelectContext(ctx, &holds, `SELECT `+holdColumns+` FROM holds WHERE patient_id = ? ORDER BY id`, id)
	for _, r := range holds {
		f.Holds = append(f.Holds, r.hold())
	}
	return err
}

func readAuditOf(ctx context.Context, t *snapshot, id int64, f *PatientFile) error {
	var err error
	f.Audit, err = readAudit(ctx, t, AuditQuery{PatientID: id, Limit: maxExportedAudit - 1})
	slices.Reverse(f.Audit)
	// A list also showed other patients, whose identity this patient must not learn.
	own := append([]clinic.Patient{f.Patient}, f.Merged...)
	for i := range f.Audit {
		f.Audit[i].PatientIDs = slices.DeleteFunc(f.Audit[i].PatientIDs, func(id int64) bool {
			return !slices.ContainsFunc(own, func(p clinic.Patient) bool { return p.ID == id })
		})
	}
	return err
}

// ErasePatient removes everything that identifies a patient, and all notes, from the record
// and those merged into it. Appointments stay, anonymous. Deleting the patient's secret makes
// the private values of the audit trail unreadable; its entries and their chain stay.
//
// Statements, in lock order: write the patient's guard row, lock the records, read what is
// still open, then erase, table by table.
//
// Errors: clinic.ErrPatientNotFound, clinic.CodePatientMerged,
// clinic.ErrHasOpenAppointments.
func (s *Store) ErasePatient(ctx context.Context, req Request, id int64, reason string) (clinic.Patient, error) {
	reason, err := clinic.ErasureReason(reason)
	if err != nil {
		return clinic.Patient{}, err
	}
	return s.erasePatient(ctx, req, erasure{id: id, reason: reason})
}

// erasure says which patient to erase, and why.
type erasure struct {
	id       int64
	reason   string
	withOpen bool // even if appointments, tickets or offers are open
}

func (s *Store) erasePatient(ctx context.Context, req Request, e erasure) (clinic.Patient, error) {
	id := e.id
	var p clinic.Patient
	err := s.inTx(ctx, req, "erase patient", func(t *tx) error {
		if exists, err := t.guardPatient(ctx, id); err != nil || !exists {
			return firstError(err, clinic.ErrPatientNotFound)
		}
		var ids []int64
		err := t.SelectContext(ctx, &ids, `SELECT id FROM patients WHERE id = ? OR merged_into = ? ORDER BY id FOR UPDATE`, id, id)
		if err != nil {
			return err
		}
		var open bool
		err = t.GetContext(ctx, &open, `
			SELECT EXISTS (SELECT 1 FROM appointments WHERE patient_id = ? AND status IN ('scheduled', 'confirmed', 'checked_in', 'in_progress'))
			    OR EXISTS (SELECT 1 FROM waitlist WHERE patient_id = ? AND status = 'offered')
			    OR EXISTS (SELECT 1 FROM tickets WHERE patient_id = ? AND status IN ('waiting', 'called', 'in_progress'))`, id, id, id)
		if err != nil {
			return err
		}
		if open && !e.withOpen {
			return clinic.ErrHasOpenAppointments
		}
		for _, each := range ids {
			if err := freeHoldsOf(ctx, t, "patient_id", each); err != nil {
				return err
			}
		}
		if err := t.announcePatientRecords(ctx, true, ids...); err != nil {
			return err
		}
		for _, other := range ids {
			if other != id {
				t.announce(clinic.Touched(clinic.KindPatient, other, nil))
			}
		}
		if err := t.erase(ctx, ids); err != nil {
			return err
		}
		query, args, err := sqlx.In(`UPDATE patients SET erased_at = ?, updated_at = ? WHERE id IN (?)`, t.now, t.now, ids)
		if err != nil {
			return err
		}
		if _, err := t.exec(ctx, query, args...); err != nil {
			return err
		}
		var row patientRow
		if err := t.GetContext(ctx, &row, `SELECT `+patientColumns+` FROM patients WHERE id = ?`, id); err != nil {
			return err
		}
		p = row.patient()
		t.record(clinic.Touched(clinic.KindPatient, id, clinic.Members{"erased_at": t.now}).Because(e.reason))
		return nil
	}, &p)
	return p, err
}
