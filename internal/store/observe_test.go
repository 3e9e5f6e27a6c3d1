package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/go-sql-driver/mysql"

	"mems/internal/clinic"
)

// Every retry has a cause, and each cause is in the list with which metrics start.
func TestRetryCauses(t *testing.T) {
	t.Parallel()
	seen := map[RetryCause]bool{}
	for number, want := range map[uint16]RetryCause{
		1213: CauseDeadlock, 1205: CauseLockWait, 3101: CauseCertification, 1180: CauseCertification,
		1020: CauseSnapshot, 1412: CauseSnapshot, 1467: CauseAutoIncrement,
	} {
		err := fmt.Errorf("wrapped: %w", &mysql.MySQLError{Number: number})
		if got := retryCause(err); got != want || !isTransient(err) {
			t.Errorf("%d: %s, want %s; tried again: %t", number, got, want, isTransient(err))
		}
		seen[want] = true
	}
	for err, want := range map[error]RetryCause{errStale: CauseMoved, nil: CauseFreed} {
		if got := retryCause(err); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
		seen[want] = true
	}
	for cause := range seen {
		if !slices.Contains(RetryCauses, cause) {
			t.Errorf("RetryCauses lacks %s", cause)
		}
	}
	if len(seen) != len(RetryCauses) {
		t.Errorf("%d causes, RetryCauses lists %d; want the same", len(seen), len(RetryCauses))
	}
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	cases := map[Outcome]error{
		Committed: nil, Refused: clinic.ErrDoctorOverlap, Unavailable: clinic.ErrUnavailable,
		Unknown: clinic.ErrOutcomeUnknown, Cancelled: context.Canceled, Failed: errors.New("a fault"),
	}
	for want, err := range cases {
		if got := outcomeOf(err); got != want || !slices.Contains(Outcomes, want) {
			t.Errorf("%v: %s, want %s, which must be listed", err, got, want)
		}
	}
	if len(cases) != len(Outcomes) {
		t.Errorf("%d outcomes, Outcomes lists %d; want the same", len(cases), len(Outcomes))
	}
}
