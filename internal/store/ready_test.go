package store

import (
	"errors"
	"testing"

	"github.com/go-sql-driver/mysql"

	"mems/internal/clinic"
	"mems/internal/database"
)

// A full table is noticed by the writes that meet it, until one is committed.
func TestRefusedWritesCount(t *testing.T) {
	t.Parallel()
	r := &readiness{}
	full := &mysql.MySQLError{Number: 1114, Message: "The table 'audit_entries' is full"}
	r.wrote(&clinic.Error{Code: clinic.CodeUnavailable, Cause: full})
	if err := r.refusedLately(); !database.RefusesWrites(err) {
		t.Errorf("not noticed: %v", err)
	}
	r.wrote(errors.New("a rule refused it")) // says nothing about the disk
	if r.refusedLately() == nil {
		t.Error("forgotten too early")
	}
	r.wrote(nil)
	if err := r.refusedLately(); err != nil {
		t.Errorf("not forgotten: %v", err)
	}
}
