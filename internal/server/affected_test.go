package server_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mems/gen/api"
	"mems/internal/contracttest"
)

// affected returns the ids of the appointments that a change reports as no longer fitting.
func affected(t *testing.T, r *contracttest.Response) []int64 {
	t.Helper()
	var said struct {
		AffectedAppointments []api.Appointment `json:"affected_appointments"`
	}
	r.Want(t, 200, "").Decode(t, &said)
	return idsOf(said.AffectedAppointments)
}

// A change of hours, doctors or rooms returns the appointments that no longer fit.
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

	// A plan starts from what the change reported.
	plan, _ := f.planned(object{"doctor_id": doctor, "start_time": early.StartTime, "end_time": late.EndTime})
	if len(plan.Items) != 3 {
		t.Errorf("plan has items %+v, want 3", plan.Items)
	}
	for _, i := range plan.Items {
		if slot, err := i.Proposal.Get(); err != nil || slot.DoctorID != other {
			t.Errorf("item %+v, want a proposal with the other doctor", i)
		}
	}
}

// A plan for doctors without hours proposes times at which a doctor works.
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

// A change of a type reports the appointments that were booked by its old rules and break a new
// one.
func TestAffectedByTypes(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	skin, other := f.doctorOf("Dermatology"), f.doctorOf("Allergology")
	one, two := f.room(), f.room()
	kind := f.kind(object{})
	book := func(doctor int64, hour string, members object) int64 {
		t.Helper()
		all := object{"type_id": kind, "duration_minutes": nil}
		maps.Copy(all, members)
		return f.bookedWith(doctor, "2027-03-02T"+hour+":00:00Z", all).ID
	}
	bare := book(skin, "08", nil)
	roomed := book(skin, "09", object{"room_id": one})
	elsewhere := book(other, "10", object{"room_id": two})
	short := book(other, "11", object{"duration_minutes": 15, "room_id": one})
	long := book(skin, "12", object{"duration_minutes": 60, "room_id": one})
	f.cancel(book(skin, "14", nil))
	f.bookedWith(skin, "2027-03-02T15:00:00Z", object{}) // of no type
	path := fmt.Sprintf("/appointment-types/%d", kind)
	for _, step := range []struct {
		name string
		to   object
		want []int64
	}{
		{"colour", object{"colour": "#123456"}, nil},
		{"needs room", object{"needs_room": true}, []int64{bare}},
		{"the same again", object{"needs_room": true}, nil},
		{"rooms", object{"room_ids": []int64{one}}, []int64{elsewhere}},
		{"any room", object{"room_ids": []int64{}}, nil},
		{"longer", object{"duration_minutes": 40}, []int64{bare, roomed, elsewhere}},
		{"shorter", object{"duration_minutes": 15}, nil},
		{"buffer after", object{"buffer_after_minutes": 10}, []int64{bare, roomed, elsewhere, short, long}},
		{"no buffer", object{"buffer_after_minutes": 0}, nil},
		{"buffer before", object{"buffer_before_minutes": 5}, []int64{bare, roomed, elsewhere, short, long}},
		{"specialization", object{"specializations": []string{"dermatology"}}, []int64{elsewhere, short}},
		{"one doctor more", object{"doctor_ids": []int64{other}}, nil},
		{"only one doctor", object{"specializations": []string{}}, []int64{bare, roomed, long}},
		{"deactivated", object{"is_active": false}, []int64{bare, roomed, elsewhere, short, long}},
		{"activated", object{"is_active": true}, nil},
	} {
		if diff := cmp.Diff(step.want, affected(t, f.Patch(path, step.to)), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", step.name, diff)
		}
	}
}

