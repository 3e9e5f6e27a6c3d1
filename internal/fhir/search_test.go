package fhir_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/fhir"
)

var (
	searched = fhir.Base{Address: "https://mems.example.org/fhir"}
	// present is the current time in these tests.
	present = time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)
)

// parameterOf returns the parameter for which a search was refused, "" for none.
func parameterOf(err error) string {
	refusal, ok := errors.AsType[*clinic.Error](err)
	if !ok || len(refusal.Violations) == 0 {
		return ""
	}
	return refusal.Violations[0].Parameter
}

func TestParseCount(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		count     *api.FhirCount
		limit     int
		countOnly bool
	}{
		{nil, 1, false},
		{new(api.FhirCount(0)), 1, true},
		{new(api.FhirCount(1)), 1, false},
		{new(api.FhirCount(200)), 200, false},
		{new(api.FhirCount(201)), 200, false},
	} {
		if limit, countOnly := fhir.ParseCount(c.count); limit != c.limit || countOnly != c.countOnly {
			t.Errorf("%v: got %d and %v, want %d and %v", c.count, limit, countOnly, c.limit, c.countOnly)
		}
	}
}

func TestParsePatientSearch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		search  api.SearchFhirPatientsParams
		want    fhir.PatientSearch
		refused string
	}{
		{"Everybody", api.SearchFhirPatientsParams{}, fhir.PatientSearch{}, ""},
		{"IDs", api.SearchFhirPatientsParams{UnderscoreID: new("3,x,4")}, fhir.PatientSearch{IDs: []int64{3, 4}}, ""},
		{"NoID", api.SearchFhirPatientsParams{UnderscoreID: new("x")}, fhir.PatientSearch{None: true}, ""},
		{"MRN", api.SearchFhirPatientsParams{Identifier: new(clinic.MRN(42))}, fhir.PatientSearch{ID: 42}, ""},
		{"MRNWithSystem", api.SearchFhirPatientsParams{Identifier: new("urn:mems:mrn|" + clinic.MRN(42))}, fhir.PatientSearch{ID: 42}, ""},
		{"WrongMRN", api.SearchFhirPatientsParams{Identifier: new("12")}, fhir.PatientSearch{None: true}, ""},
		{"MRNOfNoID", api.SearchFhirPatientsParams{Identifier: new(clinic.MRN(42)), UnderscoreID: new("x")}, fhir.PatientSearch{ID: 42, None: true}, ""},
		{
			"Identifier",
			api.SearchFhirPatientsParams{Identifier: new("urn:mems:identifier:kasse%20nord|9")},
			fhir.PatientSearch{IdentifierSystem: "kasse nord", Identifier: "9"},
			"",
		},
		{"WithoutSystem", api.SearchFhirPatientsParams{Identifier: new("|9")}, fhir.PatientSearch{Identifier: "9", None: true}, ""},
		{"WithoutValue", api.SearchFhirPatientsParams{Identifier: new("ahv|")}, fhir.PatientSearch{IdentifierSystem: "ahv", None: true}, ""},
		{
			"BirthDate",
			api.SearchFhirPatientsParams{Birthdate: []string{"1980-02"}},
			fhir.PatientSearch{BirthFrom: &clinic.Date{Year: 1980, Month: 2, Day: 1}, BirthBefore: &clinic.Date{Year: 1980, Month: 3, Day: 1}},
			"",
		},
		{"NoDate", api.SearchFhirPatientsParams{Birthdate: []string{"soon"}}, fhir.PatientSearch{}, "birthdate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := fhir.ParsePatientSearch(c.search)
			if diff := cmp.Diff(c.want, got); diff != "" || parameterOf(err) != c.refused {
				t.Errorf("refused for %q, want %q (-want +got)\n%s", parameterOf(err), c.refused, diff)
			}
		})
	}
}

