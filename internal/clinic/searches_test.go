package clinic_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mems/internal/clinic"
)

func TestSearchWindow(t *testing.T) {
	for _, c := range []struct {
		name string
		to   time.Time
		want string
	}{
		{"Empty", nine, "to"},
		{"Backwards", nine.Add(-time.Hour), "to"},
		{"LessThanMicrosecond", nine.Add(time.Nanosecond), "to"},
		{"Shortest", nine.Add(time.Microsecond), ""},
		{"Longest", nine.Add(clinic.MaxSearch), ""},
		{"TooLong", nine.Add(clinic.MaxSearch + time.Microsecond), "to"},
	} {
		window, err := clinic.SearchWindow(nine, c.to)
		if got := violated(err); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		if err == nil && window != (clinic.Interval{Start: nine, End: c.to}) {
			t.Errorf("%s: window = %v, want it to end at %v", c.name, window, c.to)
		}
	}
}

func TestPatientParameters(t *testing.T) {
	mrn, wrong, text := clinic.MRN(42), "00000421", "x"
	for _, c := range []struct {
		name       string
		parameters clinic.PatientParameters
		id         int64
		want       string
	}{
		{"None", clinic.PatientParameters{}, 0, ""},
		{"Others", clinic.PatientParameters{Others: true}, 0, ""},
		{"MRN", clinic.PatientParameters{MRN: &mrn}, 42, ""},
		{"WrongDigit", clinic.PatientParameters{MRN: &wrong}, 0, "mrn"},
		{"MRNAndOthers", clinic.PatientParameters{MRN: &mrn, Others: true}, 0, "mrn"},
		{"MRNAndIdentifier", clinic.PatientParameters{MRN: &mrn, Identifier: &text}, 0, "mrn"},
		{"Identifier", clinic.PatientParameters{Identifier: &text, IdentifierSystem: &text}, 0, ""},
		{"WithoutSystem", clinic.PatientParameters{Identifier: &text}, 0, "identifier"},
		{"WithoutIdentifier", clinic.PatientParameters{IdentifierSystem: &text, Others: true}, 0, "identifier"},
	} {
		id, err := c.parameters.Parse()
		if got := violated(err); id != c.id || got != c.want {
			t.Errorf("%s: got %d and %q, want %d and %q", c.name, id, got, c.id, c.want)
		}
	}
}

func TestFirstPerSpecialization(t *testing.T) {
	free := []clinic.NextFree{{3, "a", &clinic.Slot{}}, {1, "b", &clinic.Slot{}}, {2, "a", &clinic.Slot{}}, {4, "c", nil}}
	want := []clinic.NextFree{free[0], free[1], free[3]}
	if diff := cmp.Diff(want, clinic.FirstPerSpecialization(free)); diff != "" {
		t.Errorf("FirstPerSpecialization (-want +got)\n%s", diff)
	}
}

// TestOverrideNeedsPermission covers every role: permission to book does not imply
// permission to override rules.
func TestOverrideNeedsPermission(t *testing.T) {
	override := clinic.Override{Rules: []clinic.Rule{clinic.RuleDoctorOverlap}, Reason: "Twins"}
	for _, role := range clinic.Roles() {
		access := clinic.Access{Caller: clinic.Caller{Subject: "key:1", Roles: []clinic.Role{role}, Scopes: clinic.Scopes()}}
		err := override.CheckAccess(access)
		if may := access.May(clinic.AppointmentsOverride); may != (err == nil) || err != nil && !errors.Is(err, &clinic.Error{Code: clinic.CodeForbidden}) {
			t.Errorf("%s, allowed to override: %t: CheckAccess = %v, want %s unless allowed",
				role, may, err, clinic.CodeForbidden)
		}
		if err := (clinic.Override{}).CheckAccess(access); err != nil {
			t.Errorf("%s without rules to override: CheckAccess = %v, want no error", role, err)
		}
	}
	if err := override.CheckAccess(clinic.System()); err != nil {
		t.Errorf("CheckAccess of the server itself = %v, want no error", err)
	}
	if err := override.CheckAccess(clinic.Access{}); err == nil {
		t.Error("CheckAccess of a caller that is not authenticated = nil, want an error")
	}
}

func TestSeriesBookingParses(t *testing.T) {
	zone, none := "Europe/Zurich", "Mars/Olympus"
	for _, c := range []struct {
		name    string
		booking clinic.SeriesBooking
		zone    string
		want    string
	}{
		{"ClinicZone", clinic.SeriesBooking{Rule: "FREQ=DAILY;COUNT=2"}, "UTC", ""},
		{"OwnZone", clinic.SeriesBooking{Rule: "FREQ=DAILY;COUNT=2", Zone: &zone}, zone, ""},
		{"NoZone", clinic.SeriesBooking{Rule: "FREQ=DAILY;COUNT=2", Zone: &none}, "", "#/time_zone"},
		{"NoRule", clinic.SeriesBooking{Rule: "DAILY"}, "", "#/rule"},
	} {
		_, got, err := c.booking.Parse(time.UTC)
		if violation := violated(err); violation != c.want {
			t.Errorf("%s: got %q, want %q", c.name, violation, c.want)
		} else if err == nil && got.String() != c.zone {
			t.Errorf("%s: got %s, want %s", c.name, got, c.zone)
		}
	}
}
