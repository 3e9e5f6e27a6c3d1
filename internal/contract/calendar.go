package contract

import (
	"fmt"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"mems/internal/clinic"
)

// A Calendar says where a request names the doctors whose calendars it writes, from the
// operation's x-calendar. Every write that guards a doctor's row has one, if the doctor is
// known in advance. Operations without one write no doctor's row, or many (a closure, a
// merge of patients, both rare), or determine the doctor only while running (a walk-in for
// a specialization; the doctor to whom an undo returns).
type Calendar struct {
	Doctor DoctorIn
	Record clinic.Kind // the database has it, by the id in the path
}

// A DoctorIn is the part of a request that names the doctor.
type DoctorIn string

// The values of doctor in x-calendar.
const (
	DoctorInPath        DoctorIn = "path"        // the id in the path
	DoctorInBody        DoctorIn = "body"        // doctor_id, or the only one in doctor_ids
	DoctorInParticipant DoctorIn = "participant" // of a FHIR Appointment
)

// calendarRecords are the kinds of records in doctors' calendars.
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
