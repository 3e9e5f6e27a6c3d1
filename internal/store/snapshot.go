package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// queries reads for one caller: within a use case's transaction (tx), within a snapshot, or
// outside of any (Store.queries).
type queries struct {
	sqlx.QueryerContext

	req Request   // who asks
	now time.Time // the one instant of this attempt: UTC, whole microseconds
	// locking: the reads that a decision rests on lock what they find. A plain read may
	// come from a snapshot older than the guard.
	locking bool
	// withdrawn are times of offers that do not count, because the decision takes
	// them back.
	withdrawn []clinic.Interval
}

// queries returns queries outside of a transaction.
func (s *Store) queries(req Request) *queries {
	return &queries{QueryerContext: s.db, req: req, now: clinic.Instant(s.now())}
}

// GetContext reads one row.
func (q *queries) GetContext(ctx context.Context, into any, query string, args ...any) error {
	return sqlx.GetContext(ctx, q.QueryerContext, into, query, args...)
}

// SelectContext reads rows.
func (q *queries) SelectContext(ctx context.Context, into any, query string, args ...any) error {
	return sqlx.SelectContext(ctx, q.QueryerContext, into, query, args...)
}

// snapshot is a transaction that reads one consistent state and locks nothing. It has no
// method that writes, and the server refuses writes in it.
type snapshot struct {
	queries

	end func() // gives the connection back; a second call does nothing
	// proposals counts the refusals that alternatives were looked for.
	proposals int
}

// snapshot begins one.
func (s *Store) snapshot(ctx context.Context, req Request) (*snapshot, error) {
	if err := req.check(); err != nil {
		return nil, err
	}
	begun, err := s.db.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	return &snapshot{
		queries: queries{QueryerContext: begun, req: req, now: clinic.Instant(s.now())},
		end:     func() { _ = begun.Rollback() }, // nothing was changed
	}, nil
}

// explain runs a use case's explanation of a refusal on a snapshot and returns what it
// finds in the way, nil for nothing.
func (s *Store) explain(ctx context.Context, req Request, explanation func(*snapshot) error) error {
	q, err := s.snapshot(ctx, req)
	if err != nil {
		return err
	}
	defer q.end()
	return explanation(q)
}

// exists reports whether the row of a guard exists.
func (q *snapshot) exists(ctx context.Context, row guardRow, id int64) (exists bool, err error) {
	where, args := row.where([]int64{id})
	err = q.GetContext(ctx, &exists, row.read+where, args...)
	return exists, err
}

// parties is guardParties without the guards.
func (q *snapshot) parties(ctx context.Context, b clinic.Booking) (clinic.Calendar, error) {
	return q.partiesOf(ctx, b, q.doctorExists, q.patientExists)
}

func (q *snapshot) doctorExists(ctx context.Context, id int64) (bool, error) {
	return q.exists(ctx, doctorGuard, id)
}

func (q *snapshot) patientExists(ctx context.Context, id int64) (bool, error) {
	exists, err := q.exists(ctx, patientGuard, id)
	if exists || err != nil {
		return exists, err
	}
	return false, q.checkMerged(ctx, id)
}

func (q *snapshot) roomExists(ctx context.Context, id int64) (bool, error) {
	return q.exists(ctx, roomGuard, id)
}
