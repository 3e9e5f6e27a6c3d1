package server_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mems/gen/api"
	"mems/internal/contracttest"
)

// series books Tuesdays at 10:00 in Zurich, from 16 March 2027 on.
func (f *fixture) series(patient, doctor int64, members object) *contracttest.Response {
	f.t.Helper()
	body := object{"patient_id": patient, "doctor_id": doctor, "start_time": "2027-03-16T10:00:00+01:00", "rule": "FREQ=WEEKLY;COUNT=4", "duration_minutes": 30}
	maps.Copy(body, members)
	return f.Post("/appointment-series", body)
}

func (f *fixture) bookedSeries(patient, doctor int64, members object) (b api.SeriesBooked, path string) {
	f.t.Helper()
	r := f.series(patient, doctor, members).Want(f.t, 201, "")
	r.Decode(f.t, &b)
	return b, r.Header.Get("Location")
}

// dates returns one line for each date of a report.
func dates(ds []api.SeriesDate) []string {
	var lines []string
	for _, d := range ds {
		problem := ""
		if d.Problem != nil {
			problem = " " + *d.Problem
		}
		lines = append(lines, fmt.Sprint(d.StartTime.Format("01-02T15:04Z "), d.Outcome, problem))
	}
	return lines
}

// times returns the dates of a series as they are now.
func (f *fixture) times(path string) []string {
	f.t.Helper()
	var s api.Series
	f.Get(path).Want(f.t, 200, "").Decode(f.t, &s)
	var lines []string
	for _, a := range s.Appointments {
		lines = append(lines, fmt.Sprint(a.StartTime.Format("01-02T15:04Z "), a.DoctorID, " ", a.Status))
	}
	return lines
}

