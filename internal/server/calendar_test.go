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

func TestWorkingHours(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich")
	doctor, patient := f.doctor(), f.patient()
	path := fmt.Sprintf("/doctors/%d/working-hours", doctor)

	t.Run("NoneAtFirst", func(t *testing.T) {
		r := f.Get(path).Want(t, 200, "")
		if string(r.Body) != `{"exceptions":[],"time_zone":null,"timetables":[]}`+"\n" || r.Header.Get("ETag") != `"1"` {
			t.Errorf("working hours of a new doctor: ETag %s, %s; want version 1 and none",
				r.Header.Get("ETag"), r.Body)
		}
		f.Get("/doctors/999999/working-hours").Want(t, 404, "doctor-not-found")
		f.put("/doctors/999999/working-hours", object{"timetables": []object{}, "exceptions": []object{}}).Want(t, 404, "doctor-not-found")
	})
	block := func(weekday int, start, end string) object {
		return object{"weekday": weekday, "start": start, "end": end}
	}
	// Monday mornings, from May on Tuesdays; one Monday in the afternoon only, one not at all.
	week := object{
		"timetables": []object{
			{"effective_from": "2027-05-01", "blocks": []object{block(2, "13:00", "24:00"), block(3, "00:00", "02:00")}},
			{"effective_from": "2027-03-01", "blocks": []object{block(1, "10:00", "12:00"), block(1, "08:00", "10:00")}},
		},
		"exceptions": []object{
			{"date": "2027-03-15", "blocks": []object{}},
			{"date": "2027-03-08", "blocks": []object{{"start": "14:00", "end": "18:00"}}},
		},
	}
	t.Run("ComesBackSorted", func(t *testing.T) {
		var got, read api.WorkingHours
		f.put(path, week).Want(t, 200, "").Decode(t, &got)
		f.Get(path).Want(t, 200, "").Decode(t, &read)
		if zone, _ := got.TimeZone.Get(); zone != "Europe/Zurich" {
			t.Errorf("zone %q, want the clinic's", zone)
		}
		for _, h := range []api.WorkingHours{got, read} {
			if h.Timetables[0].Blocks[0].Start != "08:00" || h.Timetables[1].EffectiveFrom.String() != "2027-05-01" ||
				h.Timetables[1].Blocks[0].End != "24:00" || h.Exceptions[0].Date.String() != "2027-03-08" || len(h.Exceptions[1].Blocks) != 0 {
				t.Errorf("working hours = %+v, want the timetables and exceptions that were sent", h)
			}
		}
	})
	t.Run("Bookings", func(t *testing.T) {
		for start, free := range map[string]bool{
			"2027-03-01T09:30:00+01:00": true,  // over two blocks that meet
			"2027-03-22T07:45:00+01:00": false, // begins too early
			"2027-03-22T11:45:00+01:00": false, // ends too late
			"2027-03-22T11:30:00+01:00": true,
			"2027-03-02T09:00:00+01:00": false, // a Tuesday
			"2027-03-08T09:00:00+01:00": false, // the exception
			"2027-03-08T17:30:00+01:00": true,
			"2027-03-15T09:00:00+01:00": false, // not at all
			"2027-04-26T11:30:00+02:00": true,  // summer time: the wall clock counts
			"2027-05-03T09:00:00+02:00": false, // the second timetable
			"2027-05-04T23:45:00+02:00": true,  // over midnight
			"2027-05-05T01:30:00+02:00": true,
			"2027-05-05T01:45:00+02:00": false,
		} {
			r := f.book(f.patient(), doctor, start, 30)
			if free {
				r.Want(t, 201, "")
				continue
			}
			p := f.problem(r, 409, "outside-working-hours")
			if p.Conflict == nil || !p.Conflict.StartTime.Before(p.Conflict.EndTime) || len(p.Alternatives) == 0 {
				t.Errorf("booking at %s: %s, want a problem with a conflict and alternatives", start, r.Body)
			}
		}
	})
	t.Run("Refused", func(t *testing.T) {
		for name, test := range map[string]struct {
			body object
			want string
		}{
			"Zone":          {object{"time_zone": "Mars/Olympus", "timetables": []object{}, "exceptions": []object{}}, "#/time_zone invalid"},
			"Local":         {object{"time_zone": "Local", "timetables": []object{}, "exceptions": []object{}}, "#/time_zone invalid"},
			"EndsFirst":     {object{"timetables": []object{{"effective_from": "2027-01-01", "blocks": []object{block(1, "10:00", "10:00")}}}, "exceptions": []object{}}, "#/timetables/0/blocks/0/end combination"},
			"Overlap":       {object{"timetables": []object{{"effective_from": "2027-01-01", "blocks": []object{block(1, "08:00", "10:00"), block(1, "09:00", "11:00")}}}, "exceptions": []object{}}, "#/timetables/0/blocks/1 combination"},
			"SameDay":       {object{"timetables": []object{{"effective_from": "2027-01-01", "blocks": []object{}}, {"effective_from": "2027-01-01", "blocks": []object{}}}, "exceptions": []object{}}, "#/timetables/1/effective_from combination"},
			"SameException": {object{"timetables": week["timetables"], "exceptions": []object{{"date": "2027-01-01", "blocks": []object{}}, {"date": "2027-01-01", "blocks": []object{}}}}, "#/exceptions/1/date combination"},
			"Nothing":       {object{"timetables": []object{}, "exceptions": []object{{"date": "2027-01-01", "blocks": []object{}}}}, "#/exceptions combination"},
			"Time":          {object{"timetables": []object{{"effective_from": "2027-01-01", "blocks": []object{block(1, "24:00", "25:00")}}}, "exceptions": []object{}}, "#/timetables/0/blocks/0/start pattern"},
		} {
			if vs := f.put(path, test.body).Want(t, 422, "validation-failed").Violations(t); !slices.Contains(vs, test.want) {
				t.Errorf("%s: %v, want %s", name, vs, test.want)
			}
		}
	})
	t.Run("Stale", func(t *testing.T) {
		tag := f.Get(path).Header.Get("ETag")
		send := func(tag string) *contracttest.Response {
			return f.Send(contracttest.Request{Method: "PUT", Path: path, Body: week, Header: http.Header{"If-Match": {tag}}})
		}
		send(tag).Want(t, 200, "")
		send(tag).Want(t, 412, "precondition-failed")
	})
	t.Run("Removed", func(t *testing.T) {
		f.put(path, object{"timetables": []object{}, "exceptions": []object{}}).Want(t, 200, "")
		f.booked(patient, doctor, "2027-03-02T03:00:00+01:00", 30) // any time again
	})
}

