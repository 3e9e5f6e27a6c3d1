package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/contracttest"
)

func TestListAppointmentsOfADay(t *testing.T) {
	t.Parallel()
	for zone, days := range map[string][]struct {
		date     string
		from, to string
		in, out  []string
	}{
		"UTC": {{
			"2027-03-02", "2027-03-02T00:00:00Z", "2027-03-03T00:00:00Z",
			[]string{"2027-03-02T00:00:00Z", "2027-03-02T23:59:59.999999Z"},
			[]string{"2027-03-01T23:45:00Z", "2027-03-03T00:00:00Z"},
		}},
		"Asia/Kathmandu": {{
			"2027-03-02", "2027-03-01T18:15:00Z", "2027-03-02T18:15:00Z",
			[]string{"2027-03-01T18:15:00Z", "2027-03-02T18:14:59Z"},
			[]string{"2027-03-01T18:14:59Z", "2027-03-02T18:15:00Z"},
		}},
		"Europe/Zurich": {{ // 23 hours
			"2027-03-28", "2027-03-27T23:00:00Z", "2027-03-28T22:00:00Z",
			[]string{"2027-03-28T21:59:00Z"},
			[]string{"2027-03-28T22:00:00Z"},
		}, { // 25 hours
			"2027-10-31", "2027-10-30T22:00:00Z", "2027-10-31T23:00:00Z",
			[]string{"2027-10-30T22:00:00Z", "2027-10-31T22:59:00Z"},
			[]string{"2027-10-31T23:00:00Z"},
		}},
		"Australia/Lord_Howe": {{ // 23.5 hours
			"2027-10-03", "2027-10-02T13:30:00Z", "2027-10-03T13:00:00Z", nil, nil,
		}},
		"America/Santiago": {{ // midnight does not exist
			"2027-09-05", "2027-09-05T04:00:00Z", "2027-09-06T03:00:00Z",
			[]string{"2027-09-05T04:00:00Z"},
			[]string{"2027-09-05T03:59:59Z"},
		}, {
			"2026-09-06", "2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z", nil, nil,
		}, { // the day before has 24 hours and no more
			"2026-09-05", "2026-09-05T04:00:00Z", "2026-09-06T04:00:00Z", nil, nil,
		}},
	} {
		t.Run(zone, func(t *testing.T) {
			t.Parallel()
			f := setup(t, zone)
			for _, day := range days {
				doctor := f.doctor()
				for _, start := range slices.Concat(day.in, day.out) {
					f.booked(f.patient(), f.doctor(), start, 15)
				}
				var list api.AppointmentList
				f.Get("/appointments", "date", day.date).Want(t, 200, "").Decode(t, &list)
				var starts []string
				for _, a := range list.Items {
					starts = append(starts, a.StartTime.Format(time.RFC3339Nano))
				}
				if !slices.Equal(starts, day.in) {
					t.Errorf("%s: starts %v, want %v", day.date, starts, day.in)
				}
				from, _ := list.From.Get()
				to, _ := list.To.Get()
				if from.Format(time.RFC3339) != day.from || to.Format(time.RFC3339) != day.to || list.TimeZone != zone {
					t.Errorf("%s: window %s to %s in %s, want %s to %s", day.date, from, to, list.TimeZone, day.from, day.to)
				}
				f.Get("/appointments", "date", day.date, "doctor_id", fmt.Sprint(doctor)).Want(t, 200, "").Decode(t, &list)
				if len(list.Items) != 0 {
					t.Errorf("list of a doctor without appointments has %d, want none", len(list.Items))
				}
			}
		})
	}
}

