package store

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
	"mems/internal/database"
)

// maxAttempts bounds how often a transaction is tried. The guard makes
// deadlocks rare on one server (none in the races measured); a cluster
// certifies at commit and may refuse several in a row.
const maxAttempts = 8

// tx is one attempt at a use case's transaction.
type tx struct {
	queries

	begun *sqlx.Tx
	// observe is told how long the guards took.
	observe Observe
	// wrote says that something may have been changed, trail what has been.
	wrote bool
	// bookkeeping: what it writes may be nothing that the trail would tell.
	bookkeeping bool
	// unchanged: a patch left its record as it was, and the transaction is rolled back.
	unchanged bool
	// freed is to be offered to the waitlist after the commit.
	freed []freedTime
	trail []clinic.AuditEntry
	// changes are for the feed.
	changes  []clinic.FeedChange
	ofSeries []dateOfSeries // appointments among them
}

// errStale asks for another attempt: what was read before the locks were taken
// is no longer so.
var errStale = errors.New("changed while waiting for a lock")

// inTx runs body in a transaction and commits. body may run several times, so
// it must have no effect outside the transaction.
//
// It returns clinic.ErrUnavailable when the database cannot be used and
// nothing was changed, and with clinic.ErrOutcomeUnknown when the connection
// was lost while COMMIT was under way. The second is never tried again here:
// the change may have been made, and repeating it would answer a caller that
// its own booking is in the way.
//
// body must record every change; a transaction with unrecorded changes is rolled
// back. answer is what the caller receives, as pointers that body fills in: with an
// idempotency key it is stored in the same transaction, and a replayed key returns
// the stored answer without running body.
//
// act is what failed, in the errors that are no refusals: "create room".
func (s *Store) inTx(ctx context.Context, req Request, act string, body func(*tx) error, answer ...any) error {
	return s.runUseCase(ctx, req, useCase{act: act, body: body}, answer...)
}

// useCase is what runUseCase runs. body and explain may run several times, so they
// must have no effect outside of the transaction.
type useCase struct {
	act     string     // as in inTx
	wanted  wantedTime // zero: what is wanted is not known before body runs
	body    func(*tx) error
	explain func(*snapshot) error // nil: a refusal is final
	// batched is the booking that may be decided together with others; nil: none.
	batched *batchedBooking
	// shared says that the refusal of booking may be explained together with those of equal ones.
	shared  bool
	booking clinic.Booking
	// stored is set when a shared refusal has been stored under its idempotency key.
	stored *bool
	// offerLater puts off offering freed times until the caller does it: to the end of a
	// use case of several transactions, which may need the times itself.
	offerLater bool
}

// runUseCase is inTx with a choice of what happens around body. When body finds the slot
// taken, it is rolled back and explain decides again on a lock-free snapshot, with the
// same rules in the same order, and adds alternatives: searching under the guards would
// block every other request for that slot. When explain returns nil, the slot is free by
// now, and body runs again.
//
// When a slot of the doctor was taken lately and a plain read shows this one taken, too,
// the refusal is explain's alone, without guards and without a transaction that writes.
func (s *Store) runUseCase(ctx context.Context, req Request, u useCase, answer ...any) error {
	if err := req.check(); err != nil {
		return err
	}
	stored, freed := false, false
	u.stored = &stored
	refused, err := s.refuseEarly(ctx, req, u, answer)
	if !refused {
		freed, err = s.try(ctx, req, u, answer)
	}
	if u.wanted.doctor != 0 && isSlotConflict(err) {
		s.refused.note(u.wanted.doctor, clinic.Instant(s.now()))
	}
	if freed && !u.offerLater {
		s.offerAfterCommit(ctx, req)
	}
	if req.Idempotency != nil && len(answer) > 0 && isAnswer(err) && !stored {
		return translate(ctx, u.act, s.storeRefusal(ctx, req, err, answer))
	}
	return err
}

// try returns whether the transaction freed anything.
func (s *Store) try(ctx context.Context, req Request, u useCase, answer []any) (freed bool, err error) {
	defer s.observe.transaction(stopwatch(), &err)
	for attempt := 1; ; attempt++ {
		if attempt == 1 && u.batched != nil {
			freed, err = s.attemptTogether(ctx, req, u, answer)
		} else {
			freed, err = s.attempt(ctx, req, u, answer)
		}
		s.ready.wrote(err)
		if err == nil {
			return freed, nil
		}
		s.reportBackstop(ctx, err)
		if u.explain != nil && isSlotConflict(err) {
			explained := s.explainUseCase(ctx, req, u, false)
			if explained != nil && !isTransient(explained) {
				return false, translate(ctx, u.act, explained)
			}
			if attempt == maxAttempts {
				return false, err // without alternatives
			}
			s.observe.retry(explained)
			continue
		}
		if attempt == maxAttempts || !isTransient(err) {
			return false, translate(ctx, u.act, err)
		}
		s.observe.retry(err)
		s.log.DebugContext(ctx, "transaction tried again", "attempt", attempt, "cause", err)
		if !pauseBeforeRetry(ctx, attempt) {
			return false, translate(ctx, u.act, err)
		}
	}
}

// retryTransient runs work, and again as often as a use case's transaction is tried while
// it fails with an error that may be gone the next time.
func retryTransient(ctx context.Context, work func() error) error {
	for attempt := 1; ; attempt++ {
		err := work()
		if err == nil || attempt == maxAttempts || !isTransient(err) || !pauseBeforeRetry(ctx, attempt) {
			return err
		}
	}
}

