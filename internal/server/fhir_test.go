package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/contracttest"
	"mems/internal/fhir/r4"
)

// fhirs reads a resource and validates it against the official schema of R4.
func (f *fixture) fhirs(path string, query ...string) *contracttest.Response {
	f.t.Helper()
	return held(f.t, f.Get("/fhir/"+path, query...))
}

// held fails the test unless the response is valid FHIR R4.
func held(t testing.TB, r *contracttest.Response) *contracttest.Response {
	t.Helper()
	if err := r4.Validate(r.Body); err != nil {
		t.Errorf("validate against FHIR R4: %v, want no error:\n%s", err, r.Body)
	}
	return r
}

// fhirBook books an appointment by FHIR's $book.
func fhirBook(c *contracttest.Client, body object) *contracttest.Response {
	return c.Send(contracttest.Request{
		Method: "POST", Path: "/fhir/Appointment/$book", Body: body, Header: http.Header{"Content-Type": {"application/fhir+json"}},
	})
}

func actors(references ...string) []object {
	var all []object
	for _, r := range references {
		all = append(all, object{"actor": object{"reference": r}, "status": "accepted"})
	}
	return all
}

// found returns the ids of a searchset; proposals have none.
func found(t testing.TB, r *contracttest.Response) []string {
	t.Helper()
	var bundle struct {
		Entry []struct {
			FullURL  string `json:"fullUrl"`
			Resource struct {
				ResourceType, ID string
			}
		}
	}
	r.Want(t, 200, "").Decode(t, &bundle)
	ids := []string{}
	for _, e := range bundle.Entry {
		ids = append(ids, e.Resource.ID)
		if e.Resource.ID != "" && !strings.HasSuffix(e.FullURL, "/fhir/"+e.Resource.ResourceType+"/"+e.Resource.ID) {
			t.Errorf("fullUrl of %s %s = %s, want it to end with its type and id",
				e.Resource.ResourceType, e.Resource.ID, e.FullURL)
		}
	}
	return ids
}

func TestFHIRCapabilities(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich")
	var s api.FhirCapabilityStatement
	f.fhirs("metadata").Want(t, 200, "").Decode(t, &s)
	if s.Implementation.URL != f.url+"/fhir" {
		t.Errorf("implementation.url = %s, want %s/fhir", s.Implementation.URL, f.url)
	}
	for _, r := range s.Rest[0].Resource {
		for _, i := range r.Interaction {
			switch i.Code {
			case "search-type":
				for _, p := range r.SearchParam { // each is taken: what it finds is for other tests
					if a := f.fhirs(string(r.Type), p.Name, map[string]string{
						"_id": "1", "identifier": "x|1", "birthdate": "1980-02-03", "email": "a@example.org", "phone": "0177", "active": "true",
						"name": "x", "family": "x", "given": "x", "specialty": "x",
						"actor": "Practitioner/1", "patient": "Patient/1", "practitioner": "Practitioner/1", "schedule": "Schedule/1", "service-type": "1",
						"duration": "30", "start": "ge2027-03-01", "date": "2027-03-01", "status": map[bool]string{true: "free", false: "booked"}[r.Type == "Slot"],
					}[p.Name]); a.Status != 200 {
						t.Errorf("search %s by %s: %d %s, want 200", r.Type, p.Name, a.Status, a.Body)
					}
				}
			case "read":
				f.fhirs(string(r.Type)+"/nobody").Want(t, 404, map[api.FhirCapabilityResourceType]string{
					"Patient": "patient-not-found", "Practitioner": "doctor-not-found", "Schedule": "doctor-not-found", "Slot": "not-found", "Appointment": "appointment-not-found",
				}[r.Type])
			}
		}
	}
	if len(s.Rest[0].Resource) != 5 || len(s.Rest[0].Resource[0].Operation) != 2 {
		t.Errorf("resources of the capability statement = %+v, want 5, the first with 2 operations",
			s.Rest[0].Resource)
	}
}

