package contract

import (
	"fmt"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"mems/internal/clinic"
)

// A Calendar says where a request tells which doctors' calendars it writes, by the
// operation's x-calendar. Every write has one that guards a doctor's row, if whose it is
// can be told before. An operation without one writes no doctor's row, or many of them (a
// closure, a merge of patients, which are rare), or finds the doctor only under way (a
// walk-in for a specialization; the one whom an undo goes back to).
type Calendar struct {
	Doctor DoctorIn
	Record clinic.Kind // the database knows, by the id in the path
}

// A DoctorIn is where a request names a doctor.
type DoctorIn string

// The values of doctor in x-calendar.
const (
	DoctorInPath        DoctorIn = "path"        // the id there
	DoctorInBody        DoctorIn = "body"        // doctor_id, or a single one in doctor_ids
	DoctorInParticipant DoctorIn = "participant" // of a FHIR Appointment
)

// calendarRecords are the kinds of records that are in doctors' calendars.
var calendarRecords = []clinic.Kind{
	clinic.KindAppointment, clinic.KindSeries, clinic.KindHold, clinic.KindPlan, clinic.KindTicket, clinic.KindWaitlistEntry,
}

func (o *Operation) calendarOf(op *openapi3.Operation) (Calendar, error) {
	stated, ok := op.Extensions["x-calendar"]
	if !ok {
		return Calendar{}, nil
	}
	refused := fmt.Errorf("contract: %s has no x-calendar that is known and fits: %v", o.ID, stated)
	members, _ := stated.(map[string]any)
	if len(members) == 0 {
		return Calendar{}, refused
	}
	var c Calendar
	hasID := strings.Contains(o.Path, "{id}")
	for name, value := range members {
		word, _ := value.(string)
		switch {
		case name == "record" && hasID && slices.Contains(calendarRecords, clinic.KindNamed(word)):
			c.Record = clinic.KindNamed(word)
		case name != "doctor":
			return Calendar{}, refused
		case DoctorIn(word) == DoctorInPath && hasID,
			DoctorIn(word) == DoctorInBody && op.RequestBody != nil && !o.fhir,
			DoctorIn(word) == DoctorInParticipant && op.RequestBody != nil && o.fhir:
			c.Doctor = DoctorIn(word)
		default:
			return Calendar{}, refused
		}
	}
	return c, nil
}