func TestSeries(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich")
	patient, doctor := f.patient(), f.doctor()
	same := func(got, want []string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("dates (-want +got)\n%s", diff)
		}
	}
	at := func(start string) string { return fmt.Sprint(start, " ", doctor, " scheduled") }

	booked, path := f.bookedSeries(patient, doctor, nil)
	same(dates(booked.Dates), []string{"03-16T09:00Z done", "03-23T09:00Z done", "03-30T08:00Z done", "04-06T08:00Z done"}) // summer time
	same(f.times(path), []string{at("03-16T09:00Z"), at("03-23T09:00Z"), at("03-30T08:00Z"), at("04-06T08:00Z")})
	var one api.Appointment
	f.Get(fmt.Sprintf("/appointments/%d", booked.Dates[1].AppointmentID.MustGet())).Want(t, 200, "").Decode(t, &one)
	if one.SeriesID.MustGet() != booked.Series.ID || booked.Series.TimeZone != "Europe/Zurich" || booked.Series.Rule != "FREQ=WEEKLY;COUNT=4" {
		t.Errorf("appointment %+v of series %+v, want it in that series: weekly, 4 times, in Europe/Zurich",
			one, booked.Series)
	}
	f.Get("/appointment-series/999999").Want(t, 404, "series-not-found")

	t.Run("FailBooksNothing", func(t *testing.T) {
		p := f.problem(f.series(f.patient(), doctor, object{"start_time": "2027-03-23T10:15:00+01:00"}), 409, "series-conflict")
		same(dates(p.Dates), []string{"03-23T09:15Z refused /problems/doctor-overlap", "03-30T08:15Z refused /problems/doctor-overlap", "04-06T08:15Z refused /problems/doctor-overlap", "04-13T08:15Z free"})
		for _, d := range p.Dates {
			if !d.AppointmentID.IsNull() || d.Problem != nil && (d.Conflict == nil || len(d.Alternatives) == 0) {
				t.Errorf("date = %+v, want no appointment, and a conflict and alternatives where it is refused", d)
			}
		}
		f.booked(f.patient(), doctor, "2027-04-13T08:15:00Z", 15) // was not taken
	})
	t.Run("PreviewBooksNothing", func(t *testing.T) {
		other := f.patient()
		list := fmt.Sprintf("/appointments?patient_id=%d", other)
		var none, after api.AppointmentList
		f.Get(list).Want(t, 200, "").Decode(t, &none)
		for _, onConflict := range []string{"fail", "skip"} {
			var preview api.SeriesPreview
			r := f.series(other, doctor, object{"start_time": "2027-03-30T10:15:00+02:00", "dry_run": true, "on_conflict": onConflict})
			r.Want(t, 200, "").Decode(t, &preview)
			same(dates(preview.Dates), []string{"03-30T08:15Z refused /problems/doctor-overlap", "04-06T08:15Z refused /problems/doctor-overlap", "04-13T08:15Z refused /problems/doctor-overlap", "04-20T08:15Z free"})
			if d := preview.Dates[0]; d.Conflict == nil || len(d.Alternatives) == 0 || !d.AppointmentID.IsNull() {
				t.Errorf("first date of the preview = %+v, want a conflict, alternatives and no appointment", d)
			}
		}
		var all api.SeriesPreview
		f.series(other, doctor, object{"rule": "FREQ=WEEKLY;COUNT=2", "dry_run": true}).Want(t, 200, "").Decode(t, &all)
		same(dates(all.Dates), []string{"03-16T09:00Z refused /problems/doctor-overlap", "03-23T09:00Z refused /problems/doctor-overlap"})
		f.series(999_999, doctor, object{"dry_run": true}).Want(t, 404, "patient-not-found")
		f.series(other, doctor, object{"dry_run": true, "rule": "FREQ=YEARLY;COUNT=2"}).Want(t, 422, "validation-failed")
		f.series(other, doctor, object{"dry_run": true, "start_time": "2027-02-16T10:00:00+01:00"}).Want(t, 422, "start-in-past")
		f.Get(list).Want(t, 200, "").Decode(t, &after)
		if len(none.Items) != 0 || len(after.Items) != 0 {
			t.Errorf("patient has %d appointments before the previews and %d after, want none",
				len(none.Items), len(after.Items))
		}
		// A key used for a preview can be used for the booking.
		key := http.Header{"Idempotency-Key": {"preview-then-book"}}
		body := object{"patient_id": other, "doctor_id": doctor, "start_time": "2027-06-01T10:00:00+02:00", "rule": "FREQ=WEEKLY;COUNT=2", "duration_minutes": 30}
		preview := maps.Clone(body)
		preview["dry_run"] = true
		f.Send(contracttest.Request{Method: "POST", Path: "/appointment-series", Header: key, Body: preview}).Want(t, 200, "")
		f.Send(contracttest.Request{Method: "POST", Path: "/appointment-series", Header: key, Body: body}).Want(t, 201, "")
	})
	t.Run("ReasonAndNoteAtEachDate", func(t *testing.T) {
		b, _ := f.bookedSeries(f.patient(), f.doctor(), object{"reason": " Dressing change ", "note": "Bring a friend"})
		for _, a := range b.Series.Appointments {
			if a.Reason.MustGet() != "Dressing change" || a.Note.MustGet() != "Bring a friend" {
				t.Errorf("appointment of the series = %+v, want the reason %q and the note %q",
					a, "Dressing change", "Bring a friend")
			}
		}
	})
	t.Run("SkipBooksTheRest", func(*testing.T) {
		b, path := f.bookedSeries(f.patient(), doctor, object{"start_time": "2027-03-30T10:15:00+02:00", "on_conflict": "skip"})
		same(dates(b.Dates), []string{"03-30T08:15Z refused /problems/doctor-overlap", "04-06T08:15Z refused /problems/doctor-overlap", "04-13T08:15Z refused /problems/doctor-overlap", "04-20T08:15Z done"})
		same(f.times(path), []string{at("04-20T08:15Z")})
		f.problem(f.series(f.patient(), doctor, object{"rule": "FREQ=WEEKLY;COUNT=2", "on_conflict": "skip"}), 409, "series-conflict") // nothing left
	})
	t.Run("TypesRoomsAndHours", func(t *testing.T) {
		d := f.doctor()
		f.hours(d, "Europe/Zurich", "08:00-12:00")
		f.Post("/closures", object{"first_date": "2027-05-11", "last_date": "2027-05-11", "name": "x"}).Want(t, 201, "")
		room := f.room()
		kind := f.kind(object{"needs_room": true, "room_ids": []int64{room}, "buffer_after_minutes": 15})
		f.bookedWith(f.doctor(), "2027-05-18T08:00:00Z", object{"room_id": room})
		b, _ := f.bookedSeries(f.patient(), d, object{"start_time": "2027-05-04T10:00:00+02:00", "type_id": kind, "on_conflict": "skip"})
		same(dates(b.Dates), []string{"05-04T08:00Z done", "05-11T08:00Z refused /problems/time-off", "05-18T08:00Z refused /problems/no-room-free", "05-25T08:00Z done"})
		f.problem(f.series(f.patient(), d, object{"start_time": "2027-05-04T14:00:00+02:00"}), 409, "series-conflict") // outside hours
	})
	t.Run("Refused", func(t *testing.T) {
		inactive := f.doctor()
		f.Patch(fmt.Sprintf("/doctors/%d", inactive), object{"is_active": false}).Want(t, 200, "")
		for name, test := range map[string]struct {
			r           *contracttest.Response
			status      int
			problemType string
		}{
			"Rule":      {f.series(patient, doctor, object{"rule": "FREQ=YEARLY;COUNT=2"}), 422, "validation-failed"},
			"Zone":      {f.series(patient, doctor, object{"time_zone": "Mars/Base"}), 422, "validation-failed"},
			"Past":      {f.series(patient, doctor, object{"start_time": "2027-02-16T10:00:00+01:00"}), 422, "start-in-past"},
			"NoPatient": {f.series(999_999, doctor, nil), 404, "patient-not-found"},
			"NoDoctor":  {f.series(patient, 999_999, nil), 404, "doctor-not-found"},
			"Inactive":  {f.series(patient, inactive, nil), 409, "doctor-inactive"},
			"EndOfTime": {f.series(patient, doctor, object{"start_time": "9998-12-20T10:00:00Z"}), 422, "validation-failed"},
		} {
			t.Run(name, func(t *testing.T) { test.r.Want(t, test.status, test.problemType) })
		}
	})
	t.Run("Reschedule", func(t *testing.T) {
		d := f.doctor()
		b, path := f.bookedSeries(f.patient(), d, object{"rule": "FREQ=DAILY;COUNT=4", "start_time": "2027-03-26T10:00:00+01:00", "duration_minutes": 60})
		move := func(body object) *contracttest.Response { return f.Post(path+"/reschedule", body) }
		at := func(start string) string { return fmt.Sprint(start, " ", d, " scheduled") }
		// The new times overlap the series' own old ones, in both directions, and cross the clock
		// change.
		move(object{"start_time_of_day": "10:30"}).Want(t, 200, "")
		same(f.times(path), []string{at("03-26T09:30Z"), at("03-27T09:30Z"), at("03-28T08:30Z"), at("03-29T08:30Z")})
		move(object{"shift_days": 1}).Want(t, 200, "")
		move(object{"shift_days": -1, "start_time_of_day": "10:00"}).Want(t, 200, "")
		same(f.times(path), []string{at("03-26T09:00Z"), at("03-27T09:00Z"), at("03-28T08:00Z"), at("03-29T08:00Z")})
		// The following dates, with a colleague; one of them conflicts.
		other := f.doctor()
		f.booked(f.patient(), other, "2027-03-28T08:30:00Z", 30)
		third := b.Dates[2].AppointmentID.MustGet()
		p := f.problem(move(object{"doctor_id": other, "from_appointment_id": third}), 409, "series-conflict")
		same(dates(p.Dates), []string{"03-28T08:00Z refused /problems/doctor-overlap", "03-29T08:00Z free"})
		same(f.times(path), []string{at("03-26T09:00Z"), at("03-27T09:00Z"), at("03-28T08:00Z"), at("03-29T08:00Z")})
		var moved api.SeriesBooked
		move(object{"doctor_id": other, "from_appointment_id": third, "on_conflict": "skip"}).Want(t, 200, "").Decode(t, &moved)
		same(dates(moved.Dates), []string{"03-28T08:00Z refused /problems/doctor-overlap", "03-29T08:00Z done"})
		same(f.times(path), []string{at("03-26T09:00Z"), at("03-27T09:00Z"), at("03-28T08:00Z"), fmt.Sprint("03-29T08:00Z ", other, " scheduled")})
		move(object{"shift_days": -31}).Want(t, 409, "series-conflict") // into the past
		move(object{}).Want(t, 422, "validation-failed")
		move(object{"shift_days": 1, "from_appointment_id": one.ID}).Want(t, 404, "appointment-not-found")
		f.Post("/appointment-series/999999/reschedule", object{"shift_days": 1}).Want(t, 404, "series-not-found")
		f.Send(contracttest.Request{Method: "POST", Path: path + "/reschedule", Body: object{"shift_days": 1}, Header: http.Header{"If-Match": {`"1"`}}}).Want(t, 412, "precondition-failed")
	})
	t.Run("Cancel", func(t *testing.T) {
		d := f.doctor()
		b, path := f.bookedSeries(f.patient(), d, nil)
		cancel := func(body object) *contracttest.Response { return f.Post(path+"/cancel", body) }
		cancel(object{"reason": "other", "from_appointment_id": b.Dates[2].AppointmentID.MustGet(), "note": "moved away"}).Want(t, 200, "")
		line := func(start, status string) string { return fmt.Sprint(start, " ", d, " ", status) }
		same(f.times(path), []string{line("03-16T09:00Z", "scheduled"), line("03-23T09:00Z", "scheduled"), line("03-30T08:00Z", "cancelled"), line("04-06T08:00Z", "cancelled")})
		f.booked(f.patient(), d, "2027-04-06T08:00:00Z", 30)
		f.act(b.Dates[0].AppointmentID.MustGet(), "confirm").Want(t, 200, "")
		cancel(object{"reason": "patient_request"}).Want(t, 200, "")
		if got := f.times(path); got[0] != line("03-16T09:00Z", "cancelled") {
			t.Errorf("appointments = %q, want the first cancelled", got)
		}
		cancel(object{"reason": "patient_request"}).Want(t, 200, "") // nothing left
		cancel(object{}).Want(t, 422, "validation-failed")
		f.Post("/appointment-series/999999/cancel", object{"reason": "other"}).Want(t, 404, "series-not-found")
		var h api.AppointmentHistory
		f.Get(fmt.Sprintf("/appointments/%d/history", b.Dates[3].AppointmentID.MustGet())).Want(t, 200, "").Decode(t, &h)
		if last := h.Items[len(h.Items)-1]; last.Action != "cancel" || last.Note.MustGet() != "moved away" {
			t.Errorf("last event = %+v, want the cancellation with the note %q", last, "moved away")
		}
	})
}

