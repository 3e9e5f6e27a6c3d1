package fhir

import (
	"slices"
	"strings"
	"time"

	"mems/gen/api"
	"mems/internal/clinic"
)

// statuses is how FHIR calls the statuses of an appointment. FHIR's appointment
// ends where the encounter begins ("fulfilled"), and it knows nobody who came and
// did not wait; the cancellation says so.
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

// Statuses lists those that FHIR calls by one of the names, which are separated
// by commas; none when no appointment of ours is ever called so.
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

// cancellations is how FHIR codes why appointments are cancelled
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

// Appointment says an appointment; doctor is its doctor's name, "" when it is not
// known. What people wrote (notes, reasons of an override) stays out of it.
func Appointment(a clinic.Appointment, doctor string) api.FhirAppointment {
	id, created := ID(a.ID), a.CreatedAt
	out := proposed(a.DoctorID, a.Time, a.TypeID)
	out.ID, out.Created, out.Status = &id, &created, statuses[a.Status]
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

// Proposal says a free time as the appointment that it could become.
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
