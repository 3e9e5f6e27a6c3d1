package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// OtherZoneError reports that the configured time zone differs from the one that the data
// was created with: dates would mean different days.
type OtherZoneError struct{ Configured, Stored string }

func (e *OtherZoneError) Error() string {
	return fmt.Sprintf("the clinic's time zone is set to %s, and the data were made with %s", e.Configured, e.Stored)
}

// zoneRead selects the stored time zone. Primary key.
const zoneRead = `SELECT name FROM clinic_zone WHERE id = 1`

// AdoptZone compares the configured time zone with the stored one, and stores it if there
// is none, but not into a database that is being restored. Errors: *OtherZoneError.
func (s *Store) AdoptZone(ctx context.Context) error {
	configured := s.zone.String()
	err := s.CheckZone(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		// Another process may store another zone concurrently.
		if _, err := s.db.ExecContext(ctx, `
			INSERT IGNORE INTO clinic_zone (id, name)
			SELECT 1, ? FROM installation WHERE id = 1 AND data_id IS NOT NULL`, configured); err != nil {
			return err
		}
		err = s.CheckZone(ctx)
	}
	return err
}

// CheckZone compares the configured time zone with the stored one. Errors: *OtherZoneError,
// sql.ErrNoRows if none is stored.
func (s *Store) CheckZone(ctx context.Context) error { return s.checkZone(ctx, s.db) }

func (s *Store) checkZone(ctx context.Context, q sqlx.QueryerContext) error {
	var stored string
	if err := sqlx.GetContext(ctx, q, &stored, zoneRead); err != nil {
		return err
	}
	if configured := s.zone.String(); stored != configured {
		return &OtherZoneError{configured, stored}
	}
	return nil
}

// ClinicZone returns the stored time zone, empty for none.
func ClinicZone(ctx context.Context, db *sqlx.DB) (string, error) {
	var stored string
	err := db.GetContext(ctx, &stored, zoneRead)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return stored, err
}

// SetClinicZone replaces the stored time zone, and returns the previous one, empty for
// none. The same zone changes nothing. It needs the privileges of the migrating user. Lock:
// the row of the zone.
func (s *Store) SetClinicZone(ctx context.Context, name string) (before string, err error) {
	err = s.inTx(ctx, "set time zone of the clinic", func(t *tx) error {
		before = ""
		err := t.GetContext(ctx, &before, zoneRead+` FOR UPDATE`)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if before == name {
			return nil
		}
		_, err = t.exec(ctx, `
			INSERT INTO clinic_zone (id, name) VALUES (1, ?)
			ON DUPLICATE KEY UPDATE name = VALUES(name)`, name)
		if err != nil {
			return err
		}
		t.record(ctx, clinic.Changed(clinic.KindClinicZone, 1, clinic.Members{"name": before}, clinic.Members{"name": name}))
		return nil
	})
	return before, err
}
