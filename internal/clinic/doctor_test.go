package clinic_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mems/internal/clinic"
)

func noor() clinic.Doctor {
	return clinic.Doctor{ID: 2, FullName: "Dr. Noor Haddad", Specialization: "Dermatology", IsActive: true, Version: 3, CreatedAt: nine, UpdatedAt: nine}
}

func TestDoctorPatch(t *testing.T) {
	for _, c := range []struct {
		name  string
		patch clinic.DoctorPatch
		want  func(*clinic.Doctor)
	}{
		{"Nothing", clinic.DoctorPatch{}, func(*clinic.Doctor) {}},
		{"FullName", clinic.DoctorPatch{FullName: clinic.ChangeTo(" Dr. Rene\u0301 ")}, func(d *clinic.Doctor) { d.FullName = "Dr. René" }},
		{"Specialization", clinic.DoctorPatch{Specialization: clinic.ChangeTo("\tGe\u0301ne\u0301tique")}, func(d *clinic.Doctor) { d.Specialization = "Génétique" }},
		{"Deactivated", clinic.DoctorPatch{IsActive: clinic.ChangeTo(false)}, func(d *clinic.Doctor) { d.IsActive = false }},
		{"StaysActive", clinic.DoctorPatch{IsActive: clinic.ChangeTo(true)}, func(*clinic.Doctor) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, want := noor(), noor()
			c.patch.Apply(&got)
			c.want(&want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("patched doctor (-want +got)\n%s", diff)
			}
		})
	}
}

func TestDoctorCheck(t *testing.T) {
	longName := clinic.Violation{Pointer: "#/full_name", Code: "max_length"}
	longField := clinic.Violation{Pointer: "#/specialization", Code: "max_length"}
	for _, c := range []struct {
		name        string
		full, field string
		want        []clinic.Violation
	}{
		{"OK", "Dr. Noor Haddad", "Dermatology", nil},
		{"OKLongest", strings.Repeat("é", 200), strings.Repeat("é", 100), nil},
		{"FullNameGrown", strings.Repeat("\u0958", 101), "Dermatology", []clinic.Violation{longName}},
		{"SpecializationGrown", "Dr. Noor Haddad", strings.Repeat("\u0958", 51), []clinic.Violation{longField}},
		{"AllAtOnce", strings.Repeat("x", 201), strings.Repeat("x", 101), []clinic.Violation{longName, longField}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := clinic.Doctor{FullName: c.full, Specialization: c.field}
			d.Normalize()
			var want *clinic.Error
			if c.want != nil {
				want = &clinic.Error{Code: clinic.CodeValidationFailed, Violations: c.want}
			}
			wantViolations(t, d.Validate(), want)
		})
	}
}
