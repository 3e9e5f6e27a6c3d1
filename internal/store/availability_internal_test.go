package store

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// counting counts the statements that pass through it.
type counting struct {
	sqlx.QueryerContext
	n int
}

func (c *counting) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	c.n++
	return c.QueryerContext.QueryContext(ctx, query, args...)
}

func (c *counting) QueryxContext(ctx context.Context, query string, args ...any) (*sqlx.Rows, error) {
	c.n++
	return c.QueryerContext.QueryxContext(ctx, query, args...)
}

func (c *counting) QueryRowxContext(ctx context.Context, query string, args ...any) *sqlx.Row {
	c.n++
	return c.QueryerContext.QueryRowxContext(ctx, query, args...)
}

// CountAvailability returns the number of statements that a search of two weeks sends and of the
// slots that it finds; availability_test.go calls it with few and many doctors.
func CountAvailability(t *testing.T, s *Store, typeID, patientID int64, from time.Time) (statements, slots int) {
	t.Helper()
	c := &counting{QueryerContext: s.db}
	r := &reader{q: c, now: from.Add(-time.Hour), slot: clinic.SlotQuery{Step: 15 * time.Minute, Zone: time.UTC}}
	window := clinic.Interval{Start: from, End: from.AddDate(0, 0, 14)}
	err := r.prepare(t.Context(), &queries{QueryerContext: c, req: SystemRequest()}, AvailabilityQuery{TypeID: &typeID, PatientID: &patientID, Window: window})
	if err != nil {
		t.Fatal(err)
	}
	left := MaxDoctorDays
	_, err = walk(window, &left, func() int { return len(r.doctors) }, func(part clinic.Interval) error {
		found, err := r.slots(t.Context(), part, r.doctors, 10_000)
		slots += len(found)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return c.n, slots
}
