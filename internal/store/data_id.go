package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
	"mems/internal/database"
)

// A reset or a restore beside a running server leaves it with what it remembers of the
// former data: where its audit chains end, which secrets are good, where the feed is.
// installation.data_id tells the data apart. It is compared in every statement that
// appends to a chain, and once a second for a server that is idle.

// errChainLost asks for another attempt on another chain: the data are other ones than
// those that the chain was begun in, or its next entry was written by another program.
var errChainLost = fmt.Errorf("the audit trail's chain is no longer this process's: %w", errStale)

// readDataID returns which data the database has, empty while a restore is not finished,
// which only Config.Restoring allows. Lock: the installation's row, so that a restore that
// begins waits for q's transaction. Primary keys.
func (s *Store) readDataID(ctx context.Context, q sqlx.QueryerContext) (string, error) {
	var found struct {
		ID        sql.NullString `db:"data_id"`
		Restoring bool           `db:"restoring"`
	}
	err := sqlx.GetContext(ctx, q, &found, `
		SELECT (SELECT data_id FROM installation WHERE id = 1 LOCK IN SHARE MODE) AS data_id,
		       EXISTS (SELECT 1 FROM goose_db_version WHERE id = 0) AS restoring`)
	switch {
	case err != nil:
		return "", err
	case s.restoring:
		return found.ID.String, nil
	case found.Restoring:
		return "", &clinic.Error{Code: clinic.CodeUnavailable, Cause: database.ErrRestoreUnfinished}
	case !found.ID.Valid: // in the middle of a reset
		return "", &clinic.Error{Code: clinic.CodeUnavailable, Cause: database.ErrSchemaBehind}
	}
	return found.ID.String, nil
}

// checkData compares the data with those that this process remembers. Without an answer
// it does nothing: the next second asks again.
func (s *Store) checkData(ctx context.Context) {
	id, err := s.readDataID(ctx, s.db)
	if err != nil {
		s.log.DebugContext(ctx, "reading which data the database has failed; will retry", "cause", err)
		return
	}
	s.noticeData(ctx, id)
}

// noticeData forgets what this process remembers of other data than id.
func (s *Store) noticeData(ctx context.Context, id string) {
	s.chainTips.mu.Lock()
	before := s.chainTips.data
	s.chainTips.data = id
	if before != "" && before != id {
		s.chainTips.free, s.chainTips.ends = nil, map[int64]chainTip{}
	}
	s.chainTips.mu.Unlock()
	if before == "" || before == id {
		return
	}
	s.knownKeys.reset()
	s.knownFeeds.reset()
	s.sealer.prepared.Store(false)
	s.replaced.Add(1)
	s.changed.give()
	s.log.WarnContext(ctx, "the database was reset or restored: this server goes on with the data that are there now")
}

// Replacements returns how often this process found that the database had been reset or
// restored. A position in the feed from before means nothing after.
func (s *Store) Replacements() int64 { return s.replaced.Load() }
