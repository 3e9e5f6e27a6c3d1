package database

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/go-sql-driver/mysql"
)

// Two processes must not migrate one database at once. On one server GET_LOCK sees
// to that. It is not replicated, so in a cluster it says nothing to a process that
// comes to the next primary. The lease does: a row, written before every statement
// of a migration, that replicates with the tables. Who holds GET_LOCK takes the lease
// of a process that held it on the same server (that process is gone, or has lost its
// connection), and waits for one of another server to expire.
//
// The renewal also proves that the connection's server is the writable primary: on any
// other it is refused. A statement may take longer than the lease. No other process
// can take it meanwhile: GET_LOCK is held on this server, and the others take no
// writes while it is the primary.
//
// The table exists while a migration runs, and after one that was killed.

const leaseTable = "mems_migration_lease"

const leasePause = 500 * time.Millisecond

// waits are how long a migration waits before it gives up, in whole seconds where the
// database waits.
type waits struct {
	lock    time.Duration // for another process that migrates
	lease   time.Duration // that a process which lost its server has to continue elsewhere
	primary time.Duration // for the cluster's next primary
}

var usualWaits = waits{lock: 10 * time.Minute, lease: time.Minute, primary: time.Minute}

// leaseServer tells servers apart: those that replicate differ in server_id.
const leaseServer = `LEFT(CONCAT_WS(' ', @@hostname, @@port, @@server_id), 255)`

// ErrTakenOver stops a migration whose lease another process has.
var ErrTakenOver = errors.New("another process has taken over the migration of this database: nothing more was changed here; " +
	"once it has ended, \"mems migrate status\" tells how far it came")

// leaseOwner names this process, for people, and no other one.
func leaseOwner() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return fmt.Sprintf("%.100s, process %d, %s", host, os.Getpid(), rand.Text())
}

// takeLease takes the lease, waiting for another owner's to expire. conn holds the
// server's lock.
func (sc *Schema) takeLease(ctx context.Context, conn *sql.Conn, within time.Duration) error {
	for _, text := range []string{
		`CREATE TABLE IF NOT EXISTS ` + leaseTable + ` (
			id TINYINT NOT NULL PRIMARY KEY,
			owner VARCHAR(255) NOT NULL,
			server VARCHAR(255) NOT NULL,
			expires_at DATETIME(6) NOT NULL
		)`,
		`INSERT IGNORE INTO ` + leaseTable + ` (id, owner, server, expires_at) VALUES (1, '', '', UTC_TIMESTAMP(6))`,
	} {
		if _, err := conn.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	for expired := time.After(within); ; {
		result, err := conn.ExecContext(ctx, `
			UPDATE `+leaseTable+`
			SET owner = ?, server = `+leaseServer+`, expires_at = UTC_TIMESTAMP(6) + INTERVAL ? SECOND
			WHERE id = 1 AND (owner = ? OR server = `+leaseServer+` OR expires_at <= UTC_TIMESTAMP(6))`, sc.owner, sc.within.lease.Seconds(), sc.owner)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n > 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-expired:
			var owner, server string
			if err := conn.QueryRowContext(ctx, `SELECT owner, server FROM `+leaseTable+` WHERE id = 1`).Scan(&owner, &server); err != nil {
				return err
			}
			return fmt.Errorf("another process is migrating this database: %s, on the server %s", owner, server)
		case <-time.After(leasePause):
		}
	}
}

// renewLease extends the lease from the connection that runs the next statement.
// Errors: ErrTakenOver; those of a server that is not the writable primary.
func (sc *Schema) renewLease(ctx context.Context, conn *sql.Conn) error {
	result, err := conn.ExecContext(ctx, `
		UPDATE `+leaseTable+` SET expires_at = UTC_TIMESTAMP(6) + INTERVAL ? SECOND
		WHERE id = 1 AND owner = ?`, sc.within.lease.Seconds(), sc.owner)
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok && e.Number == 1146 {
		return ErrTakenOver // and ended: there is no such table
	}
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return cmp.Or(err, ErrTakenOver)
	}
	return nil
}

// dropLease removes the lease, if it is this process's. conn holds the server's lock,
// so no other process takes it in between. One that could not be dropped expires.
func (sc *Schema) dropLease(ctx context.Context, conn *sql.Conn) {
	if sc.renewLease(ctx, conn) == nil {
		_, _ = conn.ExecContext(ctx, `DROP TABLE IF EXISTS `+leaseTable)
	}
}