// A night shift over a clock change, in local times: from 22:00 to 06:00.
func TestWorkingHoursAcrossDST(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich")
	doctor := f.doctor()
	f.hours(doctor, "Europe/Zurich", "22:00-24:00", "00:00-06:00")
	for _, start := range []string{"2027-03-28T00:00:00Z", "2027-03-28T01:00:00Z", "2027-10-31T00:30:00Z", "2027-10-31T01:30:00Z"} {
		f.booked(f.patient(), doctor, start, 60)
	}
	f.book(f.patient(), doctor, "2027-03-28T03:45:00Z", 30).Want(t, 409, "outside-working-hours") // 05:45 to 06:15
	f.book(f.patient(), doctor, "2027-10-31T04:45:00Z", 30).Want(t, 409, "outside-working-hours")
	// A block that begins in the gap begins at its end, 03:00.
	gap := f.doctor()
	f.hours(gap, "Europe/Zurich", "02:30-04:00")
	f.book(f.patient(), gap, "2027-03-28T00:45:00Z", 30).Want(t, 409, "outside-working-hours")
	f.booked(f.patient(), gap, "2027-03-28T01:00:00Z", 60)
	// A block over the repeated hour runs from the first 02:30 to the last 02:45: 75 minutes.
	fold := f.doctor()
	f.hours(fold, "Europe/Zurich", "02:30-02:45")
	f.booked(f.patient(), fold, "2027-10-31T00:30:00Z", 75)
	f.book(f.patient(), fold, "2027-11-01T01:30:00Z", 30).Want(t, 409, "outside-working-hours")
}

