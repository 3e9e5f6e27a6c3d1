package server_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/contracttest"
)

func (f *fixture) room() int64 {
	f.t.Helper()
	var r api.Room
	f.Post("/rooms", object{"name": fmt.Sprintf("Room %d", serial.Add(1))}).Want(f.t, 201, "").Decode(f.t, &r)
	return r.ID
}

// kind creates an appointment type of half an hour; members override that.
func (f *fixture) kind(members object) int64 {
	f.t.Helper()
	body := object{"name": fmt.Sprintf("Type %d", serial.Add(1)), "duration_minutes": 30}
	maps.Copy(body, members)
	var k api.AppointmentType
	f.Post("/appointment-types", body).Want(f.t, 201, "").Decode(f.t, &k)
	return k.ID
}

// bookWith books half an hour with a doctor, with additional members.
func (f *fixture) bookWith(doctor int64, start string, members object) *contracttest.Response {
	f.t.Helper()
	body := object{"patient_id": f.patient(), "doctor_id": doctor, "start_time": start, "duration_minutes": 30}
	for k, v := range members {
		body[k] = v
		if v == nil {
			delete(body, k)
		}
	}
	return f.Post("/appointments", body)
}

func (f *fixture) bookedWith(doctor int64, start string, members object) api.Appointment {
	f.t.Helper()
	var a api.Appointment
	f.bookWith(doctor, start, members).Want(f.t, 201, "").Decode(f.t, &a)
	return a
}

func TestRoomsAndTypesAreRecords(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	for path, create := range map[string]object{
		"/rooms":             {"name": " Crème "},
		"/appointment-types": {"name": " Crème ", "duration_minutes": 45, "doctor_ids": []int64{f.doctor()}, "room_ids": []int64{f.room()}, "specializations": []string{" Dermatology "}},
	} {
		t.Run(path, func(t *testing.T) {
			missing := map[string]string{"/rooms": "room-not-found", "/appointment-types": "appointment-type-not-found"}[path]
			r := f.Post(path, create).Want(t, 201, "")
			location := r.Header.Get("Location")
			var got struct {
				Name     string `json:"name"`
				IsActive bool   `json:"is_active"`
			}
			r.Decode(t, &got)
			if got.Name != "Crème" || !got.IsActive {
				t.Errorf("created = %s, want it active and named Crème", r.Body)
			}
			if read := f.Get(location).Want(t, 200, ""); string(read.Body) != string(r.Body) || read.Header.Get("ETag") != `"1"` {
				t.Errorf("read = %s %s, want it as created, version 1: %s", read.Header.Get("ETag"), read.Body, r.Body)
			}
			create["name"] = "CREME"
			f.Post(path, create).Want(t, 409, "name-taken")
			f.Patch(location, object{"is_active": false}).Want(t, 200, "")
			f.Send(contracttest.Request{Method: "PATCH", Path: location, Body: object{"name": "x"}, Header: http.Header{"If-Match": {`"1"`}}}).Want(t, 412, "precondition-failed")
			f.Patch(location, object{}).Want(t, 422, "validation-failed")
			create["name"] = "Other"
			other := f.Post(path, create).Want(t, 201, "").Header.Get("Location")
			f.Patch(other, object{"name": "creme"}).Want(t, 409, "name-taken")
			var list struct {
				Items []struct {
					IsActive bool `json:"is_active"`
				} `json:"items"`
				NextCursor string `json:"next_cursor"`
			}
			f.Get(path, "is_active", "true").Want(t, 200, "").Decode(t, &list)
			for _, item := range list.Items {
				if !item.IsActive {
					t.Errorf("list of active records has %v, want active ones only", item)
				}
			}
			f.Get(path, "limit", "1").Want(t, 200, "").Decode(t, &list)
			f.Get(path, "limit", "1", "cursor", list.NextCursor).Want(t, 200, "").Decode(t, &list)
			if len(list.Items) != 1 {
				t.Errorf("second page = %v, want one record", list.Items)
			}
			f.Send(contracttest.Request{Method: "DELETE", Path: location, Header: http.Header{"If-Match": {`"1"`}}}).Want(t, 412, "precondition-failed")
			f.Delete(location).Want(t, 204, "")
			f.Get(location).Want(t, 404, missing)
			f.Patch(location, object{"name": "x"}).Want(t, 404, missing)
			f.Delete(location).Want(t, 404, missing)
		})
	}
	t.Run("TypeListsWhatIsNot", func(t *testing.T) {
		f.Post("/appointment-types", object{"name": "a", "duration_minutes": 30, "doctor_ids": []int64{999_999}}).Want(t, 404, "doctor-not-found")
		f.Post("/appointment-types", object{"name": "a", "duration_minutes": 30, "room_ids": []int64{999_999}}).Want(t, 404, "room-not-found")
		id := f.kind(nil)
		path := fmt.Sprintf("/appointment-types/%d", id)
		f.Patch(path, object{"doctor_ids": []int64{999_999}}).Want(t, 404, "doctor-not-found")
		doctors := []int64{f.doctor(), f.doctor()}
		var k api.AppointmentType
		f.Patch(path, object{"doctor_ids": []int64{doctors[1], doctors[0], doctors[1]}, "colour": "#00ff00", "needs_room": true, "buffer_before_minutes": 5, "buffer_after_minutes": 10, "duration_minutes": 60, "room_ids": []int64{}, "specializations": []string{}}).Want(t, 200, "").Decode(t, &k)
		if !slices.Equal(k.DoctorIds, doctors) || k.Colour != "#00ff00" || !k.NeedsRoom || k.DurationMinutes != 60 || k.BufferBeforeMinutes != 5 || k.BufferAfterMinutes != 10 {
			t.Errorf("patched type = %+v, want the members that were sent, and the doctors %v", k, doctors)
		}
	})
}

