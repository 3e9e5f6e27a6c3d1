package server_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/contracttest"
	"mems/internal/server"
	"mems/internal/store"
	"mems/internal/storetest"
)

// secured is a server that authenticates its callers.
type secured struct {
	*fixture
	admin *contracttest.Client
}

// setupSecured starts a server that requires keys; change may configure it further.
func setupSecured(t *testing.T, change func(*server.Config)) *secured {
	t.Helper()
	db := storetest.New(t)
	c := &clock{}
	st := db.Open(t, c.now, time.UTC)
	cfg := server.Config{Store: st, Zone: time.UTC, Log: slog.New(slog.DiscardHandler), Now: c.now, RequestTimeout: 30 * time.Second}
	if change != nil {
		change(&cfg)
	}
	s, err := server.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	_, key, err := st.CreateAPIKey(t.Context(), store.SystemRequest(), clinic.APIKey{Name: "admin", Role: clinic.RoleAdmin, ExpiresAt: now.AddDate(4, 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	client := contracttest.New(t, h.URL)
	admin := client.With("X-API-Key", key)
	// The fixture's helpers act as the administrator.
	return &secured{&fixture{Client: admin, t: t, db: db, url: h.URL, clock: c}, admin}
}

// key creates a key and returns its client and its id.
func (s *secured) key(role string, members object) (*contracttest.Client, int64) {
	s.t.Helper()
	body := object{"name": "test " + role, "role": role}
	maps.Copy(body, members)
	var made api.APIKeyCreated
	s.admin.Post("/api-keys", body).Want(s.t, 201, "").Decode(s.t, &made)
	return s.admin.With("X-API-Key", made.Key), made.ID
}

// Every operation is called by every role: callers with the permission that the contract states are
// let in, all others are rejected. A caller without a key gets public operations only.
func TestEveryOperationByEveryRole(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, nil)
	doctor := s.doctor()
	scopes := clinic.Scopes()
	clients := map[string]*contracttest.Client{"nobody": contracttest.New(t, s.url)}
	callers := map[string]clinic.Caller{"nobody": {}}
	for _, role := range clinic.Roles() {
		members := object{}
		if role == clinic.RoleDoctor {
			members["doctor_id"] = doctor
		}
		clients[string(role)], _ = s.key(string(role), members)
		callers[string(role)] = clinic.Caller{Subject: "x", Roles: []clinic.Role{role}}
	}
	clients["partner with every scope"], _ = s.key("partner", object{"scopes": scopes})
	callers["partner with every scope"] = clinic.Caller{Subject: "x", Roles: []clinic.Role{clinic.RolePartner}, Scopes: scopes}
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			needs := clinic.Permission(op.Extensions["x-permission"].(string))
			if needs != clinic.Public && !strings.Contains(op.Description, "Permission: `"+string(needs)+"`.") {
				t.Errorf("description of %s: does not state its permission, want \"Permission: `%s`.\"",
					op.OperationID, needs)
			}
			request := contracttest.Request{Method: method, Path: strings.NewReplacer("{id}", "999999", "{time_off_id}", "9", "{slug}", "not-found").Replace(path), Body: exampleOf(op)}
			for name, client := range clients {
				caller := callers[name]
				answer := client.Send(request)
				asked++
				var want []int
				switch {
				case needs == clinic.Public:
				case name == "nobody":
					want = []int{401}
				case !caller.May(needs):
					want = []int{403}
				}
				refused := answer.Status == 401 || answer.Status == 403
				if foreign := name == "doctor" && answer.Status == 403 && caller.May(needs); foreign {
					if strings.Contains(string(answer.Body), `"permission"`) {
						t.Errorf("%s by a doctor: the 403 names a permission, want it to name the calendar: %s", op.OperationID, answer.Body)
					}
					continue // has the permission; the example is another doctor's calendar
				}
				if len(want) == 0 && refused || len(want) > 0 && !slices.Contains(want, answer.Status) {
					t.Errorf("%s by %s: %d %s, want %v", op.OperationID, name, answer.Status, answer.Body, want)
				}
				if answer.Status == 401 && answer.Header.Get("WWW-Authenticate") == "" {
					t.Errorf("%s: 401 without WWW-Authenticate, want one", op.OperationID)
				}
			}
		}
	}
	t.Logf("%d requests", asked)
}

// exampleOf is the first example of a request's body, nil when there is none.
func exampleOf(op *openapi3.Operation) any {
	if op.RequestBody == nil {
		return nil
	}
	for _, media := range op.RequestBody.Value.Content {
		for _, e := range media.Examples {
			return e.Value.Value
		}
	}
	return object{}
}

