package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// OtherZoneError refuses a clinic's time zone that is not the one that the data were
// made with: dates would mean other days.
type OtherZoneError struct{ Configured, Stored string }

func (e *OtherZoneError) Error() string {
	return fmt.Sprintf("the clinic's time zone is set to %s, and the data were made with %s", e.Configured, e.Stored)
}

// AdoptZone compares the configured time zone with the one that is kept in the
// database, and keeps it there if there is none. Errors: *OtherZoneError.
func (s *Store) AdoptZone(ctx context.Context) error {
	configured := s.zone.String()
	const read = `SELECT name FROM clinic_zone WHERE id = 1`
	var stored string
	err := s.db.GetContext(ctx, &stored, read)
	if errors.Is(err, sql.ErrNoRows) {
		// Another process may be doing the same, with another zone.
		if _, err := s.db.ExecContext(ctx, `INSERT IGNORE INTO clinic_zone (id, name) VALUES (1, ?)`, configured); err != nil {
			return err
		}
		err = s.db.GetContext(ctx, &stored, read)
	}
	if err != nil {
		return err
	}
	if stored != configured {
		return &OtherZoneError{configured, stored}
	}
	return nil
}

// ClinicZone returns the time zone that the database keeps; empty for none yet.
func (sc *Schema) ClinicZone(ctx context.Context) (string, error) {
	var stored string
	err := sc.pool.QueryRowContext(ctx, `SELECT name FROM clinic_zone WHERE id = 1`).Scan(&stored)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return stored, err
}

// SetClinicZone replaces the time zone that the database keeps.
func (sc *Schema) SetClinicZone(ctx context.Context, name string) error {
	_, err := sc.pool.ExecContext(ctx, `
		INSERT INTO clinic_zone (id, name) VALUES (1, ?)
		ON DUPLICATE KEY UPDATE name = VALUES(name)`, name)
	return err
}
