package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/contracttest"
)

func TestBookAppointment(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich")

	t.Run("InstantsComeBack", func(t *testing.T) {
		for sent, want := range map[string]string{
			"2027-03-02T09:00:00Z":           "2027-03-02T09:00:00Z",
			"2027-03-03T14:30:00+05:30":      "2027-03-03T09:00:00Z",
			"2027-03-04T01:00:00-08:00":      "2027-03-04T09:00:00Z",
			"2027-03-05T09:00:00.123456Z":    "2027-03-05T09:00:00.123456Z",
			"2027-03-06T09:00:00.1234569Z":   "2027-03-06T09:00:00.123456Z",
			"2027-03-07T09:00:00.5+00:00":    "2027-03-07T09:00:00.5Z",
			"2027-03-08T23:59:59.999999999Z": "2027-03-08T23:59:59.999999Z",
		} {
			r := f.book(f.patient(), f.doctor(), sent, 30).Want(t, 201, "")
			var a api.Appointment
			r.Decode(t, &a)
			if !strings.Contains(string(r.Body), `"start_time":"`+want+`"`) {
				t.Errorf("sent %s, got %s, want %s", sent, r.Body, want)
			}
			if !a.EndTime.Equal(a.StartTime.Add(30 * time.Minute)) {
				t.Errorf("ends at %s, want 30 minutes after the start", a.EndTime)
			}
			read := f.Get(r.Header.Get("Location")).Want(t, 200, "")
			if string(read.Body) != string(r.Body) || read.Header.Get("ETag") != r.Header.Get("ETag") {
				t.Errorf("read %s %s, want as booked, %s %s", read.Body, read.Header.Get("ETag"), r.Body, r.Header.Get("ETag"))
			}
		}
	})
	t.Run("Duration", func(t *testing.T) {
		for minutes, want := range map[any]string{
			14: "#/duration_minutes minimum", 181: "#/duration_minutes maximum", "30": "#/duration_minutes type",
			15.5: "#/duration_minutes type", -30: "#/duration_minutes minimum", true: "#/duration_minutes type",
			1e30: "#/duration_minutes maximum",
		} {
			r := f.book(1, 1, "2027-03-02T09:00:00Z", minutes).Want(t, 422, "validation-failed")
			if vs := r.Violations(t); !slices.Contains(vs, want) {
				t.Errorf("%v: violations %v, want %s", minutes, vs, want)
			}
		}
		for _, minutes := range []int{15, 180} {
			f.booked(f.patient(), f.doctor(), "2027-03-02T09:00:00Z", minutes)
		}
		// JSON does not distinguish 30 from 30.0 or 3e1.
		for _, minutes := range []string{"30.0", "3e1"} {
			f.Post("/appointments", fmt.Sprintf(`{"patient_id":%d,"doctor_id":%d,"start_time":"2027-03-02T09:00:00Z","duration_minutes":%s}`,
				f.patient(), f.doctor(), minutes)).Want(t, 201, "")
		}
	})
	t.Run("Overlaps", func(t *testing.T) {
		doctor := f.doctor()
		f.booked(f.patient(), doctor, "2027-04-01T10:00:00Z", 60)
		for name, b := range map[string]struct {
			start   string
			minutes int
			free    bool
		}{
			"Identical":        {"2027-04-01T10:00:00Z", 60, false},
			"IdenticalOffset":  {"2027-04-01T12:00:00+02:00", 60, false},
			"Contained":        {"2027-04-01T10:15:00Z", 30, false},
			"Containing":       {"2027-04-01T09:00:00Z", 180, false},
			"Left":             {"2027-04-01T09:30:00Z", 45, false},
			"Right":            {"2027-04-01T10:59:59.999999Z", 30, false},
			"SameStartShorter": {"2027-04-01T10:00:00Z", 15, false},
			"SameEnd":          {"2027-04-01T10:45:00Z", 15, false},
			"OneMicrosecond":   {"2027-04-01T09:30:00.000001Z", 30, false},
			"BackToBackBefore": {"2027-04-01T09:30:00Z", 30, true},
			"BackToBackAfter":  {"2027-04-01T11:00:00Z", 30, true},
			"LongBefore":       {"2027-04-01T06:30:00Z", 180, true},
		} {
			t.Run(name, func(t *testing.T) {
				r := f.book(f.patient(), doctor, b.start, b.minutes)
				if b.free {
					r.Want(t, 201, "")
					return
				}
				r.Want(t, 409, "doctor-overlap")
				var p api.Problem
				r.Decode(t, &p)
				if p.Conflict == nil {
					t.Fatal("problem has no conflict, want the appointment that takes the time")
				}
				if strings.Contains(string(r.Body), "patient_id") {
					t.Errorf("the refusal names the patient, want no patient_id: %s", r.Body)
				}
			})
		}
	})
	t.Run("AcrossUTCMidnight", func(t *testing.T) {
		doctor := f.doctor()
		f.booked(f.patient(), doctor, "2027-04-02T23:30:00Z", 60)
		f.book(f.patient(), doctor, "2027-04-03T00:15:00Z", 30).Want(t, 409, "doctor-overlap")
		f.book(f.patient(), doctor, "2027-04-03T00:30:00Z", 30).Want(t, 201, "")
	})
	t.Run("AcrossDST", func(t *testing.T) {
		// In Zurich, 02:30 happens twice on 2027-10-31. These are different times.
		doctor := f.doctor()
		f.booked(f.patient(), doctor, "2027-10-31T02:30:00+02:00", 30)
		f.book(f.patient(), doctor, "2027-10-31T02:30:00+01:00", 30).Want(t, 201, "")
		f.book(f.patient(), doctor, "2027-10-31T00:45:00Z", 30).Want(t, 409, "doctor-overlap")
		// On 2027-03-28, an hour after 01:30 CET the clock shows 03:30.
		f.booked(f.patient(), doctor, "2027-03-28T01:30:00+01:00", 60)
		f.book(f.patient(), doctor, "2027-03-28T03:15:00+02:00", 30).Want(t, 409, "doctor-overlap")
		f.book(f.patient(), doctor, "2027-03-28T03:30:00+02:00", 30).Want(t, 201, "")
	})
	t.Run("PatientOverlap", func(t *testing.T) {
		patient := f.patient()
		f.booked(patient, f.doctor(), "2027-04-04T10:00:00Z", 30)
		f.book(patient, f.doctor(), "2027-04-04T10:15:00Z", 30).Want(t, 409, "patient-overlap")
		f.book(patient, f.doctor(), "2027-04-04T10:30:00Z", 30).Want(t, 201, "")
	})
}

