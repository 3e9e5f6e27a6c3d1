package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/auditchain"
	"mems/internal/clinic"
)

// AuditQuery chooses a page of the audit trail; zero values do not narrow it.
type AuditQuery struct {
	PatientID int64
	Subject   string
	Operation string
	From, To  *time.Time
	Before    int64 // id of the last item of the page before; 0: first page
	Limit     int
	first     int64 // no entry before it: From, as an id
}

// ListAudit reads a page of the audit trail, newest first. Indexes: the
// primary key backwards, audit_entries_subject, audit_entries_operation, and those of
// auditOfPatientSQL.
func (s *Store) ListAudit(ctx context.Context, q AuditQuery) (Page[clinic.AuditEntry], error) {
	items, err := readAudit(ctx, s.db, q)
	if err != nil {
		return Page[clinic.AuditEntry]{}, translate(ctx, "list audit entries", err)
	}
	p := page(items, q.Limit)
	var patients []int64
	for _, e := range p.Items {
		if e.PatientID != nil && !slices.Contains(patients, *e.PatientID) {
			patients = append(patients, *e.PatientID)
		}
	}
	return p, s.recordRead(ctx, clinic.KindAuditEntry, 0, patients...)
}

// readAudit reads a page and one entry more, if there is one.
func readAudit(ctx context.Context, db sqlx.QueryerContext, q AuditQuery) ([]clinic.AuditEntry, error) {
	if err := q.boundIDs(ctx, db); err != nil {
		return nil, err
	}
	statement, args := q.listSQL()
	if q.PatientID != 0 {
		records, err := recordsOf(ctx, db, q.PatientID)
		if err != nil {
			return nil, err
		}
		// Before the entries: what is indexed between the two reads is then found twice,
		// and shown once.
		var indexed int64
		if err := sqlx.GetContext(ctx, db, &indexed, `SELECT indexed_to FROM audit_index WHERE id = 1`); err != nil {
			return nil, err
		}
		statement, args = q.ofPatientSQL(records, indexed)
	}
	var rows []struct {
		auditchain.Entry
		Key []byte `db:"patient_secret"`
	}
	err := sqlx.SelectContext(ctx, db, &rows, statement, args...)
	items := make([]clinic.AuditEntry, len(rows))
	for i := range rows {
		items[i] = entryOf(&rows[i].Entry, rows[i].Key)
	}
	return items, err
}

// clockSkew is by how much the clocks of two processes may differ for their entries to
// be found by time.
const clockSkew = 24 * time.Hour

// boundIDs turns the bounds of time into bounds of ids, with room for clocks that
// differ: entries are read by id, and those of a month years ago would otherwise be
// reached by way of all since. Index audit_entries_at, one row each.
func (q *AuditQuery) boundIDs(ctx context.Context, db sqlx.QueryerContext) error {
	first := func(at time.Time) (id int64, err error) {
		err = sqlx.GetContext(ctx, db, &id, `SELECT id FROM audit_entries WHERE at >= ? ORDER BY at, id LIMIT 1`, at)
		if errors.Is(err, sql.ErrNoRows) {
			return 0, nil
		}
		return id, err
	}
	var err error
	if q.From != nil {
		if q.first, err = first(q.From.Add(-clockSkew)); err != nil {
			return err
		}
	}
	if q.To != nil {
		var id int64
		if id, err = first(q.To.Add(clockSkew)); err == nil && id != 0 && (q.Before == 0 || id < q.Before) {
			q.Before = id
		}
	}
	return err
}

// narrow lists the conditions of a query, but for the patient; id is the column that
// the order is by.
func (q *AuditQuery) narrow(id string) (string, []any) {
	where, args := []string{`TRUE`}, []any{}
	and := func(condition string, value any) {
		where = append(where, condition)
		args = append(args, value)
	}
	if q.Before != 0 {
		and(id+` < ?`, q.Before)
	}
	if q.first != 0 {
		and(id+` >= ?`, q.first)
	}
	if q.Subject != "" {
		and(`e.subject = ?`, q.Subject)
	}
	if q.Operation != "" {
		and(`e.operation = ?`, q.Operation)
	}
	if q.From != nil {
		and(`e.at >= ?`, *q.From)
	}
	if q.To != nil {
		and(`e.at < ?`, *q.To)
	}
	return strings.Join(where, ` AND `), args
}

