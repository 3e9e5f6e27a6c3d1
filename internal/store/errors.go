package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/go-sql-driver/mysql"

	"mems/internal/clinic"
	"mems/internal/database"
)

// isTransient reports whether the transaction may succeed if it is retried.
func isTransient(err error) bool { return errors.Is(err, errStale) || database.IsTransient(err) }

// translate converts an error of the driver to one of package clinic. Unknown errors are
// bugs. Both name the act that failed: "read room". Refusals are returned unchanged.
func translate(ctx context.Context, act string, err error) error {
	if err == nil {
		return nil
	}
	if answered, ok := errors.AsType[replay](err); ok {
		return answered
	}
	if known, ok := errors.AsType[*clinic.Error](err); ok {
		return known
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return context.Canceled // the client is gone
	}
	err = fmt.Errorf("%s: %w", act, err)
	unavailable := &clinic.Error{Code: clinic.CodeUnavailable, Cause: err}
	if ctx.Err() != nil || errors.Is(err, errStale) || errors.Is(err, database.ErrNoPrimary) {
		return unavailable
	}
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		if translated := translateServerError(e, unavailable); translated != nil {
			return translated
		}
		return err
	}
	if database.IsConnectionLost(err) {
		return unavailable
	}
	return err
}

// translateServerError returns nil for an unknown error.
func translateServerError(e *mysql.MySQLError, unavailable error) error {
	if isTransient(e) {
		return unavailable
	}
	switch e.Number {
	case 1062: // duplicate entry: told apart by the constraint, which ends the message
		if strings.HasSuffix(e.Message, "patients_email_key'") {
			return clinic.ErrEmailTaken
		}
		if strings.HasSuffix(e.Message, "rooms_name'") || strings.HasSuffix(e.Message, "appointment_types_name'") {
			return clinic.ErrNameTaken
		}
	case 1451: // the row has children
		return clinic.ErrHasAppointments
	case 1452: // a referenced row was deleted after it was read; the constraint names it
		for suffix, missing := range missingParents {
			if strings.Contains(e.Message, suffix+"`") {
				return missing
			}
		}
	case 45001: // the backstop's triggers; only reached if the guard was bypassed
		return clinic.ErrDoctorOverlap
	case 45002:
		return clinic.ErrPatientOverlap
	case 45003:
		return clinic.ErrRoomOverlap
	case 1040, 1203, 1226, // too many connections
		1044, 1045, 1049, 1142, 1143, 1698, // no access, no such database
		1054, 1146, 1247, // no such column or table: not migrated; 1247 where a list has an alias of the column's name
		1053, 1077, 1078, 1079, 1152, 1927, // shutting down, connection killed
		1290, 1792, 1836, // read-only: a fail-over is under way
		1021, 1041, 1114, // disk, memory or table full
		1034, 1712, 1877, // an index or a table cannot be used: MariaDB says so of one that met a full disk
		1047,       // Galera: node not ready
		1317, 3024, // the query was interrupted
		3032, 1184, // MySQL: offline mode, the connection was ended
		4031,                   // the server ended an idle connection
		1158, 1159, 1160, 1161, // the server lost the connection
		3098, 4094, 3799, // Group Replication: the primary is being changed, or the member leaves
		3781, 3782, 3783, 3796, 3797, 3798, // Group Replication: no answer before the new primary has all changes
		3100: // Group Replication: hook failed, the member left the group
		return unavailable
	}
	return nil
}

// missingParents maps the suffixes of foreign keys' names to errors.
var missingParents = map[string]*clinic.Error{
	"_doctor_exists":      clinic.ErrDoctorNotFound,
	"_patient_exists":     clinic.ErrPatientNotFound,
	"_room_exists":        clinic.ErrRoomNotFound,
	"_type_exists":        clinic.ErrTypeNotFound,
	"_series_exists":      clinic.ErrSeriesNotFound,
	"_appointment_exists": clinic.ErrAppointmentNotFound,
}

// reportBackstop logs a refusal by the backstop's triggers: nothing was booked twice, but
// the guards, which have to refuse first, did not.
func (s *Store) reportBackstop(ctx context.Context, err error) {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok && e.Number >= 45001 && e.Number <= 45003 {
		s.log.ErrorContext(ctx, "the database refused to book a time twice, and the program had not: this is a fault of MEMS, please report it", "cause", e)
	}
}

// isDuplicate reports a duplicate key.
func isDuplicate(err error) bool {
	e, ok := errors.AsType[*mysql.MySQLError](err)
	return ok && e.Number == 1062
}

// isNull reports a NULL in a column that takes none.
func isNull(err error) bool {
	e, ok := errors.AsType[*mysql.MySQLError](err)
	return ok && e.Number == 1048
}

// notFound returns missing for sql.ErrNoRows.
func notFound(err, missing error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return missing
	}
	return err
}
