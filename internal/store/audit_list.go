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

// AuditQuery selects a page of the audit trail; zero values do not restrict it.
type AuditQuery struct {
	PatientID int64
	Subject   string
	Operation string
	From, To  *time.Time
	Before    int64 // id of the previous page's last item; 0: first page
	Limit     int
	first     int64 // the smallest id to read: From as an id
}

// ListAuditEntries returns a page of the audit trail, newest first. Indexes: the primary key
// backwards, audit_entries_subject, audit_entries_operation, and those of
// auditOfPatientSQL.
func (s *Store) ListAuditEntries(ctx context.Context, req Request, q AuditQuery) (Page[clinic.AuditEntry], error) {
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
	return p, s.recordRead(ctx, req, clinic.KindAuditEntry, 0, patients...)
}

// readAudit returns a page and one more entry, if there is one.
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
		// Read this before the entries: an entry indexed between the two reads is then found
		// twice, and shown once.
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

// clockSkew is the tolerated difference between processes' clocks in searches by time.
const clockSkew = 24 * time.Hour

// boundIDs converts time bounds to id bounds, with a margin for clock skew: entries are
// read by id, so a month years ago would otherwise be reached by reading everything since.
// Index audit_entries_at, one row each.
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

// narrow returns the conditions of a query except the patient's; id is the column of the
// order.
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

// auditPageSQL selects entries with the patient's key.
const auditPageSQL = `
	SELECT e.id, e.chain, e.seq, e.at, e.subject, e.address, e.request_id, e.operation, e.action, e.object, e.object_id,
	       e.patient_id, e.patient_ids, e.details, e.secret, e.mac_key, e.hash, p.secret AS patient_secret
	FROM audit_entries AS e
	LEFT JOIN patient_secrets AS p ON p.patient_id = e.patient_id`

// idsSQL selects the ids of a page of entries of any patient.
//
// Safety: the text is put together from constants; every value is an argument.
func (q *AuditQuery) idsSQL() (string, []any) {
	where, args := q.narrow(`e.id`)
	return `SELECT e.id FROM audit_entries AS e WHERE ` + where + ` ORDER BY e.id DESC LIMIT ?`, append(args, q.Limit+1)
}

// listSQL selects the entries of idsSQL. If it joined the patients' keys directly, MySQL
// would sort all matching entries.
func (q *AuditQuery) listSQL() (string, []any) {
	ids, args := q.idsSQL()
	return auditPageSQL + ` JOIN (` + ids + `) AS found ON found.id = e.id ORDER BY e.id DESC`, args
}

// ofPatientSQL selects the entries about a patient with these records: each record's newest
// by the primary key of audit_patients, those not indexed yet by the primary key of the
// trail, or by audit_entries_patient. Each part is limited to a page, so the cost does not
// grow with a patient's history.
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

// entry decrypts a row with the patient's key, nil after an erasure.
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
