package clinic_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mems/internal/clinic"
)

func TestCancel(t *testing.T) {
	appointment := func(s clinic.Status) clinic.Appointment {
		return clinic.Appointment{ID: 7, PatientID: 1, DoctorID: 2, Time: minutes(60, 90), Status: s, Version: 3, CreatedAt: nine, UpdatedAt: nine}
	}
	now := minutes(5, 0).Start
	for _, c := range []struct {
		name       string
		note, kept *string
	}{
		{"OKWithoutNote", nil, nil},
		{"OKWithNote", new("  Cafe\u0301 closed \n"), new("Café closed")},
		{"OKEmptyNote", new(""), new("")},
		{"OKLongestNote", new(" " + strings.Repeat("é", 500)), new(strings.Repeat("é", 500))},
		// 600 as sent, 300 after composition.
		{"OKComposedNote", new(strings.Repeat("e\u0301", 300)), new(strings.Repeat("é", 300))},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, from := range []clinic.Status{clinic.StatusScheduled, clinic.StatusConfirmed} {
				got, want := appointment(from), appointment(clinic.StatusCancelled)
				want.Version, want.UpdatedAt = 4, now
				want.Cancellation = &clinic.Cancellation{Reason: clinic.ReasonPatientRequest, Note: c.kept, At: now}
				if err := got.Cancel(now, clinic.ReasonPatientRequest, c.note); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("cancelled appointment (-want +got)\n%s", diff)
				}
			}
		})
	}
	t.Run("NoteOfTheCallerUntouched", func(t *testing.T) {
		a, note := appointment(clinic.StatusScheduled), " note "
		if err := a.Cancel(now, clinic.ReasonOther, &note); err != nil || note != " note " {
			t.Errorf("Cancel = %v and the note %q, want no error and the caller's note unchanged", err, note)
		}
	})
	for _, c := range []struct {
		name string
		from clinic.Status
		note *string
		want clinic.Code
	}{
		{"InvalidTransition", clinic.StatusCheckedIn, nil, clinic.CodeInvalidTransition},
		{"InvalidTransitionTwice", clinic.StatusCancelled, nil, clinic.CodeInvalidTransition},
		{"ValidationFailed", clinic.StatusScheduled, new(strings.Repeat("x", 501)), clinic.CodeValidationFailed},
		{"ValidationFailedByNormalising", clinic.StatusScheduled, new(strings.Repeat("\u0958", 251)), clinic.CodeValidationFailed},
		{"ValidationFailedFirst", clinic.StatusCompleted, new(strings.Repeat("x", 501)), clinic.CodeValidationFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := appointment(c.from)
			err := got.Cancel(now, clinic.ReasonOther, c.note)
			if !errors.Is(err, &clinic.Error{Code: c.want}) {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if diff := cmp.Diff(appointment(c.from), got); diff != "" {
				t.Errorf("refused, yet changed (-want +got)\n%s", diff)
			}
		})
	}
}
