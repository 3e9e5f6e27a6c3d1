package clinic_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mems/internal/clinic"
)

// statuses restates the state machine: which statuses occupy time, and their successors.
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
			t.Errorf("Occupies of %s = %t, want %t", s.status, got, s.occupies)
		}
	}
	if !clinic.Status("from_the_future").Occupies() {
		t.Error("Occupies of an unknown status = false, want true: its time must be kept")
	}
}

// actions maps each reachable status to the action that leads to it.
var actions = map[clinic.Status]clinic.Action{
	"confirmed": clinic.ActionConfirm, "checked_in": clinic.ActionCheckIn, "in_progress": clinic.ActionStart,
	"completed": clinic.ActionComplete, "no_show": clinic.ActionNoShow, "left_without_being_seen": clinic.ActionLeave,
}

func TestMove(t *testing.T) {
	appointment := func(s clinic.Status) clinic.Appointment {
		return clinic.Appointment{ID: 7, Time: minutes(60, 90), Status: s, Version: 3, UpdatedAt: nine}
	}
	now := minutes(60, 90).Start
	for _, from := range statuses {
		for to, action := range actions {
			t.Run(string(from.status)+"To"+string(to), func(t *testing.T) {
				got, want := appointment(from.status), appointment(from.status)
				err := got.ChangeStatus(now, time.UTC, action)
				if slices.Contains(from.next, to) {
					want.Status, want.Version, want.UpdatedAt = to, 4, now
					if err != nil {
						t.Errorf("ChangeStatus from %s by %s = %v, want no error", from.status, action, err)
					}
				} else {
					var refused *clinic.Error
					if !errors.As(err, &refused) {
						t.Fatalf("ChangeStatus from %s by %s = %v, want a refusal", from.status, action, err)
					}
					expected := &clinic.Error{Code: clinic.CodeInvalidTransition, Current: from.status, Allowed: from.next}
					if diff := cmp.Diff(expected, refused); diff != "" {
						t.Errorf("refusal of %s from %s (-want +got)\n%s", action, from.status, diff)
					}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("appointment after %s from %s (-want +got)\n%s", action, from.status, diff)
				}
			})
		}
	}
	t.Run("UnknownFrom", func(t *testing.T) {
		a := appointment("from_the_future")
		if err := a.ChangeStatus(now, time.UTC, clinic.ActionConfirm); !errors.Is(err, &clinic.Error{Code: clinic.CodeInvalidTransition}) {
			t.Errorf("ChangeStatus from an unknown status = %v, want %s", err, clinic.CodeInvalidTransition)
		}
	})
	t.Run("UnknownAction", func(t *testing.T) {
		a := appointment(clinic.StatusScheduled)
		if err := a.ChangeStatus(now, time.UTC, "from_the_future"); !errors.Is(err, &clinic.Error{Code: clinic.CodeInvalidTransition}) {
			t.Errorf("ChangeStatus by an unknown action = %v, want %s", err, clinic.CodeInvalidTransition)
		}
	})
	t.Run("NoShowBeforeTheStart", func(t *testing.T) {
		a := appointment(clinic.StatusScheduled)
		var refused *clinic.Error
		if err := a.ChangeStatus(now.Add(-1), time.UTC, clinic.ActionNoShow); !errors.As(err, &refused) {
			t.Fatalf("no-show before the start = %v, want a refusal", err)
		}
		if diff := cmp.Diff([]clinic.Status{"confirmed", "checked_in", "cancelled"}, refused.Allowed); diff != "" {
			t.Errorf("offers what it refuses (-want +got)\n%s", diff)
		}
		refused.Allowed[0] = "changed by the caller"
		if err := a.ChangeStatus(now, time.UTC, clinic.ActionConfirm); err != nil {
			t.Errorf("ChangeStatus after a caller changed the list it was given = %v, want no error", err)
		}
	})
}
