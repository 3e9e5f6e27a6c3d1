package server_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mems/gen/api"
)

// slots returns all pages of a search for free times.
func (f *fixture) slots(query ...string) []string {
	f.t.Helper()
	var all []string
	cursor := ""
	for {
		var page api.SlotList
		q := query
		if cursor != "" {
			q = append(slices.Clone(query), "cursor", cursor)
		}
		f.Get("/availability", q...).Want(f.t, 200, "").Decode(f.t, &page)
		for _, s := range page.Items {
			all = append(all, fmt.Sprintf("%s %s %d", s.StartTime.Format(time.RFC3339), s.EndTime.Sub(s.StartTime), s.DoctorID))
		}
		next, err := page.NextCursor.Get()
		if err != nil {
			return all
		}
		cursor = next
	}
}

func TestAvailability(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich")
	a, b, heart := f.doctorOf("Dermatology"), f.doctorOf("Dermatology"), f.doctorOf("Cardiology")
	for _, d := range []int64{a, b, heart} {
		f.hours(d, "Europe/Zurich", "09:00-10:00")
	}
	f.booked(f.patient(), a, "2027-03-02T08:30:00Z", 15)
	window := []string{"from", "2027-03-02T00:00:00Z", "to", "2027-03-03T00:00:00Z", "duration_minutes", "30"}
	with := func(more ...string) []string { return append(slices.Clone(window), more...) }
	slot := func(start string, doctor int64) string {
		return fmt.Sprintf("2027-03-02T%s:00Z 30m0s %d", start, doctor)
	}

	for name, test := range map[string]struct{ got, want []string }{
		"All":            {f.slots(window...), []string{slot("08:00", a), slot("08:00", b), slot("08:00", heart), slot("08:15", b), slot("08:15", heart), slot("08:30", b), slot("08:30", heart)}},
		"One":            {f.slots(with("doctor_id", fmt.Sprint(a))...), []string{slot("08:00", a)}},
		"Several":        {f.slots(with("doctor_id", fmt.Sprintf("%d,%d", heart, a), "step_minutes", "60")...), []string{slot("08:00", a), slot("08:00", heart)}},
		"Specialization": {f.slots(with("specialization", "cardiology", "step_minutes", "30")...), []string{slot("08:00", heart), slot("08:30", heart)}},
		"Pages":          {f.slots(with("limit", "2")...), f.slots(window...)},
	} {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	t.Run("Patient", func(t *testing.T) {
		patient := f.patient()
		f.booked(patient, f.doctor(), "2027-03-02T08:10:00Z", 15)
		got := f.slots(with("doctor_id", strconv.FormatInt(b, 10), "patient_id", strconv.FormatInt(patient, 10))...)
		if want := []string{slot("08:30", b)}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	})
	t.Run("Inactive", func(t *testing.T) {
		gone := f.doctor()
		f.Patch(fmt.Sprintf("/doctors/%d", gone), object{"is_active": false}).Want(t, 200, "")
		if got := f.slots(with("doctor_id", strconv.FormatInt(gone, 10))...); got != nil {
			t.Errorf("free times of a doctor who was deleted = %v, want none", got)
		}
		kind := f.kind(object{"is_active": false})
		if got := f.slots(with("type_id", strconv.FormatInt(kind, 10))...); got != nil {
			t.Errorf("free times of type %d = %v, want none", kind, got)
		}
	})
	t.Run("NotInThePast", func(t *testing.T) {
		free := f.doctor()
		got := f.slots("doctor_id", strconv.FormatInt(free, 10), "from", "2027-03-01T07:00:00Z", "to", "2027-03-01T08:30:00Z", "duration_minutes", "15")
		if want := []string{fmt.Sprintf("2027-03-01T08:15:00Z 15m0s %d", free)}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v: now is too late already", got, want)
		}
	})
	t.Run("Refused", func(t *testing.T) {
		for name, test := range map[string]struct {
			query []string
			want  string
		}{
			"NoWindow":   {[]string{"duration_minutes", "30"}, "from required"},
			"Backwards":  {[]string{"from", "2027-03-03T00:00:00Z", "to", "2027-03-03T00:00:00Z", "duration_minutes", "30"}, "to combination"},
			"TooLong":    {[]string{"from", "2027-03-03T00:00:00Z", "to", "2027-06-03T00:00:01Z", "duration_minutes", "30"}, "to maximum"},
			"NoDuration": {window[:4], "duration_minutes required"},
			"Step":       {with("step_minutes", "7"), "step_minutes enum"},
			"Doctors":    {with("doctor_id", "1,x"), "doctor_id type"},
			"Cursor":     {with("cursor", "AAAAAAAA"), "cursor invalid"},
		} {
			if vs := f.Get("/availability", test.query...).Want(t, 422, "validation-failed").Violations(t); !slices.Contains(vs, test.want) {
				t.Errorf("%s: %v, want %s", name, vs, test.want)
			}
		}
		f.Get("/availability", with("doctor_id", "999999")...).Want(t, 404, "doctor-not-found")
		f.Get("/availability", with("type_id", "999999")...).Want(t, 404, "appointment-type-not-found")
		f.Get("/availability", with("patient_id", "999999")...).Want(t, 404, "patient-not-found")
	})
}