func TestFHIRPeople(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich")
	register := func(body object) string {
		var p api.Patient
		f.Post("/patients", body).Want(t, 201, "").Decode(t, &p)
		return fmt.Sprint(p.ID)
	}
	ann := register(object{
		"first_name": "Ann", "last_name": "Muster", "birth_date": "1980-02-03", "email": "ann@example.org", "phone": "+41 44 555 01 77",
		"identifiers": []object{{"system": "kasse nord", "value": "9|9"}},
	})
	tom := register(object{"first_name": "Tom", "last_name": "Musterfrau", "birth_date": "1981-02-03"})
	eve := register(object{"first_name": "Eve", "last_name": "Keller"})
	for name, test := range map[string]struct {
		query []string
		want  []string
	}{
		"All":                 {nil, []string{eve, ann, tom}},
		"Name":                {[]string{"name", "muster"}, []string{ann, tom}},
		"Family":              {[]string{"family", "Müster"}, []string{ann, tom}},
		"FamilyIsNotGiven":    {[]string{"family", "Ann"}, []string{}},
		"Given":               {[]string{"given", "to"}, []string{tom}},
		"Both":                {[]string{"family", "Muster", "given", "Ann"}, []string{ann}},
		"BirthDateAlone":      {[]string{"birthdate", "1980-02-03"}, []string{ann}},
		"BirthDate":           {[]string{"family", "Muster", "birthdate", "1981-02-03"}, []string{tom}},
		"Email":               {[]string{"email", "ANN@example.org"}, []string{ann}},
		"Phone":               {[]string{"phone", "0177"}, []string{ann}},
		"ID":                  {[]string{"_id", tom}, []string{tom}},
		"IDAndAnotherName":    {[]string{"_id", tom, "name", "Keller"}, []string{}},
		"NoID":                {[]string{"_id", "x"}, []string{}},
		"RecordNumber":        {[]string{"identifier", clinic.MRN(1)}, []string{ann}},
		"RecordNumberNamed":   {[]string{"identifier", "urn:mems:mrn|" + clinic.MRN(1)}, []string{ann}},
		"WrongCheckDigit":     {[]string{"identifier", "00000011"}, []string{}},
		"Identifier":          {[]string{"identifier", "urn:mems:identifier:kasse%20nord|9|9"}, []string{ann}},
		"IdentifierOfNothing": {[]string{"identifier", "|9"}, []string{}},
		"Format":              {[]string{"_format", "application/fhir+json", "given", "Eve"}, []string{eve}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := found(t, f.fhirs("Patient", test.query...)); !slices.Equal(got, test.want) {
				t.Errorf("found %v, want %v", got, test.want)
			}
		})
	}
	f.fhirs("Patient", "surname", "x").Want(t, 422, "validation-failed")
	t.Run("Pages", func(t *testing.T) {
		path, seen := "/fhir/Patient?_count=1&name=muster", []string{}
		for path != "" {
			r := held(t, f.Get(path))
			seen = append(seen, found(t, r)...)
			var bundle api.FhirPatientBundle
			r.Decode(t, &bundle)
			path = ""
			for _, l := range bundle.Link {
				if l.Relation == "next" {
					path = strings.TrimPrefix(l.URL, f.url)
				}
			}
		}
		if !slices.Equal(seen, []string{ann, tom}) {
			t.Errorf("patients on all pages = %v, want %v", seen, []string{ann, tom})
		}
		f.fhirs("Patient", "cursor", "AAAA").Want(t, 422, "validation-failed")
	})
	t.Run("Merged", func(t *testing.T) {
		f.Post("/patients/"+ann+"/merge", object{"duplicate_id": json.Number(eve)}).Want(t, 200, "")
		var p api.FhirPatient
		f.fhirs("Patient/"+eve).Want(t, 200, "").Decode(t, &p)
		if p.Active || len(p.Link) != 1 || p.Link[0].Other.Reference != "Patient/"+ann {
			t.Errorf("merged patient: %+v, want it inactive with a link to Patient/%s", p, ann)
		}
		r := f.fhirs("Patient/"+ann).Want(t, 200, "")
		r.Decode(t, &p)
		if r.Header.Get("ETag") != `W/"`+p.Meta.VersionID+`"` {
			t.Errorf("ETag = %s, want the version %s", r.Header.Get("ETag"), p.Meta.VersionID)
		}
	})
	t.Run("Doctors", func(t *testing.T) {
		one, other := fmt.Sprint(f.doctorOf("Dermatology")), fmt.Sprint(f.doctorOf("Cardiology"))
		f.Patch("/doctors/"+other, object{"is_active": false, "full_name": "Dr. Per Holm"}).Want(t, 200, "")
		for _, test := range []struct {
			kind  string
			query []string
			want  []string
		}{
			{"Practitioner", []string{"name", "Holm"}, []string{other}},
			{"Practitioner", []string{"active", "true"}, []string{one}},
			{"Practitioner", []string{"_id", one}, []string{one}},
			{"Schedule", []string{"actor", "Practitioner/" + other}, []string{other}},
			{"Schedule", []string{"actor", "Practitioner/" + other, "_id", one}, []string{}},
			{"Schedule", []string{"actor", other, "active", "true"}, []string{}},
			{"Schedule", []string{"specialty", "dermatology"}, []string{one}},
		} {
			if got := found(t, f.fhirs(test.kind, test.query...)); !slices.Equal(got, test.want) {
				t.Errorf("%s %v: found %v, want %v", test.kind, test.query, got, test.want)
			}
		}
		f.fhirs("Practitioner/"+one).Want(t, 200, "")
		f.fhirs("Schedule/"+other).Want(t, 200, "")
	})
}