func TestParseAppointmentSearch(t *testing.T) {
	t.Parallel()
	ever := clinic.Window{Interval: clinic.Interval{Start: clinic.MinInstant, End: clinic.MaxInstant}, ByStart: true}
	day := clinic.Window{Interval: clinic.Interval{Start: present.Add(-9 * time.Hour), End: present.Add(15 * time.Hour)}, ByStart: true}
	for _, c := range []struct {
		name    string
		search  api.SearchFhirAppointmentsParams
		want    fhir.AppointmentSearch
		refused string
	}{
		{"All", api.SearchFhirAppointmentsParams{}, fhir.AppointmentSearch{Window: ever}, ""},
		{"Day", api.SearchFhirAppointmentsParams{Date: []string{"2027-03-01"}}, fhir.AppointmentSearch{Window: day}, ""},
		{"Both", api.SearchFhirAppointmentsParams{Patient: new("Patient/3"), Practitioner: new("7")}, fhir.AppointmentSearch{PatientID: 3, DoctorID: 7, Window: ever}, ""},
		{"Actor", api.SearchFhirAppointmentsParams{Actor: new("Practitioner/7")}, fhir.AppointmentSearch{DoctorID: 7, Window: ever}, ""},
		{"SameTwice", api.SearchFhirAppointmentsParams{Patient: new("3"), Actor: new("Patient/3")}, fhir.AppointmentSearch{PatientID: 3, Window: ever}, ""},
		{"TwoPatients", api.SearchFhirAppointmentsParams{Patient: new("3"), Actor: new("Patient/4")}, fhir.AppointmentSearch{PatientID: 4, None: true, Window: ever}, ""},
		{"NoReferenceOfOurs", api.SearchFhirAppointmentsParams{Patient: new("Patient/x")}, fhir.AppointmentSearch{None: true, Window: ever}, ""},
		{"Status", api.SearchFhirAppointmentsParams{Status: new("noshow")}, fhir.AppointmentSearch{Statuses: []clinic.Status{clinic.StatusNoShow}, Window: ever}, ""},
		{"UnusedStatus", api.SearchFhirAppointmentsParams{Status: new("entered-in-error")}, fhir.AppointmentSearch{None: true, Window: ever}, ""},
		{"NoID", api.SearchFhirAppointmentsParams{UnderscoreID: new("x")}, fhir.AppointmentSearch{None: true, Window: ever}, ""},
		{"OtherServer", api.SearchFhirAppointmentsParams{Patient: new("https://elsewhere.example/Patient/3")}, fhir.AppointmentSearch{}, "patient"},
		{"NoDate", api.SearchFhirAppointmentsParams{Date: []string{"soon"}}, fhir.AppointmentSearch{}, "date"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := searched.ParseAppointmentSearch(c.search, time.UTC)
			if diff := cmp.Diff(c.want, got); diff != "" || parameterOf(err) != c.refused {
				t.Errorf("refused for %q, want %q (-want +got)\n%s", parameterOf(err), c.refused, diff)
			}
		})
	}
}

func TestParseActor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		actor   *string
		want    int64
		refused string
	}{
		{nil, 0, ""}, {new("7"), 7, ""}, {new("Practitioner/x"), fhir.NoDoctor, ""}, {new("Patient/7"), 0, "actor"},
	} {
		if got, err := searched.ParseActor(c.actor); got != c.want || parameterOf(err) != c.refused {
			t.Errorf("got %d and %v, want %d and %q", got, err, c.want, c.refused)
		}
	}
}

func TestParseFreeSearch(t *testing.T) {
	t.Parallel()
	from := func(start time.Time, length time.Duration) clinic.Interval {
		return clinic.Interval{Start: start, End: start.Add(length)}
	}
	const usualLength, fortnight = 30 * time.Minute, 14 * 24 * time.Hour
	usual := from(present, fortnight)
	for _, c := range []struct {
		name    string
		search  fhir.FreeParameters
		want    fhir.FreeSearch
		refused string
	}{
		{"Usual", fhir.FreeParameters{}, fhir.FreeSearch{Window: usual, Duration: usualLength}, ""},
		{"Duration", fhir.FreeParameters{Duration: time.Hour}, fhir.FreeSearch{Window: usual, Duration: time.Hour}, ""},
		{"Type", fhir.FreeParameters{ServiceType: new("urn:mems:appointment-type|4")}, fhir.FreeSearch{Window: usual, TypeID: new(int64(4))}, ""},
		{"NoType", fhir.FreeParameters{ServiceType: new("x"), Of: new("Patient/1")}, fhir.FreeSearch{Window: usual, None: true}, ""},
		{"From", fhir.FreeParameters{Start: []string{"ge2027-03-02"}}, fhir.FreeSearch{Window: from(present.Add(15*time.Hour), fortnight), Duration: usualLength}, ""},
		{"FromThePast", fhir.FreeParameters{Start: []string{"ge2027-02-01"}}, fhir.FreeSearch{Window: usual, Duration: usualLength}, ""},
		{"PastDay", fhir.FreeParameters{Start: []string{"2027-02-01"}}, fhir.FreeSearch{Window: from(present.Add(-28*24*time.Hour-9*time.Hour), 24*time.Hour), Duration: usualLength}, ""},
		{"TooLong", fhir.FreeParameters{Start: []string{"2027"}}, fhir.FreeSearch{}, "start"},
		{"NoDate", fhir.FreeParameters{Start: []string{"soon"}}, fhir.FreeSearch{}, "start"},
		{
			"Doctors",
			fhir.FreeParameters{Kind: "Schedule", Of: new("Schedule/7,8,7")},
			fhir.FreeSearch{Window: usual, Duration: usualLength, DoctorIDs: []int64{7, 8}},
			"",
		},
		{
			"NoDoctor",
			fhir.FreeParameters{Kind: "Schedule", Of: new("7,Schedule/x,Patient/1")},
			fhir.FreeSearch{Window: usual, Duration: usualLength, DoctorIDs: []int64{7}, None: true},
			"",
		},
		{"OtherKind", fhir.FreeParameters{Kind: "Schedule", Of: new("Patient/1")}, fhir.FreeSearch{}, "schedule"},
		{"TooMany", fhir.FreeParameters{Kind: "Practitioner", Of: new(strings.Repeat("7,", 20) + "7")}, fhir.FreeSearch{}, "practitioner"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := searched.ParseFreeSearch(c.search, present, time.UTC)
			if parameterOf(err) != c.refused {
				t.Fatalf("refused for %q, want %q", parameterOf(err), c.refused)
			}
			if diff := cmp.Diff(c.want, got); diff != "" && err == nil {
				t.Errorf("searched dates (-want +got)\n%s", diff)
			}
		})
	}
}