func TestTimeOffAndClosures(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich")
	doctor, other := f.doctor(), f.doctor()
	before := f.booked(f.patient(), doctor, "2027-03-02T09:00:00Z", 30)
	into := f.booked(f.patient(), doctor, "2027-03-02T11:45:00Z", 30)
	in := f.booked(f.patient(), doctor, "2027-03-02T13:00:00Z", 30)
	cancelled := f.booked(f.patient(), doctor, "2027-03-02T14:00:00Z", 30)
	f.Post(fmt.Sprintf("/appointments/%d/cancel", cancelled.ID), object{"reason": "other"}).Want(t, 200, "")
	colleague := f.booked(f.patient(), other, "2027-03-02T13:00:00Z", 30)

	path := fmt.Sprintf("/doctors/%d/time-off", doctor)
	var created api.TimeOffCreated
	r := f.Post(path, object{"start_time": "2027-03-02T12:00:00Z", "end_time": "2027-03-02T16:00:00Z", "reason": "illness", "note": " Flu. "}).Want(t, 201, "")
	r.Decode(t, &created)
	if ids := idsOf(created.AffectedAppointments); !slices.Equal(ids, []int64{into.ID, in.ID}) {
		t.Errorf("affected %v, want %v; not %d (before), %d (cancelled), %d (of a colleague)", ids, []int64{into.ID, in.ID}, before.ID, cancelled.ID, colleague.ID)
	}
	if note, _ := created.TimeOff.Note.Get(); note != "Flu." {
		t.Errorf("note of the time off = %q, want %q", note, "Flu.")
	}
	p := f.problem(f.book(f.patient(), doctor, "2027-03-02T15:00:00Z", 30), 409, "time-off")
	if !p.Conflict.StartTime.Equal(created.TimeOff.StartTime) || len(p.Alternatives) == 0 {
		t.Errorf("booking during time off: %+v, want a conflict from %s and alternatives",
			p, created.TimeOff.StartTime)
	}
	f.booked(f.patient(), doctor, "2027-03-02T16:00:00Z", 30)
	f.Get(r.Header.Get("Location")).Want(t, 200, "")
	f.Get(fmt.Sprintf("/doctors/%d/time-off/%d", other, created.TimeOff.ID)).Want(t, 404, "time-off-not-found")
	f.Delete(fmt.Sprintf("/doctors/%d/time-off/%d", other, created.TimeOff.ID)).Want(t, 404, "time-off-not-found")
	f.Post("/doctors/999999/time-off", object{"start_time": "2027-03-02T12:00:00Z", "end_time": "2027-03-02T16:00:00Z", "reason": "illness"}).Want(t, 404, "doctor-not-found")
	f.Get("/doctors/999999/time-off").Want(t, 404, "doctor-not-found")

	t.Run("Delete", func(t *testing.T) {
		stale := f.Send(contracttest.Request{Method: "DELETE", Path: r.Header.Get("Location"), Header: http.Header{"If-Match": {`"9"`}}})
		stale.Want(t, 412, "precondition-failed")
		f.Delete(r.Header.Get("Location")).Want(t, 204, "")
		f.Delete(r.Header.Get("Location")).Want(t, 404, "time-off-not-found")
		f.booked(f.patient(), doctor, "2027-03-02T15:00:00Z", 30)
	})
	t.Run("WholeDays", func(t *testing.T) {
		// The day of 28 March has 23 hours in Zurich.
		f.Post(path, object{"first_date": "2027-03-27", "last_date": "2027-03-28", "reason": "vacation"}).Want(t, 201, "").Decode(t, &created)
		if got := created.TimeOff; !got.StartTime.Equal(at("2027-03-26T23:00:00Z")) || !got.EndTime.Equal(at("2027-03-28T22:00:00Z")) {
			t.Errorf("time off from %s to %s, want 2027-03-26T23:00:00Z to 2027-03-28T22:00:00Z",
				got.StartTime, got.EndTime)
		}
	})
	t.Run("Refused", func(t *testing.T) {
		for name, test := range map[string]struct {
			body object
			want string
		}{
			"Nothing":   {object{}, "#/start_time required"},
			"HalfTime":  {object{"start_time": "2027-03-02T12:00:00Z"}, "#/end_time required"},
			"HalfDays":  {object{"first_date": "2027-03-02"}, "#/last_date required"},
			"Both":      {object{"start_time": "2027-03-02T12:00:00Z", "end_time": "2027-03-02T13:00:00Z", "first_date": "2027-03-02"}, "#/first_date combination"},
			"Backwards": {object{"start_time": "2027-03-02T12:00:00Z", "end_time": "2027-03-02T12:00:00Z"}, "#/end_time combination"},
			"DaysBack":  {object{"first_date": "2027-03-02", "last_date": "2027-03-01"}, "#/last_date combination"},
			"EndOfDays": {object{"start_time": "2027-03-02T12:00:00Z", "last_date": "2027-03-02"}, "#/end_time required"},
			"OnlyEnds":  {object{"end_time": "2027-03-02T12:00:00Z", "last_date": "2027-03-02"}, "#/last_date combination"},
		} {
			test.body["reason"] = "other"
			if vs := f.Post(path, test.body).Want(t, 422, "validation-failed").Violations(t); !slices.Contains(vs, test.want) {
				t.Errorf("%s: %v, want %s", name, vs, test.want)
			}
		}
	})
	t.Run("Closure", func(t *testing.T) {
		var closed api.ClosureCreated
		r := f.Post("/closures", object{"first_date": "2027-03-02", "last_date": "2027-03-02", "name": " Town fair "}).Want(t, 201, "")
		r.Decode(t, &closed)
		if closed.Closure.Name != "Town fair" || len(closed.AffectedAppointments) != 6 {
			t.Errorf("closure: %s, want %q with 6 affected appointments", r.Body, "Town fair")
		}
		for _, d := range []int64{doctor, other} {
			f.book(f.patient(), d, "2027-03-02T10:00:00Z", 30).Want(t, 409, "time-off")
		}
		location := r.Header.Get("Location")
		f.Get(location).Want(t, 200, "")
		f.Send(contracttest.Request{Method: "DELETE", Path: location, Header: http.Header{"If-Match": {`"9"`}}}).Want(t, 412, "precondition-failed")
		f.Delete(location).Want(t, 204, "")
		f.Delete(location).Want(t, 404, "closure-not-found")
		f.Get(location).Want(t, 404, "closure-not-found")
		f.booked(f.patient(), other, "2027-03-02T10:00:00Z", 30)
	})
	t.Run("Lists", func(t *testing.T) {
		lists := setup(t, "UTC")
		doctor := lists.doctor()
		for _, path := range []string{fmt.Sprintf("/doctors/%d/time-off", doctor), "/closures"} {
			var want []string
			for day := 1; day <= 5; day++ { // the first is today's, the fourth ends with the third
				start := fmt.Sprintf("2027-03-%02dT09:00:00Z", day)
				end := fmt.Sprintf("2027-03-%02dT17:00:00Z", min(day, 3))
				if day > 3 {
					start = "2027-03-02T08:00:00Z"
				}
				body := object{"start_time": start, "end_time": end, "name": "x"}
				if strings.Contains(path, "time-off") {
					body = object{"start_time": start, "end_time": end, "reason": "other"}
				}
				lists.Post(path, body).Want(t, 201, "")
				want = append(want, end)
			}
			var got []string
			cursor := ""
			for range 10 {
				query := []string{"limit", "2"}
				if cursor != "" {
					query = append(query, "cursor", cursor)
				}
				var page struct {
					Items []struct {
						EndTime string `json:"end_time"`
					} `json:"items"`
					NextCursor string `json:"next_cursor"`
				}
				lists.Get(path, query...).Want(t, 200, "").Decode(t, &page)
				for _, item := range page.Items {
					got = append(got, item.EndTime)
				}
				if cursor = page.NextCursor; cursor == "" {
					break
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", path, got, want)
			}
			var page struct {
				Items []object `json:"items"`
			}
			lists.Get(path, "from", "2027-03-02T17:00:00.000001Z").Want(t, 200, "").Decode(t, &page)
			if len(page.Items) != 3 {
				t.Errorf("GET %s from the third record on: %d items, want 3", path, len(page.Items))
			}
		}
	})
}

// Everything booked before the response to a time off is in its list, and nothing is booked
// afterwards: both race through two servers.
func TestTimeOffRacesBookings(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"time-off", "closures"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f := setup(t, "UTC")
			other := setupOn(t, f.db, "UTC")
			doctor := f.doctor()
			patients := make([]int64, 32)
			for i := range patients {
				patients[i] = f.patient()
			}
			path, body := "/closures", object{"first_date": "2027-03-02", "last_date": "2027-03-02", "name": "x"}
			if kind == "time-off" {
				path, body = fmt.Sprintf("/doctors/%d/time-off", doctor), object{"first_date": "2027-03-02", "last_date": "2027-03-02", "reason": "illness"}
			}
			booked := make(chan int64, len(patients)*3)
			var affected []int64
			var off atomic.Bool
			start := make(chan struct{})
			together(len(patients)+1, func(i int) {
				if i == len(patients) {
					<-start
					var created api.TimeOffCreated
					f.Post(path, body).Want(t, 201, "").Decode(t, &created)
					affected = idsOf(created.AffectedAppointments)
					off.Store(true)
					return
				}
				for k := range 3 {
					late := off.Load()
					when := at("2027-03-02T00:00:00Z").Add(time.Duration(3*i+k) * 15 * time.Minute)
					r := []*fixture{f, other}[i%2].book(patients[i], doctor, when.Format(time.RFC3339), 15)
					if r.Status == 201 {
						var a api.Appointment
						r.Decode(t, &a)
						booked <- a.ID
						if late {
							t.Errorf("booking sent after the time off was answered: %s, want 409 time-off", r.Body)
						}
					} else {
						r.Want(t, 409, "time-off")
					}
					if i == 0 && k == 0 {
						close(start)
					}
				}
			})
			close(booked)
			var ids []int64
			for id := range booked {
				ids = append(ids, id)
			}
			slices.Sort(ids)
			slices.Sort(affected)
			if !slices.Equal(ids, affected) {
				t.Errorf("booked appointments = %v, want those listed as affected: %v", ids, affected)
			}
		})
	}
}

func idsOf(as []api.Appointment) []int64 {
	ids := make([]int64, len(as))
	for i, a := range as {
		ids[i] = a.ID
	}
	return ids
}

// at parses a time.
func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}