func TestFHIRAppointments(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich")
	patient, doctor := f.patient(), f.doctor()
	first := f.booked(patient, doctor, "2027-03-28T00:30:00+01:00", 30) // the day that has 23 hours
	last := f.booked(patient, doctor, "2027-03-28T23:30:00+02:00", 30)
	next := f.booked(f.patient(), doctor, "2027-03-29T00:00:00+02:00", 30)
	other := f.booked(patient, f.doctor(), "2027-03-30T09:00:00+02:00", 30)
	f.Post(fmt.Sprintf("/appointments/%d/cancel", other.ID), object{"reason": "patient_request", "note": "SECRET"}).Want(t, 200, "")
	f.act(next.ID, "confirm").Want(t, 200, "")
	of := func(ids ...int64) []string {
		all := []string{}
		for _, id := range ids {
			all = append(all, fmt.Sprint(id))
		}
		return all
	}
	for name, test := range map[string]struct {
		query []string
		want  []string
	}{
		"Day":             {[]string{"date", "2027-03-28"}, of(first.ID, last.ID)},
		"All":             {nil, of(first.ID, last.ID, next.ID, other.ID)},
		"From":            {[]string{"date", "ge2027-03-29"}, of(next.ID, other.ID)},
		"Window":          {[]string{"date", "gt2027-03-28", "date", "le2027-03-30"}, of(next.ID, other.ID)},
		"Instants":        {[]string{"date", "ge2027-03-28T23:30:00+02:00", "date", "lt2027-03-28T22:00:01Z"}, of(last.ID, next.ID)},
		"Practitioner":    {[]string{"date", "2027-03", "practitioner", fmt.Sprintf("Practitioner/%d", doctor)}, of(first.ID, last.ID, next.ID)},
		"Actor":           {[]string{"date", "2027", "actor", fmt.Sprintf("Practitioner/%d", other.DoctorID)}, of(other.ID)},
		"Patient":         {[]string{"patient", fmt.Sprint(patient)}, of(first.ID, last.ID, other.ID)},
		"PatientFrom":     {[]string{"actor", fmt.Sprintf("Patient/%d", patient), "date", "ge2027-03-29"}, of(other.ID)},
		"PatientUntil":    {[]string{"patient", fmt.Sprint(patient), "date", "lt2027-03-28T12:00:00Z"}, of(first.ID)},
		"TwoPatients":     {[]string{"patient", "Patient/1", "actor", "Patient/2"}, of()},
		"Booked":          {[]string{"date", "2027", "status", "booked"}, of(first.ID, last.ID, next.ID)},
		"BookedOrNoShow":  {[]string{"date", "2027", "status", "noshow,cancelled"}, of(other.ID)},
		"Proposed":        {[]string{"date", "2027", "status", "proposed"}, of()},
		"ID":              {[]string{"_id", fmt.Sprint(other.ID)}, of(other.ID)},
		"IDOnAnotherDay":  {[]string{"_id", fmt.Sprint(other.ID), "date", "2027-03-28"}, of()},
		"NothingBetween":  {[]string{"date", "gt2027-03-28", "date", "lt2027-03-28"}, of()},
		"NobodysPatients": {[]string{"patient", "999999"}, of()},
	} {
		t.Run(name, func(t *testing.T) {
			r := f.fhirs("Appointment", test.query...)
			if got := found(t, r); !slices.Equal(got, test.want) {
				t.Errorf("found %v, want %v", got, test.want)
			}
			if strings.Contains(string(r.Body), "SECRET") {
				t.Errorf("answer: %s, want it without notes", r.Body)
			}
		})
	}
	f.fhirs("Appointment", "date", "2027-02-30").Want(t, 422, "validation-failed")
	var a api.FhirAppointment
	f.fhirs(fmt.Sprintf("Appointment/%d", other.ID)).Want(t, 200, "").Decode(t, &a)
	if a.Status != "cancelled" || a.CancelationReason.Coding[0].Code != "pat" || a.Participant[1].Actor.Display == nil {
		t.Errorf("cancelled appointment: %+v, want status cancelled, the reason pat and the practitioner's name",
			a)
	}
}

