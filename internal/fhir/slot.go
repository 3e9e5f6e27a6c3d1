package fhir

import (
	"fmt"
	"strings"
	"time"

	"mems/gen/api"
	"mems/internal/clinic"
)

var utc = time.UTC

// slotStart is how a slot's id writes its start, in UTC. Slots begin on whole
// minutes, because the grid that they are on does.
const slotStart = "20060102T1504Z"

// SlotID names a slot for good: the doctor, the start and the minutes. Nothing is
// kept of a slot, so its id has to say it all.
func SlotID(s clinic.Slot) string {
	return fmt.Sprintf("%d-%s-%d", s.DoctorID, s.Time.Start.UTC().Format(slotStart), s.Time.End.Sub(s.Time.Start)/time.Minute)
}

// ParseSlotID reads what SlotID wrote, and nothing else.
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

// Slot says a time of a doctor, of an appointment type if one was asked for.
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

// ParseType reads the token of an appointment type: its id, with or without its
// system.
func ParseType(token string) (int64, bool) {
	return ParseID(strings.TrimPrefix(token, SystemAppointmentType+"|"))
}
