package fhir

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"mems/gen/api"
	"mems/internal/clinic"
)

// The searches, as far as FHIR defines them. A search for something that cannot exist is
// not an error: it finds nothing (None).

// MaxCount is the maximum number of resources of a page: the contract's maxItems of entry.
const MaxCount = 200

// ParseCount parses _count, which is capped (R4 section 3.1.1.5.5). countOnly is true for
// 0, which requests only the number of matches.
func ParseCount(count *api.FhirCount) (limit int, countOnly bool) {
	if count == nil {
		return 1, false
	}
	return max(1, min(int(*count), MaxCount)), *count == 0
}

// PatientSearch is a parsed patient search; zero members do not restrict it.
type PatientSearch struct {
	None                         bool // nothing matches
	IDs                          []int64
	ID                           int64 // in the medical record number
	IdentifierSystem, Identifier string
	BirthFrom, BirthBefore       *clinic.Date
}

// ParsePatientSearch parses the parameters that are not text. Errors:
// clinic.CodeValidationFailed.
func ParsePatientSearch(p api.SearchFhirPatientsParams) (s PatientSearch, err error) {
	if s.BirthFrom, s.BirthBefore, err = ParseDays("birthdate", p.Birthdate); err != nil {
		return s, err
	}
	if p.UnderscoreID != nil {
		ids, ok := ParseIDs(*p.UnderscoreID)
		s.IDs, s.None = ids, !ok
	}
	if p.Identifier == nil {
		return s, nil
	}
	system, value := ParseIdentifier(*p.Identifier)
	if system == SystemMRN {
		id, ok := clinic.ParseMRN(value)
		s.ID, s.None = id, s.None || !ok
		return s, nil
	}
	s.None = s.None || system == "" || value == ""
	s.IdentifierSystem, s.Identifier = system, value
	return s, nil
}

// NoDoctor is an id that no doctor has.
const NoDoctor = -1

// ParseActor parses the doctor of a schedule search: 0 for any, NoDoctor for one that
// cannot exist. Errors: clinic.CodeValidationFailed.
func (b Base) ParseActor(actor *string) (doctorID int64, err error) {
	if actor == nil {
		return 0, nil
	}
	_, id, ok, err := b.SearchReference("actor", *actor, "Practitioner")
	if err == nil && !ok {
		id = NoDoctor
	}
	return id, err
}

// AppointmentSearch is a parsed appointment search; zero members do not restrict it.
type AppointmentSearch struct {
	None                bool // nothing matches
	IDs                 []int64
	PatientID, DoctorID int64
	Statuses            []clinic.Status
	Window              clinic.Window
}

// ParseAppointmentSearch parses an appointment search; days are those of zone. Errors:
// clinic.CodeValidationFailed.
func (b Base) ParseAppointmentSearch(p api.SearchFhirAppointmentsParams, zone *time.Location) (s AppointmentSearch, err error) {
	if p.UnderscoreID != nil {
		ids, ok := ParseIDs(*p.UnderscoreID)
		s.IDs, s.None = ids, !ok
	}
	for _, by := range []struct {
		parameter string
		value     *string
		kinds     []string
	}{{"patient", p.Patient, []string{"Patient"}}, {"practitioner", p.Practitioner, []string{"Practitioner"}}, {"actor", p.Actor, []string{"Patient", "Practitioner"}}} {
		if by.value == nil {
			continue
		}
		kind, n, ok, err := b.SearchReference(by.parameter, *by.value, by.kinds...)
		if err != nil {
			return s, err
		}
		id := &s.DoctorID
		if kind == "Patient" {
			id = &s.PatientID
		}
		if !ok || *id != 0 && *id != n { // no record has two ids
			s.None = true
		}
		*id = n
	}
	if p.Status != nil {
		s.Statuses = Statuses(*p.Status)
		s.None = s.None || len(s.Statuses) == 0
	}
	dates, err := ParseDates("date", p.Date, zone)
	if err != nil {
		return s, err
	}
	s.Window = clinic.Window{Interval: clinic.Interval{Start: dates.From, End: dates.To}, ByStart: true}
	if dates.From.IsZero() {
		s.Window.Start = clinic.MinInstant
	}
	if dates.To.IsZero() {
		s.Window.End = clinic.MaxInstant
	}
	return s, nil
}

