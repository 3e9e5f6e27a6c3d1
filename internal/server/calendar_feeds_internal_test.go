package server

import (
	"slices"
	"testing"
	"time"

	"mems/internal/clinic"
	"mems/internal/ical"
)

// An appointment in each status, and time off, as a calendar program shows them.
func TestCalendarOf(t *testing.T) {
	t.Parallel()
	start := time.Date(2027, 3, 28, 1, 15, 0, 0, time.UTC)
	during := clinic.Interval{Start: start, End: start.Add(45 * time.Minute)}
	created, updated := start.Add(-time.Hour), start.Add(-time.Minute)
	event := func(uid, title string, status ical.Status, free bool) ical.Event {
		return ical.Event{
			UID: uid, Title: title, Start: during.Start, End: during.End, Status: status, Free: free,
			Sequence: 6, CreatedAt: created, UpdatedAt: updated,
		}
	}
	tests := []struct {
		status clinic.Status
		title  string
		as     ical.Status
		free   bool
	}{
		{clinic.StatusScheduled, "Booked", ical.StatusTentative, false},
		{clinic.StatusConfirmed, "Booked", ical.StatusConfirmed, false},
		{clinic.StatusCheckedIn, "Booked", ical.StatusConfirmed, false},
		{clinic.StatusInProgress, "Booked", ical.StatusConfirmed, false},
		{clinic.StatusCompleted, "Booked", ical.StatusConfirmed, false},
		{clinic.StatusCancelled, "Cancelled", ical.StatusCancelled, true},
		{clinic.StatusNoShow, "Booked", ical.StatusConfirmed, true},
		{clinic.StatusLeftWithoutBeingSeen, "Booked", ical.StatusConfirmed, true},
	}
	for _, test := range tests {
		for _, feed := range []struct{ doctor, name, suffix string }{
			{"Dr. Noor Haddad", "Dr. Noor Haddad", ""},
			{"", "Clinic", ": Dr. Noor Haddad"},
		} {
			got := calendarOf(clinic.FeedCalendar{
				UID: "here", Doctor: feed.doctor,
				Visits: []clinic.FeedVisit{{
					ID: 12, Doctor: "Dr. Noor Haddad", Time: during, Status: test.status, Version: 7, CreatedAt: created, UpdatedAt: updated,
				}},
				Away: []clinic.FeedAbsence{{ID: 3, Doctor: "Dr. Noor Haddad", Time: during, Version: 7, CreatedAt: created, UpdatedAt: updated}},
			})
			want := []ical.Event{
				event("appointment-12@here", test.title+feed.suffix, test.as, test.free),
				event("time-off-3@here", "Away"+feed.suffix, ical.StatusConfirmed, false),
			}
			if got.Name != feed.name || !slices.Equal(got.Events, want) {
				t.Errorf("%s in the calendar %q:\n%+v, want\n%+v", test.status, feed.name, got, want)
			}
		}
	}
	inRoom := calendarOf(clinic.FeedCalendar{Visits: []clinic.FeedVisit{{Room: "Room 2", Status: clinic.StatusConfirmed}}})
	if inRoom.Events[0].Location != "Room 2" {
		t.Errorf("the location is %q, want the room", inRoom.Events[0].Location)
	}
}