func TestTypes(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	skin, heart := f.doctorOf("Dermatology"), f.doctorOf("Cardiology")
	kind := f.kind(object{"duration_minutes": 45, "buffer_before_minutes": 5, "buffer_after_minutes": 10, "specializations": []string{"dermatology"}})

	a := f.bookedWith(skin, "2027-03-02T10:00:00Z", object{"type_id": kind, "duration_minutes": nil})
	if a.DurationMinutes != 45 || a.BufferBeforeMinutes != 5 || a.BufferAfterMinutes != 10 {
		t.Errorf("appointment without a duration = %+v, want the type's 45 minutes and buffers of 5 and 10", a)
	}
	if b := f.bookedWith(skin, "2027-03-02T14:00:00Z", object{"type_id": kind}); b.DurationMinutes != 30 {
		t.Errorf("appointment with a duration = %+v, want 30 minutes, not the type's", b)
	}
	f.bookWith(heart, "2027-03-02T10:00:00Z", object{"type_id": kind}).Want(t, 409, "appointment-type-not-allowed")
	f.Patch(fmt.Sprintf("/appointment-types/%d", kind), object{"doctor_ids": []int64{heart}}).Want(t, 200, "")
	f.bookedWith(heart, "2027-03-02T10:00:00Z", object{"type_id": kind})
	f.bookWith(skin, "2027-03-02T10:00:00Z", object{"type_id": 999_999}).Want(t, 404, "appointment-type-not-found")
	if vs := f.bookWith(skin, "2027-03-02T10:00:00Z", object{"duration_minutes": nil}).Want(t, 422, "validation-failed").Violations(t); !slices.Equal(vs, []string{"#/duration_minutes required"}) {
		t.Errorf("violations = %v, want [#/duration_minutes required]", vs)
	}

	t.Run("BuffersOccupyTheDoctor", func(t *testing.T) {
		// The doctor is occupied from 09:55 to 10:55.
		for start, minutes := range map[string]int{"2027-03-02T09:26:00Z": 30, "2027-03-02T10:54:00Z": 30} {
			f.book(f.patient(), skin, start, minutes).Want(t, 409, "doctor-overlap")
		}
		p := f.problem(f.book(f.patient(), skin, "2027-03-02T10:50:00Z", 30), 409, "doctor-overlap")
		if !p.Conflict.StartTime.Equal(at("2027-03-02T09:55:00Z")) || !p.Conflict.EndTime.Equal(at("2027-03-02T10:55:00Z")) {
			t.Errorf("conflict = %+v, want 09:55 to 10:55, with the buffers", p.Conflict)
		}
		f.booked(f.patient(), skin, "2027-03-02T09:25:00Z", 30)
		f.booked(f.patient(), skin, "2027-03-02T10:55:00Z", 30)
		// The new appointment's own buffers count as well.
		f.bookWith(skin, "2027-03-02T11:29:00Z", object{"type_id": kind}).Want(t, 409, "doctor-overlap")
		f.bookedWith(skin, "2027-03-02T11:30:00Z", object{"type_id": kind})
	})
	t.Run("NotThePatient", func(t *testing.T) {
		f.book(a.PatientID, f.doctor(), "2027-03-02T10:44:00Z", 30).Want(t, 409, "patient-overlap")
		f.booked(a.PatientID, f.doctor(), "2027-03-02T10:45:00Z", 30)
		f.booked(a.PatientID, f.doctor(), "2027-03-02T09:30:00Z", 30)
	})
	t.Run("KeepsWhatItWasBookedWith", func(t *testing.T) {
		f.Patch(fmt.Sprintf("/appointment-types/%d", kind), object{"duration_minutes": 15, "buffer_after_minutes": 60}).Want(t, 200, "")
		var read api.Appointment
		f.Get(fmt.Sprintf("/appointments/%d", a.ID)).Want(t, 200, "").Decode(t, &read)
		if read.DurationMinutes != 45 || read.BufferAfterMinutes != 10 {
			t.Errorf("appointment after its type was changed = %+v, want 45 minutes and a buffer of 10 still", read)
		}
		var moved api.Appointment
		f.Post(fmt.Sprintf("/appointments/%d/reschedule", a.ID), object{"start_time": "2027-03-03T10:00:00Z"}).Want(t, 200, "").Decode(t, &moved)
		if moved.DurationMinutes != 45 || moved.BufferAfterMinutes != 10 {
			t.Errorf("appointment after a reschedule = %+v, want 45 minutes and a buffer of 10 still", moved)
		}
	})
	t.Run("Inactive", func(t *testing.T) {
		f.Patch(fmt.Sprintf("/appointment-types/%d", kind), object{"is_active": false}).Want(t, 200, "")
		f.bookWith(skin, "2027-03-04T10:00:00Z", object{"type_id": kind}).Want(t, 409, "appointment-type-inactive")
		f.Post(fmt.Sprintf("/appointments/%d/reschedule", a.ID), object{"start_time": "2027-03-03T12:00:00Z"}).Want(t, 200, "") // booked before
		f.Delete(fmt.Sprintf("/appointment-types/%d", kind)).Want(t, 409, "has-appointments")
	})
}

