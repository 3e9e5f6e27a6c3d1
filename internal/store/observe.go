package store

import (
	"context"
	"errors"
	"time"

	"github.com/go-sql-driver/mysql"

	"mems/internal/clinic"
)

// Observe is told what happens inside of transactions: for metrics, which this
// package knows nothing of. Any of them may be nil. They are called while others
// wait for locks, so they must be quick.
type Observe struct {
	// Transaction: one use case's transaction has ended, after so long, all of
	// its attempts and the pauses between them included.
	Transaction func(Outcome, time.Duration)
	// Retry: a transaction is tried again.
	Retry func(RetryCause)
	// Guard: writing a guard row took so long. All but a millisecond of it is
	// the wait for other bookings of the same doctor, patient or room.
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
	Cancelled   Outcome = "cancelled"   // nobody waits for the answer any more
	Failed      Outcome = "failed"      // a fault of ours
)

// Outcomes lists them all.
var Outcomes = []Outcome{Committed, Refused, Unavailable, Unknown, Cancelled, Failed}

// RetryCause is why a transaction is tried again.
type RetryCause string

// The causes.
const (
	CauseDeadlock      RetryCause = "deadlock"
	CauseLockWait      RetryCause = "lock-wait"     // innodb_lock_wait_timeout passed
	CauseCertification RetryCause = "certification" // a cluster refused at COMMIT
	CauseSnapshot      RetryCause = "snapshot"      // MariaDB: the row changed since it was read
	CauseAutoIncrement RetryCause = "auto-increment"
	CauseMoved         RetryCause = "moved" // what was read before the locks was no longer so
	CauseFreed         RetryCause = "freed" // what was in the way is gone
)

// RetryCauses lists them all.
var RetryCauses = []RetryCause{
	CauseDeadlock, CauseLockWait, CauseCertification, CauseSnapshot, CauseAutoIncrement, CauseMoved, CauseFreed,
}

// transaction reports how a transaction that began at start has ended; err is
// read when it has.
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

// stopwatch is the moment from which a duration is measured.
func stopwatch() time.Time { return time.Now() } //nolint:forbidigo // as in transaction

// since is how long ago that was.
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

// retryCause names what isTransient accepts.
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
	case 1020:
		return CauseSnapshot
	case 1467:
		return CauseAutoIncrement
	default:
		return CauseCertification
	}
}
