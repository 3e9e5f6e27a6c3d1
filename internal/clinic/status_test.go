package clinic_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mems/internal/clinic"
)

// statuses is the state machine once more: who takes time, and what may follow.
var statuses = []struct {
	status   clinic.Status
	occupies bool
	next     []clinic.Status
}{
	{"scheduled", true, []clinic.Status{"confirmed", "checked_in", "cancelled", "no_show"}},
	{"confirmed", true, []clinic.Status{"checked_in", "cancelled", "no_show"}},
	{"checked_in", true, []clinic.Status{"in_progress", "left_without_being_seen"}},
	{"in_progress", true, []clinic.Status{"completed", "left_without_being_seen"}},
	{"completed", true, []clinic.Status{}},
	{"cancelled", false, []clinic.Status{}},
	{"no_show", false, []clinic.Status{}},
	{"left_without_being_seen", false, []clinic.Status{}},
}

func TestOccupies(t *testing.T) {
	for _, s := range statuses {
		if got := s.status.Occupies(); got != s.occupies {
			t.Errorf("%s: got %v", s.status, got)
		}
	}
	if !clinic.Status("from_the_future").Occupies() {
		t.Error("a status that this version does not know must keep its time")
	}
}

func TestCheckTransition(t *testing.T) {
	for _, from := range statuses {
		for _, to := range statuses {
			t.Run(string(from.status)+"To"+string(to.status), func(t *testing.T) {
				err := clinic.CheckTransition(from.status, to.status)
				if slices.Contains(from.next, to.status) {
					if err != nil {
						t.Errorf("got %v", err)
					}
					return
				}
				var got *clinic.Error
				if !errors.As(err, &got) {
					t.Fatalf("got %v", err)
				}
				want := &clinic.Error{Code: clinic.CodeInvalidTransition, Current: from.status, Allowed: from.next}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			})
		}
	}
	t.Run("UnknownFrom", func(t *testing.T) {
		if err := clinic.CheckTransition("from_the_future", clinic.StatusCancelled); !errors.Is(err, &clinic.Error{Code: clinic.CodeInvalidTransition}) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("UnknownTo", func(t *testing.T) {
		if err := clinic.CheckTransition(clinic.StatusScheduled, "from_the_future"); !errors.Is(err, &clinic.Error{Code: clinic.CodeInvalidTransition}) {
			t.Errorf("got %v", err)
		}
	})
}