func TestListAppointmentsWindows(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	patient, doctor := f.patient(), f.doctor()
	before := f.booked(patient, doctor, "2027-03-02T08:00:00Z", 60)
	into := f.booked(patient, doctor, "2027-03-02T09:00:00Z", 61)
	inside := f.booked(f.patient(), doctor, "2027-03-02T10:30:00Z", 15)
	after := f.booked(patient, doctor, "2027-03-02T11:00:00Z", 15)
	ids := func(query ...string) []int64 {
		var list api.AppointmentList
		f.Get("/appointments", query...).Want(t, 200, "").Decode(t, &list)
		var ids []int64
		for _, a := range list.Items {
			ids = append(ids, a.ID)
		}
		return ids
	}
	for name, test := range map[string]struct {
		query []string
		want  []int64
	}{
		"Intersecting":    {[]string{"from", "2027-03-02T10:00:00Z", "to", "2027-03-02T11:00:00Z"}, []int64{into.ID, inside.ID}},
		"OfDoctor":        {[]string{"from", "2027-03-02T10:00:00Z", "to", "2027-03-02T11:00:00Z", "doctor_id", fmt.Sprint(doctor + 1)}, nil},
		"WithOffset":      {[]string{"from", "2027-03-02T12:00:00+02:00", "to", "2027-03-02T13:00:00+02:00"}, []int64{into.ID, inside.ID}},
		"PatientsHistory": {[]string{"patient_id", fmt.Sprint(patient)}, []int64{before.ID, into.ID, after.ID}},
		"DayOfPatient":    {[]string{"date", "2027-03-02", "patient_id", fmt.Sprint(patient), "doctor_id", fmt.Sprint(doctor)}, []int64{before.ID, into.ID, after.ID}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ids(test.query...); !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
	for name, test := range map[string]struct {
		query []string
		want  string
	}{
		"Nothing":      {nil, "date required"},
		"OnlyDoctor":   {[]string{"doctor_id", "1"}, "date required"},
		"OnlyFrom":     {[]string{"from", "2027-03-02T10:00:00Z"}, "to combination"},
		"OnlyTo":       {[]string{"to", "2027-03-02T10:00:00Z"}, "from combination"},
		"DateAndFrom":  {[]string{"date", "2027-03-02", "from", "2027-03-02T10:00:00Z"}, "date combination"},
		"Backwards":    {[]string{"from", "2027-03-02T10:00:00Z", "to", "2027-03-02T10:00:00Z"}, "to combination"},
		"NaiveFrom":    {[]string{"from", "2027-03-02T10:00:00", "to", "2027-03-02T11:00:00Z"}, "from format"},
		"NoSuchDay":    {[]string{"date", "2026-02-30"}, "date format"},
		"EmptyDate":    {[]string{"date", ""}, "date min_length"},
		"ZeroDoctor":   {[]string{"date", "2027-03-02", "doctor_id", "0"}, "doctor_id minimum"},
		"LimitZero":    {[]string{"date", "2027-03-02", "limit", "0"}, "limit minimum"},
		"LimitTooMany": {[]string{"date", "2027-03-02", "limit", "201"}, "limit maximum"},
		"Unknown":      {[]string{"date", "2027-03-02", "doctor", "1"}, "doctor unknown"},
		"Repeated":     {[]string{"date", "2027-03-02", "date", "2027-03-03"}, "date repeated"},
		"NotUTF8":      {[]string{"date", "\xff"}, "date format"},
		"BadCursor":    {[]string{"date", "2027-03-02", "cursor", "AAAA"}, "cursor invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			vs := f.Get("/appointments", test.query...).Want(t, 422, "validation-failed").Violations(t)
			if !slices.Contains(vs, test.want) {
				t.Errorf("violations %v, want %s", vs, test.want)
			}
		})
	}
	f.Send(contracttest.Request{Method: "GET", Path: "/appointments?date=%zz"}).Want(t, 400, "malformed-request")
}

// walk reads a whole list page by page and calls meanwhile between two pages.
func walk(t *testing.T, f *fixture, path string, meanwhile func(page int), query ...string) []int64 {
	t.Helper()
	var ids []int64
	for page := 0; ; page++ {
		var list struct {
			Items      []struct{ ID int64 } `json:"items"`
			NextCursor *string              `json:"next_cursor"`
		}
		f.Get(path, query...).Want(t, 200, "").Decode(t, &list)
		for _, item := range list.Items {
			ids = append(ids, item.ID)
		}
		if list.NextCursor == nil {
			return ids
		}
		if page == 0 {
			query = append(query, "cursor", *list.NextCursor)
		} else {
			query[len(query)-1] = *list.NextCursor
		}
		meanwhile(page)
	}
}

// Pages neither repeat nor omit records that existed from the start, whatever is added meanwhile.
func TestCursorsAreStable(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	var patients, doctors, appointments []int64
	for i := range 23 {
		patients = append(patients, f.patient())
		doctors = append(doctors, f.doctor()) // all of one name: the id decides
		// Several appointments start at the same time.
		appointments = append(appointments, f.booked(patients[i], doctors[i], fmt.Sprintf("2027-03-02T%02d:00:00Z", 10+i/5), 15).ID)
	}
	for path, want := range map[string][]int64{"/patients": patients, "/doctors": doctors, "/appointments": appointments} {
		t.Run(path, func(t *testing.T) {
			query := []string{"limit", "4"}
			if path == "/appointments" {
				query = append(query, "date", "2027-03-02")
			}
			got := walk(t, f, path, func(int) {
				f.booked(f.patient(), f.doctor(), "2027-03-02T10:00:00Z", 15)
			}, query...)
			seen := map[int64]int{}
			for _, id := range got {
				seen[id]++
				if seen[id] > 1 {
					t.Errorf("record %d came %d times, want once", id, seen[id])
				}
			}
			for _, id := range want {
				if seen[id] == 0 {
					t.Errorf("record %d did not come, want it once", id)
				}
			}
		})
	}
	t.Run("CursorOfOtherParameters", func(t *testing.T) {
		var list api.DoctorList
		f.Get("/doctors", "limit", "1").Decode(t, &list)
		cursor, _ := list.NextCursor.Get()
		f.Get("/doctors", "limit", "2", "cursor", cursor).Want(t, 200, "")
		f.Get("/doctors", "limit", "1", "cursor", cursor, "is_active", "true").Want(t, 422, "validation-failed")
		f.Get("/patients", "limit", "1", "cursor", cursor).Want(t, 422, "validation-failed")
	})
	t.Run("CursorOfDeletedRecord", func(t *testing.T) {
		var p struct{ ID int64 }
		f.Post("/patients", object{"first_name": "Gone", "last_name": "Soon"}).Decode(t, &p)
		f.Post("/patients", object{"first_name": "Gone", "last_name": "Sooner"}).Want(t, 201, "")
		var list api.PatientList
		f.Get("/patients", "limit", "1", "name", "Gone").Decode(t, &list)
		cursor, _ := list.NextCursor.Get()
		f.Delete(fmt.Sprintf("/patients/%d", p.ID)).Want(t, http.StatusNoContent, "")
		vs := f.Get("/patients", "limit", "1", "name", "Gone", "cursor", cursor).Want(t, 422, "validation-failed").Violations(t)
		if !slices.Equal(vs, []string{"cursor expired"}) {
			t.Errorf("violations = %v, want [cursor expired]", vs)
		}
	})
}

func TestSearch(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	for _, p := range []object{
		{"first_name": "Ann", "last_name": "Müller", "email": "ann@example.org", "phone": "+49 171 5550123"},
		{"first_name": "Muriel", "last_name": "Anders", "phone": "0171/555 0199"},
		{"first_name": "Piet", "last_name": "van der Berg"},
		{"first_name": "100%", "last_name": "Sure_Thing"},
	} {
		f.Post("/patients", p).Want(t, 201, "")
	}
	for _, test := range []struct {
		name, value string
		want        []string
	}{
		{"name", "mu", []string{"Anders", "Müller"}},
		{"name", "MÜLL", []string{"Müller"}},
		{"name", "an mu", []string{"Anders", "Müller"}},
		{"name", "müller ann", []string{"Müller"}},
		{"name", "van d", []string{"van der Berg"}},
		{"name", "piet van der", []string{"van der Berg"}},
		{"name", "100%", []string{"Sure_Thing"}},
		{"name", "%", nil},
		{"name", "_", nil},
		{"name", "uller", nil},
		{"email", " ANN@example.ORG ", []string{"Müller"}},
		{"email", "ann@example", nil},
		{"phone", "0123", []string{"Müller"}},
		{"phone", "0171 555 0123", []string{"Müller"}},
		{"phone", "5550199", []string{"Anders"}},
		{"phone", "000", nil},
	} {
		t.Run(test.name+"="+test.value, func(t *testing.T) {
			var list api.PatientList
			f.Get("/patients", test.name, test.value).Want(t, 200, "").Decode(t, &list)
			var got []string
			for _, p := range list.Items {
				got = append(got, p.LastName)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("found %v, want %v", got, test.want)
			}
		})
	}
	f.Get("/patients", "name", "   ").Want(t, 422, "validation-failed")
	f.Get("/patients", "phone", "call me").Want(t, 422, "validation-failed")

	f.Post("/doctors", object{"full_name": "Dr. Noor Haddad", "specialization": "Dermatology"}).Want(t, 201, "")
	f.Post("/doctors", object{"full_name": "Dr. Ada Noll", "specialization": "Pédiatrie", "is_active": false}).Want(t, 201, "")
	for _, test := range []struct {
		query []string
		want  int
	}{
		{[]string{"name", "noor"}, 1},
		{[]string{"name", "no"}, 2},
		{[]string{"name", "dr. ada"}, 1},
		{[]string{"specialization", "pediatrie"}, 1},
		{[]string{"specialization", "Derm"}, 0},
		{[]string{"is_active", "true"}, 1},
		{[]string{"is_active", "false", "name", "no"}, 1},
	} {
		var list api.DoctorList
		f.Get("/doctors", test.query...).Want(t, 200, "").Decode(t, &list)
		if len(list.Items) != test.want {
			t.Errorf("%v: %d doctors, want %d", test.query, len(list.Items), test.want)
		}
	}
	f.Get("/doctors", "is_active", "yes").Want(t, 422, "validation-failed")
}

func TestInclude(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	patient, doctor := f.patient(), f.doctor()
	var ids []int64
	for i := range 3 {
		ids = append(ids, f.booked(patient, doctor, fmt.Sprintf("2027-03-02T1%d:00:00Z", i), 30).ID)
	}
	one := fmt.Sprintf("/appointments/%d", ids[0])
	for query, want := range map[string][2]bool{"": {}, "patient": {true, false}, "doctor": {false, true}, "patient,doctor": {true, true}} {
		var list api.AppointmentList
		var single api.Appointment
		if query == "" {
			f.Get("/appointments", "date", "2027-03-02").Want(t, 200, "").Decode(t, &list)
			f.Get(one).Want(t, 200, "").Decode(t, &single)
		} else {
			f.Get("/appointments", "date", "2027-03-02", "include", query).Want(t, 200, "").Decode(t, &list)
			f.Get(one, "include", query).Want(t, 200, "").Decode(t, &single)
		}
		if len(list.Items) != 3 {
			t.Errorf("list has %d items, want 3", len(list.Items))
		}
		for _, a := range append(list.Items, single) {
			if (a.Patient != nil) != want[0] || (a.Doctor != nil) != want[1] ||
				a.Patient != nil && a.Patient.ID != patient || a.Doctor != nil && a.Doctor.ID != doctor {
				t.Errorf("include=%q: %+v, want patient %t and doctor %t", query, a, want[0], want[1])
			}
		}
	}
	if vs := f.Get(one, "include", "room").Want(t, 422, "validation-failed").Violations(t); !slices.Equal(vs, []string{"include enum"}) {
		t.Errorf("include=room: violations %v, want [include enum]", vs)
	}
}

// A client that pages through a day gets each appointment that is kept exactly once, while others
// around its position are booked and cancelled.
func TestCursorsAreStableUnderInserts(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	doctors := []int64{f.doctor(), f.doctor()}
	var stay []int64
	start := func(i int) string {
		return at("2027-03-02T08:00:00Z").Add(time.Duration(i) * 30 * time.Minute).Format(time.RFC3339)
	}
	for i := range 12 {
		stay = append(stay, f.booked(f.patient(), doctors[0], start(i), 30).ID)
	}
	var seen []int64
	cursor := ""
	for page := 0; ; page++ {
		query := []string{"date", "2027-03-02", "limit", "3"}
		if cursor != "" {
			query = append(query, "cursor", cursor)
		}
		var list api.AppointmentList
		f.Get("/appointments", query...).Want(t, 200, "").Decode(t, &list)
		seen = append(seen, idsOf(list.Items)...)
		next, err := list.NextCursor.Get()
		if err != nil {
			break
		}
		cursor = next
		a := f.booked(f.patient(), doctors[1], start(page), 30) // before the reader's place
		f.booked(f.patient(), doctors[1], start(11-page), 15)   // after it
		f.Post(fmt.Sprintf("/appointments/%d/cancel", a.ID), object{"reason": "other"}).Want(t, 200, "")
	}
	for _, id := range stay {
		if n := len(seen) - len(slices.DeleteFunc(slices.Clone(seen), func(s int64) bool { return s == id })); n != 1 {
			t.Errorf("record %d came %d times, want once", id, n)
		}
	}
	slices.Sort(seen)
	if len(slices.Compact(slices.Clone(seen))) != len(seen) {
		t.Errorf("records = %v, want each once", seen)
	}
}