func TestNextAvailable(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	soon, later, never, other := f.doctorOf("Dermatology"), f.doctorOf("Dermatology"), f.doctorOf("Surgery"), f.doctorOf("Cardiology")
	f.Post(fmt.Sprintf("/doctors/%d/time-off", later), object{"first_date": "2027-03-01", "last_date": "2027-04-15", "reason": "vacation"}).Want(t, 201, "")
	f.Post(fmt.Sprintf("/doctors/%d/time-off", never), object{"first_date": "2027-03-01", "last_date": "2027-05-30", "reason": "vacation"}).Want(t, 201, "")
	f.Post(fmt.Sprintf("/doctors/%d/time-off", other), object{"first_date": "2027-03-01", "last_date": "2027-03-01", "reason": "vacation"}).Want(t, 201, "")
	ask := func(query ...string) []string {
		t.Helper()
		var list api.NextAvailableList
		f.Get("/availability/next", append(query, "duration_minutes", "30")...).Want(t, 200, "").Decode(t, &list)
		var got []string
		for _, item := range list.Items {
			start := "none"
			if slot, err := item.Slot.Get(); err == nil {
				start = slot.StartTime.Format("01-02 15:04")
			}
			got = append(got, fmt.Sprint(item.DoctorID, " ", start))
		}
		return got
	}
	of := func(d int64, start string) string { return fmt.Sprint(d, " ", start) }
	for name, test := range map[string]struct{ got, want []string }{
		"All":            {ask(), []string{of(soon, "03-01 08:15"), of(other, "03-02 00:00"), of(later, "04-16 00:00"), of(never, "none")}},
		"Specialization": {ask("specialization", "Dermatology"), []string{of(soon, "03-01 08:15"), of(later, "04-16 00:00")}},
		"One":            {ask("doctor_id", fmt.Sprint(later)), []string{of(later, "04-16 00:00")}},
		"Per":            {ask("per", "specialization"), []string{of(soon, "03-01 08:15"), of(other, "03-02 00:00"), of(never, "none")}},
		"From":           {ask("from", "2027-05-29T23:40:00Z", "doctor_id", fmt.Sprint(soon)), []string{of(soon, "05-29 23:45")}},
		"FarAhead":       {ask("from", "2027-06-29T23:40:00Z", "doctor_id", fmt.Sprint(soon)), []string{of(soon, "06-29 23:45")}},
	} {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	f.Get("/availability/next").Want(t, 422, "validation-failed")
	for from, until := range map[string]string{
		"2027-03-02T00:00:00Z": "2027-05-31T00:00:00Z", "2027-05-31T00:00:00Z": "2027-08-29T00:00:00Z",
		"2020-01-01T00:00:00Z": "2027-05-30T08:00:00Z", "9998-12-31T00:00:00Z": "9998-12-31T23:59:59.999999Z",
	} {
		var list api.NextAvailableList
		f.Get("/availability/next", "from", from, "duration_minutes", "30", "doctor_id", fmt.Sprint(never)).Want(t, 200, "").Decode(t, &list)
		if got := list.SearchedTo.Format(time.RFC3339Nano); got != until {
			t.Errorf("from %s: searched to %s, want %s", from, got, until)
		}
	}
}

// In random clinics, on ordinary days and on those of a clock change, exactly the times that are
// offered can be held at that moment: every start of the grid is tried.
func TestAvailabilityIsWhatCanBeBooked(t *testing.T) {
	t.Parallel()
	for round, day := range []string{"2027-03-28", "2027-10-31", "2027-03-03", "2027-03-04", "2027-03-28", "2027-10-31"} {
		t.Run(fmt.Sprint(round, " ", day), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(uint64(round), 1)) // the same clinics each time
			f := setup(t, "Europe/Zurich")
			midnight := at(day + "T00:00:00Z")
			some := func(minutes int) string {
				return midnight.Add(time.Duration(r.IntN(minutes)-60) * time.Minute).Format(time.RFC3339)
			}
			rooms := []int64{f.room(), f.room()}
			kind := f.kind(object{
				"duration_minutes": 20 + r.IntN(40), "buffer_before_minutes": r.IntN(30), "buffer_after_minutes": r.IntN(30),
				"needs_room": round%2 == 0, "room_ids": rooms,
			})
			doctors := []int64{f.doctor(), f.doctor(), f.doctor()}
			f.hours(doctors[0], "Europe/Zurich", "01:30-02:45", "03:00-06:15", "20:00-24:00")
			f.hours(doctors[1], "America/New_York", "00:00-04:00", "19:00-23:00")
			for range 6 {
				f.bookWith(doctors[r.IntN(3)], some(26*60), object{"override": object{"rules": []string{"outside-working-hours"}, "reason": "x"}, "room_id": rooms[r.IntN(2)]})
				f.bookWith(doctors[r.IntN(3)], some(26*60), object{"type_id": kind, "override": object{"rules": []string{"outside-working-hours"}, "reason": "x"}})
			}
			f.hold(doctors[2], some(24*60), object{"type_id": kind, "seconds": 600})
			start := at(some(20 * 60))
			f.Post(fmt.Sprintf("/doctors/%d/time-off", doctors[2]), object{"start_time": start, "end_time": start.Add(97 * time.Minute), "reason": "other"}).Want(t, 201, "")
			start = at(some(20 * 60))
			f.Post("/closures", object{"start_time": start, "end_time": start.Add(30 * time.Minute), "name": "x"}).Want(t, 201, "")

			from, to := midnight.Add(-2*time.Hour), midnight.Add(26*time.Hour)
			got := f.slots("from", from.Format(time.RFC3339), "to", to.Format(time.RFC3339), "type_id", strconv.FormatInt(kind, 10), "step_minutes", "15", "limit", "50")
			var want []string
			for start := from; start.Before(to); start = start.Add(15 * time.Minute) {
				for _, doctor := range doctors {
					r := f.hold(doctor, start.Format(time.RFC3339), object{"type_id": kind, "duration_minutes": nil})
					if r.Status == 409 {
						continue
					}
					var h api.HoldCreated
					r.Want(t, 201, "").Decode(t, &h)
					f.Delete(fmt.Sprintf("/holds/%d", h.ID)).Want(t, 204, "")
					want = append(want, fmt.Sprintf("%s %s %d", start.Format(time.RFC3339), h.EndTime.Sub(h.StartTime), doctor))
				}
			}
			if len(want) < 10 || len(want) > 300 {
				t.Errorf("%d times can be held, want 10 to 300: the clinic is too full or too empty for this comparison",
					len(want))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-can be held +offered)\n%s", diff)
			}
		})
	}
}

