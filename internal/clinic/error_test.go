package clinic_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mems/internal/clinic"
)

func TestErrorIs(t *testing.T) {
	overlap := &clinic.Error{Code: clinic.CodeDoctorOverlap, Conflict: minutes(0, 30)}
	caused := &clinic.Error{Code: clinic.CodeUnavailable, Cause: io.ErrUnexpectedEOF}
	for _, c := range []struct {
		name   string
		err    error
		target error
		want   bool
	}{
		{"SameCode", overlap, clinic.ErrDoctorOverlap, true},
		{"SameCodeWrapped", fmt.Errorf("book: %w", overlap), clinic.ErrDoctorOverlap, true},
		{"SameCodeAsCause", &clinic.Error{Code: clinic.CodeUnavailable, Cause: overlap}, clinic.ErrDoctorOverlap, true},
		{"OtherCode", overlap, clinic.ErrPatientOverlap, false},
		{"OtherType", overlap, io.EOF, false},
		{"Cause", caused, io.ErrUnexpectedEOF, true},
		{"OtherCause", caused, io.EOF, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := errors.Is(c.err, c.target); got != c.want {
				t.Errorf("errors.Is(%v, %v) = %t, want %t", c.err, c.target, got, c.want)
			}
		})
	}
}

func TestErrorAs(t *testing.T) {
	overlap := &clinic.Error{Code: clinic.CodeDoctorOverlap, Conflict: minutes(0, 30)}
	var got *clinic.Error
	if !errors.As(fmt.Errorf("book: %w", overlap), &got) || got != overlap {
		t.Errorf("errors.As of a wrapped rule = %v, want %v", got, overlap)
	}
	if errors.As(io.EOF, &got) {
		t.Error("errors.As(io.EOF) = true, want false")
	}
}

func TestErrorText(t *testing.T) {
	if got := clinic.ErrEmailTaken.Error(); got != "email-taken" {
		t.Errorf("Error() = %q, want %q", got, "email-taken")
	}
	caused := &clinic.Error{Code: clinic.CodeUnavailable, Cause: io.EOF}
	if got := caused.Error(); got != "unavailable: EOF" {
		t.Errorf("Error() with a cause = %q, want %q", got, "unavailable: EOF")
	}
}

// Each value has only its own code, and no two are equal.
func TestErrorValues(t *testing.T) {
	want := map[clinic.Code]*clinic.Error{
		"start-in-past":         clinic.ErrStartInPast,
		"patient-not-found":     clinic.ErrPatientNotFound,
		"doctor-not-found":      clinic.ErrDoctorNotFound,
		"appointment-not-found": clinic.ErrAppointmentNotFound,
		"email-taken":           clinic.ErrEmailTaken,
		"doctor-inactive":       clinic.ErrDoctorInactive,
		"doctor-overlap":        clinic.ErrDoctorOverlap,
		"patient-overlap":       clinic.ErrPatientOverlap,
		"has-appointments":      clinic.ErrHasAppointments,
		"precondition-failed":   clinic.ErrPreconditionFailed,
		"unavailable":           clinic.ErrUnavailable,
		"outcome-unknown":       clinic.ErrOutcomeUnknown,
	}
	for code, err := range want {
		if diff := cmp.Diff(&clinic.Error{Code: code}, err); diff != "" {
			t.Errorf("error of the code %s (-want +got)\n%s", code, diff)
		}
	}
}

func TestInvalid(t *testing.T) {
	v := clinic.Violation{Parameter: "date", Code: "format", Detail: "must be a date"}
	want := &clinic.Error{Code: clinic.CodeValidationFailed, Violations: []clinic.Violation{v}}
	if diff := cmp.Diff(want, clinic.Invalid(v)); diff != "" {
		t.Errorf("Invalid (-want +got)\n%s", diff)
	}
}
