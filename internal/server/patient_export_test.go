package server_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mems/gen/api"
)

// No part of an export identifies another patient: neither lists that were read, nor the waitlist,
// the queue, series, merges and possible duplicates.
func TestExportNamesNoOtherPatient(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, nil)
	if _, err := s.db.DB.Exec(`ALTER TABLE patients AUTO_INCREMENT = 700001`); err != nil {
		t.Fatal(err)
	}
	doctor := s.doctor()
	s.hours(doctor, "UTC", "08:00-18:00")
	stranger := func(i int) int64 {
		return s.registered(object{"first_name": "Strangername", "last_name": fmt.Sprintf("Elsewhere %d", i), "phone": "+41 44 555 01 77", "email": fmt.Sprintf("stranger%d@example.org", i)}).ID
	}
	others := []int64{stranger(1), stranger(2), stranger(3), stranger(4)}
	own, duplicate := s.patient(), s.patient()
	// Possible duplicates.
	s.Post("/patients", object{"first_name": "Strangername", "last_name": "Elsewhere 1", "phone": "+41 44 555 01 77", "on_possible_duplicate": "refuse"}).Want(t, 409, "possible-duplicate")
	for i, p := range append([]int64{own}, others[:2]...) {
		start := fmt.Sprintf("2027-03-02T%02d:00:00Z", 9+i)
		visit := s.booked(p, doctor, start, 30)
		s.book(own, doctor, start, 30) // taken, for the others
		s.Post("/appointment-series", object{"patient_id": p, "doctor_id": doctor, "start_time": fmt.Sprintf("2027-04-02T%02d:00:00Z", 9+i), "duration_minutes": 30, "rule": "FREQ=DAILY;COUNT=2"}).Want(t, 201, "")
		s.Post("/walk-ins", object{"patient_id": p, "doctor_id": doctor}).Want(t, 201, "")
		s.waits(object{"patient_id": p, "doctor_ids": []int64{doctor}})
		if p != own {
			s.cancel(visit.ID) // freed: offered to who waits
		}
	}
	s.Post("/plans", object{"doctor_id": doctor, "start_time": "2027-03-02T08:00:00Z", "end_time": "2027-03-02T18:00:00Z"})
	s.Get("/patients").Want(t, 200, "")
	s.Get("/appointments?from=2027-01-01T00:00:00Z&to=2027-12-31T00:00:00Z").Want(t, 200, "")
	s.Get("/queue", "doctor_id", fmt.Sprint(doctor)).Want(t, 200, "")
	s.Get("/waitlist").Want(t, 200, "")
	s.Get(fmt.Sprintf("/patients/%d/merge-preview", own), "duplicate_id", fmt.Sprint(others[3]))
	s.Post(fmt.Sprintf("/patients/%d/merge", own), object{"duplicate_id": duplicate}).Want(t, 200, "")
	s.Post(fmt.Sprintf("/patients/%d/merge", others[0]), object{"duplicate_id": others[2]}).Want(t, 200, "")
	text := string(s.Get(fmt.Sprintf("/patients/%d/export", own)).Want(t, 200, "").Body)
	if !strings.Contains(text, fmt.Sprint(own)) || !strings.Contains(text, fmt.Sprint(duplicate)) {
		t.Errorf("export lacks the patient's own ids %d and %d, want both:\n%s", own, duplicate, text)
	}
	words := []string{"Strangername", "Elsewhere", "stranger", "555 01 77"}
	for _, id := range others {
		words = append(words, fmt.Sprint(id))
	}
	for _, word := range words {
		if i := strings.Index(text, word); i >= 0 {
			t.Errorf("export has %q, want nothing of other patients: %s",
				word, text[max(0, i-300):min(len(text), i+100)])
		}
	}
}

// The trail can be read from a time, up to a time, and between two.
func TestAuditOfATime(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, nil)
	s.pass(time.Hour)
	first := s.patient()
	s.pass(time.Hour)
	second := s.patient()
	hour := func(n int) string { return now.Add(time.Duration(n) * time.Hour).Format(time.RFC3339) }
	for name, c := range map[string]struct {
		query []string
		want  []int64 // newest first
	}{
		"All":       {nil, []int64{second, first}},
		"From":      {[]string{"from", hour(2)}, []int64{second}},
		"To":        {[]string{"to", hour(2)}, []int64{first}},
		"Between":   {[]string{"from", hour(1), "to", hour(2)}, []int64{first}},
		"OfPatient": {[]string{"from", hour(2), "patient_id", fmt.Sprint(first)}, nil},
		"Before":    {[]string{"to", hour(1)}, nil},
	} {
		var got []int64
		for _, e := range s.trail(append(c.query, "operation", "createPatient")...) {
			got = append(got, e.ObjectID.MustGet())
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// An index whose last run was interrupted before its end was recorded is rebuilt from there: no row
// twice, none missing.
func TestAuditIndexGoesOnAfterAnInterruption(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, nil)
	patients := []int64{s.patient(), s.patient()}
	s.Get("/patients").Want(t, 200, "")
	s.pass(time.Minute)
	st := s.db.Open(t, s.clock.now, time.UTC)
	rows := func() (n int) {
		if err := s.db.DB.Get(&n, `SELECT COUNT(*) FROM audit_patients`); err != nil {
			t.Fatal(err)
		}
		return n
	}
	n, err := st.IndexAudit(t.Context())
	if err != nil || n == 0 {
		t.Fatalf("IndexAudit = %d, %v, want some entries indexed", n, err)
	}
	want := rows()
	for _, statement := range []string{
		`UPDATE audit_index SET indexed_to = 0`,
		`DELETE FROM audit_patients WHERE patient_id = ` + fmt.Sprint(patients[1]),
	} {
		if _, err := s.db.DB.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second has nothing left to do
		if _, err := st.IndexAudit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := rows(); got != want {
		t.Errorf("%d rows, want %d", got, want)
	}
	var list api.AuditList
	s.Get("/audit", "patient_id", fmt.Sprint(patients[1]), "operation", "createPatient").Want(t, 200, "").Decode(t, &list)
	if len(list.Items) != 1 {
		t.Errorf("registrations of a patient whose index was restored = %+v, want one", list.Items)
	}
}