// The alternatives of a refusal can be booked by this patient, and are near the requested time.
func TestAlternatives(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	doctor, colleague := f.doctorOf("Dermatology"), f.doctorOf("dermatology")
	f.doctorOf("Cardiology")
	f.hours(doctor, "UTC", "09:00-11:00")
	f.hours(colleague, "UTC", "09:00-10:00")
	patient := f.patient()
	f.booked(f.patient(), doctor, "2027-03-02T09:30:00Z", 30)
	f.booked(patient, f.doctor(), "2027-03-02T09:00:00Z", 15)
	p := f.problem(f.book(patient, doctor, "2027-03-02T09:30:00Z", 30), 409, "doctor-overlap")
	var got []string
	for _, s := range p.Alternatives {
		got = append(got, fmt.Sprint(s.DoctorID, s.StartTime.Format(" 15:04")))
	}
	want := []string{
		fmt.Sprint(doctor, " 10:00"), fmt.Sprint(doctor, " 10:15"), fmt.Sprint(doctor, " 10:30"),
		fmt.Sprint(colleague, " 09:15"), fmt.Sprint(colleague, " 09:30"),
	}
	if diff := cmp.Diff(want, got[:min(len(got), 5)]); diff != "" || len(got) != 6 {
		t.Errorf("alternatives: %v, want 6, beginning with (-want +got)\n%s", got, diff)
	}
	for i, s := range p.Alternatives {
		booked := f.book(patient, s.DoctorID, s.StartTime.Format(time.RFC3339), 30)
		if booked.Status == 201 {
			var a api.Appointment
			booked.Decode(t, &a)
			f.Post(fmt.Sprintf("/appointments/%d/cancel", a.ID), object{"reason": "other"}).Want(t, 200, "")
			continue
		}
		t.Errorf("booking alternative %d: %s, want it booked", i, booked.Body)
	}
	t.Run("FarAway", func(t *testing.T) {
		busy := f.doctorOf("Surgery")
		f.Post(fmt.Sprintf("/doctors/%d/time-off", busy), object{"first_date": "2027-03-01", "last_date": "2027-03-10", "reason": "illness"}).Want(t, 201, "")
		p := f.problem(f.book(patient, busy, "2027-03-02T09:30:00Z", 30), 409, "time-off")
		if len(p.Alternatives) != 3 || !p.Alternatives[0].StartTime.Equal(at("2027-03-11T08:00:00Z")) {
			t.Errorf("alternatives = %+v, want 3, the first at 2027-03-11T08:00:00Z", p.Alternatives)
		}
	})
}

