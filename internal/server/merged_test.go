package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"mems/gen/api"
	"mems/internal/contracttest"
)

// merged registers three records of one person, merges them one after another and returns the ids
// of the first, of the one in the middle, and of the survivor.
func (f *fixture) merged(before func(first int64)) (first, middle, survivor int64) {
	f.t.Helper()
	first, middle, survivor = f.patient(), f.patient(), f.patient()
	if before != nil {
		before(first)
	}
	f.Post(fmt.Sprintf("/patients/%d/merge", middle), object{"duplicate_id": first}).Want(f.t, 200, "")
	f.Post(fmt.Sprintf("/patients/%d/merge", survivor), object{"duplicate_id": middle}).Want(f.t, 200, "")
	return first, middle, survivor
}

// The id of a merged record reads the surviving one.
func TestOldIDsOfMergedPatients(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	doctor, other := f.doctor(), f.doctor()
	first, middle, survivor := f.merged(func(first int64) {
		f.booked(first, doctor, "2027-03-02T09:00:00Z", 30)
		f.wait(object{"patient_id": first}).Want(t, 201, "")
	})
	f.booked(survivor, doctor, "2027-03-02T10:00:00Z", 30)
	for _, id := range []string{fmt.Sprint(survivor), fmt.Sprint(middle), fmt.Sprint(first)} {
		var as api.AppointmentList
		f.Get("/appointments", "patient_id", id).Want(t, 200, "").Decode(t, &as)
		if len(as.Items) != 2 || as.Items[0].PatientID != survivor {
			t.Errorf("appointments of patient %s = %+v, want both, of patient %d", id, as.Items, survivor)
		}
		var first api.AppointmentList
		f.Get("/appointments", "patient_id", id, "limit", "1").Want(t, 200, "").Decode(t, &first)
		var rest api.AppointmentList
		f.Get("/appointments", "patient_id", id, "limit", "1", "cursor", first.NextCursor.MustGet()).Want(t, 200, "").Decode(t, &rest)
		if len(rest.Items) != 1 || rest.Items[0].ID == first.Items[0].ID {
			t.Errorf("second page of appointments of patient %s = %+v, want the other one", id, rest.Items)
		}
		var entries api.WaitlistEntryList
		f.Get("/waitlist", "patient_id", id).Want(t, 200, "").Decode(t, &entries)
		if len(entries.Items) != 1 || entries.Items[0].PatientID != survivor {
			t.Errorf("waitlist of patient %s = %+v, want one entry of patient %d", id, entries.Items, survivor)
		}
		free := f.slots(
			"doctor_id", fmt.Sprint(other), "patient_id", id, "duration_minutes", "30", "step_minutes", "30",
			"from", "2027-03-02T09:00:00Z", "to", "2027-03-02T11:00:00Z",
		)
		if len(free) != 2 || !strings.Contains(free[0], "09:30") || !strings.Contains(free[1], "10:30") {
			t.Errorf("free times for patient %s = %v, want 09:30 and 10:30", id, free)
		}
		var next api.NextAvailableList
		f.Get("/availability/next", "doctor_id", fmt.Sprint(other), "patient_id", id, "duration_minutes", "30", "from", "2027-03-02T09:00:00Z").Want(t, 200, "").Decode(t, &next)
		if slot := next.Items[0].Slot.MustGet(); !slot.StartTime.Equal(at("2027-03-02T09:30:00Z")) {
			t.Errorf("next free time for patient %s = %+v, want 09:30", id, slot)
		}
		for _, search := range [][]string{{"patient", id}, {"patient", "Patient/" + id}, {"actor", "Patient/" + id}} {
			var bundle api.FhirAppointmentBundle
			f.fhirs("Appointment", search...).Want(t, 200, "").Decode(t, &bundle)
			if len(bundle.Entry) != 2 {
				t.Errorf("FHIR search by %v = %+v, want two entries", search, bundle.Entry)
			}
		}
		var file api.PatientExport
		f.Get("/patients/"+id+"/export").Want(t, 200, "").Decode(t, &file)
		if file.Patient.ID != survivor || len(file.Merged) != 2 || len(file.Appointments) != 2 {
			t.Errorf("export of patient %s = %+v, want patient %d with 2 merged records and 2 appointments",
				id, file, survivor)
		}
		var trail api.AuditList
		f.Get("/audit", "patient_id", id, "operation", "createPatient").Want(t, 200, "").Decode(t, &trail)
		if len(trail.Items) != 3 {
			t.Errorf("registrations in the trail of patient %s = %d, want 3", id, len(trail.Items))
		}
	}
	f.Get("/availability", "patient_id", "999999", "duration_minutes", "30", "from", "2027-03-02T09:00:00Z", "to", "2027-03-02T11:00:00Z").Want(t, 404, "patient-not-found")
}

