package server_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/contracttest"
)

func (f *fixture) register(members object) *contracttest.Response {
	f.t.Helper()
	body := object{"first_name": "Ann", "last_name": "Muster"}
	maps.Copy(body, members)
	return f.Post("/patients", body)
}

func (f *fixture) registered(members object) (p api.Patient) {
	f.t.Helper()
	f.register(members).Want(f.t, 201, "").Decode(f.t, &p)
	return p
}

func (f *fixture) found(query ...string) []int64 {
	f.t.Helper()
	var list api.PatientList
	f.Get("/patients", query...).Want(f.t, 200, "").Decode(f.t, &list)
	var ids []int64
	for _, p := range list.Items {
		ids = append(ids, p.ID)
	}
	return ids
}

func TestMRNAndIdentifiers(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	p := f.registered(object{"identifiers": []object{{"system": " ahv ", "value": "756.1"}, {"system": "Insurer", "value": "A-1"}, {"system": "ahv", "value": "756.1"}}})
	if len(p.Mrn) < 8 || len(p.Identifiers) != 2 || p.Identifiers[1].System != "ahv" {
		t.Errorf("patient = %+v, want an MRN and two identifiers, the second of ahv", p)
	}
	other := f.registered(nil)
	for name, ids := range map[string][]int64{
		"MRN":       f.found("mrn", p.Mrn),
		"MRNSpaced": f.found("mrn", p.Mrn[:4]+" "+p.Mrn[4:]),
		"ID":        f.found("identifier_system", "ahv", "identifier", "756.1"),
		"Both":      f.found("identifier_system", "Insurer", "identifier", "A-1", "name", "mus"),
	} {
		if !slices.Equal(ids, []int64{p.ID}) {
			t.Errorf("search by %s = %v, want [%d]", name, ids, p.ID)
		}
	}
	if ids := f.found("identifier_system", "ahv", "identifier", "756.2"); ids != nil {
		t.Errorf("search by an unknown identifier = %v, want none", ids)
	}
	if ids := f.found("mrn", clinic.MRN(99_999)); ids != nil { // right, but nobody's
		t.Errorf("search by an MRN of no patient = %v, want none", ids)
	}
	wrong := p.Mrn[:len(p.Mrn)-1] + string('0'+(p.Mrn[len(p.Mrn)-1]-'0'+1)%10)
	if vs := f.Get("/patients", "mrn", wrong).Want(t, 422, "validation-failed").Violations(t); !slices.Equal(vs, []string{"mrn invalid"}) {
		t.Errorf("MRN with a wrong check digit: violations %v, want [mrn invalid]", vs)
	}
	f.Get("/patients", "mrn", p.Mrn, "name", "a").Want(t, 422, "validation-failed")
	f.Get("/patients", "identifier", "756.1").Want(t, 422, "validation-failed")

	r := f.register(object{"identifiers": []object{{"system": "ahv", "value": "756.1"}}}).Want(t, 409, "identifier-taken")
	if strings.Contains(string(r.Body), "Muster") {
		t.Errorf("409 identifier-taken: %s, want it without the other patient's name", r.Body)
	}
	path := fmt.Sprintf("/patients/%d", other.ID)
	f.Patch(path, object{"identifiers": []object{{"system": "ahv", "value": "756.1"}}}).Want(t, 409, "identifier-taken")
	var changed api.Patient
	f.Patch(path, object{"identifiers": []object{{"system": "ahv", "value": "756.9"}}}).Want(t, 200, "").Decode(t, &changed)
	f.Patch(path, object{"phone": "+41 44 555 01 01"}).Want(t, 200, "").Decode(t, &changed)
	if len(changed.Identifiers) != 1 || changed.Identifiers[0].Value != "756.9" {
		t.Errorf("identifiers after a patch of the phone = %+v, want 756.9 alone", changed.Identifiers)
	}
	f.Patch(path, object{"identifiers": []object{}}).Want(t, 200, "").Decode(t, &changed)
	if len(changed.Identifiers) != 0 {
		t.Errorf("identifiers after a patch with none = %+v, want none", changed.Identifiers)
	}
	f.Delete(fmt.Sprintf("/patients/%d", p.ID)).Want(t, 204, "")
	f.registered(object{"identifiers": []object{{"system": "ahv", "value": "756.1"}}}) // free again
}

