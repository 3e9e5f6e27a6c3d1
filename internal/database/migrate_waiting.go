package database

import (
	"context"
	"database/sql"
	"strings"
	"time"
)

const (
	// metadataPatience is how long a statement waits for a metadata lock before it is
	// interrupted and retried: every query on the table queues behind it. Bookings do not
	// always let it pass: one that waits for a row and one that waits behind the statement
	// can wait for each other, which no server detects. lock_wait_timeout has whole seconds.
	metadataPatience = 300 * time.Millisecond
	// metadataLook is the pause between two looks at what a statement waits for.
	metadataLook = 100 * time.Millisecond
	// waitsForMetadata is the state of a statement that waits for a metadata lock, on MySQL
	// and MariaDB.
	waitsForMetadata = "Waiting for table metadata lock"
)

// migrationConn is the connection on which a migration runs.
type migrationConn struct {
	*sql.Conn

	id int64 // for KILL
}

// execBriefly runs a statement and interrupts it when it has waited for a metadata lock for
// metadataPatience. interrupted reports that this may be why it failed.
func (sc *Schema) execBriefly(ctx context.Context, conn migrationConn, text string, args ...any) (interrupted bool, err error) {
	watching, end := context.WithCancel(ctx)
	watched := make(chan bool, 1)
	go func() { watched <- sc.interruptWait(watching, conn.id, text) }()
	_, err = conn.ExecContext(ctx, text, args...)
	end()
	number, _ := ErrorNumber(err)
	return <-watched && number == 1317, err // query interrupted
}

// interruptWait kills the statement of a connection when it has waited for a metadata lock
// for metadataPatience, and reports whether it did. It ends with ctx, which is the statement's
// time.
func (sc *Schema) interruptWait(ctx context.Context, id int64, text string) (killed bool) {
	for waited := time.Duration(0); waited < metadataPatience; {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(metadataLook):
		}
		if waits, err := sc.waitsForMetadata(ctx, id, text); err == nil && waits {
			waited += metadataLook
		} else {
			waited = 0 // an error: lock_wait_timeout ends the wait
		}
	}
	if ctx.Err() != nil {
		return false
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), trialLimit)
	defer cancel()
	_, err := sc.pool.ExecContext(limit, `KILL QUERY ?`, id)
	return err == nil
}

// waitsForMetadata reports whether a connection runs this statement and waits for a metadata
// lock. The text is compared because after a failover the pool asks another server, where the
// id is of somebody else. Users see their own connections without a privilege.
func (sc *Schema) waitsForMetadata(ctx context.Context, id int64, text string) (bool, error) {
	rows, err := sc.pool.QueryContext(ctx, `SHOW PROCESSLIST`)
	if err != nil {
		return false, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var own int64
		var state, info sql.NullString
		var other any
		columns, err := rows.Columns()
		if err != nil {
			return false, err
		}
		into := make([]any, len(columns)) // MariaDB has one more
		for i, name := range columns {
			switch name {
			case "Id":
				into[i] = &own
			case "State":
				into[i] = &state
			case "Info":
				into[i] = &info
			default:
				into[i] = &other
			}
		}
		if err := rows.Scan(into...); err != nil {
			return false, err
		}
		if own == id {
			return state.String == waitsForMetadata && info.String != "" && strings.HasPrefix(text, info.String), nil
		}
	}
	return false, rows.Err()
}
