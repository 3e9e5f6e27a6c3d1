package server_test

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/contracttest"
)

// These refusals are listed in the contract, and no other test has a reason to cause them. TestMain
// names those that are listed and were not returned.

// noRecord is the id of no record.
const noRecord = 999_999

// unfit has a doctor, a patient, and records that make a booking with them fail.
type unfit struct {
	doctor, inactive int64
	// types of the doctor, of others, inactive; rooms.
	kind, foreign, retired, inRoom int64
	room, closed, other            int64
}

func (f *fixture) unfit() (u unfit) {
	f.t.Helper()
	u.doctor, u.inactive = f.doctor(), f.doctor()
	u.room, u.closed, u.other = f.room(), f.room(), f.room()
	u.kind, u.retired = f.kind(nil), f.kind(nil)
	u.foreign = f.kind(object{"doctor_ids": []int64{f.doctor()}})
	u.inRoom = f.kind(object{"needs_room": true, "room_ids": []int64{u.room}})
	f.deactivate("doctors", u.inactive)
	f.deactivate("rooms", u.closed)
	f.deactivate("appointment-types", u.retired)
	return u
}

func (f *fixture) deactivate(records string, id int64) {
	f.t.Helper()
	f.Patch(fmt.Sprintf("/%s/%d", records, id), object{"is_active": false}).Want(f.t, 200, "")
}

func TestRefusedPartiesOfASeries(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	u := f.unfit()
	survivor, merged := f.patient(), f.patient()
	f.Post(fmt.Sprintf("/patients/%d/merge", survivor), object{"duplicate_id": merged}).Want(t, 200, "")
	f.Post(fmt.Sprintf("/patients/%d/erase", merged), object{"reason": "asked"}).Want(t, 409, "patient-merged")
	f.Post("/walk-ins", object{"patient_id": merged, "doctor_id": u.doctor}).Want(t, 409, "patient-merged")
	for _, c := range []struct {
		members object
		status  int
		slug    string
	}{
		{object{"type_id": noRecord}, 404, "appointment-type-not-found"},
		{object{"room_id": noRecord}, 404, "room-not-found"},
		{object{"patient_id": merged}, 409, "patient-merged"},
		{object{"type_id": u.retired}, 409, "appointment-type-inactive"},
		{object{"room_id": u.closed}, 409, "room-inactive"},
		{object{"type_id": u.foreign}, 409, "appointment-type-not-allowed"},
		{object{"type_id": u.inRoom, "room_id": u.other}, 409, "room-not-suitable"},
	} {
		f.series(survivor, u.doctor, c.members).Want(t, c.status, c.slug)
	}

	_, path := f.bookedSeries(survivor, u.doctor, object{"type_id": u.inRoom, "room_id": u.room})
	f.Post(path+"/cancel", object{"reason": "patient_request", "from_appointment_id": noRecord}).Want(t, 404, "appointment-not-found")
	f.Patch(fmt.Sprintf("/appointment-types/%d", u.inRoom), object{"doctor_ids": []int64{u.doctor}}).Want(t, 200, "")
	for _, c := range []struct {
		members object
		status  int
		slug    string
	}{
		{object{"room_id": noRecord}, 404, "room-not-found"},
		{object{"doctor_id": u.inactive}, 409, "doctor-inactive"},
		{object{"room_id": u.closed}, 409, "room-inactive"},
		{object{"doctor_id": f.doctor()}, 409, "appointment-type-not-allowed"},
		{object{"room_id": u.other}, 409, "room-not-suitable"},
	} {
		f.Post(path+"/reschedule", c.members).Want(t, c.status, c.slug)
	}
}

