package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"mems/gen/api"
)

// Each part of a schedule equals what the separate operations return to the same caller, and is
// refused where they refuse.
func TestScheduleIsWhatTheSingleOperationsReturn(t *testing.T) {
	t.Parallel()
	c := newConfidential(t)
	const from, to = "2027-03-01T00:00:00Z", "2027-03-21T00:00:00Z" // the clinic's zone is UTC
	schedule := fmt.Sprintf("/schedule?doctor_id=%d,%d&first_date=2027-03-01&last_date=2027-03-20&include=patient,doctor", c.doctors[1], c.doctors[0])
	text := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	c.callers["partner without the calendar"], _ = c.key("partner", object{"scopes": []string{"appointments:read", "records:all"}})
	for name, client := range c.callers {
		list := client.Get("/appointments", "from", from, "to", to, "include", "patient,doctor")
		answer := client.Get(schedule)
		if list.Status != http.StatusOK {
			answer.Want(t, list.Status, "forbidden")
			continue
		}
		var got api.Schedule
		var want api.AppointmentList
		list.Decode(t, &want)
		answer.Want(t, http.StatusOK, "").Decode(t, &got)
		if text(got.Appointments) != text(want.Items) || got.From != want.From.MustGet() || got.To != want.To.MustGet() || got.TimeZone != want.TimeZone {
			t.Errorf("%s: %s\nwant %s", name, answer.Body, list.Body)
		}
		var closures api.ClosureList
		single := client.Get("/closures", "from", from)
		if single.Status == http.StatusForbidden {
			if got.Calendars != nil {
				t.Errorf("schedule for %s, who may not read calendars: %s, want no calendars", name, answer.Body)
			}
			continue
		}
		single.Want(t, http.StatusOK, "").Decode(t, &closures)
		if text(got.Calendars.Closures) != text(closures.Items) || len(closures.Items) != 1 {
			t.Errorf("%s: closures %s, want %s", name, text(got.Calendars.Closures), single.Body)
		}
		for i, doctor := range got.Calendars.Doctors {
			var hours api.WorkingHours
			var off api.TimeOffList
			client.Get(fmt.Sprintf("/doctors/%d/working-hours", doctor.DoctorID)).Want(t, http.StatusOK, "").Decode(t, &hours)
			client.Get(fmt.Sprintf("/doctors/%d/time-off", doctor.DoctorID), "from", from).Want(t, http.StatusOK, "").Decode(t, &off)
			if doctor.DoctorID != c.doctors[i] || text(doctor.WorkingHours) != text(hours) || text(doctor.TimeOff) != text(off.Items) || len(off.Items) != 1 {
				t.Errorf("%s: %s, want %s and %s", name, text(doctor), text(hours), text(off.Items))
			}
		}
	}
}

// A schedule covers whole days of the clinic and has everything that intersects them.
func TestScheduleRange(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich")
	one, two, other := f.doctor(), f.doctor(), f.doctor()
	f.put(fmt.Sprintf("/doctors/%d/working-hours", one), object{
		"timetables": []object{{"effective_from": "2027-01-01", "blocks": []object{{"weekday": 7, "start": "00:00", "end": "24:00"}}}},
		"exceptions": []object{
			{"date": "2027-03-29", "blocks": []object{{"start": "00:00", "end": "24:00"}}},
			{"date": "2027-09-01", "blocks": []object{{"start": "08:00", "end": "09:00"}}},
		},
	}).Want(t, 200, "")
	before := f.booked(f.patient(), two, "2027-03-27T23:30:00+01:00", 60) // into the day
	f.booked(f.patient(), two, "2027-03-27T22:30:00+01:00", 30)
	f.booked(f.patient(), other, "2027-03-28T10:00:00+02:00", 30)
	last := f.booked(f.patient(), one, "2027-03-28T23:45:00+02:00", 30)
	f.booked(f.patient(), two, "2027-03-29T00:00:00+02:00", 30)
	for _, day := range []string{"2027-03-27", "2027-03-28", "2027-03-29"} {
		f.Post(fmt.Sprintf("/doctors/%d/time-off", two), object{"first_date": day, "last_date": day, "reason": "other"}).Want(t, 201, "")
		f.Post("/closures", object{"first_date": day, "last_date": day, "name": day}).Want(t, 201, "")
	}
	var got api.Schedule
	f.Get(fmt.Sprintf("/schedule?doctor_id=%d,%d&first_date=2027-03-28&last_date=2027-03-28", two, one)).Want(t, 200, "").Decode(t, &got)
	if hours := got.To.Sub(got.From).Hours(); hours != 23 {
		t.Errorf("schedule of the day has %v hours, want 23", hours)
	}
	if ids := appointmentIDs(got); !slices.Equal(ids, []int64{before.ID, last.ID}) {
		t.Errorf("appointments %v, want %d and %d", ids, before.ID, last.ID)
	}
	calendars := got.Calendars.Doctors
	if len(calendars) != 2 || calendars[0].DoctorID != one || len(calendars[0].TimeOff) != 0 || len(calendars[1].TimeOff) != 1 || len(got.Calendars.Closures) != 1 {
		t.Errorf("calendars = %+v, want those of two doctors, time off of the second, and one closure",
			got.Calendars)
	}
	if hours := calendars[0].WorkingHours; len(hours.Timetables) != 1 || len(hours.Exceptions) != 1 || !calendars[1].WorkingHours.TimeZone.IsNull() {
		t.Errorf("working hours = %+v, want a timetable and an exception, and none of the second doctor", hours)
	}
}