func TestRooms(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	one, two := f.room(), f.room()
	const start = "2027-03-02T10:00:00Z"
	a := f.bookedWith(f.doctor(), start, object{"room_id": one})
	if id, _ := a.RoomID.Get(); id != one {
		t.Errorf("room = %v, want %d", a.RoomID, one)
	}
	p := f.problem(f.bookWith(f.doctor(), start, object{"room_id": one}), 409, "room-overlap")
	if p.Conflict == nil || len(p.Alternatives) == 0 {
		t.Errorf("problem = %+v, want a conflict and alternatives", p)
	}
	f.bookWith(f.doctor(), start, object{"room_id": 999_999}).Want(t, 404, "room-not-found")
	if vs := f.bookWith(f.doctor(), start, object{"room_id": one, "any_room": true}).Want(t, 422, "validation-failed").Violations(t); !slices.Equal(vs, []string{"#/any_room combination"}) {
		t.Errorf("room_id with any_room: violations %v, want [#/any_room combination]", vs)
	}
	if id, _ := f.bookedWith(f.doctor(), start, object{"any_room": true}).RoomID.Get(); id != two {
		t.Errorf("took room %d, want the free one", id)
	}
	f.problem(f.bookWith(f.doctor(), start, object{"any_room": true}), 409, "no-room-free")
	f.Post(fmt.Sprintf("/appointments/%d/cancel", a.ID), object{"reason": "other"}).Want(t, 200, "")
	if id, _ := f.bookedWith(f.doctor(), start, object{"any_room": true}).RoomID.Get(); id != one {
		t.Errorf("took room %d, want the one that was freed", id)
	}
	t.Run("ByType", func(t *testing.T) {
		three := f.room()
		kind := f.kind(object{"needs_room": true, "room_ids": []int64{two, three}, "buffer_after_minutes": 15})
		const later = "2027-03-03T10:00:00Z"
		f.bookWith(f.doctor(), later, object{"type_id": kind, "room_id": one}).Want(t, 409, "room-not-suitable")
		if id, _ := f.bookedWith(f.doctor(), later, object{"type_id": kind}).RoomID.Get(); id != two {
			t.Errorf("room by type = %d, want %d", id, two)
		}
		// The buffer occupies the room, too.
		f.bookWith(f.doctor(), "2027-03-03T10:30:00Z", object{"room_id": two}).Want(t, 409, "room-overlap")
		f.bookedWith(f.doctor(), "2027-03-03T10:45:00Z", object{"room_id": two})
		f.Patch(fmt.Sprintf("/rooms/%d", three), object{"is_active": false}).Want(t, 200, "")
		f.bookWith(f.doctor(), later, object{"room_id": three}).Want(t, 409, "room-inactive")
		f.bookWith(f.doctor(), later, object{"type_id": kind}).Want(t, 409, "no-room-free")
	})
	t.Run("Delete", func(t *testing.T) {
		f.Delete(fmt.Sprintf("/rooms/%d", one)).Want(t, 409, "has-appointments")
	})
}

