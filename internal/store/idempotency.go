package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"mems/internal/auditchain"
	"mems/internal/clinic"
)

// IdempotencyKeyLife is how long the response to a request with an idempotency key is kept.
const IdempotencyKeyLife = 24 * time.Hour

// IdempotencyKey is a client's idempotency key with the request that it was sent with.
type IdempotencyKey struct {
	Key     string   // the Idempotency-Key header
	Request [32]byte // hash of what is requested
}

// id returns what the key is found by. The key itself is not stored, because it decrypts
// the response.
func (k *IdempotencyKey) id() []byte {
	hash := sha256.Sum256([]byte("mems idempotency key\n" + k.Key))
	return hash[:]
}

// secret returns the secret that a caller's response is encrypted with.
func (k *IdempotencyKey) secret(caller string) []byte {
	hash := sha256.Sum256([]byte("mems idempotency answer\n" + caller + "\n" + k.Key))
	return hash[:]
}

// claimIdempotencyKey makes t the transaction that executes the request, or, if another one
// has done so, fills in its answer and reports that it was replayed. The claim is invisible
// to others before the commit, and the answer is committed together with the change, so a
// process that dies in between leaves neither.
//
// Statements: find the key (locking, without waiting), insert it. Primary key.
//
// Errors: clinic.ErrIdempotencyReused, clinic.ErrIdempotencyInUse, and a replayed refusal.
func claimIdempotencyKey(ctx context.Context, t *tx, key *IdempotencyKey, answer []any) (replayed bool, err error) {
	caller := t.req.Access.Subject
	var row struct {
		Request   []byte    `db:"request"`
		Answer    []byte    `db:"answer"`
		Refused   bool      `db:"refused"`
		CreatedAt time.Time `db:"created_at"`
	}
	err = t.GetContext(ctx, &row, `
		SELECT request, answer, refused, created_at
		FROM idempotency_keys
		WHERE caller = ? AND id_key = ?
		FOR UPDATE NOWAIT`, caller, key.id())
	locked, refused := errors.AsType[*mysql.MySQLError](err)
	switch {
	case refused && (locked.Number == 3572 || locked.Number == 1205): // MySQL, MariaDB: another request has the lock
		return false, clinic.ErrIdempotencyInUse
	case errors.Is(err, sql.ErrNoRows):
		_, err = t.ExecContext(ctx, `INSERT INTO idempotency_keys (caller, id_key, request, created_at) VALUES (?, ?, ?, ?)`,
			caller, key.id(), key.Request[:], t.now)
		if isDuplicate(err) {
			return false, errStale // committed since; the next attempt finds it
		}
		return false, err
	case err != nil:
		return false, err
	case !row.CreatedAt.After(t.now.Add(-IdempotencyKeyLife)):
		_, err = t.ExecContext(ctx, `
			UPDATE idempotency_keys
			SET request = ?, answer = NULL, refused = 0, patient_id = NULL, created_at = ?
			WHERE caller = ? AND id_key = ?`, key.Request[:], t.now, caller, key.id())
		return false, err
	case [32]byte(row.Request) != key.Request:
		return false, clinic.ErrIdempotencyReused
	}
	return true, readAnswer(key, caller, row.Answer, row.Refused, answer)
}

// replayedAnswer fills in the stored answer to a request that was executed before, and
// reports whether there is one. It does not lock: it is for a use case of several
// transactions, the last of which stores the answer.
func (s *Store) replayedAnswer(ctx context.Context, req Request, answer ...any) (bool, error) {
	key := req.Idempotency
	if key == nil {
		return false, nil
	}
	caller := req.Access.Subject
	var row struct {
		Request []byte `db:"request"`
		Answer  []byte `db:"answer"`
		Refused bool   `db:"refused"`
	}
	err := s.db.GetContext(ctx, &row, `
		SELECT request, answer, refused
		FROM idempotency_keys
		WHERE caller = ? AND id_key = ? AND created_at > ?`, caller, key.id(), clinic.Instant(s.now()).Add(-IdempotencyKeyLife))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, translate(ctx, "read answer to idempotency key", err)
	case [32]byte(row.Request) != key.Request:
		return false, clinic.ErrIdempotencyReused
	}
	return true, readAnswer(key, caller, row.Answer, row.Refused, answer)
}

// replay is a replayed refusal.
type replay struct{ error }

func (r replay) Unwrap() error { return r.error }