// A record that a doctor or a partner cannot access does not exist for them: they can neither read
// nor change it, and no list has it.
func TestReach(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, nil)
	mine, other := s.doctor(), s.doctor()
	doctor, _ := s.key("doctor", object{"doctor_id": mine})
	scopes := slices.DeleteFunc(clinic.Scopes(), func(s string) bool { return s == clinic.ScopeRecordsAll })
	partner, _ := s.key("partner", object{"scopes": scopes})
	rival, _ := s.key("partner", object{"scopes": scopes})

	var referred api.Patient
	partner.Post("/patients", object{"first_name": "Ref", "last_name": "Erred", "birth_date": "1980-01-01"}).Want(t, 201, "").Decode(t, &referred)
	known := s.patient()
	book := func(c *contracttest.Client, patient, doctor int64, at string) api.Appointment {
		t.Helper()
		var a api.Appointment
		c.Post("/appointments", object{"patient_id": patient, "doctor_id": doctor, "start_time": at, "duration_minutes": 30}).Want(t, 201, "").Decode(t, &a)
		return a
	}
	visit := book(s.admin, known, mine, "2027-03-02T09:00:00Z")
	foreign := book(s.admin, s.patient(), other, "2027-03-02T09:00:00Z")
	referral := book(partner, referred.ID, other, "2027-03-02T10:00:00Z")
	var series, foreignSeries api.SeriesBooked
	create := func(patient int64, doctor int64, day string) object {
		return object{"patient_id": patient, "doctor_id": doctor, "start_time": day + "T12:00:00Z", "duration_minutes": 30, "rule": "FREQ=DAILY;COUNT=2"}
	}
	s.Post("/appointment-series", create(known, mine, "2027-04-01")).Want(t, 201, "").Decode(t, &series)
	s.Post("/appointment-series", create(foreign.PatientID, other, "2027-04-01")).Want(t, 201, "").Decode(t, &foreignSeries)
	var waiting api.WaitlistEntry
	s.Post("/waitlist", object{"patient_id": known, "from": "2027-05-01T00:00:00Z", "to": "2027-05-02T00:00:00Z", "duration_minutes": 30}).Want(t, 201, "").Decode(t, &waiting)
	var held api.HoldCreated
	s.Post("/holds", object{"doctor_id": other, "start_time": "2027-06-01T12:00:00Z", "duration_minutes": 30, "seconds": 60}).Want(t, 201, "").Decode(t, &held)
	var ticket api.Ticket
	s.Post("/walk-ins", object{"patient_id": known, "doctor_id": other}).Want(t, 201, "").Decode(t, &ticket)

	cancel := object{"reason": "other"}
	for _, c := range []struct {
		who    string
		client *contracttest.Client
		method string
		path   string
		body   any
		status int
	}{
		{"doctor", doctor, "GET", fmt.Sprintf("/appointments/%d", visit.ID), nil, 200},
		{"doctor", doctor, "GET", fmt.Sprintf("/appointments/%d", foreign.ID), nil, 404},
		{"doctor", doctor, "GET", fmt.Sprintf("/appointments/%d/history", foreign.ID), nil, 404},
		{"doctor", doctor, "POST", fmt.Sprintf("/appointments/%d/cancel", foreign.ID), cancel, 404},
		{"doctor", doctor, "POST", fmt.Sprintf("/appointments/%d/check-in", foreign.ID), nil, 404},
		{"doctor", doctor, "POST", fmt.Sprintf("/appointments/%d/undo", foreign.ID), nil, 404},
		{"doctor", doctor, "POST", fmt.Sprintf("/appointments/%d/reschedule", foreign.ID), object{"start_time": "2027-03-03T09:00:00Z"}, 404},
		{"doctor", doctor, "POST", fmt.Sprintf("/appointments/%d/reschedule", visit.ID), object{"doctor_id": other}, 403},
		{"doctor", doctor, "POST", fmt.Sprintf("/appointments/%d/confirm", visit.ID), nil, 200},
		{"doctor", doctor, "GET", fmt.Sprintf("/patients/%d", known), nil, 200},
		{"doctor", doctor, "GET", fmt.Sprintf("/patients/%d", foreign.PatientID), nil, 404},
		{"doctor", doctor, "GET", fmt.Sprintf("/appointment-series/%d", series.Series.ID), nil, 200},
		{"doctor", doctor, "GET", fmt.Sprintf("/appointment-series/%d", foreignSeries.Series.ID), nil, 404},
		{"doctor", doctor, "POST", fmt.Sprintf("/appointment-series/%d/cancel", foreignSeries.Series.ID), cancel, 404},
		{"doctor", doctor, "GET", fmt.Sprintf("/holds/%d", held.ID), nil, 404},
		{"doctor", doctor, "DELETE", fmt.Sprintf("/holds/%d", held.ID), nil, 404},
		{"doctor", doctor, "GET", fmt.Sprintf("/tickets/%d", ticket.ID), nil, 404},
		{"doctor", doctor, "POST", fmt.Sprintf("/tickets/%d/call", ticket.ID), nil, 404},
		{"doctor", doctor, "GET", fmt.Sprintf("/queue?doctor_id=%d", other), nil, 403},
		{"doctor", doctor, "GET", fmt.Sprintf("/queue?doctor_id=%d", mine), nil, 200},
		{"doctor", doctor, "POST", "/queue/call-next", object{"doctor_id": other}, 403},
		{"doctor", doctor, "POST", "/appointments", object{"patient_id": known, "doctor_id": other, "start_time": "2027-03-09T09:00:00Z", "duration_minutes": 30}, 403},
		{"doctor", doctor, "POST", "/appointments", object{"patient_id": foreign.PatientID, "doctor_id": mine, "start_time": "2027-03-09T09:00:00Z", "duration_minutes": 30}, 404},
		{"doctor", doctor, "POST", fmt.Sprintf("/doctors/%d/time-off", other), object{"start_time": "2027-08-01T00:00:00Z", "end_time": "2027-08-02T00:00:00Z", "reason": "vacation"}, 403},
		{"doctor", doctor, "POST", fmt.Sprintf("/doctors/%d/time-off", mine), object{"start_time": "2027-08-01T00:00:00Z", "end_time": "2027-08-02T00:00:00Z", "reason": "vacation"}, 201},

		{"partner", partner, "GET", fmt.Sprintf("/appointments/%d", referral.ID), nil, 200},
		{"partner", partner, "GET", fmt.Sprintf("/appointments/%d", visit.ID), nil, 404},
		{"partner", partner, "POST", fmt.Sprintf("/appointments/%d/cancel", visit.ID), cancel, 404},
		{"partner", partner, "GET", fmt.Sprintf("/patients/%d", known), nil, 404},
		{"partner", partner, "PATCH", fmt.Sprintf("/patients/%d", known), object{"first_name": "X"}, 404},
		{"partner", partner, "DELETE", fmt.Sprintf("/patients/%d", known), nil, 404},
		{"partner", partner, "GET", fmt.Sprintf("/waitlist/%d", waiting.ID), nil, 404},
		{"partner", partner, "DELETE", fmt.Sprintf("/waitlist/%d", waiting.ID), nil, 404},
		{"partner", partner, "POST", fmt.Sprintf("/waitlist/%d/accept", waiting.ID), nil, 404},
		{"partner", partner, "POST", "/waitlist", object{"patient_id": known, "from": "2027-05-01T00:00:00Z", "to": "2027-05-02T00:00:00Z", "duration_minutes": 30}, 404},
		{"partner", partner, "POST", "/appointments", object{"patient_id": known, "doctor_id": mine, "start_time": "2027-03-09T09:00:00Z", "duration_minutes": 30}, 404},
		{"partner", partner, "POST", "/appointments", object{
			"patient_id": referred.ID, "doctor_id": mine, "start_time": "2027-03-09T09:00:00Z", "duration_minutes": 30,
			"override": object{"rules": []string{"outside-working-hours"}, "reason": "because"},
		}, 403},
		{"partner", partner, "GET", fmt.Sprintf("/availability?duration_minutes=30&from=2027-03-02T00:00:00Z&to=2027-03-03T00:00:00Z&patient_id=%d", known), nil, 404},
		{"partner", partner, "GET", fmt.Sprintf("/availability?duration_minutes=30&from=2027-03-02T00:00:00Z&to=2027-03-03T00:00:00Z&patient_id=%d", referred.ID), nil, 200},
		{"partner", partner, "GET", fmt.Sprintf("/availability/next?duration_minutes=30&patient_id=%d", known), nil, 404},
		{"rival", rival, "GET", fmt.Sprintf("/patients/%d", referred.ID), nil, 404},
		{"rival", rival, "GET", fmt.Sprintf("/appointments/%d", referral.ID), nil, 404},
		{"rival", rival, "POST", fmt.Sprintf("/appointments/%d/cancel", referral.ID), cancel, 404},
	} {
		if answer := c.client.Send(contracttest.Request{Method: c.method, Path: c.path, Body: c.body}); answer.Status != c.status {
			t.Errorf("%s: %s %s: %d %s, want %d", c.who, c.method, c.path, answer.Status, answer.Body, c.status)
		}
	}

	// A list shows nothing that a single read would refuse.
	for name, client := range map[string]*contracttest.Client{"doctor": doctor, "partner": partner, "rival": rival} {
		for _, list := range []struct{ path, item string }{
			{"/patients", "/patients/%v"},
			{"/patients?name=Muster", "/patients/%v"},
			{"/appointments?from=2027-01-01T00:00:00Z&to=2027-12-31T00:00:00Z", "/appointments/%v"},
			{fmt.Sprintf("/appointments?patient_id=%d", known), "/appointments/%v"},
			{fmt.Sprintf("/appointments?date=2027-03-02&doctor_id=%d", other), "/appointments/%v"},
			{"/waitlist", "/waitlist/%v"},
		} {
			answer := client.Get(list.path)
			if answer.Status == 403 {
				continue // not even the list
			}
			var page struct{ Items []struct{ ID json.Number } }
			answer.Want(t, 200, "").Decode(t, &page)
			for _, item := range page.Items {
				if one := client.Get(fmt.Sprintf(list.item, item.ID)); one.Status != 200 {
					t.Errorf("%s: %s lists %s, but reading it returns %d, want 200", name, list.path, item.ID, one.Status)
				}
			}
			if name != "rival" && strings.HasPrefix(list.path, "/patients") && len(page.Items) == 0 && list.path == "/patients" {
				t.Errorf("%s: %s lists no patient, want some", name, list.path)
			}
		}
	}
	// A partner learns that a similar patient is registered, but not who.
	clash := rival.Post("/patients", object{"first_name": "Ref", "last_name": "Erred", "birth_date": "1980-01-01", "on_possible_duplicate": "refuse"}).Want(t, 409, "possible-duplicate")
	if strings.Contains(string(clash.Body), `"candidates"`) {
		t.Errorf("the refusal has candidates, want none: %s", clash.Body)
	}
}

