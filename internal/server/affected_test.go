package server_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mems/gen/api"
	"mems/internal/contracttest"
)

// affected are the ids of what a change says no longer fits.
func affected(t *testing.T, r *contracttest.Response) []int64 {
	t.Helper()
	var said struct {
		AffectedAppointments []api.Appointment `json:"affected_appointments"`
	}
	r.Want(t, 200, "").Decode(t, &said)
	return idsOf(said.AffectedAppointments)
}

// Whoever changes hours, doctors or rooms is told what was booked and no longer fits.
func TestAffectedByChanges(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich")
	doctor, other := f.doctor(), f.doctor()
	same := func(name string, got []int64, want ...int64) {
		t.Helper()
		if len(got)+len(want) > 0 {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got)\n%s", name, diff)
			}
		}
	}
	var room api.Room
	f.Post("/rooms", object{"name": "one"}).Want(t, 201, "").Decode(t, &room)
	early := f.booked(f.patient(), doctor, "2027-03-02T07:00:00Z", 30)
	inside := f.booked(f.patient(), doctor, "2027-03-02T08:30:00Z", 60)
	late := f.booked(f.patient(), doctor, "2027-03-03T10:45:00Z", 30)
	f.cancel(f.booked(f.patient(), doctor, "2027-03-04T15:00:00Z", 30).ID)
	f.booked(f.patient(), other, "2027-03-02T20:00:00Z", 30)
	roomed := f.Post("/appointments", object{
		"patient_id": f.patient(), "doctor_id": other, "start_time": "2027-03-05T10:00:00Z", "duration_minutes": 30, "room_id": room.ID,
	}).Want(t, 201, "")
	var inRoom api.Appointment
	roomed.Decode(t, &inRoom)

	hours := func(blocks ...object) *contracttest.Response {
		return f.put(fmt.Sprintf("/doctors/%d/working-hours", doctor), object{
			"time_zone": "Europe/Zurich", "timetables": []object{{"effective_from": "2020-01-01", "blocks": blocks}}, "exceptions": []object{},
		})
	}
	day := func(weekday int) object { return object{"weekday": weekday, "start": "09:00", "end": "12:00"} }
	same("hours", affected(t, hours(day(2), day(3))), early.ID, late.ID)
	same("fewer days", affected(t, hours(day(3))), early.ID, inside.ID, late.ID)
	same("none", affected(t, f.put(fmt.Sprintf("/doctors/%d/working-hours", doctor), object{"timetables": []object{}, "exceptions": []object{}})))
	path := fmt.Sprintf("/doctors/%d", doctor)
	same("name", affected(t, f.Patch(path, object{"full_name": "Dr. Per Holm"})))
	same("deactivated", affected(t, f.Patch(path, object{"is_active": false})), early.ID, inside.ID, late.ID)
	same("again", affected(t, f.Patch(path, object{"is_active": false})))
	same("room", affected(t, f.Patch(fmt.Sprintf("/rooms/%d", room.ID), object{"is_active": false})), inRoom.ID)

	// A plan starts from what was said.
	plan, _ := f.planned(object{"doctor_id": doctor, "start_time": early.StartTime, "end_time": late.EndTime})
	if len(plan.Items) != 3 {
		t.Errorf("%+v", plan.Items)
	}
	for _, i := range plan.Items {
		if slot, err := i.Proposal.Get(); err != nil || slot.DoctorID != other {
			t.Errorf("%+v", i)
		}
	}
}

// A plan for doctors without hours proposes times at which somebody works.
func TestPlanWithoutHours(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		start string
		want  string
	}{
		"Day":     {"2027-03-02T09:00:00Z", "2027-03-03T07:00:00Z"}, // from 08:00 in Zurich
		"Evening": {"2027-03-02T19:00:00Z", "2027-03-03T19:00:00Z"}, // as the doctor usually works
		"Summer":  {"2027-03-27T09:00:00Z", "2027-03-28T06:00:00Z"}, // the clocks change
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, "Europe/Zurich")
			doctor := f.doctor()
			f.booked(f.patient(), doctor, test.start, 30)
			day := test.start[:10]
			plan, _ := f.planned(object{"doctor_id": doctor, "first_date": day, "last_date": day})
			if slot := plan.Items[0].Proposal.MustGet(); !slot.StartTime.Equal(at(test.want)) {
				t.Errorf("proposes %s, want %s", slot.StartTime, test.want)
			}
		})
	}
}
