package store

import (
	"context"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// recordKind says what the store does with the records of a kind; fields that do not apply
// are empty. kinds_test.go compares the table with clinic's and with the schema.
type recordKind struct {
	// table keeps the records.
	table string
	// read reads records for the feed.
	read recordReader
	// doctors selects the doctors whose guards a change of a record takes. Every
	// placeholder is the record's id.
	doctors string
	// cascade selects what is deleted with a record. A record that an appointment refers
	// to cannot be deleted.
	cascade []cascade
	// ofPatients selects the records of patients that change when they are merged or
	// erased, by columns id, doctor_id and made_by_key.
	ofPatients string
	// erasedWithPatient: erasing the patient deletes the records instead of changing them.
	erasedWithPatient bool
	// reassign makes the records of a duplicate the survivor's when patients are
	// merged. Each takes the survivor's id, the time if it sets updated_at, and the
	// duplicate's id.
	reassign []string
	// erase removes what identifies patients, and text about them, from the records.
	erase []string
}

// cascade selects the records of a kind that are deleted with another record, by its id:
// columns id, doctor_id and made_by_key.
type cascade struct {
	clinic.Kind

	query string
}

// kinds is the store's half of what depends on a record's kind. clinic/kind.go has the other
// half: the permission, the patient and the audience.
var kinds = map[clinic.Kind]recordKind{
	clinic.KindAppointment: {
		table: "appointments", read: readAppointmentRecords,
		doctors:    `SELECT doctor_id FROM appointments WHERE id = ?`,
		ofPatients: `SELECT id, doctor_id, made_by_key FROM appointments WHERE patient_id IN (?)`,
		// Overridden overlaps come last: the backstop does not check against them.
		reassign: []string{`UPDATE appointments SET patient_id = ?, version = version + 1, updated_at = ? WHERE patient_id = ? ORDER BY patient_overbooked, id`},
		erase: []string{
			`UPDATE appointment_events SET note = NULL WHERE note IS NOT NULL
			 AND appointment_id IN (SELECT id FROM appointments WHERE patient_id IN (?))`,
			`UPDATE appointment_event_overrides SET reason = 'erased'
			 WHERE appointment_id IN (SELECT id FROM appointments WHERE patient_id IN (?))`,
			`UPDATE appointments
			 SET reason = NULL, note = NULL, cancellation_note = NULL,
			     override_reason = IF(override_reason IS NULL, NULL, 'erased')
			 WHERE patient_id IN (?)`,
		},
	},
	clinic.KindSeries: {
		table: "appointment_series", read: readSeriesRecords,
		doctors: `SELECT doctor_id FROM appointment_series WHERE id = ?
			UNION SELECT doctor_id FROM appointments WHERE series_id = ?`, // index appointments_series
		ofPatients: `SELECT id, doctor_id, made_by_key FROM appointment_series WHERE patient_id IN (?)`,
		reassign:   []string{`UPDATE appointment_series SET patient_id = ?, version = version + 1, updated_at = ? WHERE patient_id = ?`},
	},
	clinic.KindTicket: {
		table: "tickets", read: readTicketRecords,
		doctors: `SELECT doctor_id FROM tickets WHERE id = ?
			UNION SELECT a.doctor_id FROM tickets AS k JOIN appointments AS a ON a.id = k.appointment_id WHERE k.id = ?`,
		ofPatients: `SELECT id, doctor_id, NULL AS made_by_key FROM tickets WHERE patient_id IN (?)`,
		reassign:   []string{`UPDATE tickets SET patient_id = ?, version = version + 1, updated_at = ? WHERE patient_id = ?`},
		erase:      []string{`UPDATE tickets SET note = NULL WHERE patient_id IN (?)`},
	},
	clinic.KindWaitlistEntry: {
		table: "waitlist", read: readWaitlistRecords,
		doctors:    `SELECT offered_doctor FROM waitlist WHERE id = ? AND offered_doctor IS NOT NULL`,
		ofPatients: `SELECT id, NULL AS doctor_id, made_by_key FROM waitlist WHERE patient_id IN (?)`,
		reassign:   []string{`UPDATE waitlist SET patient_id = ?, version = version + 1, updated_at = ? WHERE patient_id = ?`},
		erase:      []string{`UPDATE waitlist SET note = NULL, status = IF(status = 'waiting', 'withdrawn', status) WHERE patient_id IN (?)`},
	},
	clinic.KindHold: {
		table: "holds", read: readHoldRecords,
		doctors:    `SELECT doctor_id FROM holds WHERE id = ?`,
		ofPatients: `SELECT id, doctor_id, made_by_key FROM holds WHERE patient_id IN (?)`, erasedWithPatient: true,
		reassign: []string{`UPDATE holds SET patient_id = ? WHERE patient_id = ?`},
		erase:    []string{`DELETE FROM holds WHERE patient_id IN (?)`},
	},
	clinic.KindPatient: {
		table: "patients", read: readPatientRecords,
		cascade: []cascade{
			{clinic.KindHold, `SELECT id, doctor_id, made_by_key FROM holds WHERE patient_id = ?`},
			{clinic.KindWaitlistEntry, `SELECT id, NULL AS doctor_id, made_by_key FROM waitlist WHERE patient_id = ?`},
		},
		reassign: []string{
			`UPDATE patient_identifiers SET patient_id = ? WHERE patient_id = ?`,
			`UPDATE patients SET merged_into = ? WHERE merged_into = ?`, // those merged into the duplicate before
		},
		erase: []string{
			`UPDATE patients
			 SET first_name = 'Erased', last_name = 'Patient', email = NULL, email_key = NULL, phone = NULL, phone_key = NULL,
			     birth_date = NULL, version = version + 1, keys_of = version
			 WHERE id IN (?)`,
			`DELETE FROM patient_identifiers WHERE patient_id IN (?)`,
			`DELETE FROM patient_names WHERE patient_id IN (?)`,
			`DELETE FROM idempotency_keys WHERE patient_id IN (?)`,
			`DELETE FROM patient_secrets WHERE patient_id IN (?)`,
		},
	},
	clinic.KindDoctor: {
		table: "doctors", read: readDoctorRecords,
		cascade: []cascade{
			{clinic.KindWorkingHours, `SELECT id, id AS doctor_id, NULL AS made_by_key FROM doctors WHERE id = ?`},
			{clinic.KindTimeOff, `SELECT id, doctor_id, NULL AS made_by_key FROM time_off WHERE doctor_id = ?`},
			{clinic.KindHold, `SELECT id, doctor_id, made_by_key FROM holds WHERE doctor_id = ?`},
			{clinic.KindPlan, `SELECT id, doctor_id, NULL AS made_by_key FROM plans WHERE doctor_id = ? ORDER BY id`},
			{clinic.KindAPIKey, `SELECT id, doctor_id, NULL AS made_by_key FROM api_keys WHERE doctor_id = ? ORDER BY id`},
			{clinic.KindCalendarFeed, `SELECT id, doctor_id, NULL AS made_by_key FROM calendar_feeds WHERE doctor_id = ? ORDER BY id`},
		},
	},
	clinic.KindRoom: {
		table: "rooms", read: readRoomRecords,
		cascade: []cascade{{clinic.KindHold, `SELECT id, doctor_id, made_by_key FROM holds WHERE room_id = ?`}},
	},
	clinic.KindAppointmentType: {
		table: "appointment_types", read: readTypeRecords,
		cascade: []cascade{
			{clinic.KindHold, `SELECT id, doctor_id, made_by_key FROM holds WHERE type_id = ?`},
			{clinic.KindWaitlistEntry, `SELECT id, NULL AS doctor_id, made_by_key FROM waitlist WHERE type_id = ?`},
		},
	},
	clinic.KindWorkingHours: {table: "working_hours", read: readHoursRecords},
	clinic.KindTimeOff:      {table: "time_off", read: readTimeOffRecords},
	clinic.KindClosure:      {table: "closures", read: readClosureRecords},
	clinic.KindPlan: {
		table: "plans",
		doctors: `SELECT doctor_id FROM plans WHERE id = ?
			UNION SELECT doctor_id FROM plan_items WHERE plan_id = ? AND doctor_id IS NOT NULL`,
	},
	clinic.KindAPIKey:       {table: "api_keys"},
	clinic.KindCalendarFeed: {table: "calendar_feeds"},
	clinic.KindWebhook:      {table: "webhooks"},
	clinic.KindChange:       {table: "changes"},
	clinic.KindAuditEntry:   {table: "audit_entries"},
	clinic.KindAuditChain:   {table: "audit_chains"},
	clinic.KindClinicZone:   {table: "clinic_zone"},
}

// recordCascade records the records that are about to be deleted with another one.
func (t *tx) recordCascade(ctx context.Context, kind clinic.Kind, id int64) error {
	for _, c := range kinds[kind].cascade {
		if c.InFeed() {
			if err := t.announceRows(ctx, c.Kind, clinic.VerbDeleted, c.query, id); err != nil {
				return err
			}
			continue
		}
		var rows []changeRow
		if err := t.SelectContext(ctx, &rows, c.query, id); err != nil {
			return err
		}
		for _, r := range rows {
			t.record(clinic.Deleted(c.Kind, r.ID, clinic.Members{"doctor_id": r.DoctorID}))
		}
	}
	return nil
}

// announcePatientRecords announces that the records of patients are about to change;
// erased deletes some of them.
func (t *tx) announcePatientRecords(ctx context.Context, erased bool, ids ...int64) error {
	for _, kind := range clinic.Kinds() {
		k := kinds[kind]
		if k.ofPatients == "" {
			continue
		}
		verb := clinic.VerbUpdated
		if erased && k.erasedWithPatient {
			verb = clinic.VerbDeleted
		}
		if err := t.announceRows(ctx, kind, verb, k.ofPatients, ids); err != nil {
			return err
		}
	}
	return nil
}

// reassign changes the owner of a duplicate's records to the survivor.
func (t *tx) reassign(ctx context.Context, survivor, duplicate int64) error {
	for _, kind := range clinic.Kinds() {
		for _, statement := range kinds[kind].reassign {
			args := []any{survivor, t.now, duplicate}
			if !strings.Contains(statement, "updated_at") {
				args = []any{survivor, duplicate}
			}
			if _, err := t.exec(ctx, statement, args...); err != nil {
				return err
			}
		}
	}
	return nil
}

// erase removes what identifies patients from all records.
func (t *tx) erase(ctx context.Context, patients []int64) error {
	for _, kind := range clinic.Kinds() {
		for _, statement := range kinds[kind].erase {
			query, args, err := sqlx.In(statement, patients)
			if err != nil {
				return err
			}
			if _, err := t.exec(ctx, query, args...); err != nil {
				return err
			}
		}
	}
	return nil
}

// DoctorsOf returns the doctors in whose calendars a record is, so that changes of
// one doctor can be queued; none for a record that does not exist. It takes no locks and is
// not authorised, because the change itself checks again. Primary keys.
func (s *Store) DoctorsOf(ctx context.Context, kind clinic.Kind, id int64) ([]int64, error) {
	statement := kinds[kind].doctors
	var doctors []int64
	err := s.db.SelectContext(ctx, &doctors, statement, slices.Repeat([]any{id}, strings.Count(statement, "?"))...)
	return doctors, translate(ctx, "read doctors of a record", err)
}

// Connections returns the maximum number of connections of the pool.
func (s *Store) Connections() int { return s.db.Stats().MaxOpenConnections }