// Series of one doctor and of crossing patients are booked and rescheduled from doctor to doctor,
// through two servers: nobody is booked twice, and no series is booked or rescheduled in part.
func TestSeriesRace(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	other := setupOn(t, f.db, "UTC")
	doctors := []int64{f.doctor(), f.doctor()}
	patients := []int64{f.patient(), f.patient(), f.patient(), f.patient()}
	server := func(i int) *fixture { return []*fixture{f, other}[i%2] }
	start := func(i int) string { return fmt.Sprintf("2027-03-%02dT10:%02d:00Z", 10+i%3, i%4*15) }
	together(24, func(i int) {
		r := server(i).series(patients[i%4], doctors[i/2%2], object{"rule": "FREQ=DAILY;COUNT=6", "start_time": start(i)})
		if r.Status != 201 {
			r.Want(t, 409, "series-conflict")
		}
	})
	var ids []int64
	if err := f.db.DB.Select(&ids, `SELECT id FROM appointment_series`); err != nil {
		t.Fatal(err)
	}
	if len(ids) == 0 {
		t.Fatal("no series was booked, want some")
	}
	together(16, func(i int) {
		r := server(i).Post(fmt.Sprintf("/appointment-series/%d/reschedule", ids[i%len(ids)]), object{"doctor_id": doctors[i/2%2], "start_time_of_day": fmt.Sprintf("%02d:%02d", 9+i%3, i%4*15)})
		if r.Status != 200 {
			r.Want(t, 409, "series-conflict")
		}
	})
	for _, party := range []string{"doctor_id", "patient_id"} {
		var overlaps int
		if err := f.db.DB.Get(&overlaps, `
			SELECT COUNT(*) FROM appointments a JOIN appointments b
			ON a.`+party+` = b.`+party+` AND a.id < b.id AND a.start_time < b.end_time AND b.start_time < a.end_time`); err != nil {
			t.Fatal(err)
		}
		if overlaps != 0 {
			t.Errorf("%d appointments overlap by %s, want none", overlaps, party)
		}
	}
	var torn int
	if err := f.db.DB.Get(&torn, `
		SELECT COUNT(*) FROM (
		  SELECT s.id FROM appointment_series s LEFT JOIN appointments a ON a.series_id = s.id
		  GROUP BY s.id HAVING COUNT(a.id) <> 6 OR COUNT(DISTINCT a.doctor_id) <> 1 OR COUNT(DISTINCT TIME(a.start_time)) <> 1) x`); err != nil {
		t.Fatal(err)
	}
	if torn != 0 {
		t.Errorf("%d of %d series are not whole, want 6 appointments with one doctor at one time of day",
			torn, len(ids))
	}
}