func TestScheduleRefusals(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	doctor := f.doctor()
	ids := make([]string, 101)
	for i := range ids {
		ids[i] = fmt.Sprint(doctor + int64(i))
	}
	of := func(n int) string { return strings.Join(ids[:n], ",") }
	for name, c := range map[string]struct{ query, want string }{
		"NoDoctor":    {"first_date=2027-03-01&last_date=2027-03-01", "doctor_id required"},
		"Doctors":     {"doctor_id=" + of(101) + "&first_date=2027-03-01&last_date=2027-03-01", "doctor_id max_items"},
		"Twice":       {"doctor_id=1,1&first_date=2027-03-01&last_date=2027-03-01", "doctor_id unique_items"},
		"Backwards":   {"doctor_id=1&first_date=2027-03-02&last_date=2027-03-01", "last_date combination"},
		"Days":        {"doctor_id=1&first_date=2027-03-01&last_date=2027-04-12", "last_date maximum"},
		"DoctorDays":  {"doctor_id=" + of(100) + "&first_date=2027-03-01&last_date=2027-03-15", "doctor_id maximum"},
		"OtherCursor": {"doctor_id=1&first_date=2027-03-01&last_date=2027-03-01&cursor=AfdZ6dUC", "cursor invalid"},
	} {
		if vs := f.Get("/schedule?"+c.query).Want(t, 422, "validation-failed").Violations(t); !slices.Contains(vs, c.want) {
			t.Errorf("%s: %v, want %s", name, vs, c.want)
		}
	}
	f.Get("/schedule?doctor_id="+of(2)+"&first_date=2027-03-01&last_date=2027-03-01").Want(t, 404, "doctor-not-found")
	f.Get("/schedule?doctor_id="+of(1)+"&first_date=2027-03-01&last_date=2027-04-11").Want(t, 200, "")
}

// A schedule is recorded like a day's list: who read it, and of which patients.
func TestScheduleIsRecorded(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, nil)
	doctor := s.doctor()
	desk, _ := s.key("receptionist", nil)
	a := s.booked(s.patient(), doctor, "2027-03-02T09:00:00Z", 30)
	const days = "first_date=2027-03-02&last_date=2027-03-02"
	desk.Get(fmt.Sprintf("/schedule?doctor_id=%d&%s", doctor, days)).Want(t, 200, "")
	desk.Get(fmt.Sprintf("/schedule?doctor_id=%d&%s&include=patient", doctor, days)).Want(t, 200, "")
	var got []string
	for _, e := range s.trail("operation", "getSchedule") {
		got = append(got, fmt.Sprintf("%s %s %v", e.Action, e.Object, e.PatientIds))
	}
	about := fmt.Sprintf("[%d]", a.PatientID)
	if want := []string{"read appointment " + about, "read patient " + about, "read appointment " + about}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// A stream with records has what reading each changed record would return to its caller, so that a
