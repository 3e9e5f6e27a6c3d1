package server_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"

	"mems/gen/api"
	"mems/internal/contracttest"
)

// Deleting a doctor or a room removes it from the lists that name it. A change that does not touch
// a list succeeds, whatever the list contains.
func TestDeletingWhatTypesList(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	gone, stays := f.doctor(), f.doctor()
	roomOf := func(name string) int64 {
		var r api.Room
		f.Post("/rooms", object{"name": name}).Want(t, 201, "").Decode(t, &r)
		return r.ID
	}
	goneRoom, room := roomOf("one"), roomOf("two")
	typeOf := func(members object) (k api.AppointmentType, path string) {
		body := object{"name": fmt.Sprint("type ", serial.Add(1)), "duration_minutes": 30}
		maps.Copy(body, members)
		r := f.Post("/appointment-types", body).Want(t, 201, "")
		r.Decode(t, &k)
		return k, r.Header.Get("Location")
	}
	read := func(path string) (k api.AppointmentType) {
		f.Get(path).Want(t, 200, "").Decode(t, &k)
		return k
	}
	_, both := typeOf(object{"doctor_ids": []int64{gone, stays}, "room_ids": []int64{goneRoom, room}})
	_, alone := typeOf(object{"doctor_ids": []int64{gone}})
	_, field := typeOf(object{"doctor_ids": []int64{gone}, "specializations": []string{"Dermatology"}})
	_, roomAlone := typeOf(object{"needs_room": true, "room_ids": []int64{goneRoom}})
	_, none := typeOf(nil)

	f.Send(contracttest.Request{Method: http.MethodDelete, Path: fmt.Sprintf("/doctors/%d", gone)}).Want(t, 204, "")
	f.Send(contracttest.Request{Method: http.MethodDelete, Path: fmt.Sprintf("/rooms/%d", goneRoom)}).Want(t, 204, "")
	for path, want := range map[string]struct {
		doctors, rooms []int64
		active         bool
		version        string
	}{
		both: {[]int64{stays}, []int64{room}, true, `"3"`}, alone: {nil, nil, false, `"2"`}, field: {nil, nil, true, `"2"`},
		roomAlone: {nil, nil, false, `"2"`}, none: {nil, nil, true, `"1"`},
	} {
		k := read(path)
		if !slices.Equal(k.DoctorIds, want.doctors) || !slices.Equal(k.RoomIds, want.rooms) || k.IsActive != want.active {
			t.Errorf("%s: %+v, want %+v", path, k, want)
		}
		if tag := f.Get(path).Header.Get("ETag"); tag != want.version {
			t.Errorf("%s: version %s, want %s", path, tag, want.version)
		}
		f.Patch(path, object{"colour": "#123456"}).Want(t, 200, "")
	}
	f.Patch(both, object{"doctor_ids": []int64{gone}}).Want(t, 404, "doctor-not-found")
	f.Patch(both, object{"room_ids": []int64{goneRoom}}).Want(t, 404, "room-not-found")
	f.Patch("/appointment-types/999999", object{"doctor_ids": []int64{gone}}).Want(t, 404, "appointment-type-not-found")

	t.Run("Feed", func(t *testing.T) {
		var changes api.ChangeList
		f.Get("/changes", "limit", "200").Want(t, 200, "").Decode(t, &changes)
		var updated []int64
		for _, c := range changes.Items {
			if c.Type == "appointment_type.updated" {
				updated = append(updated, c.ObjectID)
			}
		}
		if len(updated) != 5+5 { // the patches above too
			t.Errorf("%d changes of types, want %d", len(updated), 5+5)
		}
	})
	t.Run("Dangling", func(t *testing.T) { // as an earlier version left them
		if _, err := f.db.DB.Exec(`UPDATE appointment_types SET doctor_ids = '[999999]', room_ids = '[999999]' WHERE name LIKE 'type%'`); err != nil {
			t.Fatal(err)
		}
		f.Patch(both, object{"colour": "#654321"}).Want(t, 200, "")
		f.Patch(both, object{"room_ids": []int64{room}}).Want(t, 200, "")
	})
	t.Run("Race", func(t *testing.T) {
		for range 5 {
			doctor := f.doctor()
			_, path := typeOf(nil)
			together(2, func(i int) {
				if i == 0 {
					f.Patch(path, object{"doctor_ids": []int64{doctor, stays}})
				} else {
					f.Send(contracttest.Request{Method: http.MethodDelete, Path: fmt.Sprintf("/doctors/%d", doctor)}).Want(t, 204, "")
				}
			})
			if k := read(path); slices.Contains(k.DoctorIds, doctor) {
				t.Errorf("type lists doctors %v, want the deleted doctor %d gone", k.DoctorIds, doctor)
			}
		}
	})
}

// A waitlist entry for a deleted doctor stays open for the other doctors.
func TestDeletingWhomTheWaitlistNames(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	gone, stays := f.doctor(), f.doctor()
	wait := func(doctors ...int64) (e api.WaitlistEntry, path string) {
		r := f.Post("/waitlist", object{
			"patient_id": f.patient(), "doctor_ids": doctors, "duration_minutes": 30,
			"from": "2027-03-02T00:00:00Z", "to": "2027-03-05T00:00:00Z",
		}).Want(t, 201, "")
		r.Decode(t, &e)
		return e, r.Header.Get("Location")
	}
	_, both := wait(gone, stays)
	_, alone := wait(gone)
	_, other := wait(stays)
	f.Send(contracttest.Request{Method: http.MethodDelete, Path: fmt.Sprintf("/doctors/%d", gone)}).Want(t, 204, "")
	for path, want := range map[string]struct {
		doctors []int64
		field   string
	}{both: {[]int64{stays}, ""}, alone: {nil, "Dermatology"}, other: {[]int64{stays}, ""}} {
		var e api.WaitlistEntry
		f.Get(path).Want(t, 200, "").Decode(t, &e)
		field, _ := e.Specialization.Get()
		if !slices.Equal(e.DoctorIds, want.doctors) || field != want.field || e.Status == "withdrawn" {
			t.Errorf("%+v, want %+v", e, want)
		}
	}
}