func TestRefusedParties(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	u := f.unfit()
	const start, later = "2027-03-02T10:00:00Z", "2027-03-02T11:00:00Z"
	f.hold(u.doctor, start, object{"type_id": u.retired}).Want(t, 409, "appointment-type-inactive")
	f.hold(u.doctor, start, object{"type_id": u.foreign}).Want(t, 409, "appointment-type-not-allowed")
	f.hold(u.doctor, start, object{"room_id": u.closed}).Want(t, 409, "room-inactive")
	f.hold(u.doctor, start, object{"type_id": u.inRoom, "room_id": u.other}).Want(t, 409, "room-not-suitable")

	f.hours(u.doctor, "UTC", "08:00-18:00")
	a := f.bookedWith(u.doctor, start, object{"room_id": u.room})
	f.hold(f.doctor(), start, object{"room_id": u.room}).Want(t, 409, "room-overlap")
	f.reschedule(a.ID, object{"room_id": u.closed}).Want(t, 409, "room-inactive")

	// The former time of an appointment is no longer free for it.
	f.reschedule(a.ID, object{"start_time": later}).Want(t, 200, "")
	f.hours(u.doctor, "UTC", "10:45-18:00")
	f.act(a.ID, "undo").Want(t, 409, "outside-working-hours")
	f.hours(u.doctor, "UTC", "08:00-18:00")
	f.bookedWith(f.doctor(), start, object{"room_id": u.room})
	f.act(a.ID, "undo").Want(t, 409, "room-overlap")

	ticket := ticketOf(t, f.walkIn(u.doctor), 201)
	f.Post(fmt.Sprintf("/tickets/%d/transfer", ticket.ID), object{"doctor_id": u.inactive}).Want(t, 409, "doctor-inactive")

	f.Get("/availability/next", "duration_minutes", "30", "doctor_id", fmt.Sprint(noRecord)).Want(t, 404, "doctor-not-found")
	f.fhirs(fmt.Sprintf("Slot/%d-20270302T1000Z-30", noRecord)).Want(t, 404, "doctor-not-found")
}

func TestRefusedBookingsByFHIR(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	u := f.unfit()
	patient := f.patient()
	f.hours(u.doctor, "UTC", "08:00-18:00")
	f.booked(patient, f.doctor(), "2027-03-02T09:00:00Z", 30)
	f.bookedWith(f.doctor(), "2027-03-02T10:00:00Z", object{"room_id": u.room})
	f.Post(fmt.Sprintf("/doctors/%d/time-off", u.doctor), object{
		"start_time": "2027-03-02T11:00:00Z", "end_time": "2027-03-02T12:00:00Z", "reason": "training",
	}).Want(t, 201, "")
	book := func(doctor int64, start string, kind int64) *contracttest.Response {
		at, err := time.Parse(time.RFC3339, start)
		if err != nil {
			t.Fatal(err)
		}
		body := object{
			"resourceType": "Appointment", "status": "proposed", "start": start, "end": at.Add(30 * time.Minute).Format(time.RFC3339),
			"participant": []object{
				{"actor": object{"reference": fmt.Sprintf("Patient/%d", patient)}, "status": "accepted"},
				{"actor": object{"reference": fmt.Sprintf("Practitioner/%d", doctor)}, "status": "accepted"},
			},
		}
		if kind != 0 {
			body["serviceType"] = []object{{"coding": []object{{"system": "urn:mems:appointment-type", "code": fmt.Sprint(kind)}}}}
		}
		return f.Post("/fhir/Appointment/$book", body)
	}
	for _, c := range []struct {
		doctor int64
		start  string
		kind   int64
		status int
		slug   string
	}{
		{noRecord, "2027-03-02T14:00:00Z", 0, 404, "doctor-not-found"},
		{u.doctor, "2027-03-02T14:00:00Z", noRecord, 404, "appointment-type-not-found"},
		{u.inactive, "2027-03-02T14:00:00Z", 0, 409, "doctor-inactive"},
		{u.doctor, "2027-03-02T14:00:00Z", u.retired, 409, "appointment-type-inactive"},
		{u.doctor, "2027-03-02T14:00:00Z", u.foreign, 409, "appointment-type-not-allowed"},
		{u.doctor, "2027-03-02T11:00:00Z", 0, 409, "time-off"},
		{u.doctor, "2027-03-02T09:00:00Z", 0, 409, "patient-overlap"},
		{u.doctor, "2027-03-02T10:00:00Z", u.inRoom, 409, "no-room-free"},
		{u.doctor, "2027-03-01T07:00:00Z", 0, 422, "start-in-past"},
	} {
		book(c.doctor, c.start, c.kind).Want(t, c.status, c.slug)
	}
}