// The first date is start_time even when the clock shows it a second time, and a change that does
// not concern the time moves no date, in the night of the clock change or any other.
func TestSeriesKeepItsInstants(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich")
	for name, test := range map[string]struct {
		start, zone string
		want        []string
	}{
		"SecondOfTwo":  {"2027-10-31T01:30:00Z", "Europe/Zurich", []string{"10-31T01:30Z", "11-01T01:30Z"}},
		"FirstOfTwo":   {"2027-10-31T00:30:00Z", "Europe/Zurich", []string{"10-31T00:30Z", "11-01T01:30Z"}},
		"IntoTwo":      {"2027-10-30T00:30:00Z", "Europe/Zurich", []string{"10-30T00:30Z", "10-31T00:30Z"}},
		"IntoGap":      {"2027-03-27T01:30:00Z", "Europe/Zurich", []string{"03-27T01:30Z", "03-28T01:00Z"}},
		"HalfHour":     {"2027-04-03T15:15:00Z", "Australia/Lord_Howe", []string{"04-03T15:15Z", "04-04T15:15Z"}},
		"OtherSecond":  {"2027-11-07T06:30:00Z", "America/New_York", []string{"11-07T06:30Z", "11-08T06:30Z"}},
		"Microseconds": {"2027-10-31T01:30:00.000005Z", "Europe/Zurich", []string{"10-31T01:30Z", "11-01T01:30Z"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doctor := f.doctor()
			var want []string
			for _, start := range test.want {
				want = append(want, fmt.Sprint(start, " ", doctor, " scheduled"))
			}
			b, path := f.bookedSeries(f.patient(), doctor, object{"start_time": test.start, "time_zone": test.zone, "rule": "FREQ=DAILY;COUNT=2"})
			if !b.Series.StartTime.Equal(at(test.start)) {
				t.Errorf("series starts at %s, want %s", b.Series.StartTime, test.start)
			}
			other := f.doctor()
			for _, change := range []object{
				nil, {"duration_minutes": 45}, {"shift_days": 0, "duration_minutes": 30}, {"any_room": false, "duration_minutes": 60},
			} {
				if change != nil {
					f.Post(path+"/reschedule", change).Want(t, 200, "")
				}
				if diff := cmp.Diff(want, f.times(path)); diff != "" {
					t.Errorf("%v (-want +got)\n%s", change, diff)
				}
			}
			f.Post(path+"/reschedule", object{"doctor_id": other}).Want(t, 200, "")
			var s api.Series
			f.Get(path).Want(t, 200, "").Decode(t, &s)
			for i, a := range s.Appointments {
				if a.DoctorID != other || a.StartTime.Format("01-02T15:04Z") != test.want[i] {
					t.Errorf("appointment %d = %+v, want doctor %d at %s", i, a, other, test.want[i])
				}
			}
		})
	}
}

