package store

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// maxAttempts bounds how often a transaction is tried. The guard makes
// deadlocks rare on one server (none in the races measured); a cluster
// certifies at commit and may refuse several in a row.
const maxAttempts = 8

// tx is one attempt at a use case's transaction.
type tx struct {
	*sqlx.Tx
	now time.Time // the one instant of this attempt: UTC, whole microseconds
}

// errMoved asks for another attempt: what was read before the locks were taken
// is no longer so.
var errMoved = errors.New("changed while waiting for a lock")

// inTx runs body in a transaction and commits. body may run several times, so
// it must have no effect outside the transaction.
//
// It answers with clinic.ErrUnavailable when the database cannot be used and
// nothing was changed, and with clinic.ErrOutcomeUnknown when the connection
// was lost while COMMIT was under way. The second is never tried again here:
// the change may have been made, and repeating it would answer a caller that
// its own booking is in the way.
func (s *Store) inTx(ctx context.Context, body func(*tx) error) error {
	for attempt := 1; ; attempt++ {
		err := s.attempt(ctx, body)
		if err == nil {
			return nil
		}
		if attempt == maxAttempts || !isTransient(err) {
			return translate(ctx, err)
		}
		s.log.DebugContext(ctx, "transaction tried again", "attempt", attempt, "cause", err)
		// Full jitter: two transactions that collided must not collide again.
		wait := rand.N(time.Millisecond << attempt) //nolint:gosec // G404: spreads load, guards nothing
		select {
		case <-ctx.Done():
			return translate(ctx, err)
		case <-time.After(wait):
		}
	}
}

func (s *Store) attempt(ctx context.Context, body func(*tx) error) error {
	t, err := s.db.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	if err := body(&tx{Tx: t, now: clinic.Instant(s.now())}); err != nil {
		_ = t.Rollback() // if it fails, the connection is gone and so is the transaction
		return err
	}
	err = t.Commit()
	if err == nil {
		return nil
	}
	var refused *mysql.MySQLError
	switch {
	case errors.As(err, &refused):
		return err // the server answered: it did not commit
	case errors.Is(err, sql.ErrTxDone), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err // COMMIT was never sent: database/sql had already rolled back
	default:
		return &clinic.Error{Code: clinic.CodeOutcomeUnknown, Cause: err}
	}
}

// exec runs a statement and answers with the number of rows it matched.
func (t *tx) exec(ctx context.Context, statement string, args ...any) (int64, error) {
	result, err := t.ExecContext(ctx, statement, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// insert runs an INSERT and answers with the id that the row was given.
func (t *tx) insert(ctx context.Context, statement string, args ...any) (int64, error) {
	result, err := t.ExecContext(ctx, statement, args...)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// Versions are those that a conditional change (If-Match) may be made on. Nil
// means any; empty and not nil means none.
type Versions []int64

func (v Versions) check(current int64) error {
	if v == nil {
		return nil
	}
	if slices.Contains(v, current) {
		return nil
	}
	return clinic.ErrPreconditionFailed
}

// minutes is a length as the tables keep it.
type minutes int64

func (m minutes) duration() time.Duration { return time.Duration(m) * time.Minute }