func TestFHIRSlots(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich")
	doctor, colleague := f.doctorOf("Dermatology"), f.doctorOf("Cardiology")
	for _, d := range []int64{doctor, colleague} {
		f.hours(d, "Europe/Zurich", "09:00-10:00")
	}
	schedule := fmt.Sprintf("Schedule/%d", doctor)
	slots := func(query ...string) []string { return found(t, f.fhirs("Slot", query...)) }
	day := []string{"start", "2027-03-02", "schedule", schedule}
	want := []string{}
	for _, start := range []string{"0800", "0815", "0830"} {
		want = append(want, fmt.Sprintf("%d-20270302T%sZ-30", doctor, start))
	}
	if got := slots(day...); !slices.Equal(got, want) {
		t.Fatalf("found %v, want %v", got, want)
	}
	if got := slots(append(day, "duration", "60")...); !slices.Equal(got, []string{fmt.Sprintf("%d-20270302T0800Z-60", doctor)}) {
		t.Errorf("slots of an hour = %v, want the one at 08:00 of doctor %d", got, doctor)
	}
	if got := slots("start", "ge2027-03-02", "start", "lt2027-03-03", "specialty", "cardiology", "_count", "1"); !slices.Equal(got, []string{fmt.Sprintf("%d-20270302T0800Z-30", colleague)}) {
		t.Errorf("first slot by specialty = %v, want the one at 08:00 of doctor %d", got, colleague)
	}
	if got := slots("schedule", schedule, "_count", "2"); len(got) != 2 {
		t.Errorf("slots of %s without a start = %v, want 2", schedule, got)
	}
	for _, nothing := range [][]string{{"schedule", "Schedule/999999"}, {"service-type", "999999"}, {"start", "2020-01"}} {
		if got := slots(nothing...); len(got) != 0 {
			t.Errorf("slots by %v = %v, want none", nothing, got)
		}
	}
	f.fhirs("Slot", "start", "ge2027-01-01", "start", "lt2027-06-01").Want(t, 422, "validation-failed")

	status := func(id string) string {
		var s api.FhirSlot
		f.fhirs("Slot/"+id).Want(t, 200, "").Decode(t, &s)
		return string(s.Status)
	}
	if got := status(want[1]); got != "free" {
		t.Errorf("status of a slot that was found = %s, want free", got)
	}
	proposals := f.fhirs("Appointment/$find", "start", "2027-03-02", "practitioner", fmt.Sprintf("Practitioner/%d", doctor))
	if got := found(t, proposals); len(got) != 3 {
		t.Errorf("proposals = %v, want 3", got)
	}
	patient := f.patient()
	t.Run("Book", func(t *testing.T) {
		var bundle api.FhirAppointmentBundle
		proposals.Decode(t, &bundle)
		proposal := bundle.Entry[1].Resource
		body := object{
			"resourceType": "Appointment", "status": "proposed", "slot": []object{{"reference": proposal.Slot[0].Reference}},
			"participant": actors(fmt.Sprintf("Patient/%d", patient)),
		}
		r := held(t, fhirBook(f.Client, body).Want(t, 201, ""))
		var a api.FhirAppointment
		f.fhirs(strings.TrimPrefix(r.Header.Get("Location"), "/fhir/")).Want(t, 200, "").Decode(t, &a)
		if a.Status != "booked" || !a.Start.Equal(proposal.Start) || a.MinutesDuration != 30 {
			t.Errorf("booked proposal: %+v, want status booked, start %s, 30 minutes", a, proposal.Start)
		}
		if got := status(want[1]); got != "busy" {
			t.Errorf("status of a slot that was booked = %s, want busy", got)
		}
		if got := slots(day...); len(got) != 0 {
			t.Errorf("slots after the booking = %v, want none", got)
		}
		held(t, fhirBook(f.Client, body).Want(t, 409, "doctor-overlap"))
		body["participant"] = actors("Patient/999999")
		held(t, fhirBook(f.Client, body).Want(t, 404, "patient-not-found"))
		body["participant"] = actors("Practitioner/1")
		held(t, fhirBook(f.Client, body).Want(t, 422, "validation-failed"))
		body["surprise"] = 1
		held(t, fhirBook(f.Client, body).Want(t, 422, "validation-failed"))
		held(t, f.Send(contracttest.Request{Method: "POST", Path: "/fhir/Appointment/$book", Body: body, Header: http.Header{"Content-Type": {"text/plain"}}}).Want(t, 415, "unsupported-media-type"))
		held(t, f.Send(contracttest.Request{Method: "GET", Path: "/fhir/Slot/" + want[0], Header: http.Header{"Accept": {"text/html"}}}).Want(t, 406, "not-acceptable"))
		held(t, f.Get("/fhir/Cat").Want(t, 404, "not-found"))
	})
}

