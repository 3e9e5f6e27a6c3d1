package fhir

import (
	"fmt"
	"strings"
	"time"

	"mems/gen/api"
	"mems/internal/clinic"
)

var utc = time.UTC

// slotStart is the format of the start in a slot's id, in UTC. Slots start on whole
// minutes, as the grid does.
const slotStart = "20060102T1504Z"

// SlotID returns the permanent id of a slot: the doctor, the start and the minutes. Slots
// are not stored, so the id encodes everything.
func SlotID(s clinic.Slot) string {
	return fmt.Sprintf("%d-%s-%d", s.DoctorID, s.Time.Start.UTC().Format(slotStart), s.Time.End.Sub(s.Time.Start)/time.Minute)
}

// ParseSlotID parses what SlotID returns; it reports false for anything else.
func ParseSlotID(id string) (clinic.Slot, bool) {
	parts := strings.Split(id, "-")
	if len(parts) != 3 {
		return clinic.Slot{}, false
	}
	doctor, known := ParseID(parts[0])
	minutes, counted := ParseID(parts[2])
	start, err := time.Parse(slotStart, parts[1])
	length := time.Duration(minutes) * time.Minute
	if !known || !counted || err != nil || minutes > int64(clinic.MaxDuration/time.Minute) || length < clinic.MinDuration ||
		start.Before(clinic.MinInstant) || start.Add(length).After(clinic.MaxInstant) {
		return clinic.Slot{}, false
	}
	s := clinic.Slot{DoctorID: doctor, Time: clinic.Interval{Start: start, End: start.Add(length)}}
	return s, SlotID(s) == id
}

// Slot returns a time of a doctor as a resource, with an appointment type if one was
// requested.
func Slot(s clinic.Slot, kind *int64, free bool) api.FhirSlot {
	status := api.FhirSlotStatus("busy")
	if free {
		status = "free"
	}
	return api.FhirSlot{
		ResourceType: "Slot", ID: SlotID(s), Status: status, Start: s.Time.Start, End: s.Time.End, ServiceType: appointmentType(kind),
		Schedule: api.FhirReference{Reference: "Schedule/" + ID(s.DoctorID)},
	}
}

// ParseType parses the token of an appointment type: its id, with or without its system.
func ParseType(token string) (int64, bool) {
	return ParseID(strings.TrimPrefix(token, SystemAppointmentType+"|"))
}
