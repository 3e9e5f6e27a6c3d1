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

// Two processes must not migrate a database concurrently. On one server GET_LOCK prevents
// that. It is not replicated, so after a failover the new primary does not know it. The
// lease covers that case: a row, written before every statement of a migration, that
// replicates with the tables. The holder of GET_LOCK takes over a lease that was acquired
// on the same server (its process has ended or lost its connection), and waits for one from
// another server to expire.
//
// Renewing it also proves that the connection's server is the writable primary: any other
// rejects the write. A statement may outlast the lease. No other process can take it
// meanwhile: GET_LOCK is held on this server, and the others are read-only while it is the
// primary.
//
// The table exists during a migration, and after one that was killed.

const leaseTable = "mems_migration_lease"

const leasePause = 500 * time.Millisecond

// waits are the timeouts of a migration, in whole seconds where the database waits.
type waits struct {
	lock    time.Duration // for another process's migration
	lease   time.Duration // for a process that lost its server to continue on another one
	primary time.Duration // for the cluster's next primary
}

var usualWaits = waits{lock: 10 * time.Minute, lease: time.Minute, primary: time.Minute}

// leaseServer identifies a server: replicas differ in server_id.
const leaseServer = `LEFT(CONCAT_WS(' ', @@hostname, @@port, @@server_id), 255)`

// ErrTakenOver stops a migration whose lease another process has taken over.
var ErrTakenOver = errors.New("another process has taken over the migration of this database, so this one stopped; " +
	"once the other has ended, \"mems migrate status\" shows the result")

// leaseOwner returns a unique, readable name of this process.
func leaseOwner() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return fmt.Sprintf("%.100s, process %d, %s", host, os.Getpid(), rand.Text())
}

// takeLease acquires the lease, waiting for another owner's to expire. conn holds the
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

// renewLease extends the lease on the connection that runs the next statement.
// Errors: ErrTakenOver; the server's, if it is not the writable primary.
func (sc *Schema) renewLease(ctx context.Context, conn *sql.Conn) error {
	result, err := conn.ExecContext(ctx, `
		UPDATE `+leaseTable+` SET expires_at = UTC_TIMESTAMP(6) + INTERVAL ? SECOND
		WHERE id = 1 AND owner = ?`, sc.within.lease.Seconds(), sc.owner)
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok && e.Number == 1146 {
		return ErrTakenOver // and finished: it dropped the table
	}
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return cmp.Or(err, ErrTakenOver)
	}
	return nil
}

// dropLease removes this process's lease. conn holds the server's lock, so no other process
// takes it in between. If dropping fails, the lease expires.
func (sc *Schema) dropLease(ctx context.Context, conn *sql.Conn) {
	if sc.renewLease(ctx, conn) == nil {
		_, _ = conn.ExecContext(ctx, `DROP TABLE IF EXISTS `+leaseTable)
	}
}
