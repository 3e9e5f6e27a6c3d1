package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/contracttest"
	"mems/internal/server"
)

// A rejected caller is in the trail and in the log, with subject and address, once a minute for
// each operation; a flood from many addresses without a key fills neither.
func TestRefusalsAreWrittenDown(t *testing.T) {
	t.Parallel()
	log := &lines{}
	s := setupSecured(t, func(c *server.Config) { c.Log = jsonLog(log) })
	foreign := s.patient()
	partner, id := s.key("partner", object{"scopes": []string{"patients:read"}})
	subject := fmt.Sprintf("key:%d", id)
	for range 3 {
		partner.Get(fmt.Sprintf("/patients/%d", foreign)).Want(t, 404, "patient-not-found")
		partner.Get("/api-keys").Want(t, 403, "forbidden")
		contracttest.New(t, s.url).Get("/patients").Want(t, 401, "unauthenticated")
	}
	s.Get("/patients/999999").Want(t, 404, "patient-not-found") // no limits, nothing hidden
	refused := func(query ...string) []string {
		var got []string
		for _, e := range s.trail(query...) {
			if e.Object == clinic.AuditRefused {
				got = append(got, e.Operation+" "+e.Reason.MustGet()+" "+e.Address.MustGet())
			}
		}
		slices.Sort(got)
		return got
	}
	if got, want := refused("subject", subject), []string{"getPatient patient-not-found 127.0.0.1", "listApiKeys forbidden 127.0.0.1"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := refused("subject", clinic.Anonymous), []string{"listPatients unauthenticated 127.0.0.1"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := refused("patient_id", fmt.Sprint(foreign)); len(got) != 1 {
		t.Errorf("refusals about the patient in the trail = %q, want one", got)
	}
	s.pass(time.Minute)
	partner.Get("/api-keys").Want(t, 403, "forbidden")
	if got := refused("subject", subject); len(got) != 3 {
		t.Errorf("refusals of the subject a minute later = %q, want 3", got)
	}
	for _, want := range []string{`"subject":"` + subject + `","address":"127.0.0.1"`, `"subject":"anonymous","address":"127.0.0.1"`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, log.String())
		}
	}
	// An id beyond the contract's range is recorded as none.
	partner.Post("/doctors/9223372036854775808/time-off", object{}).Want(t, 403, "forbidden")
	s.trail("subject", subject) // matches the contract
	if report := s.verify(); len(report.Faults) > 0 {
		t.Errorf("verification: faults %q, want none", report.Faults)
	}
}

// The entries about a patient are found before the index has caught up, in part, and after; by the
// survivor's id and by that of a merged record. An export names no other patient.
func TestAuditOfPatient(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, nil)
	kept, gone, other := s.patient(), s.patient(), s.patient()
	s.Get("/patients").Want(t, 200, "") // shows all three
	s.Get(fmt.Sprintf("/patients/%d", gone)).Want(t, 200, "")
	s.Post(fmt.Sprintf("/patients/%d/merge", kept), object{"duplicate_id": gone}).Want(t, 200, "")
	ids := func(patient int64) (ids []int64) {
		for _, e := range s.trail("patient_id", fmt.Sprint(patient)) {
			if e.Operation != "listAuditEntries" {
				ids = append(ids, e.ID)
			}
		}
		return ids
	}
	before := ids(kept)
	if len(before) < 4 || !slices.Equal(before, ids(gone)) {
		t.Errorf("trail of the survivor = %v, of the merged record %v; want at least 4 entries, and the same",
			before, ids(gone))
	}
	st := s.db.Open(t, s.clock.now, time.UTC)
	if n, err := st.IndexAudit(t.Context()); err != nil || n != 0 {
		t.Errorf("IndexAudit = %d, %v, want 0: not every reader may see these entries yet", n, err)
	}
	s.pass(time.Minute)
	s.Get(fmt.Sprintf("/patients/%d", kept)).Want(t, 200, "") // stays out of the index
	if n, err := st.IndexAudit(t.Context()); err != nil || n < 5 {
		t.Errorf("IndexAudit = %d, %v, want at least 5", n, err)
	}
	if after := ids(gone); len(after) != len(before)+1 || !slices.Equal(after[1:], before) {
		t.Errorf("trail after indexing = %v, want one more than before: %v", after, before)
	}
	var file api.PatientExport
	s.Get(fmt.Sprintf("/patients/%d/export", gone)).Want(t, 200, "").Decode(t, &file)
	lists := 0
	for _, e := range file.Audit {
		if slices.Contains(e.PatientIds, other) {
			t.Errorf("entry in the export = %+v, want no other patient", e)
		}
		if len(e.PatientIds) > 1 {
			lists++
		}
	}
	if lists == 0 {
		t.Error("no entry of the export is of the list that showed both records, want one")
	}
}