// Many clients book one slot at once: one of them gets it.
func TestFHIRBookRace(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	doctor := f.doctor()
	const many = 12
	patients := make([]int64, many)
	for i := range patients {
		patients[i] = f.patient()
	}
	statuses := make([]int, many)
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			statuses[i] = fhirBook(f.Client, object{
				"resourceType": "Appointment", "status": "proposed", "start": "2027-03-01T09:00:00Z", "end": "2027-03-01T09:30:00Z",
				"participant": actors(fmt.Sprintf("Patient/%d", patients[i]), fmt.Sprintf("Practitioner/%d", doctor)),
			}).Status
		})
	}
	all.Wait()
	slices.Sort(statuses)
	if statuses[0] != 201 || statuses[1] != 409 || statuses[many-1] != 409 {
		t.Errorf("statuses of %d concurrent bookings = %v, want one 201 and 409 for the rest", many, statuses)
	}
}

// A caller with restricted access is restricted in FHIR, too.
func TestFHIRReach(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, nil)
	mine, other := s.doctor(), s.doctor()
	seen, unseen := s.patient(), s.patient()
	visit := s.booked(seen, mine, "2027-03-02T09:00:00Z", 30)
	foreign := s.booked(unseen, other, "2027-03-02T09:00:00Z", 30)
	doctor, _ := s.key("doctor", object{"doctor_id": mine})
	if got := found(t, held(t, doctor.Get("/fhir/Appointment", "date", "2027-03-02"))); !slices.Equal(got, []string{fmt.Sprint(visit.ID)}) {
		t.Errorf("appointments that a doctor sees = %v, want [%d]", got, visit.ID)
	}
	held(t, doctor.Get(fmt.Sprintf("/fhir/Appointment/%d", foreign.ID)).Want(t, 404, "appointment-not-found"))
	held(t, doctor.Get(fmt.Sprintf("/fhir/Patient/%d", unseen)).Want(t, 404, "patient-not-found"))
	held(t, doctor.Get(fmt.Sprintf("/fhir/Patient/%d", seen)).Want(t, 200, ""))
	partner, _ := s.key("partner", nil)
	held(t, partner.Get("/fhir/Patient").Want(t, 403, "forbidden"))
	held(t, partner.Get("/fhir/Slot").Want(t, 200, ""))
	nobody := contracttest.New(t, s.url)
	held(t, nobody.Get("/fhir/Slot").Want(t, 401, "unauthenticated"))
	held(t, nobody.Get("/fhir/metadata").Want(t, 200, ""))
}
