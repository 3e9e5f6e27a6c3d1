package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/go-sql-driver/mysql"

	"mems/internal/auditchain"
	"mems/internal/clinic"
)

// KeyLife is how long the answer to a request with an idempotency key is kept.
const KeyLife = 24 * time.Hour

// Once is what a client sends with a request that is to be done once.
type Once struct {
	Key     string   // the Idempotency-Key
	Request [32]byte // hash of what is asked for
}

type onceKey struct{}

// WithOnce puts an idempotency key into the context: the one store method that
// is called with it and answers the request is carried out once.
func WithOnce(ctx context.Context, o Once) context.Context {
	return context.WithValue(ctx, onceKey{}, &o)
}

func onceOf(ctx context.Context) *Once {
	once, _ := ctx.Value(onceKey{}).(*Once)
	return once
}

// id is what the key is found by. The key itself is not kept: it opens the
// answer.
func (o *Once) id() []byte {
	hash := sha256.Sum256([]byte("mems idempotency key\n" + o.Key))
	return hash[:]
}

func (o *Once) secret(caller string) []byte {
	hash := sha256.Sum256([]byte("mems idempotency answer\n" + caller + "\n" + o.Key))
	return hash[:]
}

// claimKey makes this transaction the one that carries the request out, or gives
// the answer of the one that did. A claim is seen by nobody before the commit,
// and an answer is committed together with what it says; so a process that dies
// in between leaves neither.
//
// Statements: find the key (locking, without waiting), insert it. Primary key.
//
// Errors: clinic.ErrIdempotencyReused, clinic.ErrIdempotencyInUse, and the
// refusal that was answered before.
func claimKey(ctx context.Context, t *tx, once *Once, answer []any) (given bool, err error) {
	caller := AccessOf(ctx).Subject
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
		FOR UPDATE NOWAIT`, caller, once.id())
	locked, refused := errors.AsType[*mysql.MySQLError](err)
	switch {
	case refused && (locked.Number == 3572 || locked.Number == 1205): // MySQL, MariaDB: somebody has the lock
		return false, clinic.ErrIdempotencyInUse
	case errors.Is(err, sql.ErrNoRows):
		_, err = t.ExecContext(ctx, `INSERT INTO idempotency_keys (caller, id_key, request, created_at) VALUES (?, ?, ?, ?)`,
			caller, once.id(), once.Request[:], t.now)
		if isDuplicate(err) {
			return false, errStale // committed since; the next attempt finds it
		}
		return false, err
	case err != nil:
		return false, err
	case !row.CreatedAt.After(t.now.Add(-KeyLife)):
		_, err = t.ExecContext(ctx, `
			UPDATE idempotency_keys
			SET request = ?, answer = NULL, refused = 0, patient_id = NULL, created_at = ?
			WHERE caller = ? AND id_key = ?`, once.Request[:], t.now, caller, once.id())
		return false, err
	case [32]byte(row.Request) != once.Request:
		return false, clinic.ErrIdempotencyReused
	}
	return true, readAnswer(once, caller, row.Answer, row.Refused, answer)
}

// given finds the answer to a request that was carried out before, without a
// lock: for a use case of more than one transaction, whose last one keeps it.
func (s *Store) given(ctx context.Context, answer ...any) (bool, error) {
	once := onceOf(ctx)
	if once == nil {
		return false, nil
	}
	caller := AccessOf(ctx).Subject
	var row struct {
		Request []byte `db:"request"`
		Answer  []byte `db:"answer"`
		Refused bool   `db:"refused"`
	}
	err := s.db.GetContext(ctx, &row, `
		SELECT request, answer, refused
		FROM idempotency_keys
		WHERE caller = ? AND id_key = ? AND created_at > ?`, caller, once.id(), clinic.Instant(s.now()).Add(-KeyLife))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, translate(ctx, "read answer to idempotency key", err)
	case [32]byte(row.Request) != once.Request:
		return false, clinic.ErrIdempotencyReused
	}
	return true, readAnswer(once, caller, row.Answer, row.Refused, answer)
}

// replay is a refusal that was answered before.
type replay struct{ error }

func (r replay) Unwrap() error { return r.error }

func readAnswer(once *Once, caller string, sealed []byte, refused bool, answer []any) error {
	plain, err := auditchain.Decrypt(once.secret(caller), sealed)
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

// keepAnswer keeps what the request is answered with.
func keepAnswer(ctx context.Context, t *tx, once *Once, answer []any) error {
	caller := AccessOf(ctx).Subject
	plain, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	sealed, err := auditchain.Encrypt(once.secret(caller), plain)
	if err != nil {
		return err
	}
	_, err = t.ExecContext(ctx, `UPDATE idempotency_keys SET answer = ?, patient_id = ? WHERE caller = ? AND id_key = ?`,
		sealed, t.patient(), caller, once.id())
	return err
}

// patient is whom the transaction concerns, nil for none or several.
func (t *tx) patient() *int64 {
	var patient *int64
	for _, e := range t.trail {
		if e.PatientID != nil {
			patient = e.PatientID
		}
	}
	return patient
}

// isAnswer reports whether an error is a decision, which is answered alike the
// next time, and not one that says nothing about the request.
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

// keepRefusal keeps a refusal as the answer. When another request with the same
// key was answered meanwhile, that answer holds for this one too.
func (s *Store) keepRefusal(ctx context.Context, once *Once, refusal error, answer []any) error {
	_, err := s.try(ctx, useCase{act: "store refusal for idempotency key", body: func(t *tx) error {
		if given, err := claimKey(ctx, t, once, answer); err != nil || given {
			return firstError(err, errGiven)
		}
		caller := AccessOf(ctx).Subject
		known, _ := errors.AsType[*clinic.Error](refusal)
		plain, err := json.Marshal(known)
		if err != nil {
			return err
		}
		sealed, err := auditchain.Encrypt(once.secret(caller), plain)
		if err != nil {
			return err
		}
		_, err = t.ExecContext(ctx, `UPDATE idempotency_keys SET answer = ?, refused = 1 WHERE caller = ? AND id_key = ?`,
			sealed, caller, once.id())
		return err
	}}, nil)
	switch {
	case err == nil:
		return refusal
	case errors.Is(err, errGiven):
		return nil
	}
	return err
}

// errGiven ends a transaction in which an answer was found.
var errGiven = errors.New("answered before")

// DeleteOldKeys deletes answers that are not kept any more, a bounded number,
// and returns how many.
func (s *Store) DeleteOldKeys(ctx context.Context) (int64, error) {
	// Index idempotency_keys_age.
	result, err := s.db.ExecContext(ctx, `DELETE FROM idempotency_keys WHERE created_at < ? ORDER BY created_at LIMIT 1000`,
		clinic.Instant(s.now()).Add(-KeyLife))
	if err != nil {
		return 0, translate(ctx, "delete old idempotency keys", err)
	}
	return result.RowsAffected()
}