// One request breaks every rule; each step fixes the violation that was reported.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	busyDoctor, busyPatient, inactive := f.doctor(), f.patient(), f.doctor()
	f.booked(busyPatient, busyDoctor, "2027-03-02T10:00:00Z", 30)
	f.Patch(fmt.Sprintf("/doctors/%d", inactive), object{"is_active": false}).Want(t, 200, "")
	const past, future = `"2027-03-01T07:59:59Z"`, `"2027-03-02T10:10:00Z"`
	body := func(patient, doctor any, start string, rest string) string {
		return fmt.Sprintf(`{"patient_id":%v,"doctor_id":%v,"start_time":%s,"duration_minutes":30%s`, patient, doctor, start, rest)
	}
	send := func(accept, contentType, body string) *contracttest.Response {
		h := http.Header{"Content-Type": {contentType}}
		if accept != "" {
			h.Set("Accept", accept)
		}
		return f.Send(contracttest.Request{Method: "POST", Path: "/appointments?zz=1", Body: body, Header: h})
	}
	send("image/png", "text/plain", body(0, 0, past, "")).Want(t, 406, "not-acceptable")
	send("", "text/plain", body(0, 0, past, "")).Want(t, 415, "unsupported-media-type")
	send("", "application/json", body(0, 0, past, "")).Want(t, 400, "malformed-request")
	send("", "application/json", body(999_999, 999_999, past, "}")).Want(t, 422, "validation-failed") // ?zz
	for _, step := range []struct {
		body        string
		status      int
		problemType string
	}{
		{body(0, 999_999, past, "}"), 422, "validation-failed"},
		{body(999_999, 999_999, past, "}"), 422, "start-in-past"},
		{body(999_999, 999_999, `"2027-03-01T08:00:00Z"`, "}"), 422, "start-in-past"}, // now is not later than now
		{body(999_999, 999_999, future, "}"), 404, "patient-not-found"},
		{body(busyPatient, 999_999, future, "}"), 404, "doctor-not-found"},
		{body(busyPatient, inactive, future, "}"), 409, "doctor-inactive"},
		{body(busyPatient, busyDoctor, future, "}"), 409, "doctor-overlap"},
		{body(busyPatient, f.doctor(), future, "}"), 409, "patient-overlap"},
		{body(f.patient(), f.doctor(), future, "}"), 201, ""},
	} {
		f.Post("/appointments", step.body).Want(t, step.status, step.problemType)
	}
}

