package store

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"mems/internal/clinic"
	"mems/internal/database"
)

// A full table is reported by the writes that meet it, until one is committed.
func TestRefusedWritesCount(t *testing.T) {
	t.Parallel()
	r := &readiness{}
	full := &mysql.MySQLError{Number: 1114, Message: "The table 'audit_entries' is full"}
	r.wrote(&clinic.Error{Code: clinic.CodeUnavailable, Cause: full})
	if err := r.refusedLately(); !database.RefusesWrites(err) {
		t.Errorf("after a refused write: error %v, want a refusal of writes", err)
	}
	r.wrote(errors.New("a rule refused it")) // says nothing about the disk
	if r.refusedLately() == nil {
		t.Error("after a refusal by a rule: no error, want a refusal of writes")
	}
	r.wrote(nil)
	if err := r.refusedLately(); err != nil {
		t.Errorf("after a committed write: error %v, want none", err)
	}
}

// An outage is logged when it begins, when its cause changes, and at its end.
func TestReadinessLogsChanges(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	log := slog.New(slog.NewTextHandler(&text, nil))
	r := &readiness{}
	gone := &clinic.Error{Code: clinic.CodeUnavailable, Cause: mysql.ErrInvalidConn}
	for _, err := range []error{nil, nil, gone, gone, ErrWritesRefused, gone, nil, nil} {
		r.logChange(log, err)
	}
	if lines, faults := strings.Count(text.String(), "\n"), strings.Count(text.String(), "level=ERROR"); lines != 4 || faults != 3 {
		t.Errorf("%d lines, %d of them errors, want 4 and 3:\n%s", lines, faults, text.String())
	}
	// A process that starts without a database logs that by other code.
	text.Reset()
	r = &readiness{}
	r.logChange(log, gone)
	if text.Len() > 0 {
		t.Errorf("the first probe was logged, want no line: %s", text.String())
	}
	if r.logChange(log, nil); !strings.Contains(text.String(), "can be used again") {
		t.Errorf("the log lacks the end of the outage: %s", text.String())
	}
}

// A database without room is reported as unavailable (503), not as a fault of the program. MariaDB
// 10.11 returned 1034 after its disk had been full (make prove FAULTS='disk full').
func TestFullDiskIsUnavailable(t *testing.T) {
	t.Parallel()
	for _, number := range []uint16{1021, 1034, 1114, 1712, 1877} {
		err := translate(t.Context(), "read room", &mysql.MySQLError{Number: number, Message: "no room"})
		if !errors.Is(err, clinic.ErrUnavailable) {
			t.Errorf("error %d = %v, want %v", number, err, clinic.ErrUnavailable)
		}
	}
}