// Accepting an offer decides again: its conditions may have changed.
func TestOfferThatNoLongerFits(t *testing.T) {
	t.Parallel()
	const start = "2027-03-02T10:00:00Z"
	for name, c := range map[string]struct {
		change func(f *fixture, u unfit, patient int64)
		slug   string
	}{
		"DoctorInactive": {func(f *fixture, u unfit, _ int64) { f.deactivate("doctors", u.doctor) }, "doctor-inactive"},
		"TypeInactive":   {func(f *fixture, u unfit, _ int64) { f.deactivate("appointment-types", u.inRoom) }, "appointment-type-inactive"},
		"RoomInactive":   {func(f *fixture, u unfit, _ int64) { f.deactivate("rooms", u.room) }, "room-inactive"},
		"TypeNotAllowed": {func(f *fixture, u unfit, _ int64) {
			f.Patch(fmt.Sprintf("/appointment-types/%d", u.inRoom), object{"doctor_ids": []int64{u.inactive}}).Want(f.t, 200, "")
		}, "appointment-type-not-allowed"},
		"RoomNotSuitable": {func(f *fixture, u unfit, _ int64) {
			f.Patch(fmt.Sprintf("/appointment-types/%d", u.inRoom), object{"room_ids": []int64{u.other}}).Want(f.t, 200, "")
		}, "room-not-suitable"},
		"OutsideHours": {func(f *fixture, u unfit, _ int64) { f.hours(u.doctor, "UTC", "16:00-18:00") }, "outside-working-hours"},
		"TimeOff": {func(f *fixture, u unfit, _ int64) {
			f.Post(fmt.Sprintf("/doctors/%d/time-off", u.doctor), object{
				"start_time": start, "end_time": "2027-03-02T12:00:00Z", "reason": "training",
			}).Want(f.t, 201, "")
		}, "time-off"},
		"NoRoomFree": {func(f *fixture, u unfit, _ int64) {
			f.Patch(fmt.Sprintf("/appointment-types/%d", u.kind), object{"needs_room": true, "room_ids": []int64{u.closed}}).Want(f.t, 200, "")
		}, "no-room-free"},
		"PatientOverlap": {func(f *fixture, _ unfit, patient int64) { f.booked(patient, f.doctor(), start, 30) }, "patient-overlap"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, "UTC")
			u := f.unfit()
			f.hours(u.doctor, "UTC", "10:00-10:30")
			patient := f.patient()
			kind := u.inRoom
			if name == "NoRoomFree" {
				kind = u.kind // offered without a room
			}
			entry := f.waits(object{
				"patient_id": patient, "doctor_ids": []int64{u.doctor}, "type_id": kind, "duration_minutes": nil,
				"from": start, "to": "2027-03-02T10:30:00Z",
			})
			if got, want := f.offered(entry.ID), fmt.Sprintf("offered %d 02 10:00", u.doctor); got != want {
				t.Fatalf("%q, want %q", got, want)
			}
			c.change(f, u, patient)
			f.Post(fmt.Sprintf("/waitlist/%d/accept", entry.ID), nil).Want(t, 409, c.slug)
		})
	}
}

func TestOfferWhoseStartHasPassed(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	doctor := f.doctor()
	f.hours(doctor, "UTC", "08:05-08:35")
	entry := f.waits(object{"doctor_ids": []int64{doctor}, "from": "2027-03-01T08:05:00Z", "to": "2027-03-01T08:35:00Z"})
	f.pass(6 * time.Minute)
	f.Post(fmt.Sprintf("/waitlist/%d/accept", entry.ID), nil).Want(t, 422, "start-in-past")
}

