package database

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/go-sql-driver/mysql"
)

// ErrorNumber returns the server's error number, if the server reported the error.
func ErrorNumber(err error) (number uint16, stated bool) {
	e, ok := errors.AsType[*mysql.MySQLError](err)
	if !ok {
		return 0, false
	}
	return e.Number, true
}

// IsTransient reports whether retrying the same transaction may succeed. In each of these
// cases the server has rolled back, or nothing was written.
func IsTransient(err error) bool {
	var e *mysql.MySQLError
	if !errors.As(err, &e) {
		return false
	}
	switch e.Number {
	case 1213, // deadlock victim; on Galera also a failed certification
		1205, // lock wait timeout
		3101, // Group Replication: certification failed at commit
		1180, // Galera: error during commit
		1020, // MariaDB with snapshot isolation: the row changed since it was read
		1412, // a snapshot is older than the table's definition, which a migration changed
		1467: // Galera: no auto-increment value available
		return true
	}
	return false
}

// IsRolledBack reports whether a COMMIT that failed with err certainly did not commit.
// Every other error leaves the outcome unknown: 3100, for one, was seen for transactions
// that every node of a cluster had committed. Numbers: MySQL Server Error Message
// Reference; MariaDB Error Code Reference.
func IsRolledBack(err error) bool {
	e, ok := errors.AsType[*mysql.MySQLError](err)
	if !ok {
		return false
	}
	switch e.Number {
	case 1213, // ER_LOCK_DEADLOCK: InnoDB rolls the whole transaction back; Galera, a failed certification
		1205, // ER_LOCK_WAIT_TIMEOUT: COMMIT waited for a lock before writing anything
		3101, // ER_TRANSACTION_ROLLBACK_DURING_COMMIT: Group Replication, certification failed
		1180, // ER_ERROR_DURING_COMMIT: Galera and InnoDB, the engine's commit failed
		1020, // ER_CHECKREAD: MariaDB with innodb_snapshot_isolation rolls back
		1467, // ER_AUTOINC_READ_FAILED: Galera, while the node joins or leaves
		1290, // ER_OPTION_PREVENTS_STATEMENT: read-only, checked before the commit begins
		1792, // ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION: the same
		1836: // ER_READ_ONLY_MODE: the same
		return true
	}
	return false
}

// IsConnectionLost reports whether err came from the connection rather than the server.
func IsConnectionLost(err error) bool {
	var network net.Error
	var connecting connectError
	return errors.Is(err, ErrNoPrimary) || errors.Is(err, net.ErrClosed) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, mysql.ErrInvalidConn) ||
		errors.Is(err, mysql.ErrMalformPkt) || errors.Is(err, mysql.ErrPktSync) || errors.Is(err, mysql.ErrPktSyncMul) || errors.Is(err, mysql.ErrBusyBuffer) ||
		errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.As(err, &network) || errors.As(err, &connecting)
}

// connectError is a failure to connect that the server did not report: the driver has
// errors of its own for a connection that breaks before its first statement.
type connectError struct{ error }

func (e connectError) Unwrap() error { return e.error }

func notConnected(err error) error {
	if _, stated := errors.AsType[*mysql.MySQLError](err); stated {
		return err
	}
	return connectError{err}
}

// RefusesWrites reports whether the database is readable but does not accept writes.
func RefusesWrites(err error) bool {
	e, ok := errors.AsType[*mysql.MySQLError](err)
	if !ok {
		return false
	}
	switch e.Number {
	case 3, 1021, 1026, 1114: // disk or table full
		return true
	}
	return isReadOnly(e)
}

// isReadOnly reports whether the server rejected a statement because it is read-only.
func isReadOnly(e *mysql.MySQLError) bool {
	return e.Number == 1290 || e.Number == 1792 || e.Number == 1836
}
