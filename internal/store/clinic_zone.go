package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// OtherZoneError refuses a clinic's time zone that is not the one that the data were
// made with: dates would mean other days.
type OtherZoneError struct{ Configured, Stored string }

func (e *OtherZoneError) Error() string {
	return fmt.Sprintf("the clinic's time zone is set to %s, and the data were made with %s", e.Configured, e.Stored)
}

// zoneRead is the time zone that the database keeps. Primary key.
const zoneRead = `SELECT name FROM clinic_zone WHERE id = 1`

// AdoptZone compares the configured time zone with the one that is kept in the
// database, and keeps it there if there is none. Errors: *OtherZoneError.
func (s *Store) AdoptZone(ctx context.Context) error {
	configured := s.zone.String()
	err := s.CheckZone(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		// Another process may be doing the same, with another zone.
		if _, err := s.db.ExecContext(ctx, `INSERT IGNORE INTO clinic_zone (id, name) VALUES (1, ?)`, configured); err != nil {
			return err
		}
		err = s.CheckZone(ctx)
	}
	return err
}

// CheckZone compares the configured time zone with the one that is kept in the database.
// Errors: *OtherZoneError, sql.ErrNoRows when none is kept yet.
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

// ClinicZone returns the time zone that the database keeps; empty for none yet.
func ClinicZone(ctx context.Context, db *sqlx.DB) (string, error) {
	var stored string
	err := db.GetContext(ctx, &stored, zoneRead)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return stored, err
}

// SetClinicZone replaces the time zone that the database keeps, and returns the one
// before; empty for none. The same one again changes nothing. It needs the rights of the user who migrates.
// Lock: the row of the zone.
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