// TooManyAppointments returns the refusal to count more appointments than most.
func TooManyAppointments(most int64) error {
	return clinic.Invalid(clinic.Violation{
		Parameter: "date", Code: "maximum", Detail: fmt.Sprintf("spans too many appointments to count, at most %d are; ask for fewer days", most),
	})
}

// FreeParameters are the parameters of a search for free times, as slots or as proposals.
type FreeParameters struct {
	Kind        string  // resource type in Of: Schedule or Practitioner
	Of          *string // references, separated by commas
	ServiceType *string
	Duration    time.Duration // 0: not given
	Start       []string
}

// FreeSearch is a parsed search for free times.
type FreeSearch struct {
	None      bool // nothing matches
	DoctorIDs []int64
	TypeID    *int64
	Window    clinic.Interval
	Duration  time.Duration // 0: the type's
}

// The default window and length of free times, and the maximum number of doctors.
const (
	usualWindow = 14 * 24 * time.Hour
	usualSlot   = 30 * time.Minute
	maxDoctors  = 20
)

// ParseFreeSearch parses a search for free times; days are those of zone. Errors:
// clinic.CodeValidationFailed.
func (b Base) ParseFreeSearch(p FreeParameters, now time.Time, zone *time.Location) (FreeSearch, error) {
	s := FreeSearch{Duration: p.Duration}
	dates, err := ParseDates("start", p.Start, zone)
	if err != nil {
		return s, err
	}
	if s.Window, err = freeWindow(dates, now); err != nil {
		return s, err
	}
	if p.ServiceType != nil {
		id, ok := ParseType(*p.ServiceType)
		if !ok {
			s.None = true
			return s, nil
		}
		s.TypeID = &id
	} else if s.Duration == 0 {
		s.Duration = usualSlot
	}
	if p.Of == nil {
		return s, nil
	}
	references, parameter := strings.Split(*p.Of, ","), strings.ToLower(p.Kind)
	if len(references) > maxDoctors {
		return s, clinic.Invalid(clinic.Violation{Parameter: parameter, Code: "invalid", Detail: "must be at most 20, separated by commas"})
	}
	for _, reference := range references {
		_, id, ok, err := b.SearchReference(parameter, reference, p.Kind)
		if err != nil || !ok {
			s.None = true
			return s, err
		}
		if !slices.Contains(s.DoctorIDs, id) {
			s.DoctorIDs = append(s.DoctorIDs, id)
		}
	}
	return s, nil
}

// freeWindow sets missing bounds, and skips the past, which has no free times.
func freeWindow(dates Dates, now time.Time) (clinic.Interval, error) {
	window := clinic.Interval{Start: dates.From, End: dates.To}
	if window.Start.IsZero() || window.End.IsZero() && window.Start.Before(now) {
		window.Start = now
	}
	if window.End.IsZero() {
		window.End = window.Start.Add(usualWindow)
	}
	if window.End.Sub(window.Start) > clinic.MaxSearch {
		return window, clinic.Invalid(clinic.Violation{Parameter: "start", Code: "maximum", Detail: "must span at most 92 days: give both bounds"})
	}
	return window, nil
}

// MaxCountedTimes is the maximum number of free times that are counted.
const MaxCountedTimes = 50_000

// TooManyTimes returns the refusal to count more free times than MaxCountedTimes, or to
// search more doctor-days.
func TooManyTimes(doctorDays int) error {
	return clinic.Invalid(clinic.Violation{
		Parameter: "start", Code: "maximum",
		Detail: fmt.Sprintf("spans too many times to count, more than %d or more than %d doctor-days; ask for fewer doctors or days", MaxCountedTimes, doctorDays),
	})
}
