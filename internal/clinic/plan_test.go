package clinic_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mems/internal/clinic"
)

// A plan examines a bounded amount, even for an absence up to the last possible day.
func TestPlanIsBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		first := time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)
		visits := make([]clinic.Appointment, rapid.IntRange(1, 200).Draw(t, "visits"))
		apart := time.Duration(rapid.IntRange(1, 72).Draw(t, "hours apart")) * time.Hour
		for i := range visits {
			visits[i].Time.Start = first.Add(time.Duration(i) * apart)
		}
		away := clinic.Interval{Start: first, End: clinic.MaxInstant.AddDate(-1, 0, 0)}
		if rapid.Bool().Draw(t, "short") {
			away.End = visits[len(visits)-1].Time.Start.Add(time.Hour)
		}
		horizon := time.Duration(rapid.IntRange(1, 90).Draw(t, "horizon")) * 24 * time.Hour
		window := clinic.PlanWindow(visits, away, horizon)
		last := visits[len(visits)-1].Time.Start
		if !window.Start.Equal(first) || window.End.After(last.Add(clinic.MaxPlanAhead)) || window.End.After(away.End.Add(horizon)) {
			t.Fatalf("window = %v, want from %v to at most %v after %v, and within the horizon",
				window, first, clinic.MaxPlanAhead, last)
		}
		colleagues := clinic.PlanColleagues(len(visits), window)
		days := int(min(window.End.Sub(window.Start), clinic.MaxPlanAhead)/(24*time.Hour)) + 1
		if colleagues < 8 || colleagues > clinic.MaxPlanColleagues || colleagues > 8 && colleagues*days*len(visits) > 100_000 {
			t.Fatalf("%d colleagues for %d days and %d appointments, want 8 to %d and at most 100000 days in all",
				colleagues, days, len(visits), clinic.MaxPlanColleagues)
		}
	})
}

// An appointment is planned at most MaxPlanAhead ahead, and the nearest free time wins,
// wherever its doctor is in the list.
func TestProposeStopsLooking(t *testing.T) {
	t.Parallel()
	start := time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)
	visit := clinic.Appointment{ID: 1, DoctorID: 1, PatientID: 1, Time: clinic.Interval{Start: start, End: start.Add(30 * time.Minute)}}
	busyUntil := func(doctor int64, end time.Time) clinic.Schedule {
		return clinic.Schedule{DoctorID: doctor, Busy: []clinic.Interval{{Start: start.AddDate(0, 0, -1), End: end}}}
	}
	propose := func(schedules ...clinic.Schedule) clinic.PlanItem {
		c := clinic.Calendars{Schedules: schedules, PatientBusy: map[int64][]clinic.Interval{}}
		return clinic.Propose(c, []clinic.Appointment{visit}, start.AddDate(1, 0, 0), time.UTC)[0]
	}
	if item := propose(busyUntil(1, start.Add(clinic.MaxPlanAhead))); item.Proposal != nil {
		t.Errorf("proposal beyond MaxPlanAhead = %v, want none", item.Proposal)
	}
	item := propose(busyUntil(1, start.Add(2*time.Hour)), busyUntil(2, start.Add(3*time.Hour)), busyUntil(3, start.Add(time.Hour)), busyUntil(4, start.Add(time.Hour)))
	if item.Proposal == nil || item.Proposal.DoctorID != 3 || !item.Proposal.Time.Start.Equal(start.Add(time.Hour)) {
		t.Errorf("proposal = %v, want doctor 3 at %v", item.Proposal, start.Add(time.Hour))
	}
	if item := propose(busyUntil(0, start.Add(time.Hour)), busyUntil(1, start.Add(time.Hour))); item.Proposal == nil || item.Proposal.DoctorID != 1 {
		t.Errorf("proposal among equals = %v, want doctor 1", item.Proposal)
	}
}

// If each appointment of a plan moves to the place of the previous one, none is moved
// before its new place is free, in whatever order they are listed.
func TestPlanOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		first := time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)
		slot := func(k int) clinic.Interval {
			start := first.Add(time.Duration(k) * time.Hour)
			return clinic.Interval{Start: start, End: start.Add(30 * time.Minute)}
		}
		room, colleague := int64(7), int64(2)
		items := make([]clinic.PlanItem, rapid.IntRange(1, 30).Draw(t, "appointments"))
		for k := range items {
			items[k] = clinic.PlanItem{
				Visit:    clinic.Appointment{ID: int64(k), DoctorID: 1, PatientID: int64(k), RoomID: &room, Time: slot(k)},
				Proposal: &clinic.Slot{DoctorID: colleague, Time: slot(k - 1)}, RoomID: &room,
			}
			if rapid.Bool().Draw(t, "of a doctor") { // the conflict is the doctor, not the room
				items[k].RoomID, items[k].Proposal.DoctorID = nil, 1
			}
		}
		chosen := rapid.Permutation(indices(len(items))).Draw(t, "chosen")
		moved := map[int]bool{}
		order := clinic.PlanOrder(items, chosen)
		for _, k := range order {
			if k > 0 && !moved[k-1] {
				t.Fatalf("%d is moved before %d has left, want it after: %v", k, k-1, order)
			}
			moved[k] = true
		}
		if len(order) != len(items) || len(moved) != len(items) {
			t.Fatalf("order = %v, want each of %v once", order, chosen)
		}
	})
}

// Appointments that would swap places keep their order, and each occurs once.
func TestPlanOrderOfACircle(t *testing.T) {
	t.Parallel()
	at := func(hour int) clinic.Interval {
		start := time.Date(2027, 3, 1, hour, 0, 0, 0, time.UTC)
		return clinic.Interval{Start: start, End: start.Add(time.Hour)}
	}
	item := func(from, to int) clinic.PlanItem {
		return clinic.PlanItem{Visit: clinic.Appointment{DoctorID: 1, PatientID: int64(from), Time: at(from)}, Proposal: &clinic.Slot{DoctorID: 1, Time: at(to)}}
	}
	items := []clinic.PlanItem{item(9, 10), item(10, 9), item(11, 12)}
	if got, want := clinic.PlanOrder(items, []int{0, 1, 2}), []int{2, 0, 1}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func indices(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}
