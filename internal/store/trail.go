package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/auditchain"
	"mems/internal/clinic"
)

// The audit trail is kept in chains: each entry's hash covers the entry and the
// hash before it. A chain belongs to one process, which lends it to one transaction at a
// time, so that writers never wait for each other; a process has as many chains as it had
// concurrent transactions. db/README.md says which tampering this detects.

// chainTip is the end of a chain that this process writes to.
type chainTip struct {
	auditchain.Tip

	sealed int64  // the seq in the chain's row
	data   string // installation.data_id; empty while a restore is not finished
}

// chainTips are the chains of this process.
type chainTips struct {
	mu   sync.Mutex
	free []*chainTip
	ends map[int64]chainTip // by chain, as of its last commit; sealed as of its last seal
	data string             // which the chains are of
}

// acquireChain lends a chain, a new one if all are in use. It is called before the transaction
// begins: acquiring a second connection within one could deadlock on an exhausted pool.
func (s *Store) acquireChain(ctx context.Context) (*chainTip, error) {
	s.chainTips.mu.Lock()
	if n := len(s.chainTips.free); n > 0 {
		st := s.chainTips.free[n-1]
		s.chainTips.free = s.chainTips.free[:n-1]
		s.chainTips.mu.Unlock()
		return st, nil
	}
	s.chainTips.mu.Unlock()
	return s.startChain(ctx)
}

// releaseChain returns a chain. A chain whose end is unknown, or that belongs to replaced
// data, is not used again.
func (s *Store) releaseChain(st *chainTip, usable bool) {
	s.chainTips.mu.Lock()
	defer s.chainTips.mu.Unlock()
	if st.data != s.chainTips.data {
		return
	}
	end := *st
	end.sealed = s.chainTips.ends[st.Chain].sealed
	s.chainTips.ends[st.Chain] = end
	if usable {
		s.chainTips.free = append(s.chainTips.free, st)
	}
}

// startChain begins a chain, bound to the one begun before it. Lock: the root's
// row, for this alone.
func (s *Store) startChain(ctx context.Context) (*chainTip, error) {
	t, err := s.db.BeginTxx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = t.Rollback() }() // no-op after a commit
	data, err := s.readDataID(ctx, t)
	if err != nil {
		return nil, err
	}
	if _, err := t.ExecContext(ctx, `UPDATE audit_chains SET sealed_seq = sealed_seq + 1 WHERE id = 1`); err != nil {
		return nil, err
	}
	var before []byte
	if err := t.GetContext(ctx, &before, `SELECT hash FROM audit_chains ORDER BY id DESC LIMIT 1`); err != nil {
		return nil, err
	}
	at := clinic.Instant(s.now())
	hash := auditchain.BeginHash(before, at, s.macKey)
	result, err := t.ExecContext(ctx, `INSERT INTO audit_chains (started_at, hash, sealed_hash) VALUES (?, ?, ?)`, at, hash, hash)
	if err != nil {
		return nil, err
	}
	id, err := result.LastInsertId()
	if err != nil {
		return nil, err
	}
	tip := &chainTip{Tip: auditchain.Tip{Chain: id, Begin: hash, Hash: hash}, data: data}
	if s.macKey.Keyed() {
		if err := s.sealStart(ctx, t, tip.Tip); err != nil {
			return nil, err
		}
	}
	if err := t.Commit(); err != nil {
		return nil, err
	}
	s.noticeData(ctx, data)
	return tip, nil
}

// auditColumns are those of auditchain.Entry.
const auditColumns = `id, chain, seq, at, subject, address, request_id, operation, action, object, object_id,
	patient_id, patient_ids, details, secret, mac_key, hash`

// details is what an entry says beyond who, what and when.
type details struct {
	Reason  *string               `json:"reason,omitempty"`
	Changes []clinic.MemberChange `json:"changes,omitempty"`
}

// newEntry returns an audit entry of the caller.
func newEntry(req Request, at time.Time) clinic.AuditEntry {
	a := req.Access
	e := clinic.AuditEntry{At: at, Subject: a.Subject, Operation: a.Operation}
	if a.Address.IsValid() {
		address := a.Address.Unmap().WithZone("").String()
		e.Address = &address
	}
	if a.RequestID != "" {
		e.RequestID = &a.RequestID
	}
	return e
}

// record records a change for the audit trail and, if the feed has its kind, for the feed.
// Both are written when the transaction commits.
func (t *tx) record(c clinic.ChangeRecord) {
	e := newEntry(t.req, t.now)
	e.Action, e.Object, e.Reason = c.Action, c.Kind.String(), c.Reason
	if c.ID != 0 {
		e.ObjectID = &c.ID
	}
	if patient := c.PatientID(); patient != 0 {
		e.PatientID = &patient
	}
	e.Changes = clinic.Diff(c.Before, c.After)
	t.trail = append(t.trail, e)
	if c.Kind.InFeed() {
		t.announce(c)
	}
}