// A record that the caller cannot access gets the response of an unknown one, whatever its state:
// the same status, problem and members.
func TestBeyondReachIsLikeMissing(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, nil)
	mine := s.doctor()
	scopes := slices.DeleteFunc(clinic.Scopes(), func(s string) bool { return s == clinic.ScopeRecordsAll })
	partner, _ := s.key("partner", object{"scopes": scopes})
	doctor, _ := s.key("doctor", object{"doctor_id": mine})
	foreign, merged, erased := s.patient(), s.patient(), s.patient()
	s.Post(fmt.Sprintf("/patients/%d/merge", foreign), object{"duplicate_id": merged}).Want(t, 200, "")
	s.Post(fmt.Sprintf("/patients/%d/erase", erased), object{"reason": "asked"}).Want(t, 200, "")
	const missing = 999999
	day := "2027-03-09T0%d:00:00Z"
	for name, request := range map[string]func(id int64) (method, path string, body any){
		"read":      func(id int64) (string, string, any) { return "GET", fmt.Sprintf("/patients/%d", id), nil },
		"read FHIR": func(id int64) (string, string, any) { return "GET", fmt.Sprintf("/fhir/Patient/%d", id), nil },
		"change": func(id int64) (string, string, any) {
			return "PATCH", fmt.Sprintf("/patients/%d", id), object{"first_name": "X"}
		},
		"delete": func(id int64) (string, string, any) { return "DELETE", fmt.Sprintf("/patients/%d", id), nil },
		"book": func(id int64) (string, string, any) {
			return "POST", "/appointments", object{"patient_id": id, "doctor_id": mine, "start_time": fmt.Sprintf(day, 9), "duration_minutes": 30}
		},
		"hold": func(id int64) (string, string, any) {
			return "POST", "/holds", object{"patient_id": id, "doctor_id": mine, "start_time": fmt.Sprintf(day, 9), "duration_minutes": 30}
		},
		"series": func(id int64) (string, string, any) {
			return "POST", "/appointment-series", object{"patient_id": id, "doctor_id": mine, "start_time": fmt.Sprintf(day, 9), "duration_minutes": 30, "rule": "FREQ=DAILY;COUNT=2"}
		},
		"wait": func(id int64) (string, string, any) {
			return "POST", "/waitlist", object{"patient_id": id, "from": "2027-05-01T00:00:00Z", "to": "2027-05-02T00:00:00Z", "duration_minutes": 30}
		},
		"walk in": func(id int64) (string, string, any) {
			return "POST", "/walk-ins", object{"patient_id": id, "doctor_id": mine}
		},
		"free times": func(id int64) (string, string, any) {
			return "GET", fmt.Sprintf("/availability?duration_minutes=30&from=2027-03-02T00:00:00Z&to=2027-03-03T00:00:00Z&patient_id=%d", id), nil
		},
		"first free": func(id int64) (string, string, any) {
			return "GET", fmt.Sprintf("/availability/next?duration_minutes=30&patient_id=%d", id), nil
		},
		"appointments": func(id int64) (string, string, any) {
			return "GET", fmt.Sprintf("/appointments?patient_id=%d", id), nil
		},
	} {
		for who, client := range map[string]*contracttest.Client{"partner": partner, "doctor": doctor} {
			answer := func(id int64) string {
				method, path, body := request(id)
				a := client.Send(contracttest.Request{Method: method, Path: path, Body: body})
				text := strings.ReplaceAll(string(a.Body), fmt.Sprint(a.Header.Get("X-Request-ID")), "")
				return fmt.Sprintf("%d %s", a.Status, strings.ReplaceAll(text, fmt.Sprintf("/%d\"", id), "/ID\""))
			}
			want := answer(missing)
			if strings.HasPrefix(want, fmt.Sprint(http.StatusConflict)) {
				t.Errorf("%s by %s for no record = %s, want no 409", name, who, want)
			}
			for what, id := range map[string]int64{"foreign": foreign, "merged": merged, "erased": erased} {
				if got := answer(id); got != want {
					t.Errorf("%s by %s for a %s record = %s\nwant as for no record: %s", name, who, what, got, want)
				}
			}
		}
	}
}