// A zone is a name of the embedded database, wherever one is accepted.
func TestTimeZoneNames(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich")
	patient, doctor := f.patient(), f.doctor()
	for _, name := range []string{
		"right/Europe/Zurich", "posix/Europe/Zurich", "posixrules", "Factory", "Local", "localtime", "europe/zurich", "utc",
		"Europe", "Europe/", "/Europe/Zurich", "../zoneinfo/Europe/Zurich", "Europe/../Europe/Zurich", "Europe//Zurich", "zone.tab", "tzdata.zi",
		" Europe/Zurich", "CET-1CEST", "+01:00",
	} {
		for what, r := range map[string]*contracttest.Response{
			"series": f.series(patient, doctor, object{"time_zone": name}),
			"hours": f.put(fmt.Sprintf("/doctors/%d/working-hours", doctor), object{
				"time_zone": name, "timetables": []object{{"effective_from": "2020-01-01", "blocks": []object{}}}, "exceptions": []object{},
			}),
		} {
			if vs := r.Want(t, 422, "validation-failed").Violations(t); len(vs) != 1 || !strings.HasPrefix(vs[0], "#/time_zone ") {
				t.Errorf("%s in the zone %q: violations %v, want one of #/time_zone", what, name, vs)
			}
		}
	}
	for _, name := range []string{"UTC", "Europe/Kyiv", "Europe/Kiev", "Etc/GMT+1", "US/Pacific", "America/Argentina/Buenos_Aires"} {
		f.series(f.patient(), f.doctor(), object{"time_zone": name}).Want(t, 201, "")
	}
}