// A search that stops at its limit returns where to continue, even if it has found nothing yet, and
// a count is limited as well.
func TestAvailabilityOfManyDoctors(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	var rows []string
	for i := range 500 { // 20 days of all of them
		rows = append(rows, fmt.Sprintf("('Dr. X%04d','Many','2026-01-01','2026-01-01')", i))
	}
	f.db.DB.MustExec(`INSERT INTO doctors (full_name, specialization, created_at, updated_at) VALUES ` + strings.Join(rows, ","))
	f.Post("/closures", object{"start_time": "2027-03-01T00:00:00Z", "end_time": "2027-03-26T00:00:00Z", "name": "Closed"}).Want(t, 201, "")
	window := []string{"from", "2027-03-02T00:00:00Z", "to", "2027-04-10T00:00:00Z", "duration_minutes", "30"}
	var page api.SlotList
	f.Get("/availability", window...).Want(t, 200, "").Decode(t, &page)
	next, err := page.NextCursor.Get()
	if err != nil || len(page.Items) != 0 {
		t.Fatalf("first page: %d times, next %q (%v); want no times and a next page", len(page.Items), next, err)
	}
	f.Get("/availability", append(window, "cursor", next)...).Want(t, 200, "").Decode(t, &page)
	if len(page.Items) == 0 || page.Items[0].StartTime.Format(time.RFC3339) != "2027-03-26T00:00:00Z" {
		t.Errorf("next page = %+v, want times from 2027-03-26T00:00:00Z", page.Items)
	}
	var free struct {
		SearchedTo time.Time `json:"searched_to"`
	}
	f.Get("/availability/next", "duration_minutes", "30", "from", "2027-03-02T00:00:00Z").Want(t, 200, "").Decode(t, &free)
	if got := free.SearchedTo.Format(time.RFC3339); got != "2027-03-22T00:00:00Z" {
		t.Errorf("searched_to = %s, want 2027-03-22T00:00:00Z", got)
	}
	start := []string{"start", "ge2027-03-02", "start", "lt2027-04-10"}
	var bundle struct {
		Entry []any
		Link  []struct{ Relation, URL string }
	}
	f.Get("/fhir/Slot", start...).Want(t, 200, "").Decode(t, &bundle)
	if len(bundle.Entry) != 0 || !slices.ContainsFunc(bundle.Link, func(l struct{ Relation, URL string }) bool { return l.Relation == "next" }) {
		t.Errorf("bundle: %d slots, links %v; want no slots and a link to the next page",
			len(bundle.Entry), bundle.Link)
	}
	f.Get("/fhir/Slot", append(start, "_count", "0")...).Want(t, 422, "validation-failed")
}