func TestCancelAppointment(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	patient, doctor := f.patient(), f.doctor()
	a := f.booked(patient, doctor, "2027-03-02T10:00:00Z", 30)
	path := fmt.Sprintf("/appointments/%d/cancel", a.ID)
	f.Post(path, object{}).Want(t, 422, "validation-failed")
	f.Post(path, object{"reason": "bored"}).Want(t, 422, "validation-failed")
	f.Post(path, nil).Want(t, 422, "validation-failed")
	f.Send(contracttest.Request{Method: "POST", Path: path, Body: object{"reason": "other"}, Header: http.Header{
		"If-Match": {`"7"`}, "Content-Type": {"application/json"},
	}}).Want(t, 412, "precondition-failed")
	var cancelled api.Appointment
	r := f.Send(contracttest.Request{Method: "POST", Path: path, Body: object{"reason": "patient_request", "note": " Will call. "}, Header: http.Header{
		"If-Match": {`"7", "1"`}, "Content-Type": {"application/json"},
	}}).Want(t, 200, "")
	r.Decode(t, &cancelled)
	if cancelled.Status != api.AppointmentStatusCancelled || cancelled.Cancellation == nil || r.Header.Get("ETag") != `"2"` {
		t.Errorf("cancelled %s, want status cancelled, a cancellation and version 2", r.Body)
	}
	if note, _ := cancelled.Cancellation.Note.Get(); note != "Will call." {
		t.Errorf("note %q, want \"Will call.\"", note)
	}
	var p api.Problem
	f.Post(path, object{"reason": "other"}).Want(t, 409, "invalid-transition").Decode(t, &p)
	if p.CurrentStatus == nil || *p.CurrentStatus != api.AppointmentStatusCancelled {
		t.Errorf("current status %v, want cancelled", p.CurrentStatus)
	}
	f.booked(patient, doctor, "2027-03-02T10:00:00Z", 30) // the time is free again
	f.Post("/appointments/999999/cancel", object{"reason": "other"}).Want(t, 404, "appointment-not-found")

	if _, err := f.db.DB.Exec(`UPDATE appointments SET status = 'checked_in' WHERE status = 'scheduled'`); err != nil {
		t.Fatal(err)
	}
	p = api.Problem{}
	f.Post(fmt.Sprintf("/appointments/%d/cancel", a.ID+1), object{"reason": "other"}).Want(t, 409, "invalid-transition").Decode(t, &p)
	if !slices.Equal(p.AllowedStatuses, []api.AppointmentStatus{"in_progress", "left_without_being_seen"}) {
		t.Errorf("allowed statuses %v, want in_progress and left_without_being_seen", p.AllowedStatuses)
	}
}