func TestPlanOfTooManyAppointments(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	doctor, patient := f.doctor(), f.patient()
	for hour := range 3 {
		f.bookedSeries(patient, doctor, object{"start_time": fmt.Sprintf("2027-03-02T%02d:00:00Z", 9+hour), "rule": "FREQ=DAILY;COUNT=67"})
	}
	days := object{"doctor_id": doctor, "first_date": "2027-03-02", "last_date": "2027-05-07"}
	f.Post("/plans", days).Want(t, 409, "too-many-visits")
	maps.Copy(days, object{"last_date": "2027-05-06"})
	f.Post("/plans", days).Want(t, 201, "")
}

func TestRedeliverNoMessage(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	var hook struct{ ID int64 }
	f.Post("/webhooks", object{"url": "https://partner.example.org/hook", "types": []string{"patient.*"}}).Want(t, 201, "").Decode(t, &hook)
	f.Post(fmt.Sprintf("/webhooks/%d/deliveries/%d/redeliver", hook.ID, noRecord), nil).Want(t, 404, "delivery-not-found")
}

// Requests that fail before the operation, sent by the client that validates responses.
func TestRequestsOfOtherSitesAndProxies(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	f.With("Origin", "https://evil.example").Post("/patients", object{}).Want(t, 403, "cross-origin")
	f.With("X-Forwarded-For", "192.0.2.1").Get("/patients").Want(t, 403, "local-only")
}

func TestTransitionsThatAreNotAllowed(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	a := f.booked(f.patient(), f.doctor(), "2027-03-01T08:30:00Z", 30)
	f.act(a.ID, "complete").Want(t, 409, "invalid-transition")
	f.act(a.ID, "leave").Want(t, 409, "invalid-transition")
	f.act(a.ID, "check-in").Want(t, 200, "")
	f.act(a.ID, "check-in").Want(t, 409, "invalid-transition")
	f.act(a.ID, "leave").Want(t, 200, "")
	var p api.Problem
	f.act(a.ID, "leave").Want(t, 409, "invalid-transition").Decode(t, &p)
	if want := "The appointment is left_without_being_seen; only undo can change it, for a limited time."; p.Detail != want {
		t.Errorf("detail %q, want %q", p.Detail, want)
	}
	f.act(a.ID, "undo").Want(t, 200, "")

	doctor := f.doctor()
	f.hours(doctor, "UTC", "08:00-18:00")
	path := fmt.Sprintf("/tickets/%d", ticketOf(t, f.walkIn(doctor), 201).ID)
	f.Post(path+"/leave", nil).Want(t, 200, "")
	f.Post(path+"/call", nil).Want(t, 409, "invalid-ticket-transition")
	f.Post(path+"/start", nil).Want(t, 409, "invalid-ticket-transition")
}

func TestRefusedReschedules(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	const start, later = "2027-03-02T10:00:00Z", "2027-03-02T14:00:00Z"
	doctor, colleague := f.doctor(), f.doctor()
	a := f.booked(f.patient(), doctor, start, 30)
	f.Post(fmt.Sprintf("/doctors/%d/time-off", doctor), object{
		"start_time": later, "end_time": "2027-03-02T15:00:00Z", "reason": "training",
	}).Want(t, 201, "")
	f.reschedule(a.ID, object{"start_time": later}).Want(t, 409, "time-off")

	f.reschedule(a.ID, object{"doctor_id": colleague}).Want(t, 200, "")
	f.deactivate("doctors", doctor)
	f.act(a.ID, "undo").Want(t, 409, "doctor-inactive")
}

func TestReferencesToNoRecord(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	const start = "2027-03-02T10:00:00Z"
	doctor, inactive := f.doctor(), f.doctor()
	f.deactivate("doctors", inactive)
	f.hold(doctor, start, object{"room_id": noRecord}).Want(t, 404, "room-not-found")
	f.hold(inactive, start, nil).Want(t, 409, "doctor-inactive")
	f.Get("/availability/next", "type_id", fmt.Sprint(noRecord)).Want(t, 404, "appointment-type-not-found")
	f.Get(fmt.Sprintf("/patients/%d/merge-preview", f.patient()), "duplicate_id", fmt.Sprint(noRecord)).Want(t, 404, "patient-not-found")
	f.Post(fmt.Sprintf("/webhooks/%d/deliveries/1/redeliver", noRecord), nil).Want(t, 404, "webhook-not-found")
}