// A key works until it is revoked or expires, and only exactly as it was issued.
func TestKeys(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, nil)
	client, id := s.key("receptionist", nil)
	client.Get("/patients").Want(t, 200, "")
	var me api.Caller
	client.Get("/me").Want(t, 200, "").Decode(t, &me)
	if me.Subject != fmt.Sprintf("key:%d", id) || me.Kind != "key" || !slices.Contains(me.Permissions, "patients:write") {
		t.Errorf("caller %+v, want the key with its permissions", me)
	}
	var record api.APIKey
	s.Get(fmt.Sprintf("/api-keys/%d", id)).Want(t, 200, "").Decode(t, &record)
	if record.LastUsedAt.IsNull() || record.CreatedBy != "key:1" {
		t.Errorf("key %+v, want a last use, and created by key:1", record)
	}
	for _, wrong := range []string{"", "x", "mems_1_", "mems_1_" + strings.Repeat("A", 43), "mems_-1_" + strings.Repeat("A", 43), "mems_99_" + strings.Repeat("A", 43), "MEMS_1_" + strings.Repeat("A", 43), strings.Repeat("9", 10000)} {
		contracttest.New(t, s.url).With("X-API-Key", wrong).Get("/patients").Want(t, 401, "unauthenticated")
	}
	client.With("Authorization", "Bearer x").Get("/patients").Want(t, 401, "unauthenticated") // one of them, not both
	s.Post(fmt.Sprintf("/api-keys/%d/revoke", id), nil).Want(t, 200, "")
	client.Get("/patients").Want(t, 401, "unauthenticated")
	s.Post(fmt.Sprintf("/api-keys/%d/revoke", id), nil).Want(t, 200, "") // again

	short, _ := s.key("receptionist", object{"expires_at": now.Add(time.Hour)})
	s.pass(time.Hour - time.Second)
	short.Get("/patients").Want(t, 200, "")
	s.pass(time.Second)
	short.Get("/patients").Want(t, 401, "unauthenticated")

	for name, body := range map[string]object{
		"ScopesOfReceptionist": {"name": "x", "role": "receptionist", "scopes": []string{"patients:read"}},
		"DoctorWithoutDoctor":  {"name": "x", "role": "doctor"},
		"DoctorOfReceptionist": {"name": "x", "role": "receptionist", "doctor_id": 1},
		"Expired":              {"name": "x", "role": "partner", "expires_at": "2020-01-01T00:00:00Z"},
		"ForEver":              {"name": "x", "role": "partner", "expires_at": "2099-01-01T00:00:00Z"},
		"Blank":                {"name": " \t", "role": "partner"},
		"OtherRole":            {"name": "x", "role": "root"},
		"OtherScope":           {"name": "x", "role": "partner", "scopes": []string{"audit:read"}},
	} {
		if r := s.Post("/api-keys", body); r.Status != 422 {
			t.Errorf("%s: status %d, want 422: %s", name, r.Status, r.Body)
		}
	}
	s.Post("/api-keys", object{"name": "x", "role": "doctor", "doctor_id": 999}).Want(t, 404, "doctor-not-found")
	// The database holds no key.
	var dump []string
	if err := s.db.DB.Select(&dump, `SELECT CONCAT(name, HEX(secret_hash), scopes, created_by) FROM api_keys`); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(strings.Join(dump, " "), "mems_") {
		t.Errorf("the table holds a key in plain text, want hashes: %v", dump)
	}
}

func jsonLog(w *lines) *slog.Logger { return slog.New(slog.NewJSONHandler(w, nil)) }