func TestPossibleDuplicate(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	known := f.registered(object{"first_name": "Renée", "last_name": "Müller", "birth_date": "1984-02-29", "phone": "+41 44 555 01 23", "email": "r@example.org"})
	for name, members := range map[string]object{
		"BirthDate": {"first_name": "renee", "last_name": "MULLER", "birth_date": "1984-02-29"},
		"Swapped":   {"first_name": "Muller", "last_name": "Renée", "birth_date": "1984-02-29"},
		"Phone":     {"first_name": "Renée", "last_name": "Müller", "phone": "0041 44 555 0123"},
	} {
		t.Run(name, func(t *testing.T) {
			members["on_possible_duplicate"] = "refuse"
			var p api.Problem
			r := f.register(members).Want(t, 409, "possible-duplicate")
			r.Decode(t, &p)
			if len(p.Candidates) != 1 {
				t.Fatalf("possible duplicate: %s, want one candidate", r.Body)
			}
			c := p.Candidates[0]
			if c.ID != known.ID || c.MaskedName != "R**** M*****" || c.BirthYear.MustGet() != 1984 || c.PhoneEnds.MustGet() != "23" {
				t.Errorf("masked candidate = %+v, want patient %d as R**** M*****, 1984, phone ending in 23",
					c, known.ID)
			}
			// A caller who may read the patient gets the values to compare.
			if c.FirstName == nil || *c.FirstName != "Renée" || *c.LastName != "Müller" || c.Phone.MustGet() != "+41 44 555 01 23" || c.BirthDate.MustGet().String() != "1984-02-29" {
				t.Errorf("candidate for a caller who may read patients: %s, want name, phone and birth date in full",
					r.Body)
			}
			if strings.Contains(string(r.Body), "r@example.org") {
				t.Errorf("candidate: %s, want no member that is not compared", r.Body)
			}
		})
	}
	for name, members := range map[string]object{
		"NameAlone": {"first_name": "Renée", "last_name": "Müller"},
		"OtherDate": {"first_name": "Renée", "last_name": "Müller", "birth_date": "1984-02-28"},
		"OtherName": {"first_name": "René", "last_name": "Müllers", "birth_date": "1984-02-29"},
	} {
		t.Run(name, func(t *testing.T) {
			members["on_possible_duplicate"] = "refuse"
			f.register(members).Want(t, 201, "")
		})
	}
}

// As in the contract of the original system, of name, e-mail and phone only the e-mail address is
// unique. Possible duplicates are reported.
func TestRegistrationAcceptsNamesakes(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	body := func(i int) object {
		return object{"first_name": "John", "last_name": "Doe", "email": fmt.Sprintf("john%d@example.org", i), "phone": "+1 212 555 0100"}
	}
	var first, second, changed api.PatientSaved
	r := f.Post("/patients", body(1)).Want(t, 201, "")
	r.Decode(t, &first)
	if !strings.Contains(string(r.Body), `"possible_duplicates":[]`) {
		t.Errorf("registered: %s, want no possible duplicates", r.Body)
	}
	f.Post("/patients", body(2)).Want(t, 201, "").Decode(t, &second)
	if len(second.PossibleDuplicates) != 1 || second.PossibleDuplicates[0].ID != first.ID || *second.PossibleDuplicates[0].FirstName != "John" {
		t.Errorf("possible duplicates = %+v, want patient %d named John", second.PossibleDuplicates, first.ID)
	}
	f.Post("/patients", body(2)).Want(t, 409, "email-taken")
	refuse := body(3)
	refuse["on_possible_duplicate"] = "refuse"
	if p := f.problem(f.Post("/patients", refuse), 409, "possible-duplicate"); len(p.Candidates) != 2 {
		t.Errorf("candidates = %+v, want 2", p.Candidates)
	}
	refuse["email"] = "john1@example.org"
	f.Post("/patients", refuse).Want(t, 409, "email-taken")
	refuse["on_possible_duplicate"] = "ask"
	f.Post("/patients", refuse).Want(t, 422, "validation-failed")

	// A change that makes a record a possible duplicate reports it; one that ends this reports
	// none.
	other := f.registered(object{"first_name": "Jon", "last_name": "Doe", "phone": "+1 212 555 0100"})
	path := fmt.Sprintf("/patients/%d", other.ID)
	f.Patch(path, object{"first_name": "John"}).Want(t, 200, "").Decode(t, &changed)
	if ids := []int64{first.ID, second.ID}; len(changed.PossibleDuplicates) != 2 || changed.PossibleDuplicates[0].ID != ids[0] || changed.PossibleDuplicates[1].ID != ids[1] {
		t.Errorf("possible duplicates after a patch = %+v, want the patients %v", changed.PossibleDuplicates, ids)
	}
	r = f.Patch(path, object{"phone": nil}).Want(t, 200, "")
	if !strings.Contains(string(r.Body), `"possible_duplicates":[]`) {
		t.Errorf("patched: %s, want no possible duplicates", r.Body)
	}
}