// The order of the rules about types and rooms: one booking breaks them all.
func TestPrecedenceOfTypesAndRooms(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	doctor, room, kind := f.doctorOf("Dermatology"), f.room(), f.kind(object{"specializations": []string{"Cardiology"}})
	other := f.room()
	patient := f.patient()
	const start = "2027-03-02T10:00:00Z"
	f.bookedWith(f.doctor(), start, object{"room_id": room})
	f.booked(f.patient(), doctor, start, 30)
	f.booked(patient, f.doctor(), start, 30)
	f.hours(doctor, "UTC", "12:00-13:00")
	off := f.Post(fmt.Sprintf("/doctors/%d/time-off", doctor), object{"start_time": "2027-03-02T00:00:00Z", "end_time": "2027-03-03T00:00:00Z", "reason": "other"}).Want(t, 201, "").Header.Get("Location")
	active := func(path string, id int64, is bool) {
		f.Patch(fmt.Sprintf("%s/%d", path, id), object{"is_active": is}).Want(t, 200, "")
	}
	active("/rooms", room, false)
	active("/appointment-types", kind, false)
	body := object{"patient_id": patient, "doctor_id": doctor, "start_time": start, "type_id": 999_999, "room_id": 999_999}
	for _, step := range []struct {
		status      int
		problemType string
		mend        func()
	}{
		{404, "appointment-type-not-found", func() { body["type_id"] = kind }},
		{404, "room-not-found", func() { body["room_id"] = room; active("/doctors", doctor, false) }},
		{409, "doctor-inactive", func() { active("/doctors", doctor, true) }},
		{409, "appointment-type-inactive", func() { active("/appointment-types", kind, true) }},
		{409, "room-inactive", func() { active("/rooms", room, true) }},
		{409, "appointment-type-not-allowed", func() {
			f.Patch(fmt.Sprintf("/appointment-types/%d", kind), object{"specializations": []string{}, "room_ids": []int64{other}}).Want(t, 200, "")
		}},
		{409, "room-not-suitable", func() {
			f.Patch(fmt.Sprintf("/appointment-types/%d", kind), object{"room_ids": []int64{}}).Want(t, 200, "")
		}},
		{409, "outside-working-hours", func() { f.hours(doctor, "UTC", "09:00-13:00") }},
		{409, "time-off", func() { f.Delete(off).Want(t, 204, "") }},
		{409, "doctor-overlap", func() { body["doctor_id"] = f.doctorOf("Dermatology") }},
		{409, "patient-overlap", func() { body["patient_id"] = f.patient() }},
		{409, "room-overlap", func() { delete(body, "room_id") }},
		{201, "", func() {}},
	} {
		f.Post("/appointments", body).Want(t, step.status, step.problemType)
		step.mend()
	}
}

// Doctors with nothing else in common compete for rooms, by name and by "any": no room is used
// twice, and none stays empty while a booking is refused.
func TestRoomRace(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	other := setupOn(t, f.db, "UTC")
	rooms := []int64{f.room(), f.room(), f.room()}
	const clients = 48
	bodies := make([]object, clients)
	for i := range bodies {
		bodies[i] = object{
			"patient_id": f.patient(), "doctor_id": f.doctor(), "duration_minutes": 30,
			"start_time": at("2027-03-02T10:00:00Z").Add(time.Duration(i%4) * 10 * time.Minute).Format(time.RFC3339),
		}
		if i%3 == 0 {
			bodies[i]["room_id"] = rooms[i%len(rooms)]
		} else {
			bodies[i]["any_room"] = true
		}
	}
	var mu sync.Mutex
	answers := map[string]int{}
	together(clients, func(i int) {
		r := []*fixture{f, other}[i%2].Post("/appointments", bodies[i])
		mu.Lock()
		defer mu.Unlock()
		answers[fmt.Sprint(r.Status, " ", r.Type())]++
	})
	for answer := range answers {
		if !slices.Contains([]string{"201 ", "409 room-overlap", "409 no-room-free"}, answer) {
			t.Errorf("answer %q in %v, want 201, 409 room-overlap or 409 no-room-free", answer, answers)
		}
	}
	var booked, overlaps int
	if err := f.db.DB.Get(&booked, `SELECT COUNT(DISTINCT room_id) FROM appointments`); err != nil {
		t.Fatal(err)
	}
	if err := f.db.DB.Get(&overlaps, `
		SELECT COUNT(*) FROM appointments a JOIN appointments b
		ON a.room_id = b.room_id AND a.id < b.id AND a.start_time < b.end_time AND b.start_time < a.end_time`); err != nil {
		t.Fatal(err)
	}
	if overlaps != 0 || booked != len(rooms) {
		t.Errorf("%d overlaps and %d rooms used, want none and all %d; answers %v",
			overlaps, booked, len(rooms), answers)
	}
}
