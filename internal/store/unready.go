package store

import (
	"context"
	"errors"
	"slices"

	"github.com/go-sql-driver/mysql"

	"mems/internal/database"
)

// unreadyCauses are the causes of a database that is not ready, with what /readyz says
// of each. The contract lists these texts: they are the same for every server, and hold
// no host, user or version.
var unreadyCauses = []struct {
	is     func(error) bool
	detail string
}{
	{isCause(ErrWritesRefused), "The database refuses writes: its disk is full, or it is read-only."},
	{isCause(database.ErrNoMajority), "The database cluster has no majority: most of its servers cannot be reached."},
	{isCause(database.ErrOutsideGroup), "A database server is running outside its replication group: run START GROUP_REPLICATION on it."},
	{isCause(database.ErrNoGroup), "Several database hosts are set, but they are not a Group Replication cluster."},
	{isCause(database.ErrNoPrimary), "No server of the database cluster accepts changes."},
	{isCause(database.ErrRestoreUnfinished), "A backup is being restored into the database: finish that first."},
	{isCause(database.ErrSchemaBehind), "The schema is older than this program needs: run \"mems migrate up\"."},
	{isServerError(1054, 1146, 1247), "The database has no schema of this program yet: run \"mems migrate up\"."},
	{isOtherZone, "The clinic's time zone was changed: set MEMS_CLINIC_TIME_ZONE to what \"mems zone\" shows, and restart this server."},
	{isServerError(1045, 1698), "The database does not accept this server's user: compare user, password and host with db/grants.sql."},
	{isServerError(1044, 1142, 1143), "The server's database user lacks a right: run db/grants.sql again."},
	{isServerError(1049), "The database does not exist on its server: check the name in MEMS_DATABASE_URL."},
	{isServerError(1040, 1203, 1226), "The database has no free connections."},
	{isUnreachable, "The database cannot be reached, or does not answer."},
}

// unreadyOtherwise is the detail of every other cause.
const unreadyOtherwise = "The database cannot be used; the server's log says why."

// UnreadyDetail returns what /readyz says of an error of Ready.
func UnreadyDetail(err error) string {
	for _, c := range unreadyCauses {
		if c.is(err) {
			return c.detail
		}
	}
	return unreadyOtherwise
}

func isCause(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func isServerError(numbers ...uint16) func(error) bool {
	return func(err error) bool {
		e, ok := errors.AsType[*mysql.MySQLError](err)
		return ok && slices.Contains(numbers, e.Number)
	}
}

func isOtherZone(err error) bool {
	_, ok := errors.AsType[*OtherZoneError](err)
	return ok
}

// isUnreachable reports an error without an answer of the server. A deadline is one of
// Ready's own: the caller's end is no cause of the database.
func isUnreachable(err error) bool {
	return database.IsConnectionLost(err) || errors.Is(err, errReadyTimeout) || errors.Is(err, context.DeadlineExceeded)
}
