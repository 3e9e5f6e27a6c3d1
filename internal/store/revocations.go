package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// Revocations are the keys and calendar feeds that were revoked and the patients
// who were erased, up to an instant. They are applied again to a restored backup that is
// older. They contain no personal data.
type Revocations struct {
	At            time.Time    `json:"at"`
	APIKeys       []Revocation `json:"api_keys"`
	CalendarFeeds []Revocation `json:"calendar_feeds"`
	Patients      []Revocation `json:"patients"`
}

// Revocation identifies a record. A restored database assigns the same ids again, so the time
// of creation must match, too.
type Revocation struct {
	ID        int64     `json:"id" db:"id"`
	CreatedAt time.Time `json:"created_at" db:"created_at"`
}

// ReadRevocations reads what is revoked and erased, with a clock to say when.
func ReadRevocations(ctx context.Context, db *sqlx.DB, now time.Time) (Revocations, error) {
	r := Revocations{At: now.UTC()}
	for query, into := range map[string]*[]Revocation{
		`SELECT id, created_at FROM api_keys WHERE revoked_at IS NOT NULL ORDER BY id`:       &r.APIKeys,
		`SELECT id, created_at FROM calendar_feeds WHERE revoked_at IS NOT NULL ORDER BY id`: &r.CalendarFeeds,
		`SELECT id, created_at FROM patients WHERE erased_at IS NOT NULL ORDER BY id`:        &r.Patients,
	} {
		if err := db.SelectContext(ctx, into, query); err != nil {
			return r, err
		}
	}
	return r, nil
}

// Union returns the records of both lists, up to the later instant.
func (r Revocations) Union(other Revocations) Revocations {
	if other.At.After(r.At) {
		r.At = other.At
	}
	r.APIKeys = union(r.APIKeys, other.APIKeys)
	r.CalendarFeeds = union(r.CalendarFeeds, other.CalendarFeeds)
	r.Patients = union(r.Patients, other.Patients)
	return r
}

func union(a, b []Revocation) []Revocation {
	known := make(map[Revocation]bool, len(a)+len(b))
	var all []Revocation
	for _, r := range slices.Concat(a, b) {
		r.CreatedAt = r.CreatedAt.UTC()
		if !known[r] {
			known[r] = true
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b Revocation) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return all
}

// AppliedRevocations is what ApplyRevocations changed.
type AppliedRevocations struct {
	APIKeys, CalendarFeeds, Patients int
	// Open lists erased patients who have appointments, tickets or offers that are
	// still open in the restored database.
	Open []int64
}

// ApplyRevocations revokes and erases the records of a list that the database still has, as
// RevokeAPIKey, RevokeCalendarFeed and ErasePatient do. It is idempotent.
func (s *Store) ApplyRevocations(ctx context.Context, req Request, r Revocations, reason string) (AppliedRevocations, error) {
	var done AppliedRevocations
	for _, key := range r.APIKeys {
		found, err := s.holds(ctx, `SELECT COUNT(*) FROM api_keys WHERE id = ? AND created_at = ? AND revoked_at IS NULL`, key)
		if err != nil {
			return done, err
		}
		if !found {
			continue
		}
		if _, err := s.RevokeAPIKey(ctx, req, key.ID); err != nil {
			return done, err
		}
		done.APIKeys++
	}
	for _, feed := range r.CalendarFeeds {
		found, err := s.holds(ctx, `SELECT COUNT(*) FROM calendar_feeds WHERE id = ? AND created_at = ? AND revoked_at IS NULL`, feed)
		if err != nil {
			return done, err
		}
		if !found {
			continue
		}
		if _, err := s.RevokeCalendarFeed(ctx, req, feed.ID); err != nil {
			return done, err
		}
		done.CalendarFeeds++
	}
	for _, patient := range r.Patients {
		found, err := s.holds(ctx, `SELECT COUNT(*) FROM patients WHERE id = ? AND created_at = ? AND erased_at IS NULL`, patient)
		if err != nil {
			return done, err
		}
		if !found {
			continue
		}
		_, err = s.ErasePatient(ctx, req, patient.ID, reason)
		if errors.Is(err, clinic.ErrHasOpenAppointments) {
			// Cancelled before the erasure, which the backup does not know.
			done.Open = append(done.Open, patient.ID)
			_, err = s.erasePatient(ctx, req, erasure{id: patient.ID, reason: reason, withOpen: true})
		}
		if errors.Is(err, clinic.ErrPatientMerged) {
			continue // erased with the record that it was merged into
		}
		if err != nil {
			return done, err
		}
		done.Patients++
	}
	return done, nil
}

// holds reports whether the database has a record of a list.
func (s *Store) holds(ctx context.Context, query string, r Revocation) (bool, error) {
	var n int
	err := s.db.GetContext(ctx, &n, query, r.ID, r.CreatedAt)
	return n > 0, translate(ctx, "find revoked record", err)
}