// copy needs no further request.
func TestStreamWithRecords(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, nil)
	mine, theirs, patient := s.doctor(), s.doctor(), s.patient()
	stream := func(role, include string, members object) <-chan event {
		client, _ := s.key(role, members)
		events, _ := listenTo(t, s.url+"/stream?include="+include, http.Header{"X-Api-Key": {client.Header("X-API-Key")}})
		next(t, events)
		return events
	}
	desk := stream("receptionist", "record,patient", nil)
	bare := stream("receptionist", "record", nil)
	doctor := stream("doctor", "record,patient", object{"doctor_id": mine})
	partner := stream("partner", "record,patient", object{"scopes": []string{"changes:read", "appointments:read", "calendar:read", "records:all"}})
	own := s.booked(patient, mine, "2027-03-02T09:00:00Z", 30)
	s.Post(fmt.Sprintf("/appointments/%d/cancel", own.ID), object{"reason": "other", "note": staffWords}).Want(t, 200, "")
	s.Post(fmt.Sprintf("/doctors/%d/time-off", theirs), object{"first_date": "2027-03-04", "last_date": "2027-03-04", "reason": "illness"}).Want(t, 201, "")
	s.Post("/closures", object{"first_date": "2027-03-06", "last_date": "2027-03-06", "name": "Works"}).Want(t, 201, "")
	read := func(events <-chan event) (c api.Change) {
		t.Helper()
		if err := json.Unmarshal([]byte(next(t, events).data), &c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	booked := read(desk)
	if booked.Appointment == nil || booked.Appointment.ID != own.ID || booked.Appointment.Patient == nil || booked.Appointment.Patient.ID != patient {
		t.Errorf("first change at the desk = %+v, want appointment %d with patient %d", booked, own.ID, patient)
	}
	if c := read(desk); c.Appointment == nil || c.Appointment.Cancellation.Note.MustGet() != staffWords {
		t.Errorf("second change at the desk = %+v, want the cancellation with its note", c)
	}
	if c := read(desk); c.TimeOff == nil || *c.TimeOff.Reason != "illness" {
		t.Errorf("third change at the desk = %+v, want time off with its reason", c)
	}
	if c := read(bare); c.Appointment == nil || c.Appointment.Patient != nil {
		t.Errorf("change without patients = %+v, want the appointment without its patient", c)
	}
	for name, events := range map[string]<-chan event{"doctor": doctor, "partner": partner} {
		seen := 0
		for c := read(events); c.Closure == nil; c = read(events) {
			switch {
			case c.Appointment != nil:
				seen++
				if c.Appointment.Patient == nil || name == "partner" && c.Appointment.Cancellation != nil && c.Appointment.Cancellation.Note.IsSpecified() {
					t.Errorf("appointment in the stream of the %s = %+v, want its patient, and no note for a partner",
						name, c.Appointment)
				}
			case c.TimeOff != nil && c.TimeOff.Reason != nil:
				t.Errorf("time off in the stream of the %s = %+v, want no reason: it is a colleague's", name, c.TimeOff)
			}
		}
		if seen != 2 {
			t.Errorf("%s saw %d changes of the appointment, want 2", name, seen)
		}
	}
	var subjects []string
	for _, e := range s.trail("operation", "streamChanges") {
		if slices.Contains(e.PatientIds, patient) && !slices.Contains(subjects, e.Subject) {
			subjects = append(subjects, e.Subject)
		}
	}
	if len(subjects) != 4 {
		t.Errorf("records shown in streams are in the trail of %v, want of four callers", subjects)
	}
}

// The list of changes has the same patients as the stream.
func TestChangesWithPatients(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	a := f.booked(f.patient(), f.doctor(), "2027-03-02T09:00:00Z", 30)
	for include, want := range map[string]bool{"record": false, "record,patient": true} {
		var list api.ChangeList
		f.Get("/changes", "objects", "appointment", "include", include).Want(t, 200, "").Decode(t, &list)
		if c := list.Items[0]; c.Appointment.ID != a.ID || (c.Appointment.Patient != nil) != want {
			t.Errorf("include=%s: %+v, want appointment %d with its patient: %t", include, c.Appointment, a.ID, want)
		}
	}
	f.Get("/changes", "include", "patient").Want(t, 422, "validation-failed")
}

func appointmentIDs(s api.Schedule) []int64 {
	ids := make([]int64, len(s.Appointments))
	for i, a := range s.Appointments {
		ids[i] = a.ID
	}
	return ids
}
