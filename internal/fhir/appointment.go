package fhir

import (
	"slices"
	"strings"
	"time"

	"mems/gen/api"
	"mems/internal/clinic"
)

// statuses maps the statuses of an appointment to FHIR's. FHIR's appointment ends where the
// encounter begins ("fulfilled"), and it has no status for a patient who left without being
// seen; the cancellation reason has.
var statuses = map[clinic.Status]api.FhirAppointmentStatus{
	clinic.StatusScheduled:            "booked",
	clinic.StatusConfirmed:            "booked",
	clinic.StatusCheckedIn:            "checked-in",
	clinic.StatusInProgress:           "fulfilled",
	clinic.StatusCompleted:            "fulfilled",
	clinic.StatusCancelled:            "cancelled",
	clinic.StatusNoShow:               "noshow",
	clinic.StatusLeftWithoutBeingSeen: "cancelled",
}

// Statuses returns the statuses that map to one of FHIR's, which are separated by commas;
// none if no status maps to them.
func Statuses(names string) []clinic.Status {
	wanted := strings.Split(names, ",")
	var found []clinic.Status
	for status, name := range statuses {
		if slices.Contains(wanted, string(name)) {
			found = append(found, status)
		}
	}
	slices.Sort(found)
	return found
}

// cancellations maps cancellation reasons to FHIR's codes
// (http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason).
var cancellations = map[clinic.CancellationReason]api.FhirCoding{
	clinic.ReasonPatientRequest:    {Code: "pat"},
	clinic.ReasonDoctorUnavailable: {Code: "prov"},
	clinic.ReasonClinicClosed:      {Code: "other"},
	clinic.ReasonRebooked:          {Code: "other"},
	clinic.ReasonBookedInError:     {Code: "oth-err"},
	clinic.ReasonOther:             {Code: "other"},
}

const systemCancellation = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"

// Appointment returns an appointment as a resource; doctor is its doctor's name, "" if not
// known. Text for staff (notes, reasons of an override) is left out.
func Appointment(a clinic.Appointment, doctor string) api.FhirAppointment {
	id, created := ID(a.ID), a.CreatedAt
	out := proposed(a.DoctorID, a.Time, a.TypeID)
	out.ID, out.Created, out.Status, out.Description = &id, &created, statuses[a.Status], a.Reason
	out.Meta = &api.FhirMeta{VersionID: ID(a.Version), LastUpdated: a.UpdatedAt}
	if doctor != "" {
		out.Participant[0].Actor.Display = &doctor
	}
	out.Participant = append([]api.FhirParticipant{{
		Actor: api.FhirReference{Reference: "Patient/" + ID(a.PatientID)}, Status: "accepted",
	}}, out.Participant...)
	switch {
	case a.Cancellation != nil:
		coding := cancellations[a.Cancellation.Reason]
		coding.System = systemCancellation
		text := strings.ReplaceAll(string(a.Cancellation.Reason), "_", " ")
		out.CancelationReason = &api.FhirCodeableConcept{Coding: []api.FhirCoding{coding}, Text: &text}
	case a.Status == clinic.StatusLeftWithoutBeingSeen:
		text := "left without being seen"
		out.CancelationReason = &api.FhirCodeableConcept{Text: &text}
	}
	return out
}

// Proposal returns a free time as a proposed appointment.
func Proposal(s clinic.Slot, kind *int64) api.FhirAppointment {
	out := proposed(s.DoctorID, s.Time, kind)
	out.Slot = []api.FhirReference{{Reference: "Slot/" + SlotID(s)}}
	return out
}

func proposed(doctor int64, t clinic.Interval, kind *int64) api.FhirAppointment {
	return api.FhirAppointment{
		ResourceType: "Appointment", Status: "proposed", Start: t.Start, End: t.End, ServiceType: appointmentType(kind),
		MinutesDuration: int32(t.End.Sub(t.Start) / time.Minute), //nolint:gosec // G115: at most 180
		Participant: []api.FhirParticipant{{
			Actor: api.FhirReference{Reference: "Practitioner/" + ID(doctor)}, Status: "accepted",
		}},
	}
}