// A record that a caller cannot access stays inaccessible by its old id.
func TestOldIDsAndReach(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, nil)
	doctor := s.doctor()
	first, middle, survivor := s.merged(nil)
	s.booked(survivor, doctor, "2027-03-02T09:00:00Z", 30)
	partner, _ := s.key("partner", object{"scopes": []string{"appointments:read", "calendar:read", "patients:read"}})
	own, _ := s.key("doctor", object{"doctor_id": doctor})
	for _, id := range []int64{first, middle, survivor} {
		query := []string{
			"doctor_id", fmt.Sprint(doctor), "patient_id", fmt.Sprint(id), "duration_minutes", "30",
			"from", "2027-03-02T09:00:00Z", "to", "2027-03-02T11:00:00Z",
		}
		partner.Get("/availability", query...).Want(t, 404, "patient-not-found")
		own.Get("/availability", query...).Want(t, 200, "")
		var as api.AppointmentList
		partner.Get("/appointments", "patient_id", fmt.Sprint(id)).Want(t, 200, "").Decode(t, &as)
		if len(as.Items) != 0 {
			t.Errorf("appointments that a partner sees = %+v, want none", as.Items)
		}
		own.Get("/appointments", "patient_id", fmt.Sprint(id)).Want(t, 200, "").Decode(t, &as)
		if len(as.Items) != 1 {
			t.Errorf("appointments that the doctor sees = %+v, want one", as.Items)
		}
	}
}

// Two tickets of merged patients become one, which keeps the earlier position.
func TestMergeOfPlacesInTheQueue(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	doctor, other := f.doctor(), f.doctor()
	come := func(patient, doctor int64) api.Ticket {
		t.Helper()
		return ticketOf(t, f.Post("/walk-ins", object{"patient_id": patient, "doctor_id": doctor}), 201)
	}
	ticket := func(id int64) (k api.Ticket) {
		t.Helper()
		f.Get(fmt.Sprintf("/tickets/%d", id)).Want(t, 200, "").Decode(t, &k)
		return k
	}
	merge := func(survivor, duplicate int64) *contracttest.Response {
		t.Helper()
		return f.Post(fmt.Sprintf("/patients/%d/merge", survivor), object{"duplicate_id": duplicate}).Want(t, 200, "")
	}
	one, two, between := f.patient(), f.patient(), f.patient()
	early := come(one, doctor)
	middle := come(between, doctor)
	late := come(two, doctor)
	elsewhere := come(two, other)
	merge(two, one) // the survivor came later
	if got := f.queue(doctor); !slices.Equal(got, []string{"1 waiting 1", "2 waiting 2", "3 transferred -"}) {
		t.Errorf("queue = %q, want the early ticket to wait and the late one transferred", got)
	}
	if k := ticket(early.ID); k.PatientID != two || k.Status != "waiting" {
		t.Errorf("early ticket = %+v, want it waiting, of patient %d", k, two)
	}
	if k := ticket(late.ID); k.TransferredTo.MustGet() != early.ID {
		t.Errorf("late ticket = %+v, want it transferred to %d", k, early.ID)
	}
	if k := ticket(elsewhere.ID); k.Status != "waiting" {
		t.Errorf("ticket of another queue = %+v, want it waiting", k)
	}
	f.Post("/walk-ins", object{"patient_id": two, "doctor_id": doctor}).Want(t, 409, "already-in-queue")
	if k := ticketOf(t, f.Post("/queue/call-next", object{"doctor_id": doctor}), 200); k.ID != early.ID {
		t.Errorf("first called = %+v, want ticket %d", k, early.ID)
	}
	if k := ticketOf(t, f.Post("/queue/call-next", object{"doctor_id": doctor}), 200); k.ID != middle.ID {
		t.Errorf("second called = %+v, want ticket %d", k, middle.ID)
	}
	f.Post("/queue/call-next", object{"doctor_id": doctor}).Want(t, 409, "queue-empty")

	// A walk-in who was also checked in for an appointment keeps the appointment's ticket.
	walkIn, visitor := f.patient(), f.patient()
	first := come(walkIn, doctor)
	visit := f.booked(visitor, doctor, "2027-03-01T09:00:00Z", 30)
	f.act(visit.ID, "check-in").Want(t, 200, "")
	f.act(visit.ID, "start").Want(t, 200, "")
	merge(walkIn, visitor)
	if k := ticket(first.ID); k.AppointmentID.MustGet() != visit.ID || k.Status != "in_progress" {
		t.Errorf("ticket = %+v, want it in progress, of appointment %d", k, visit.ID)
	}
	f.Post(fmt.Sprintf("/tickets/%d/complete", first.ID), nil).Want(t, 200, "")
	var a api.Appointment
	f.Get(fmt.Sprintf("/appointments/%d", visit.ID)).Want(t, 200, "").Decode(t, &a)
	if a.Status != "completed" || a.PatientID != walkIn {
		t.Errorf("appointment = %+v, want it completed, of patient %d", a, walkIn)
	}

	// Both tickets are in progress.
	both, again := f.patient(), f.patient()
	for _, k := range []api.Ticket{come(both, doctor), come(again, doctor)} {
		f.Post(fmt.Sprintf("/tickets/%d/start", k.ID), nil).Want(t, 200, "")
	}
	merge(again, both)
	var q api.Queue
	f.Get("/queue", "doctor_id", fmt.Sprint(doctor), "status", "in_progress").Want(t, 200, "").Decode(t, &q)
	if len(q.Items) != 1 || q.Items[0].PatientID != again {
		t.Errorf("queue = %+v, want one ticket of patient %d", q.Items, again)
	}
}