// readAnswer decrypts a stored answer into answer, or returns it if it is a refusal.
func readAnswer(key *IdempotencyKey, caller string, sealed []byte, refused bool, answer []any) error {
	plain, err := auditchain.Decrypt(key.secret(caller), sealed)
	if err != nil {
		return err
	}
	if refused {
		refusal := &clinic.Error{}
		if err := json.Unmarshal(plain, refusal); err != nil {
			return err
		}
		return replay{refusal}
	}
	return json.Unmarshal(plain, &answer)
}

// storeAnswer stores the answer to the request of a claimed key.
func storeAnswer(ctx context.Context, t *tx, key *IdempotencyKey, answer []any) error {
	caller := t.req.Access.Subject
	sealed, err := key.seal(caller, answer)
	if err != nil {
		return err
	}
	_, err = t.ExecContext(ctx, `UPDATE idempotency_keys SET answer = ?, patient_id = ? WHERE caller = ? AND id_key = ?`,
		sealed, t.patient(), caller, key.id())
	return err
}

// newAnswer is an answer to a request whose key is not known yet.
type newAnswer struct {
	req     Request // has a key
	answer  any     // *clinic.Error for a refusal
	refused bool
	patient *int64 // whom the request concerns
}

// insertAnswers stores answers by one statement. It fails if one of the keys is known. Primary key.
func insertAnswers(ctx context.Context, t *tx, all []newAnswer) error {
	if len(all) == 0 {
		return nil
	}
	var args []any
	for _, a := range all {
		caller, key := a.req.Access.Subject, a.req.Idempotency
		sealed, err := key.seal(caller, a.answer)
		if err != nil {
			return err
		}
		args = append(args, caller, key.id(), key.Request[:], sealed, a.refused, a.patient, t.now)
	}
	_, err := t.ExecContext(ctx, `
		INSERT INTO idempotency_keys (caller, id_key, request, answer, refused, patient_id, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?)`+strings.Repeat(`, (?, ?, ?, ?, ?, ?, ?)`, len(all)-1), args...)
	return err
}

// seal returns an answer as it is stored.
func (k *IdempotencyKey) seal(caller string, answer any) ([]byte, error) {
	plain, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	return auditchain.Encrypt(k.secret(caller), plain)
}

// patient returns the patient whom the transaction concerns, nil for none.
func (t *tx) patient() *int64 {
	var patient *int64
	for _, e := range t.trail {
		if e.PatientID != nil {
			patient = e.PatientID
		}
	}
	return patient
}

// isAnswer reports whether an error is a decision about the request, which is the answer to
// its retries, too.
func isAnswer(err error) bool {
	refusal, ok := errors.AsType[*clinic.Error](err)
	if !ok || errors.As(err, &replay{}) {
		return false
	}
	switch refusal.Code {
	case clinic.CodeUnavailable, clinic.CodeOutcomeUnknown, clinic.CodeIdempotencyKeyInUse, clinic.CodeIdempotencyKeyReused:
		return false
	default:
		return true
	}
}

// storeRefusal stores a refusal as the answer to the request and returns it. If another
// request with the same key has been answered meanwhile, that answer is replayed instead.
func (s *Store) storeRefusal(ctx context.Context, req Request, refusal error, answer []any) error {
	key := req.Idempotency
	_, err := s.try(ctx, req, useCase{act: "store refusal for idempotency key", body: func(t *tx) error {
		if replayed, err := claimIdempotencyKey(ctx, t, key, answer); err != nil || replayed {
			return firstError(err, errReplayed)
		}
		caller := req.Access.Subject
		known, _ := errors.AsType[*clinic.Error](refusal)
		sealed, err := key.seal(caller, known)
		if err != nil {
			return err
		}
		_, err = t.ExecContext(ctx, `UPDATE idempotency_keys SET answer = ?, refused = 1 WHERE caller = ? AND id_key = ?`,
			sealed, caller, key.id())
		return err
	}}, nil)
	switch {
	case err == nil:
		return refusal
	case errors.Is(err, errReplayed):
		return nil
	}
	return err
}

// errReplayed rolls back a transaction that found a stored answer.
var errReplayed = errors.New("answer replayed")

// DeleteExpiredIdempotencyKeys deletes expired answers, at most 1000, and returns their
// number.
func (s *Store) DeleteExpiredIdempotencyKeys(ctx context.Context) (int64, error) {
	// Index idempotency_keys_age.
	result, err := s.db.ExecContext(ctx, `DELETE FROM idempotency_keys WHERE created_at < ? ORDER BY created_at LIMIT 1000`,
		clinic.Instant(s.now()).Add(-IdempotencyKeyLife))
	if err != nil {
		return 0, translate(ctx, "delete expired idempotency keys", err)
	}
	return result.RowsAffected()
}
