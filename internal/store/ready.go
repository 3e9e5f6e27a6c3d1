package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
	"mems/internal/database"
)

const (
	// readyWithin is when Ready answers at the latest.
	readyWithin = 750 * time.Millisecond
	// readyFor is how long a result is given again: more frequent requests
	// do not load the database. A failure is kept for less.
	readyFor, unreadyFor = time.Second, 200 * time.Millisecond
	// refusalCounts is how long after a refused write, with none committed since,
	// the database counts as one that refuses them: what is full may not be what
	// the probe writes to.
	refusalCounts = 10 * time.Second
)

// ErrWritesRefused is the cause of an unavailable database that can be read: its
// disk is full, or it is read-only.
var ErrWritesRefused = errors.New("the database refuses writes")

// errReadyTimeout is the cause of a database that hangs.
var errReadyTimeout = fmt.Errorf("the database did not answer within %s", readyWithin)

// readiness finds out whether the database can be used: one probe at a time, on a
// connection of its own, since those of requests may all be waiting for locks.
type readiness struct {
	db *sqlx.DB
	id [32]byte // of this process's row

	mu        sync.Mutex
	last      *probe
	probed    bool   // a probe has ended
	said      string // the detail of the state that was found last; empty when it is ready
	refused   error  // the last write's, nil after one that was committed
	refusedAt time.Time
}

// probe is one look. Its result is read after done.
type probe struct {
	done    chan struct{}
	ended   time.Time
	version int64
	err     error
}

func newReadiness(server *database.Server) (*readiness, error) {
	db, err := server.Open(database.Options{
		Dial: 3 * time.Second, Read: 3 * time.Second, Write: 3 * time.Second,
		RowLock: time.Second, TableLock: time.Second, Idle: heldWithin,
	})
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	db.SetConnMaxLifetime(5 * time.Minute)
	db.SetConnMaxIdleTime(heldWithin * 2 / 3)
	r := &readiness{db: db}
	_, _ = rand.Read(r.id[:]) // it never fails
	return r, nil
}

// Ready reports whether the database can be read and written and has at least the
// schema that this program needs, and which version it has. It answers within a
// second, whatever hangs. Otherwise clinic.ErrUnavailable, with the cause, which
// may be ErrWritesRefused, database.ErrSchemaBehind or *OtherZoneError.
func (s *Store) Ready(ctx context.Context) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, translate(ctx, "check the database", err)
	}
	limit := time.NewTimer(readyWithin)
	defer limit.Stop()
	p := s.ready.probe(s) //nolint:contextcheck // a probe serves every caller that waits, not only the first
	select {
	case <-p.done:
		return p.version, p.err
	case <-limit.C:
		return 0, &clinic.Error{Code: clinic.CodeUnavailable, Cause: errReadyTimeout}
	case <-ctx.Done():
		return 0, translate(ctx, "check the database", ctx.Err())
	}
}

// probe returns the probe that is under way or was made a moment ago, else a new one.
func (r *readiness) probe(s *Store) *probe {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.last; p != nil {
		select {
		case <-p.done:
			if age := since(p.ended); age < unreadyFor || p.err == nil && age < readyFor {
				return p
			}
		default:
			return p
		}
	}
	p := &probe{done: make(chan struct{})}
	r.last = p
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		p.version, p.err = s.probeDatabase(ctx)
		p.ended = stopwatch()
		r.logChange(s.log, p.err) // before anybody has the result, and may end the program
		close(p.done)
	}()
	return p
}

// logChange writes a line when the database becomes usable, unusable, or unusable for
// another cause: an outage has few lines, however often it is asked about. What the first
// probe finds is reported by the command that starts with it.
func (r *readiness) logChange(log *slog.Logger, err error) {
	detail := ""
	if err != nil {
		detail = UnreadyDetail(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case detail == r.said, !r.probed:
	case err != nil:
		log.Error("not ready: the database cannot be used", "detail", detail, "cause", err)
	default:
		log.Info("ready: the database can be used again")
	}
	r.probed, r.said = true, detail
}

// probeDatabase asks for the schema's version and commits a write, as small as there is: a
// row of this process in idempotency_keys, where old ones are deleted anyway. With an
// audit key it also asks for the right to seal, which no row is needed for: without it no
// change could be written, so that a server that was started before grants.sql was run
// again takes no requests.
func (s *Store) probeDatabase(ctx context.Context) (int64, error) {
	r := s.ready
	version, err := database.CheckVersion(ctx, r.db)
	if errors.Is(err, database.ErrRestoreUnfinished) || errors.Is(err, database.ErrSchemaBehind) {
		return 0, &clinic.Error{Code: clinic.CodeUnavailable, Cause: err}
	}
	if err != nil {
		return 0, translate(ctx, "check the database", err)
	}
	// A missing right to read it is warned of at the start.
	if other, ok := errors.AsType[*OtherZoneError](s.checkZone(ctx, r.db)); ok {
		return 0, &clinic.Error{Code: clinic.CodeUnavailable, Cause: other}
	}
	if s.macKey.Secret != nil {
		// Primary key, no row.
		_, err := r.db.ExecContext(ctx, `UPDATE audit_chains SET seal_seq = seal_seq, seal = seal, seal_key = seal_key WHERE id = 0`)
		if err != nil && !database.RefusesWrites(err) {
			return 0, translate(ctx, "check the database", err)
		}
	}
	_, err = r.db.ExecContext(ctx, `
		INSERT INTO idempotency_keys (caller, id_key, request, created_at) VALUES ('readiness', ?, '', ?)
		ON DUPLICATE KEY UPDATE created_at = VALUES(created_at)`, r.id[:], clinic.Instant(s.now()))
	if err == nil {
		err = r.refusedLately()
	}
	if database.RefusesWrites(err) {
		return 0, &clinic.Error{Code: clinic.CodeUnavailable, Cause: fmt.Errorf("%w: %w", ErrWritesRefused, err)}
	}
	return version, translate(ctx, "check the database", err)
}

// wrote notes how a transaction ended.
func (r *readiness) wrote(err error) {
	lost := err != nil && database.IsConnectionLost(err)
	if err != nil && !lost && !database.RefusesWrites(err) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if lost {
		r.last = nil // what was found out is no longer so
		return
	}
	r.refused, r.refusedAt = err, stopwatch()
}

func (r *readiness) refusedLately() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refused != nil && since(r.refusedAt) < refusalCounts {
		return r.refused
	}
	return nil
}
