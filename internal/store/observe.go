package store

import (
	"context"
	"errors"
	"time"

	"github.com/go-sql-driver/mysql"

	"mems/internal/clinic"
)

// Observe has callbacks for events inside of transactions, for metrics. Each may be nil. They
// run while other transactions wait for locks, so they must be fast.
type Observe struct {
	// Transaction: a use case's transaction has ended. The duration includes all attempts
	// and the pauses between them.
	Transaction func(Outcome, time.Duration)
	// Retry: a transaction is retried.
	Retry func(RetryCause)
	// Guard: a guard row was written. All but a millisecond of the duration is the wait
	// for other bookings of the same doctor, patient or room.
	Guard func(time.Duration)
}

// Outcome is how a transaction ended.
type Outcome string

// The outcomes.
const (
	Committed   Outcome = "committed"
	Refused     Outcome = "refused"     // by a rule of the clinic
	Unavailable Outcome = "unavailable" // the database cannot be used, or took too long
	Unknown     Outcome = "unknown"     // the connection was lost during COMMIT
	Cancelled   Outcome = "cancelled"   // the client has disconnected
	Failed      Outcome = "failed"      // a bug
)

// Outcomes lists all outcomes.
var Outcomes = []Outcome{Committed, Refused, Unavailable, Unknown, Cancelled, Failed}

// RetryCause is why a transaction is retried.
type RetryCause string

// The causes.
const (
	CauseDeadlock      RetryCause = "deadlock"
	CauseLockWait      RetryCause = "lock-wait"     // innodb_lock_wait_timeout passed
	CauseCertification RetryCause = "certification" // a cluster refused at COMMIT
	CauseSnapshot      RetryCause = "snapshot"      // the row (MariaDB) or the table's definition changed since the snapshot
	CauseAutoIncrement RetryCause = "auto-increment"
	CauseMoved         RetryCause = "moved" // what was read before the locks has changed
	CauseFreed         RetryCause = "freed" // the conflict is gone
)

// RetryCauses lists all causes.
var RetryCauses = []RetryCause{
	CauseDeadlock, CauseLockWait, CauseCertification, CauseSnapshot, CauseAutoIncrement, CauseMoved, CauseFreed,
}

// transaction reports the outcome of a transaction that began at start; err is read at its
// end.
func (o Observe) transaction(start time.Time, err *error) {
	if o.Transaction != nil {
		o.Transaction(outcomeOf(*err), time.Since(start)) //nolint:forbidigo // for a duration; no rule of the domain sees it
	}
}

func (o Observe) retry(err error) {
	if o.Retry != nil {
		o.Retry(retryCause(err))
	}
}

func (o Observe) guard(start time.Time) {
	if o.Guard != nil {
		o.Guard(since(start))
	}
}

// stopwatch returns the start of a duration to be measured.
func stopwatch() time.Time { return time.Now() } //nolint:forbidigo // as in transaction

// since returns the duration since a start.
func since(start time.Time) time.Duration { return time.Since(start) } //nolint:forbidigo // as in transaction

func outcomeOf(err error) Outcome {
	if err == nil {
		return Committed
	}
	if known, ok := errors.AsType[*clinic.Error](err); ok {
		switch known.Code {
		case clinic.CodeUnavailable:
			return Unavailable
		case clinic.CodeOutcomeUnknown:
			return Unknown
		default:
			return Refused
		}
	}
	if errors.Is(err, context.Canceled) {
		return Cancelled
	}
	return Failed
}

// retryCause returns the cause of an error that isTransient accepts.
func retryCause(err error) RetryCause {
	if errors.Is(err, errStale) {
		return CauseMoved
	}
	refused, ok := errors.AsType[*mysql.MySQLError](err)
	if !ok {
		return CauseFreed
	}
	switch refused.Number {
	case 1213:
		return CauseDeadlock
	case 1205:
		return CauseLockWait
	case 1020, 1412:
		return CauseSnapshot
	case 1467:
		return CauseAutoIncrement
	default:
		return CauseCertification
	}
}
