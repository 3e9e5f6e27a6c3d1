package database

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/go-sql-driver/mysql"
)

// ErrorNumber returns the number of an error that the server stated.
func ErrorNumber(err error) (number uint16, stated bool) {
	e, ok := errors.AsType[*mysql.MySQLError](err)
	if !ok {
		return 0, false
	}
	return e.Number, true
}

// IsTransient reports whether the same transaction may succeed if it is simply
// run again. In each of these cases the server has rolled back.
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
		1020, // MariaDB under snapshot isolation: the row changed since it was read
		1467: // Galera: auto-increment value could not be had
		return true
	}
	return false
}

// IsRolledBack reports whether a COMMIT that failed with err is known not to have
// committed. Every other error leaves the outcome open: 3100, for one, was seen
// for transactions that were then in the tables of every node of a cluster.
// Numbers: MySQL Server Error Message Reference; MariaDB Error Code Reference.
func IsRolledBack(err error) bool {
	e, ok := errors.AsType[*mysql.MySQLError](err)
	if !ok {
		return false
	}
	switch e.Number {
	case 1213, // ER_LOCK_DEADLOCK: InnoDB rolls the whole transaction back; Galera, a failed certification
		1205, // ER_LOCK_WAIT_TIMEOUT: COMMIT waited for a lock, before anything was written
		3101, // ER_TRANSACTION_ROLLBACK_DURING_COMMIT: Group Replication's certification failed
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

// IsConnectionLost reports an error that is not the server's answer.
func IsConnectionLost(err error) bool {
	var network net.Error
	var connecting connectError
	return errors.Is(err, ErrNoPrimary) || errors.Is(err, net.ErrClosed) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, mysql.ErrInvalidConn) ||
		errors.Is(err, mysql.ErrMalformPkt) || errors.Is(err, mysql.ErrPktSync) || errors.Is(err, mysql.ErrPktSyncMul) || errors.Is(err, mysql.ErrBusyBuffer) ||
		errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.As(err, &network) || errors.As(err, &connecting)
}

// connectError is a failure to connect that the server did not state itself: the driver
// has errors of its own for a connection that breaks before its first statement.
type connectError struct{ error }

func (e connectError) Unwrap() error { return e.error }

func notConnected(err error) error {
	if _, stated := errors.AsType[*mysql.MySQLError](err); stated {
		return err
	}
	return connectError{err}
}

// RefusesWrites reports an error of a database that can be read and not written.
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

// isReadOnly reports a statement refused by a server that is read-only.
func isReadOnly(e *mysql.MySQLError) bool {
	return e.Number == 1290 || e.Number == 1792 || e.Number == 1836
}
