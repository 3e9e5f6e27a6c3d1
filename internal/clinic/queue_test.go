package clinic_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mems/internal/clinic"
)

func TestPageOfQueue(t *testing.T) {
	yesterday, today := clinic.Date{Year: 2027, Month: 2, Day: 28}, clinic.Date{Year: 2027, Month: 3, Day: 1}
	queue := []clinic.Ticket{
		{ID: 1, Day: yesterday, Number: 9, Status: clinic.TicketWaiting},
		{ID: 2, Day: today, Number: 1, Status: clinic.TicketDone},
		{ID: 3, Day: today, Number: 2, Status: clinic.TicketWaiting},
		{ID: 4, Day: today, Number: 10, Status: clinic.TicketWaiting},
	}
	for _, c := range []struct {
		name   string
		day    clinic.Date
		number int
		status clinic.TicketStatus
		limit  int
		want   []int64
		more   bool
	}{
		{"All", clinic.Date{}, 0, "", 4, []int64{1, 2, 3, 4}, false},
		{"FirstPage", clinic.Date{}, 0, "", 3, []int64{1, 2, 3}, true},
		{"AfterYesterday", yesterday, 9, "", 4, []int64{2, 3, 4}, false},
		{"AfterToday", today, 2, "", 4, []int64{4}, false},
		{"OfStatus", clinic.Date{}, 0, clinic.TicketWaiting, 2, []int64{1, 3}, true},
		{"AfterTheEnd", today, 10, "", 4, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := clinic.PageOfQueue(queue, c.day, c.number, c.status, c.limit)
			var ids []int64
			for _, ticket := range got.Tickets {
				ids = append(ids, ticket.ID)
			}
			if diff := cmp.Diff(c.want, ids); diff != "" || got.More != c.more || got.Waiting != 3 {
				t.Errorf("more %v, waiting %d (-want +got)\n%s", got.More, got.Waiting, diff)
			}
		})
	}
}

func TestWalkInIsForOne(t *testing.T) {
	for _, c := range []struct {
		walkIn  clinic.WalkIn
		pointer string
	}{
		{clinic.WalkIn{DoctorID: 1}, ""},
		{clinic.WalkIn{Specialization: "x"}, ""},
		{clinic.WalkIn{}, "#/doctor_id"},
		{clinic.WalkIn{DoctorID: 1, Specialization: "x"}, "#/specialization"},
	} {
		if got := violated(c.walkIn.Validate()); got != c.pointer {
			t.Errorf("%+v: got %q, want %q", c.walkIn, got, c.pointer)
		}
	}
}

// violated returns the member of a refusal's first violation, "" for none.
func violated(err error) string {
	refusal, ok := errors.AsType[*clinic.Error](err)
	if !ok || len(refusal.Violations) == 0 {
		return ""
	}
	v := refusal.Violations[0]
	return v.Pointer + v.Parameter
}