// Appointments that overlap by an override, and the overlapped ones, are merged: a merge takes no
// one's time.
func TestMergeOfOverbooked(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	over := func(rules ...string) object {
		return object{"override": object{"rules": rules, "reason": "urgent"}}
	}
	survivor, duplicate, doctor := f.patient(), f.patient(), f.doctor()
	f.Patch(fmt.Sprintf("/doctors/%d", doctor), object{"overbook_cap": 1}).Want(t, 200, "")
	f.booked(duplicate, doctor, "2027-03-02T10:00:00Z", 30)
	f.bookedWith(doctor, "2027-03-02T10:00:00Z", over("doctor-overlap")) // by somebody else
	// The patient's own overlapping appointments: the overriding one begins first.
	f.booked(duplicate, f.doctor(), "2027-03-03T10:00:00Z", 30)
	f.bookedWith(f.doctor(), "2027-03-03T09:45:00Z", object{
		"patient_id": duplicate, "override": object{"rules": []string{"patient-overlap"}, "reason": "urgent"},
	})
	f.Post(fmt.Sprintf("/patients/%d/merge", survivor), object{"duplicate_id": duplicate}).Want(t, 200, "")
	var p api.AppointmentList
	f.Get("/appointments", "patient_id", fmt.Sprint(survivor)).Want(t, 200, "").Decode(t, &p)
	if len(p.Items) != 3 {
		t.Errorf("%d appointments of the survivor, want 3", len(p.Items))
	}
}

// Equal waitlist entries of merged patients become the earlier one, with the offer of either.
func TestMergeOfWishes(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	doctor := f.doctor()
	status := func(id int64) (e api.WaitlistEntry) {
		t.Helper()
		f.Get(fmt.Sprintf("/waitlist/%d", id)).Want(t, 200, "").Decode(t, &e)
		return e
	}
	one, two := f.patient(), f.patient()
	// The calendar is full, so that nothing is offered meanwhile.
	f.hours(doctor, "UTC", "09:00-09:30")
	var taken []api.Appointment
	for day := 2; day < 8; day++ {
		taken = append(taken, f.booked(f.patient(), doctor, fmt.Sprintf("2027-03-%02dT09:00:00Z", day), 30))
	}
	window := func(patient int64, from, to string) object {
		return object{"patient_id": patient, "doctor_ids": []int64{doctor}, "from": "2027-03-" + from + "T00:00:00Z", "to": "2027-03-" + to + "T00:00:00Z"}
	}
	early, other := f.waits(window(one, "02", "04")), f.waits(window(one, "06", "07"))
	late := f.waits(window(two, "03", "05"))
	long := window(two, "03", "05")
	long["duration_minutes"] = 15
	differs := f.waits(long)
	f.Post(fmt.Sprintf("/patients/%d/merge", two), object{"duplicate_id": one}).Want(t, 200, "")
	if e := status(early.ID); e.Status != "waiting" || e.PatientID != two || !e.From.Equal(at("2027-03-02T00:00:00Z")) || !e.To.Equal(at("2027-03-05T00:00:00Z")) {
		t.Errorf("early entry = %+v, want it waiting, of patient %d, from 2027-03-02 to 2027-03-05", e, two)
	}
	if e := status(late.ID); e.Status != "withdrawn" {
		t.Errorf("late entry = %+v, want it withdrawn", e)
	}
	for _, id := range []int64{other.ID, differs.ID} {
		if e := status(id); e.Status != "waiting" {
			t.Errorf("entry %d = %+v, want it waiting", id, e)
		}
	}
	// The later entry has an offer: the earlier one gets it.
	three, four := f.patient(), f.patient()
	waits := f.waits(window(three, "07", "08"))
	offered := f.waits(object{"patient_id": four, "doctor_ids": []int64{doctor}, "from": "2027-03-07T00:00:00Z", "to": "2027-03-08T00:00:00Z"})
	f.cancel(taken[5].ID)
	f.Post(fmt.Sprintf("/waitlist/%d/decline", waits.ID), nil).Want(t, 200, "")
	if e := status(offered.ID); e.Status != "offered" {
		t.Fatalf("entry whose time is free = %+v, want it offered", e)
	}
	f.Post(fmt.Sprintf("/patients/%d/merge", four), object{"duplicate_id": three}).Want(t, 200, "")
	if e := status(waits.ID); e.Status != "offered" {
		t.Errorf("entry of the survivor = %+v, want it offered", e)
	}
	if e := status(offered.ID); e.Status != "withdrawn" {
		t.Errorf("entry of the duplicate = %+v, want it withdrawn", e)
	}
	f.Post(fmt.Sprintf("/waitlist/%d/accept", waits.ID), nil).Want(t, 201, "")
}