// A stored response has no data of the candidates, so an erased patient is in no replay.
func TestReplayForgetsErasedCandidates(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	known := f.registered(object{"birth_date": "1984-02-29", "phone": "+41 44 555 77 88"})
	ask := func(key string, more object) *contracttest.Response {
		body := object{"first_name": "Ann", "last_name": "Muster", "birth_date": "1984-02-29"}
		maps.Copy(body, more)
		return f.Send(contracttest.Request{Method: "POST", Path: "/patients", Body: body, Header: http.Header{"Idempotency-Key": {key}}})
	}
	accept, refuse := "accept-0123456789", "refuse-0123456789"
	more := object{"on_possible_duplicate": "refuse"}
	ask(accept, nil).Want(t, 201, "")
	first := ask(refuse, more).Want(t, 409, "possible-duplicate")
	if !strings.Contains(string(first.Body), "555 77 88") {
		t.Errorf("refusal before the erasure: %s, want the candidate's phone", first.Body)
	}
	f.Post(fmt.Sprintf("/patients/%d/erase", known.ID), object{"reason": "asked for it"}).Want(t, 200, "")
	for _, r := range []*contracttest.Response{ask(accept, nil).Want(t, 201, ""), ask(refuse, more).Want(t, 409, "possible-duplicate")} {
		if strings.Contains(string(r.Body), "555 77 88") {
			t.Errorf("replay after the erasure: %s, want it without the erased phone", r.Body)
		}
	}
}