// recordMany records one change of many records, for the audit trail only.
func (t *tx) recordMany(action clinic.AuditAction, kind clinic.Kind, patients []int64) {
	e := newEntry(t.req, t.now)
	e.Action, e.Object, e.PatientIDs = action, kind.String(), patients
	t.trail = append(t.trail, e)
}

// errUnrecorded reports a bug: a transaction changed something without recording it. It is
// rolled back.
var errUnrecorded = errors.New("store: a change without an entry in the audit trail")

// writeTrail appends the recorded entries to the chain, with one statement: the last one of its
// transaction, except for the answer to a request with an Idempotency-Key.
func (s *Store) writeTrail(ctx context.Context, t *tx, st *chainTip) (*chainTip, error) {
	if len(t.trail) == 0 {
		if t.wrote && !t.bookkeeping {
			return nil, errUnrecorded
		}
		return st, nil
	}
	rows := make([]auditchain.Entry, len(t.trail))
	for i := range t.trail {
		var err error
		if rows[i], err = s.seal(ctx, t, &t.trail[i]); err != nil {
			return nil, err
		}
	}
	return s.appendRows(ctx, t, st, rows)
}

// appendRows inserts entries at the end of a chain and returns its new end. Errors:
// errChainLost.
func (s *Store) appendRows(ctx context.Context, db sqlx.ExecerContext, st *chainTip, rows []auditchain.Entry) (*chainTip, error) {
	end := &chainTip{Tip: st.Tip, data: st.data}
	var args []any
	for i := range rows {
		r := &rows[i]
		end.Append(s.macKey, r)
		args = append(args, r.Chain)
		if i == 0 {
			args = append(args, st.data)
		}
		args = append(args, r.Seq, r.At, r.Subject, r.Address, r.RequestID, r.Operation, r.Action, r.Object, r.ObjectID,
			r.PatientID, r.PatientIDs, r.Details, r.Secret, r.MACKey, r.Hash)
	}
	// The first row has a chain only in the data that the chain was begun in: the
	// transaction keeps the tables from being dropped from here on.
	// Safety: the text is a constant and placeholders.
	_, err := db.ExecContext(ctx, `
		INSERT INTO audit_entries (chain, seq, at, subject, address, request_id, operation, action, object, object_id,
		                           patient_id, patient_ids, details, secret, mac_key, hash)
		VALUES ((SELECT ? FROM installation WHERE id = 1 AND COALESCE(data_id, '') = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`+
		strings.Repeat(`, (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, len(rows)-1), args...)
	if isNull(err) || isDuplicate(err) {
		err = fmt.Errorf("%w: %w", errChainLost, err)
	}
	return end, err
}

// seal returns the row of an entry. Private values are encrypted with the patient's own
// secret.
func (s *Store) seal(ctx context.Context, q secretKeeper, e *clinic.AuditEntry) (auditchain.Entry, error) {
	r := auditchain.Entry{
		At: e.At, Subject: e.Subject, Address: e.Address, RequestID: e.RequestID, Operation: e.Operation,
		Action: string(e.Action), Object: e.Object, ObjectID: e.ObjectID, PatientID: e.PatientID,
	}
	if len(e.PatientIDs) > 0 {
		ids := list(e.PatientIDs)
		r.PatientIDs = &ids
	}
	if e.Reason == nil && len(e.Changes) == 0 {
		return r, nil
	}
	var err error
	if r.Details, err = json.Marshal(details{e.Reason, e.Changes}); err != nil || !e.Private() {
		return r, err
	}
	secret, err := patientSecret(ctx, q, *e.PatientID)
	if err != nil {
		return r, err
	}
	r.Secret = true
	r.Details, err = auditchain.Encrypt(secret, r.Details)
	return r, err
}

type secretKeeper interface {
	sqlx.QueryerContext
	sqlx.ExecerContext
}

// patientSecret returns the secret that encrypts a patient's private values in the trail, and
// creates it when first needed. Primary key.
func patientSecret(ctx context.Context, q secretKeeper, patient int64) ([]byte, error) {
	var secret []byte
	err := sqlx.GetContext(ctx, q, &secret, `SELECT secret FROM patient_secrets WHERE patient_id = ?`, patient)
	if !errors.Is(err, sql.ErrNoRows) {
		return secret, err
	}
	secret = auditchain.NewSecret()
	_, err = q.ExecContext(ctx, `INSERT INTO patient_secrets (patient_id, secret) VALUES (?, ?)`, patient, secret)
	if isDuplicate(err) {
		return nil, errStale // another transaction created it meanwhile
	}
	return secret, err
}
