// Package fhir maps the clinic's records to HL7 FHIR R4 resources
// (https://hl7.org/fhir/R4/), in the contract's types. It is pure: reads and access are
// decided where they are for every other operation.
//
// README.md lists where it departs from FHIR.
package fhir

import (
	"net/url"
	"strconv"
	"strings"

	openapi_types "github.com/oapi-codegen/runtime/types"

	"mems/gen/api"
	"mems/internal/clinic"
)

// MEMS's own systems of codes and identifiers. These URIs are names and cannot be fetched.
const (
	SystemMRN             = "urn:mems:mrn"
	SystemAppointmentType = "urn:mems:appointment-type"
	SystemProblem         = "urn:mems:problem"

	// shortSystem prefixes an identifier system that is not a URI.
	shortSystem = "urn:mems:identifier:"
)

// Match is the search mode of every entry.
var Match = api.FhirSearchMode{Mode: "match"}

// ParseID parses a record's id. It reports false for text that is not an id of ours.
func ParseID(id string) (int64, bool) {
	n, err := strconv.ParseInt(id, 10, 64)
	return n, err == nil && n > 0 && n < 1<<53 && ID(n) == id
}

// ID returns a record's id as text, as FHIR requires.
func ID(id int64) string { return strconv.FormatInt(id, 10) }

// Patient returns a patient as a resource. A merged record is inactive and only links to
// the surviving one.
func Patient(p clinic.Patient) api.FhirPatient {
	out := api.FhirPatient{
		ResourceType: "Patient", ID: ID(p.ID), Active: p.MergedInto == nil && p.ErasedAt == nil,
		Meta: api.FhirMeta{VersionID: ID(p.Version), LastUpdated: p.UpdatedAt},
	}
	if p.MergedInto != nil {
		out.Link = []api.FhirPatientLink{{Type: "replaced-by", Other: api.FhirReference{Reference: "Patient/" + ID(*p.MergedInto)}}}
		return out
	}
	usual, official, text := api.FhirIdentifierUse("usual"), api.FhirHumanNameUse("official"), p.FirstName+" "+p.LastName
	out.Identifier = []api.FhirIdentifier{{Use: &usual, System: SystemMRN, Value: clinic.MRN(p.ID)}}
	for _, i := range p.Identifiers {
		secondary := api.FhirIdentifierUse("secondary")
		out.Identifier = append(out.Identifier, api.FhirIdentifier{Use: &secondary, System: systemURI(i.System), Value: i.Value})
	}
	out.Name = []api.FhirHumanName{{Use: &official, Text: &text, Family: &p.LastName, Given: []string{p.FirstName}}}
	if p.Phone != nil {
		out.Telecom = append(out.Telecom, api.FhirContactPoint{System: "phone", Value: *p.Phone})
	}
	if p.Email != nil {
		out.Telecom = append(out.Telecom, api.FhirContactPoint{System: "email", Value: *p.Email})
	}
	if p.BirthDate != nil {
		out.BirthDate = &openapi_types.Date{Time: clinic.Day(*p.BirthDate, utc).Start}
	}
	return out
}

// systemURI returns an identifier system as a URI without spaces, as FHIR requires.
func systemURI(system string) string {
	if u, err := url.Parse(system); err == nil && u.Scheme != "" && !strings.ContainsAny(system, " \t") {
		return system
	}
	return shortSystem + url.PathEscape(system)
}

// ParseIdentifier parses a search by identifier: `value`, a medical record number, or
// `system|value`.
func ParseIdentifier(token string) (system, value string) {
	system, value, both := strings.Cut(token, "|")
	if !both {
		return SystemMRN, token
	}
	if short, ok := strings.CutPrefix(system, shortSystem); ok {
		if name, err := url.PathUnescape(short); err == nil {
			return name, value
		}
	}
	return system, value
}

// Practitioner returns a doctor as a resource.
func Practitioner(d clinic.Doctor) api.FhirPractitioner {
	return api.FhirPractitioner{
		ResourceType: "Practitioner", ID: ID(d.ID), Active: d.IsActive, Name: []api.FhirHumanName{{Text: &d.FullName}},
		Meta: api.FhirMeta{VersionID: ID(d.Version), LastUpdated: d.UpdatedAt},
	}
}

// Schedule returns a doctor's calendar as a resource.
func Schedule(d clinic.Doctor) api.FhirSchedule {
	return api.FhirSchedule{
		ResourceType: "Schedule", ID: ID(d.ID), Active: d.IsActive,
		Meta:      api.FhirMeta{VersionID: ID(d.Version), LastUpdated: d.UpdatedAt},
		Specialty: []api.FhirCodeableConcept{{Text: &d.Specialization}},
		Actor:     []api.FhirReference{{Reference: "Practitioner/" + ID(d.ID), Display: &d.FullName}},
	}
}

// appointmentType returns the coding of an appointment type, none for nil.
func appointmentType(id *int64) []api.FhirCodeableConcept {
	if id == nil {
		return nil
	}
	return []api.FhirCodeableConcept{{Coding: []api.FhirCoding{{System: SystemAppointmentType, Code: ID(*id)}}}}
}