// auditPageSQL reads entries with the key of the patient.
const auditPageSQL = `
	SELECT e.id, e.chain, e.seq, e.at, e.subject, e.address, e.request_id, e.operation, e.action, e.object, e.object_id,
	       e.patient_id, e.patient_ids, e.details, e.secret, e.mac_key, e.hash, p.secret AS patient_secret
	FROM audit_entries AS e
	LEFT JOIN patient_secrets AS p ON p.patient_id = e.patient_id`

// idsSQL finds a page of entries of whatever patient.
//
// Safety: the text is put together from constants; every value is an argument.
func (q *AuditQuery) idsSQL() (string, []any) {
	where, args := q.narrow(`e.id`)
	return `SELECT e.id FROM audit_entries AS e WHERE ` + where + ` ORDER BY e.id DESC LIMIT ?`, append(args, q.Limit+1)
}

// listSQL reads the entries of idsSQL: with the patients' keys joined at once, MySQL
// would sort all that match.
func (q *AuditQuery) listSQL() (string, []any) {
	ids, args := q.idsSQL()
	return auditPageSQL + ` JOIN (` + ids + `) AS found ON found.id = e.id ORDER BY e.id DESC`, args
}

// ofPatientSQL reads the entries about a patient, whose records these are: each
// record's newest by the primary key of audit_patients, those that are not indexed yet
// by the primary key of the trail, or by audit_entries_patient. Each part ends with the
// page, so that nothing grows with what a patient has behind him.
//
// Safety: as idsSQL.
func (q *AuditQuery) ofPatientSQL(records []int64, indexed int64) (string, []any) {
	var parts []string
	var args []any
	part := func(text, id string, values ...any) {
		where, narrow := q.narrow(id)
		parts = append(parts, `(`+text+` AND `+where+` ORDER BY `+id+` DESC LIMIT ?)`)
		args = append(append(append(args, values...), narrow...), q.Limit+1)
	}
	for _, record := range records {
		part(`SELECT a.entry_id AS id FROM audit_patients AS a STRAIGHT_JOIN audit_entries AS e ON e.id = a.entry_id
			WHERE a.patient_id = ?`, `a.entry_id`, record)
		part(`SELECT e.id FROM audit_entries AS e FORCE INDEX (audit_entries_patient)
			WHERE e.patient_id = ? AND e.id > ?`, `e.id`, record, indexed)
		part(`SELECT e.id FROM audit_entries AS e FORCE INDEX (PRIMARY)
			WHERE e.id > ? AND e.patient_ids IS NOT NULL AND JSON_CONTAINS(e.patient_ids, CAST(? AS CHAR))`, `e.id`, indexed, record)
	}
	return auditPageSQL + ` JOIN (` + strings.Join(parts, ` UNION `) + `) AS found ON found.id = e.id
		ORDER BY e.id DESC LIMIT ?`, append(args, q.Limit+1)
}

// entry opens a row with the patient's key, nil when it is gone.
func entryOf(r *auditchain.Entry, key []byte) clinic.AuditEntry {
	e := clinic.AuditEntry{
		ID: r.ID, At: r.At, Subject: r.Subject, Address: r.Address, RequestID: r.RequestID, Operation: r.Operation,
		Action: clinic.AuditAction(r.Action), Object: r.Object, ObjectID: r.ObjectID, PatientID: r.PatientID,
	}
	if r.PatientIDs != nil {
		_ = json.Unmarshal([]byte(*r.PatientIDs), &e.PatientIDs) // if it was tampered with, "mems audit verify" says so
	}
	plain := r.Details
	if r.Secret {
		var err error
		if plain, err = auditchain.Decrypt(key, r.Details); err != nil {
			e.Erased = true
			return e
		}
	}
	if plain != nil {
		var d details
		_ = json.Unmarshal(plain, &d) // as above
		e.Reason, e.Changes = d.Reason, d.Changes
	}
	return e
}