// The same person, registered by many clients at once through two servers, gets one record; one
// identifier sent with different names is given to one patient.
func TestRegistrationRace(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	other := setupOn(t, f.db, "UTC")
	var created, taken atomic.Int64
	together(50, func(i int) {
		server := []*fixture{f, other}[i%2]
		names := [][2]string{{"Renée", "Müller"}, {"renee", "MULLER"}, {"Muller", "Renée"}}[i%3]
		if r := server.register(object{"first_name": names[0], "last_name": names[1], "birth_date": "1984-02-29", "on_possible_duplicate": "refuse"}); r.Status == 201 {
			created.Add(1)
		} else {
			r.Want(t, 409, "possible-duplicate")
		}
		if r := server.register(object{"first_name": fmt.Sprint("N", i), "identifiers": []object{{"system": "ahv", "value": "756.7"}}}); r.Status == 201 {
			taken.Add(1)
		} else {
			r.Want(t, 409, "identifier-taken")
		}
	})
	if created.Load() != 1 || taken.Load() != 1 {
		t.Errorf("registered %d records of one person and %d patients with one identifier, want 1 and 1",
			created.Load(), taken.Load())
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	survivor := f.registered(object{"phone": "+41 44 555 01 23", "identifiers": []object{{"system": "a", "value": "1"}}})
	duplicate := f.registered(object{"email": "ann@example.org", "phone": "+41 44 555 09 99", "birth_date": "1984-02-29", "identifiers": []object{{"system": "b", "value": "2"}}})
	doctor := f.doctor()
	f.booked(survivor.ID, doctor, "2027-03-02T09:00:00Z", 30)
	future := f.booked(duplicate.ID, doctor, "2027-03-02T10:00:00Z", 30)
	cancelled := f.booked(duplicate.ID, doctor, "2027-03-02T09:30:00Z", 15)
	f.cancel(cancelled.ID)
	overlapping := f.booked(duplicate.ID, f.doctor(), "2027-03-02T09:15:00Z", 30)
	f.wait(object{"patient_id": duplicate.ID}).Want(t, 201, "")
	f.hold(doctor, "2027-03-03T10:00:00Z", object{"patient_id": duplicate.ID}).Want(t, 201, "")
	f.series(duplicate.ID, f.doctor(), nil).Want(t, 201, "")
	f.Post("/walk-ins", object{"patient_id": duplicate.ID, "doctor_id": doctor}).Want(t, 201, "")
	path := fmt.Sprintf("/patients/%d/merge", survivor.ID)
	body := object{"duplicate_id": duplicate.ID}

	var preview api.MergePreview
	f.Get(path+"-preview", "duplicate_id", fmt.Sprint(duplicate.ID)).Want(t, 200, "").Decode(t, &preview)
	if len(preview.Conflicts) != 2 || len(preview.Appointments) != 7 || !slices.Equal(preview.Gained, []api.MergePreviewGained{"email", "birth_date"}) {
		t.Errorf("merge preview = %+v, want 2 conflicts, 7 appointments, and email and birth_date gained", preview)
	}
	p := f.problem(f.Post(path, body), 409, "merge-conflict")
	if ids := idsOf(p.Appointments); len(ids) != 2 || !slices.Contains(ids, overlapping.ID) {
		t.Errorf("appointments of the refusal = %v, want 2, with %d among them", ids, overlapping.ID)
	}
	f.Get(fmt.Sprintf("/patients/%d", duplicate.ID)).Want(t, 200, "") // nothing has changed
	f.cancel(overlapping.ID)

	f.Send(contracttest.Request{Method: "POST", Path: path, Body: body, Header: http.Header{"If-Match": {`"9"`}}}).Want(t, 412, "precondition-failed")
	var merged api.MergeResult
	f.Post(path, body).Want(t, 200, "").Decode(t, &merged)
	if merged.Patient.Email.MustGet() != "ann@example.org" || merged.Patient.Phone.MustGet() != "+41 44 555 01 23" || len(merged.Patient.Identifiers) != 2 || len(merged.Appointments) != 7 {
		t.Errorf("merge = %+v, want e-mail, phone, 2 identifiers and 7 appointments", merged)
	}
	var read api.Patient
	f.Get(fmt.Sprintf("/patients/%d", survivor.ID)).Want(t, 200, "").Decode(t, &read)
	if diff := cmp.Diff(merged.Patient.Identifiers, read.Identifiers); diff != "" {
		t.Errorf("identifiers of the survivor (-merged +read):\n%s", diff)
	}
	r := f.Get(fmt.Sprintf("/patients/%d", duplicate.ID))
	if r.Status != http.StatusPermanentRedirect || r.Header.Get("Location") != fmt.Sprintf("/patients/%d", survivor.ID) {
		t.Errorf("GET of the duplicate = %d to %s, want 308 to /patients/%d",
			r.Status, r.Header.Get("Location"), survivor.ID)
	}
	if ids := f.found("mrn", duplicate.Mrn); !slices.Equal(ids, []int64{survivor.ID}) {
		t.Errorf("search by the duplicate's MRN = %v, want [%d]", ids, survivor.ID)
	}
	if ids := f.found("name", "muster"); !slices.Contains(ids, survivor.ID) || slices.Contains(ids, duplicate.ID) {
		t.Errorf("search by name = %v, want the survivor %d and not the duplicate %d",
			ids, survivor.ID, duplicate.ID)
	}
	refused := map[string]*contracttest.Response{
		"Book":      f.book(duplicate.ID, doctor, "2027-03-05T10:00:00Z", 30),
		"Hold":      f.hold(doctor, "2027-03-05T10:00:00Z", object{"patient_id": duplicate.ID}),
		"Change":    f.Patch(fmt.Sprintf("/patients/%d", duplicate.ID), object{"phone": nil}),
		"Delete":    f.Delete(fmt.Sprintf("/patients/%d", duplicate.ID)),
		"Again":     f.Post(path, body),
		"Preview":   f.Get(path+"-preview", "duplicate_id", fmt.Sprint(duplicate.ID)),
		"Waitlist":  f.wait(object{"patient_id": duplicate.ID}),
		"Backwards": f.Post(fmt.Sprintf("/patients/%d/merge", duplicate.ID), object{"duplicate_id": survivor.ID}),
	}
	for name, r := range refused {
		if p := f.problem(r, 409, "patient-merged"); p.MergedInto == nil || *p.MergedInto != survivor.ID {
			t.Errorf("%s with the duplicate: %s, want merged_into %d", name, r.Body, survivor.ID)
		}
	}
	f.act(cancelled.ID, "undo").Want(t, 200, "") // the cancellation, not the merge
	f.act(cancelled.ID, "undo").Want(t, 409, "invalid-transition")
	var left int
	for _, table := range []string{"appointments", "appointment_series", "tickets", "waitlist", "holds", "patient_identifiers"} {
		if err := f.db.DB.Get(&left, `SELECT COUNT(*) FROM `+table+` WHERE patient_id = ?`, duplicate.ID); err != nil || left != 0 {
			t.Errorf("%d rows of %s (%v) still belong to the duplicate, want none", left, table, err)
		}
	}
	var h api.AppointmentHistory
	f.Get(fmt.Sprintf("/appointments/%d/history", future.ID)).Want(t, 200, "").Decode(t, &h)
	if last := h.Items[len(h.Items)-1]; last.Action != "merge" || last.PatientID != survivor.ID {
		t.Errorf("last event of the history = %+v, want the merge into patient %d", last, survivor.ID)
	}
	f.book(survivor.ID, f.doctor(), "2027-03-02T10:00:00Z", 30).Want(t, 409, "patient-overlap") // it follows
	third := f.registered(nil)
	f.Post(fmt.Sprintf("/patients/%d/merge", third.ID), object{"duplicate_id": survivor.ID}).Want(t, 200, "")
	if r := f.Get(fmt.Sprintf("/patients/%d", duplicate.ID)); r.Header.Get("Location") != fmt.Sprintf("/patients/%d", third.ID) {
		t.Errorf("GET after two merges redirects to %s, want /patients/%d", r.Header.Get("Location"), third.ID)
	}
	f.Post(fmt.Sprintf("/patients/%d/merge", third.ID), object{"duplicate_id": third.ID}).Want(t, 422, "validation-failed")
	f.Post(fmt.Sprintf("/patients/%d/merge", third.ID), object{"duplicate_id": 999_999}).Want(t, 404, "patient-not-found")
	f.Post("/patients/999999/merge", object{"duplicate_id": third.ID}).Want(t, 404, "patient-not-found")
}

// Bookings race with a merge of both patients: every acknowledged booking belongs to the survivor
// afterwards, who is booked nowhere twice.
func TestMergeRacesBookings(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	other := setupOn(t, f.db, "UTC")
	doctors := []int64{f.doctor(), f.doctor()}
	for round := range 4 {
		survivor, duplicate := f.patient(), f.patient()
		day := at(fmt.Sprintf("2027-03-%02dT08:00:00Z", 10+round))
		var booked atomic.Int64
		together(17, func(i int) {
			if i == 16 {
				r := f.Post(fmt.Sprintf("/patients/%d/merge", survivor), object{"duplicate_id": duplicate})
				if r.Status != 200 {
					r.Want(t, 409, "merge-conflict")
				}
				return
			}
			for k := range 3 {
				patient := []int64{survivor, duplicate}[i%2]
				r := []*fixture{f, other}[k%2].book(patient, doctors[i/2%2], day.Add(time.Duration(i*3+k)*15*time.Minute).Format(time.RFC3339), 15)
				if r.Status == 201 {
					booked.Add(1)
				} else if r.Type() != "doctor-overlap" {
					r.Want(t, 409, "patient-merged")
				}
			}
		})
		var into *int64
		if err := f.db.DB.Get(&into, `SELECT merged_into FROM patients WHERE id = ?`, duplicate); err != nil {
			t.Fatal(err)
		}
		if into == nil {
			continue // they overlapped, which is refused
		}
		var stored, left int
		if err := f.db.DB.Get(&stored, `SELECT COUNT(*) FROM appointments WHERE patient_id = ?`, survivor); err != nil {
			t.Fatal(err)
		}
		if err := f.db.DB.Get(&left, `SELECT COUNT(*) FROM appointments WHERE patient_id = ?`, duplicate); err != nil {
			t.Fatal(err)
		}
		if int64(stored) != booked.Load() || left != 0 {
			t.Errorf("%d booked; %d with the survivor, %d with the duplicate; want all with the survivor",
				booked.Load(), stored, left)
		}
	}
}