// pauseBeforeRetry waits longer after each attempt, and returns false when ctx has ended.
// Full jitter: two transactions that collided must not collide again.
func pauseBeforeRetry(ctx context.Context, attempt int) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(rand.N(time.Millisecond << attempt)): //nolint:gosec // G404: spreads load, guards nothing
		return true
	}
}

func (s *Store) attempt(ctx context.Context, req Request, u useCase, answer []any) (freed bool, err error) {
	err = s.transact(ctx, req, func(t *tx, st *chainTip) (*chainTip, error) {
		end, err := s.run(ctx, t, st, u, answer)
		freed = err == nil && end != nil && len(t.freed) > 0
		return end, err
	})
	return freed, err
}

// transact begins a transaction, has run do all of it but its COMMIT, and commits. run returns
// the new end of the chain, nil to roll back.
func (s *Store) transact(ctx context.Context, req Request, run func(*tx, *chainTip) (*chainTip, error)) error {
	if err := req.enterPlace(ctx); err != nil {
		return err
	}
	st, err := s.acquireChain(ctx)
	if err != nil {
		return err
	}
	known := true // where the chain ends
	defer func() { s.releaseChain(st, known) }()
	begun, err := s.db.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	t := &tx{
		queries: queries{QueryerContext: begun, req: req, now: clinic.Instant(s.now()), locking: true},
		begun:   begun, observe: s.observe,
	}
	end, err := run(t, st)
	if err != nil || end == nil {
		_ = begun.Rollback() // if it fails, the connection is gone and so is the transaction
		if known = !errors.Is(err, errChainLost); !known {
			s.checkData(ctx)
		}
		return err
	}
	err = commit(t)
	if err == nil {
		*st = *end
		if len(t.changes) > 0 {
			s.changed.give()
		}
	}
	known = !errors.Is(err, clinic.ErrOutcomeUnknown)
	return err
}

// run does all of a transaction but its COMMIT and returns the new end of
// the chain, nil when an earlier answer was given instead, or nothing was changed.
func (s *Store) run(ctx context.Context, t *tx, st *chainTip, u useCase, answer []any) (*chainTip, error) {
	key := t.req.Idempotency
	if key == nil || len(answer) == 0 {
		if err := s.runBody(ctx, t, u); err != nil || t.unchanged {
			return nil, err
		}
		return s.flushRecords(ctx, t, st)
	}
	if replayed, err := claimIdempotencyKey(ctx, t, key, answer); err != nil || replayed {
		return nil, err
	}
	if err := s.runBody(ctx, t, u); err != nil {
		return nil, err
	}
	end, err := s.flushRecords(ctx, t, st)
	if err != nil {
		return nil, err
	}
	return end, storeAnswer(ctx, t, key, answer)
}

// runBody runs the body of a use case and offers what it freed.
func (s *Store) runBody(ctx context.Context, t *tx, u useCase) error {
	if err := u.body(t); err != nil || u.offerLater {
		return err
	}
	return s.offerUnderGuard(ctx, t)
}

// flushRecords writes what was done for the feed and for the trail.
func (s *Store) flushRecords(ctx context.Context, t *tx, st *chainTip) (*chainTip, error) {
	if err := writeFreed(ctx, t); err != nil {
		return nil, err
	}
	if err := writeChanges(ctx, t); err != nil {
		return nil, err
	}
	return s.writeTrail(ctx, t, st)
}

// commit reports an error that is not clinic.CodeOutcomeUnknown only where the
// transaction is known to have been rolled back.
func commit(t *tx) error {
	err := t.begun.Commit()
	if err == nil {
		return nil
	}
	switch {
	case database.IsRolledBack(err):
		return err
	case errors.Is(err, sql.ErrTxDone), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err // COMMIT was never sent: database/sql had already rolled back
	default:
		return &clinic.Error{Code: clinic.CodeOutcomeUnknown, Cause: err}
	}
}

// isSlotConflict reports whether a refusal says that a time is taken.
func isSlotConflict(err error) bool {
	var refusal *clinic.Error
	if errors.As(err, &replay{}) {
		return false
	}
	return errors.As(err, &refusal) && (!refusal.Conflict.Start.IsZero() || refusal.Code == clinic.CodeSeriesConflict)
}

// ExecContext runs a statement that changes nothing that the audit trail would tell.
func (t *tx) ExecContext(ctx context.Context, statement string, args ...any) (sql.Result, error) {
	return t.begun.ExecContext(ctx, statement, args...)
}

// exec runs a statement and returns the number of rows it matched.
func (t *tx) exec(ctx context.Context, statement string, args ...any) (int64, error) {
	t.wrote = true
	result, err := t.begun.ExecContext(ctx, statement, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// leaves reports whether a patch leaves a record as it was. Then nothing of the transaction
// is kept: version, feed, webhooks and history stay without a change that was none.
func (t *tx) leaves(before, after any) bool {
	t.unchanged = len(clinic.Diff(before, after)) == 0
	return t.unchanged
}

// insert runs an INSERT and returns the id that the row was given.
func (t *tx) insert(ctx context.Context, statement string, args ...any) (int64, error) {
	t.wrote = true
	result, err := t.begun.ExecContext(ctx, statement, args...)
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