// A doctor's new specialization or lower cap reports the appointments that it no longer permits.
func TestAffectedByDoctors(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	doctor := f.doctorOf("Dermatology")
	path := fmt.Sprintf("/doctors/%d", doctor)
	same := func(name string, to object, want ...int64) {
		t.Helper()
		if diff := cmp.Diff(want, affected(t, f.Patch(path, to)), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	of := func(hour string, members object) int64 {
		t.Helper()
		return f.bookedWith(doctor, "2027-03-02T"+hour+":00Z", members).ID
	}
	skin := of("08:00", object{"type_id": f.kind(object{"specializations": []string{"Dermatology"}})})
	of("09:00", object{"type_id": f.kind(object{"doctor_ids": []int64{doctor}, "specializations": []string{"Dermatology"}})})
	of("10:00", object{"type_id": f.kind(object{"specializations": []string{"Dermatology", "Surgery"}})})
	same("cap", object{"overbook_cap": 2})
	overlap := object{"override": object{"rules": []string{"doctor-overlap"}, "reason": "urgent"}}
	of("12:00", object{})
	one := of("12:15", overlap)
	of("15:00", object{})
	second, third := of("15:00", overlap), of("15:00", overlap)
	same("specialization", object{"specialization": "Surgery"}, skin)
	same("back", object{"specialization": "dermatology"})
	same("lower cap", object{"overbook_cap": 1}, second, third)
	same("no cap", object{"overbook_cap": 0}, one, second, third)
	same("higher cap", object{"overbook_cap": 3})
	same("both", object{"specialization": "Surgery", "overbook_cap": 0}, skin, one, second, third)

	// The same hours in another zone are different hours.
	f.hours(doctor, "UTC", "08:00-18:00")
	same("name", object{"full_name": "Dr. Per Holm"})
	moved := affected(t, f.put(path+"/working-hours", object{"time_zone": "Asia/Tokyo", "exceptions": []object{}, "timetables": []object{
		{"effective_from": "2020-01-01", "blocks": []object{{"weekday": 2, "start": "17:00", "end": "22:00"}}},
	}}))
	if diff := cmp.Diff([]int64{second, third}, moved[max(0, len(moved)-2):]); diff != "" || len(moved) != 3 {
		t.Errorf("affected by hours in another zone: %v, want 3, ending with (-want +got)\n%s", moved, diff)
	}
}

// For a doctor without hours, a refusal offers times of day at which doctors usually work.
func TestAlternativesWithoutHours(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ usual, want string }{
		"None":    {"", "2027-03-11T07:00:00Z"}, // from 08:00 in Zurich
		"Day":     {"2027-03-08T09:00:00Z", "2027-03-11T07:00:00Z"},
		"Early":   {"2027-03-08T05:00:00Z", "2027-03-11T05:00:00Z"},
		"Evening": {"2027-03-08T19:00:00Z", "2027-03-11T19:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, "Europe/Zurich")
			doctor := f.doctor()
			if test.usual != "" {
				f.booked(f.patient(), doctor, test.usual, 30)
			}
			f.Post(fmt.Sprintf("/doctors/%d/time-off", doctor), object{"first_date": "2027-03-09", "last_date": "2027-03-10", "reason": "illness"}).Want(t, 201, "")
			p := f.problem(f.book(f.patient(), doctor, "2027-03-10T00:00:00Z", 30), 409, "time-off")
			if len(p.Alternatives) == 0 || !p.Alternatives[0].StartTime.Equal(at(test.want)) {
				t.Errorf("want %s, got %+v", test.want, p.Alternatives)
			}
		})
	}
	// The alternative is next to the taken time, not a day later.
	f := setup(t, "UTC")
	doctor := f.doctor()
	f.booked(f.patient(), doctor, "2027-03-08T19:00:00Z", 30)
	p := f.problem(f.book(f.patient(), doctor, "2027-03-08T19:00:00Z", 30), 409, "doctor-overlap")
	if len(p.Alternatives) == 0 || !p.Alternatives[0].StartTime.Equal(at("2027-03-08T19:30:00Z")) {
		t.Errorf("alternatives %+v, want the first on 8 March at 19:30", p.Alternatives)
	}
}