// After the response to a deactivation, no booking succeeds.
func TestDeactivationRacesBookings(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	other := setupOn(t, f.db, "UTC")
	doctor := f.doctor()
	var patients []int64
	for range 40 {
		patients = append(patients, f.patient())
	}
	var deactivated atomic.Bool
	var answered, after, refused atomic.Int64
	underWay := make(chan struct{})
	together(41, func(i int) {
		if i == 40 {
			<-underWay // into the middle of the bookings
			f.Patch(fmt.Sprintf("/doctors/%d", doctor), object{"is_active": false}).Want(t, 200, "")
			deactivated.Store(true)
			return
		}
		for k := range 4 {
			sentAfter := deactivated.Load()
			client := []*fixture{f, other}[i%2]
			r := client.book(patients[i], doctor, now.Add(time.Duration(1+30*(4*i+k))*time.Minute).Format(time.RFC3339), 15)
			switch {
			case r.Status == 201 && sentAfter:
				after.Add(1)
			case r.Status == 409 && r.Type() == "doctor-inactive":
				refused.Add(1)
			case r.Status != 201:
				r.Want(t, 201, "")
			}
			if answered.Add(1) == 40 {
				close(underWay)
			}
		}
	})
	if after.Load() != 0 {
		t.Errorf("%d bookings succeeded that were sent after the response to the deactivation, want 0", after.Load())
	}
	f.book(patients[0], doctor, "2028-01-01T00:00:00Z", 15).Want(t, 409, "doctor-inactive")
	t.Logf("%d refused", refused.Load())
}

// A doctor or patient is deleted while being booked: either the record is deleted and the booking
// fails, or the booking succeeds and the record stays.
func TestDeleteRacesBookings(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	other := setupOn(t, f.db, "UTC")
	for range 30 {
		patient, doctor := f.patient(), f.doctor()
		var bookedStatus, deletedDoctor, deletedPatient int
		together(3, func(i int) {
			switch i {
			case 0:
				bookedStatus = f.book(patient, doctor, "2027-03-02T10:00:00Z", 30).Status
			case 1:
				deletedDoctor = other.Delete(fmt.Sprintf("/doctors/%d", doctor)).Status
			case 2:
				deletedPatient = other.Delete(fmt.Sprintf("/patients/%d", patient)).Status
			}
		})
		switch {
		case bookedStatus == 201 && deletedDoctor == 409 && deletedPatient == 409:
		case bookedStatus == 404 && (deletedDoctor == 204 || deletedPatient == 204):
		default:
			t.Errorf("statuses: booking %d, deleting the doctor %d, deleting the patient %d; want a deletion or the booking to win", bookedStatus, deletedDoctor, deletedPatient)
		}
	}
	var orphans int
	if err := f.db.DB.Get(&orphans, `SELECT COUNT(*) FROM appointments a LEFT JOIN doctors d ON d.id = a.doctor_id
		LEFT JOIN patients p ON p.id = a.patient_id WHERE d.id IS NULL OR p.id IS NULL`); err != nil || orphans != 0 {
		t.Errorf("%d appointments without a doctor or patient (%v), want 0", orphans, err)
	}
}

// 64 clients, each with a key, book one time at once: one gets it, and 63 are told that it is
// taken, with alternatives. None is rejected because of load.
func TestRaceForOneTimeIsAnswered(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	doctor := f.doctor()
	patients := make([]int64, 64)
	for i := range patients {
		patients[i] = f.patient()
	}
	answers := make(chan *contracttest.Response, len(patients))
	for i, patient := range patients {
		go func() {
			answers <- once(f.Client, fmt.Sprintf("race-%d", i), "/appointments",
				object{"patient_id": patient, "doctor_id": doctor, "start_time": "2027-03-02T09:00:00Z", "duration_minutes": 30})
		}()
	}
	count := map[int]int{}
	for range patients {
		r := <-answers
		count[r.Status]++
		if r.Status == 409 {
			var p struct{ Alternatives []any }
			if r.Want(t, 409, "doctor-overlap").Decode(t, &p); len(p.Alternatives) == 0 {
				t.Error("a refusal without alternatives, want some")
			}
		}
	}
	if count[201] != 1 || count[409] != 63 {
		t.Errorf("responses by status: %v, want one 201 and 63 409", count)
	}
}