// The birth date and the phone number of a merged record become the survivor's: searches find the
// survivor by them, and registrations are compared with them.
func TestMergedRecordsFindTheSurvivor(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	survivor := f.registered(object{"first_name": "Mia", "last_name": "Brandt", "birth_date": "1980-01-02", "phone": "+41 44 555 01 77"}).ID
	merge := func(into int64, members object) int64 {
		t.Helper()
		id := f.registered(members).ID
		f.Post(fmt.Sprintf("/patients/%d/merge", into), object{"duplicate_id": id}).Want(t, 200, "")
		return id
	}
	middle := f.registered(object{"first_name": "Mia", "last_name": "Brand", "birth_date": "1981-03-04", "phone": "+41 44 555 02 88"}).ID
	merge(middle, object{"first_name": "Maria", "last_name": "Brandt", "birth_date": "1982-05-06", "phone": "+41 44 555 03 99"})
	f.Post(fmt.Sprintf("/patients/%d/merge", survivor), object{"duplicate_id": middle}).Want(t, 200, "")
	for _, query := range [][]string{
		{"birth_date", "1980-01-02"},
		{"birth_date", "1981-03-04"},
		{"birth_date", "1982-05-06"},
		{"q", "1981-03-04"},
		{"q", "06.05.1982"},
		{"q", "brandt 19810304"},
		{"q", "maria 1982-05-06"},
		{"phone", "044 555 02 88"},
		{"phone", "0399"},
		{"q", "+41 44 555 03 99"},
	} {
		if got := f.found(query...); !slices.Equal(got, []int64{survivor}) {
			t.Errorf("%v finds %v, want %d", query, got, survivor)
		}
	}
	for _, members := range []object{
		{"birth_date": "1981-03-04"},
		{"birth_date": "1982-05-06"},
		{"phone": "044 555 02 88"},
		{"phone": "044 555 03 99"},
		{"birth_date": "1981-03-04", "phone": "044 555 03 99"},
	} {
		members["first_name"], members["last_name"], members["on_possible_duplicate"] = "Mia", "Brandt", "refuse"
		p := f.problem(f.Post("/patients", members), 409, "possible-duplicate")
		if len(p.Candidates) != 1 || p.Candidates[0].ID != survivor {
			t.Errorf("%v is like %+v, want %d", members, p.Candidates, survivor)
		}
	}
}

// Two records with one mailbox, from before both forms had one key, can both be changed.
func TestOldRecordsWithOneMailbox(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	first := f.registered(object{"email": "ann@bücher.example"}).ID
	second := f.registered(object{"email": "old@example.org"}).ID
	if _, err := f.db.DB.Exec(`UPDATE patients SET email = 'ann@xn--bcher-kva.example', email_key = 'ann@xn--bcher-kva.example' WHERE id = ?`, second); err != nil {
		t.Fatal(err)
	}
	for _, id := range []int64{first, second} {
		path := fmt.Sprintf("/patients/%d", id)
		f.Patch(path, object{"phone": "044 555 01 77"}).Want(t, 200, "")
		f.Patch(path, object{"last_name": "Muster"}).Want(t, 200, "")
	}
	path := fmt.Sprintf("/patients/%d", second)
	f.Patch(path, object{"email": "ANN@bücher.example"}).Want(t, 409, "email-taken")
	f.Patch(path, object{"email": "new@example.org"}).Want(t, 200, "")
	f.Patch(path, object{"email": "ann@xn--bcher-kva.example"}).Want(t, 409, "email-taken")
}
