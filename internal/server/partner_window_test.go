package server_test

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/contracttest"
	"mems/internal/server"
	"mems/internal/store"
	"mems/internal/storetest"
)

// setupWindow starts a server whose partners may book from one to ten days ahead.
func setupWindow(t *testing.T) *secured {
	t.Helper()
	db, c := storetest.New(t), &clock{}
	log := slog.New(slog.DiscardHandler)
	db.Open(t, c.now, time.UTC)
	st, err := store.Open(store.Config{
		DSN: db.DSN, Now: c.now, Zone: time.UTC, Log: log, Partners: clinic.PartnerWindow{Lead: 24 * time.Hour, Horizon: 240 * time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	handler, err := server.New(server.Config{Store: st, Zone: time.UTC, Log: log, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(handler)
	t.Cleanup(h.Close)
	_, admin, err := st.CreateAPIKey(t.Context(), store.SystemRequest(), clinic.APIKey{Name: "admin", Role: clinic.RoleAdmin, ExpiresAt: now.AddDate(4, 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	client := contracttest.New(t, h.URL).With("X-API-Key", admin)
	return &secured{&fixture{Client: client, t: t, db: db, url: h.URL, clock: c}, client}
}

// Partners book, hold and reschedule within the clinic's window, and a refusal has its bounds;
// reception can book any time.
func TestPartnerBookingWindow(t *testing.T) {
	t.Parallel()
	s := setupWindow(t)
	partner, _ := s.key("partner", object{"scopes": []string{"patients:write", "appointments:write", "appointments:read"}})
	var patient api.Patient
	partner.Post("/patients", object{"first_name": "Ann", "last_name": "Muster"}).Want(t, 201, "").Decode(t, &patient)
	doctor := s.doctor()
	at := func(start string, more object) object {
		b := object{"doctor_id": doctor, "start_time": start, "duration_minutes": 30}
		maps.Copy(b, more)
		return b
	}
	of, soon, far := object{"patient_id": patient.ID}, "2027-03-02T07:59:00Z", "2027-03-11T08:01:00Z"
	var booked api.Appointment
	partner.Post("/appointments", at("2027-03-02T08:00:00Z", of)).Want(t, 201, "").Decode(t, &booked)
	for _, start := range []string{soon, far} {
		p := s.problem(partner.Post("/appointments", at(start, of)), 409, "outside-booking-window")
		if p.EarliestStart == nil || p.LatestStart == nil || !p.EarliestStart.Equal(now.Add(24*time.Hour)) || !p.LatestStart.Equal(now.Add(240*time.Hour)) {
			t.Errorf("booking window = %v to %v, want 24 and 240 hours from now", p.EarliestStart, p.LatestStart)
		}
		partner.Post("/holds", at(start, object{"seconds": 60})).Want(t, 409, "outside-booking-window")
		partner.Post(fmt.Sprintf("/appointments/%d/reschedule", booked.ID), object{"start_time": start}).Want(t, 409, "outside-booking-window")
	}
	series := object{"patient_id": patient.ID, "rule": "FREQ=DAILY;COUNT=20"}
	partner.Post("/appointment-series", at("2027-03-03T12:00:00Z", series)).Want(t, 409, "outside-booking-window")
	s.Post("/appointments", at(far, of)).Want(t, 201, "")
	s.Post("/appointments", at("2027-03-01T09:00:00Z", of)).Want(t, 201, "")
}

// Partners see and are offered only times in the window, and cannot book others through FHIR, an
// offer or a series.
func TestPartnerSeesTheBookingWindow(t *testing.T) {
	t.Parallel()
	s := setupWindow(t)
	partner, _ := s.key("partner", object{"scopes": []string{"patients:write", "patients:read", "appointments:write", "appointments:read", "waitlist:write", "waitlist:read"}})
	var patient api.Patient
	partner.Post("/patients", object{"first_name": "Ann", "last_name": "Muster"}).Want(t, 201, "").Decode(t, &patient)
	doctor := s.doctor()
	s.hours(doctor, "UTC", "00:00-24:00")
	earliest, latest := now.Add(24*time.Hour), now.Add(240*time.Hour)
	inside := func(what string, start time.Time) {
		t.Helper()
		if start.Before(earliest) || start.After(latest) {
			t.Errorf("%s at %v, want it between %v and %v", what, start, earliest, latest)
		}
	}
	id := fmt.Sprint(doctor)
	for _, window := range [][2]string{{"2027-03-01T08:00:00Z", "2027-03-03T00:00:00Z"}, {"2027-03-11T00:00:00Z", "2027-03-13T00:00:00Z"}} {
		var page api.SlotList
		partner.Get("/availability", "doctor_id", id, "duration_minutes", "30", "step_minutes", "30", "from", window[0], "to", window[1], "limit", "200").Want(t, 200, "").Decode(t, &page)
		if len(page.Items) == 0 {
			t.Errorf("no free time in %v, want some", window)
		}
		for _, slot := range page.Items {
			inside("a slot", slot.StartTime)
		}
	}
	var page api.SlotList
	partner.Get("/availability", "doctor_id", id, "duration_minutes", "30", "from", "2027-03-12T00:00:00Z", "to", "2027-03-13T00:00:00Z").Want(t, 200, "").Decode(t, &page)
	if len(page.Items) != 0 {
		t.Errorf("free times beyond the booking window = %+v, want none", page.Items)
	}
	var next api.NextAvailableList
	partner.Get("/availability/next", "doctor_id", id, "duration_minutes", "30").Want(t, 200, "").Decode(t, &next)
	inside("the next free time", next.Items[0].Slot.MustGet().StartTime)
	partner.Get("/availability/next", "doctor_id", id, "duration_minutes", "30", "from", "2027-03-12T00:00:00Z").Want(t, 200, "").Decode(t, &next)
	if !next.Items[0].Slot.IsNull() {
		t.Errorf("next free time beyond the booking window = %+v, want none", next.Items[0])
	}

	// There are alternatives at both ends.
	for _, start := range []string{"2027-03-02T08:00:00Z", "2027-03-11T08:00:00Z"} {
		s.booked(s.patient(), doctor, start, 30)
		p := s.problem(partner.Post("/appointments", object{"patient_id": patient.ID, "doctor_id": doctor, "start_time": start, "duration_minutes": 30}), 409, "doctor-overlap")
		if len(p.Alternatives) == 0 {
			t.Errorf("booking at the taken %s: no alternatives, want some", start)
		}
		for _, a := range p.Alternatives {
			inside("an alternative", a.StartTime)
		}
	}

	// A partner's waitlist entry is offered the first time in the window, one of reception any
	// time.
	wish := object{"patient_id": patient.ID, "doctor_ids": []int64{doctor}, "from": "2027-03-01T08:00:00Z", "to": "2027-03-05T00:00:00Z", "duration_minutes": 30}
	var made api.WaitlistEntry
	partner.Post("/waitlist", wish).Want(t, 201, "").Decode(t, &made)
	if _, err := made.Offer.Get(); err != nil {
		t.Errorf("created waitlist entry = %+v, want it with an offer", made)
	}
	offer, err := s.entry(made.ID).Offer.Get()
	if err != nil {
		t.Fatalf("waitlist entry = %+v, want it with an offer", s.entry(made.ID))
	}
	inside("an offer", offer.StartTime)
	wish["patient_id"] = s.patient()
	if offer, err := s.waits(wish).Offer.Get(); err == nil && !offer.StartTime.Before(earliest) {
		t.Errorf("reception's entry is offered %v, want a time before the partners' %v", offer.StartTime, earliest)
	}

	// The window is checked again on acceptance: the offered time has come too close by then.
	soon := s.doctor()
	s.hours(soon, "UTC", "08:05-08:20")
	var early api.WaitlistEntry
	partner.Post("/waitlist", object{
		"patient_id": patient.ID, "doctor_ids": []int64{soon}, "from": "2027-03-02T08:00:00Z", "to": "2027-03-02T09:00:00Z", "duration_minutes": 15,
	}).Want(t, 201, "").Decode(t, &early)
	s.pass(6 * time.Minute)
	partner.Post(fmt.Sprintf("/waitlist/%d/accept", early.ID), nil).Want(t, 409, "outside-booking-window")
	s.pass(44 * time.Minute)
	book := func(start string) *contracttest.Response {
		end := at(start).Add(30 * time.Minute).Format(time.RFC3339)
		return partner.Post("/fhir/Appointment/$book", object{
			"resourceType": "Appointment", "status": "proposed", "start": start, "end": end,
			"participant": []object{
				{"actor": object{"reference": fmt.Sprintf("Patient/%d", patient.ID)}, "status": "accepted"},
				{"actor": object{"reference": fmt.Sprintf("Practitioner/%d", doctor)}, "status": "accepted"},
			},
		})
	}
	for _, start := range []string{"2027-03-01T12:00:00Z", "2027-03-12T12:00:00Z"} {
		if r := book(start); r.Status != 409 || !strings.Contains(string(r.Body), "outside-booking-window") ||
			!strings.Contains(string(r.Body), "Earliest start: 2027-03-02T08:50:00Z. Latest start: 2027-03-11T08:50:00Z.") {
			t.Errorf("$book at %s = %d %s, want 409 outside-booking-window with both ends", start, r.Status, r.Body)
		}
	}
	var series struct {
		Series struct{ ID int64 }
	}
	partner.Post("/appointment-series", object{"patient_id": patient.ID, "doctor_id": doctor, "start_time": "2027-03-04T12:00:00Z", "duration_minutes": 30, "rule": "FREQ=DAILY;COUNT=3"}).Want(t, 201, "").Decode(t, &series)
	partner.Post(fmt.Sprintf("/appointment-series/%d/reschedule", series.Series.ID), object{"shift_days": 8}).Want(t, 409, "outside-booking-window")
}
