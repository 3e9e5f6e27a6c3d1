package server_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/auditchain"
	"mems/internal/clinic"
	"mems/internal/contracttest"
	"mems/internal/server"
	"mems/internal/store"
)

// trail returns the newest entries of the audit trail.
func (s *secured) trail(query ...string) []api.AuditEntry {
	s.t.Helper()
	var list api.AuditList
	s.Get("/audit", query...).Want(s.t, 200, "").Decode(s.t, &list)
	return list.Items
}

// The trail has every read and change, with who, when, from where and why; a refused change leaves
// nothing.
func TestAudit(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, nil)
	desk, id := s.key("receptionist", nil)
	var p api.Patient
	desk.Post("/patients", object{"first_name": "Ann", "last_name": "Geheim", "phone": "0171 5550123"}).Want(t, 201, "").Decode(t, &p)
	path := fmt.Sprintf("/patients/%d", p.ID)
	desk.Get(path).Want(t, 200, "")
	changed := desk.Patch(path, object{"phone": "0171 5559999"}).Want(t, 200, "")
	desk.Patch(path, object{"phone": 7}).Want(t, 422, "validation-failed")
	desk.Get("/patients", "name", "Geheim").Want(t, 200, "")
	doctor := s.doctor()
	var a api.Appointment
	desk.Post("/appointments", object{"patient_id": p.ID, "doctor_id": doctor, "start_time": "2027-03-02T09:00:00Z", "duration_minutes": 30}).Want(t, 201, "").Decode(t, &a)
	desk.Post(fmt.Sprintf("/appointments/%d/cancel", a.ID), object{"reason": "other", "note": "said Geheim"}).Want(t, 200, "")

	var got []string
	for _, e := range slices.Backward(s.trail("subject", fmt.Sprintf("key:%d", id))) {
		got = append(got, fmt.Sprintf("%s %s %s", e.Operation, e.Action, e.Object))
		if netip.MustParseAddr(e.Address.MustGet()) != netip.MustParseAddr("127.0.0.1") || e.RequestID.IsNull() {
			t.Errorf("entry %+v, want the loopback address and a request id", e)
		}
	}
	want := []string{
		"createPatient create patient", "getPatient read patient", "updatePatient update patient", "listPatients read patient",
		"bookAppointment create appointment", "cancelAppointment update appointment",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	// The patient's entries include the lists that showed her.
	if concerns := s.trail("patient_id", fmt.Sprint(p.ID)); len(concerns) != 6+1 { // and that the trail was read just now
		t.Errorf("%d entries about the patient, want 7: %+v", len(concerns), concerns)
	}
	update := s.trail("operation", "updatePatient")[0]
	if update.RequestID.MustGet() != changed.Header.Get("X-Request-ID") || len(update.Changes) != 1 || update.Changes[0].Member != "phone" ||
		update.Changes[0].Before.MustGet() != `"0171 5550123"` || update.Changes[0].After.MustGet() != `"0171 5559999"` {
		t.Errorf("entry of the update %+v, want the phone number before and after", update)
	}
	if reads := s.trail("operation", "listAuditEntries"); len(reads) < 2 {
		t.Errorf("%d entries of reading the trail, want at least 2", len(reads))
	}
	// The trail holds identifying data in encrypted form only.
	var plain []string
	if err := s.db.DB.Select(&plain, `SELECT CONCAT_WS(' ', subject, operation, patient_ids, details) FROM audit_entries`); err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(plain, "\n"); strings.Contains(text, "Geheim") || strings.Contains(text, "555") {
		t.Errorf("the stored trail has private values in plain text, want none:\n%s", text)
	}
	// Pages are consecutive.
	var first, second api.AuditList
	s.Get("/audit", "limit", "3").Want(t, 200, "").Decode(t, &first)
	s.Get("/audit", "limit", "3", "cursor", first.NextCursor.MustGet()).Want(t, 200, "").Decode(t, &second)
	if len(first.Items) != 3 || first.Items[2].ID <= second.Items[0].ID {
		t.Errorf("pages overlap or are short, want 3 entries and then older ones:\n%+v\n%+v", first.Items, second.Items)
	}
}

// After an erasure no identifying word is left anywhere in the database; the appointments stay, and
// the trail is intact.
func TestEraseAndExport(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, nil)
	doctor := s.doctor()
	s.hours(doctor, "UTC", "00:00-24:00")
	body := object{
		"first_name": "Mark", "last_name": "Marker", "email": "marker@example.org", "phone": "0171 5550123", "birth_date": "1980-02-03",
		"identifiers": []object{{"system": "urn:marker", "value": "MARKER-1"}},
	}
	var p, dup api.Patient
	s.Post("/patients", body).Want(t, 201, "").Decode(t, &p)
	s.Post("/patients", object{"first_name": "Marc", "last_name": "Markerdup"}).Want(t, 201, "").Decode(t, &dup)
	s.Post(fmt.Sprintf("/patients/%d/merge", p.ID), object{"duplicate_id": dup.ID}).Want(t, 200, "")
	visit := s.booked(p.ID, doctor, "2027-03-02T09:00:00Z", 30)
	s.Patch(fmt.Sprintf("/appointments/%d", visit.ID), object{"reason": "Marker fell", "note": "Marker shouts"}).Want(t, 200, "")
	gone := s.booked(p.ID, doctor, "2027-03-03T09:00:00Z", 30)
	s.Post(fmt.Sprintf("/appointments/%d/cancel", gone.ID), object{"reason": "other", "note": "Marker called"}).Want(t, 200, "")
	s.Post("/waitlist", object{"patient_id": p.ID, "from": "2027-05-01T00:00:00Z", "to": "2027-05-02T00:00:00Z", "specialization": "None here", "duration_minutes": 30, "note": "Marker waits"}).Want(t, 201, "")
	s.Post("/holds", object{"doctor_id": doctor, "patient_id": p.ID, "start_time": "2027-06-01T12:00:00Z", "duration_minutes": 30}).Want(t, 201, "")
	var ticket api.Ticket
	s.Post("/walk-ins", object{"patient_id": p.ID, "doctor_id": doctor, "note": "Marker limps"}).Want(t, 201, "").Decode(t, &ticket)
	once(s.Client, "key", fmt.Sprintf("/appointments/%d/confirm", visit.ID), nil).Want(t, 200, "")

	var file api.PatientExport
	exported := s.Get(fmt.Sprintf("/patients/%d/export", p.ID)).Want(t, 200, "")
	exported.Decode(t, &file)
	if file.Patient.ID != p.ID || len(file.Merged) != 1 || len(file.Appointments) != 2 || len(file.History) != 5 || len(file.Tickets) != 1 ||
		len(file.Waitlist) != 1 || len(file.Holds) != 1 || len(file.Audit) < 9 {
		t.Errorf("the export lacks records, want all of the patient's: %s", exported.Body)
	}
	for _, word := range []string{"marker@example.org", "MARKER-1", "Marker called", "Marker fell", "Marker shouts", "Marker waits", "Marker limps", "Markerdup"} {
		if !strings.Contains(string(exported.Body), word) {
			t.Errorf("export lacks %q, want it", word)
		}
	}

	erase := fmt.Sprintf("/patients/%d/erase", p.ID)
	s.Post(erase, object{"reason": "asked"}).Want(t, 409, "has-open-appointments")
	s.act(visit.ID, "cancel").Want(t, 422, "validation-failed")
	s.Post(fmt.Sprintf("/appointments/%d/cancel", visit.ID), object{"reason": "other"}).Want(t, 200, "")
	s.Post(fmt.Sprintf("/tickets/%d/leave", ticket.ID), nil).Want(t, 200, "")
	var after api.Patient
	s.Post(erase, object{"reason": "asked"}).Want(t, 200, "").Decode(t, &after)
	if after.ErasedAt == nil || after.Email.IsSpecified() && !after.Email.IsNull() || after.LastName == "Marker" {
		t.Errorf("erased patient %+v, want no e-mail address or name", after)
	}
	for _, table := range s.tables() {
		for _, word := range []string{"marker", "marc", "5550123", "1980-02-03"} {
			if text := s.dump(table); strings.Contains(strings.ToLower(text), word) {
				t.Errorf("table %s contains %q after the erasure, want it erased", table, word)
			}
		}
	}
	var visits int
	if err := s.db.DB.Get(&visits, `SELECT COUNT(*) FROM appointments WHERE patient_id = ?`, p.ID); err != nil || visits != 2 {
		t.Errorf("%d appointments (%v), want the 2 kept", visits, err)
	}
	// The trail shows that there were values, but not which; only the reason for the erasure is
	// readable.
	var erased, told int
	for _, e := range s.trail("patient_id", fmt.Sprint(p.ID)) {
		if e.Erased {
			erased++
		}
		if e.Operation == "erasePatient" && e.Reason.MustGet() == "asked" {
			told++
		}
	}
	if erased == 0 || told != 1 {
		t.Errorf("%d entries without private values, %d with the reason; want some, and 1", erased, told)
	}
	if report := s.verify(); len(report.Faults) > 0 {
		t.Errorf("faults %v, want none", report.Faults)
	}
	// An erased patient cannot be booked.
	s.book(p.ID, doctor, "2027-03-09T09:00:00Z", 30).Want(t, 404, "patient-not-found")
	s.Patch(fmt.Sprintf("/patients/%d", p.ID), object{"first_name": "X"}).Want(t, 404, "patient-not-found")
	s.Post(erase, object{"reason": "again"}).Want(t, 404, "patient-not-found")
	s.Post("/patients/999/erase", object{"reason": "nobody"}).Want(t, 404, "patient-not-found")
}

// tables lists the tables of the database.
func (s *secured) tables() []string {
	s.t.Helper()
	var names []string
	if err := s.db.DB.Select(&names, `SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'`); err != nil {
		s.t.Fatal(err)
	}
	return names
}

// dump returns everything in a table as text.
func (s *secured) dump(table string) string {
	s.t.Helper()
	rows, err := s.db.DB.Queryx("SELECT * FROM " + table) //nolint:unqueryvet // whatever columns it has
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var text strings.Builder
	for rows.Next() {
		values, err := rows.SliceScan()
		if err != nil {
			s.t.Fatal(err)
		}
		for _, v := range values {
			switch v := v.(type) {
			case []byte:
				text.Write(v)
			case time.Time:
				text.WriteString(v.Format(time.DateOnly))
			default:
				fmt.Fprint(&text, v)
			}
			text.WriteByte('\n')
		}
	}
	if err := rows.Err(); err != nil {
		s.t.Fatal(err)
	}
	return text.String()
}

// verify verifies the audit trail, as another process would.
func (s *secured) verify(known ...auditchain.Head) auditchain.Report {
	s.t.Helper()
	st := s.db.Open(s.t, s.clock.now, time.UTC)
	report, err := st.VerifyAudit(s.t.Context(), known, func(int64) {})
	if err != nil {
		s.t.Fatal(err)
	}
	return report
}

// Neither the log nor a refusal contains data of patients.
func TestNoWordAboutPeople(t *testing.T) {
	t.Parallel()
	log := &lines{}
	s := setupSecured(t, func(c *server.Config) { c.Log = jsonLog(log) })
	doctor := s.doctor()
	person := object{"first_name": "Markname", "last_name": "Marksurname", "email": "markmail@example.org", "phone": "0171 98761234"}
	var p api.Patient
	s.Post("/patients", person).Want(t, 201, "").Decode(t, &p)
	s.booked(p.ID, doctor, "2027-03-02T09:00:00Z", 30)
	partner, _ := s.key("partner", object{"scopes": []string{"appointments:write", "patients:write", "patients:read", "appointments:read"}})
	var answers strings.Builder
	for _, c := range []*contracttest.Client{partner, contracttest.New(t, s.url)} {
		for _, path := range []string{
			"/patients?name=Marksurname", "/patients/1", "/appointments?date=2027-03-02", "/doctors", fmt.Sprintf("/availability?doctor_id=%d&from=2027-03-02T00:00:00Z&to=2027-03-03T00:00:00Z&duration_minutes=30", doctor),
			"/appointments/1", "/queue?doctor_id=1", "/waitlist", "/audit", "/patients/1/export", "/me",
		} {
			answers.Write(c.Get(path).Body)
		}
		answers.Write(c.Post("/patients", person).Body)
		answers.Write(c.Post("/appointments", object{"patient_id": p.ID, "doctor_id": doctor, "start_time": "2027-03-02T09:00:00Z", "duration_minutes": 30}).Body)
	}
	for what, text := range map[string]string{"the log": log.String(), "a partner's answers": answers.String()} {
		for _, word := range []string{"markname", "marksurname", "markmail", "98761234"} {
			if strings.Contains(strings.ToLower(text), word) {
				t.Errorf("%s: contains %q, want no personal data:\n%s", what, word, text)
			}
		}
	}
	if strings.Contains(log.String(), "mems_1_") {
		t.Errorf("the log contains an API key, want none: %s", log.String())
	}
}

// Tampering with the trail is detected: an entry that was altered, removed, moved, cut off or
// added.
func TestVerifyAudit(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, nil)
	for range 4 {
		s.Get(fmt.Sprintf("/patients/%d", s.patient())).Want(t, 200, "")
	}
	time.Sleep(1500 * time.Millisecond) // the chains are sealed each second
	clean := s.verify()
	if len(clean.Faults) > 0 || clean.Entries < 8 || clean.Chains < 1 {
		t.Fatalf("verification = %+v, want no faults, at least 8 entries and a chain", clean)
	}
	if again := s.verify(clean.Heads...); len(again.Faults) > 0 {
		t.Errorf("faults with its own anchor: %v, want none", again.Faults)
	}
	chain := clean.Heads[0].Chain
	var last int64
	if err := s.db.DB.Get(&last, `SELECT MAX(seq) FROM audit_entries WHERE chain = ?`, chain); err != nil {
		t.Fatal(err)
	}
	for name, tamper := range map[string][]string{
		"Subject":    {`UPDATE audit_entries SET subject = 'somebody' WHERE chain = ? AND seq = 2`},
		"Time":       {`UPDATE audit_entries SET at = at + INTERVAL 1 SECOND WHERE chain = ? AND seq = 2`},
		"Details":    {`UPDATE audit_entries SET details = CONCAT(details, 'x') WHERE chain = ? AND details IS NOT NULL`},
		"Hash":       {`UPDATE audit_entries SET hash = REPEAT('x', 32) WHERE chain = ? AND seq = 2`},
		"Removed":    {`DELETE FROM audit_entries WHERE chain = ? AND seq = 2`},
		"FirstGone":  {`DELETE FROM audit_entries WHERE chain = ? AND seq = 1`},
		"LastGone":   {fmt.Sprintf(`DELETE FROM audit_entries WHERE chain = ? AND seq = %d`, last)},
		"ChainGone":  {`DELETE FROM audit_entries WHERE chain = ?`},
		"Renumbered": {`DELETE FROM audit_entries WHERE chain = ? AND seq = 2`, `UPDATE audit_entries SET seq = seq - 1 WHERE chain = ? AND seq > 2 ORDER BY seq`},
		"Swapped": {
			`UPDATE audit_entries SET seq = 1000 WHERE chain = ? AND seq = 1`, `UPDATE audit_entries SET seq = 1 WHERE chain = ? AND seq = 2`,
			`UPDATE audit_entries SET seq = 2 WHERE chain = ? AND seq = 1000`,
		},
		"Added":        {`INSERT INTO audit_entries (chain, seq, at, subject, operation, action, object, hash) VALUES (?, 1000, '2027-01-01', 'x', 'x', 'read', 'x', REPEAT('x', 32))`},
		"ChainDropped": {`DELETE FROM audit_entries WHERE chain = ?`, `DELETE FROM audit_chains WHERE id = ?`},
		"OtherChain":   {`UPDATE audit_entries SET chain = chain + 100 WHERE chain = ?`},
		"OtherOrder":   {`UPDATE audit_entries SET id = id + 100000 WHERE chain = ? AND seq = 1`},
	} {
		t.Run(name, func(t *testing.T) {
			var kept [3][]map[string]any
			for i, table := range []string{"audit_entries", "audit_chains"} {
				kept[i] = s.rows(table)
			}
			defer func() {
				s.restore("audit_entries", kept[0])
				s.restore("audit_chains", kept[1])
			}()
			for _, statement := range tamper {
				if _, err := s.db.DB.Exec(statement, chain); err != nil {
					t.Fatal(err)
				}
			}
			if report := s.verify(); len(report.Faults) == 0 {
				t.Error("no fault found, want one")
			} else {
				t.Log(report.Faults)
			}
		})
	}
	if report := s.verify(); len(report.Faults) > 0 {
		t.Fatalf("verification after restoring what was altered: faults %q, want none", report.Faults)
	}
	// An intruder who knows all this and carefully cuts off the end is detected by the anchor.
	if _, err := s.db.DB.Exec(`DELETE FROM audit_entries WHERE chain = ? AND seq = ?`, chain, last); err != nil {
		t.Fatal(err)
	}
	if _, err := s.db.DB.Exec(`UPDATE audit_chains SET sealed_seq = ?, sealed_hash = (SELECT hash FROM audit_entries WHERE chain = ? AND seq = ?) WHERE id = ?`,
		last-1, chain, last-1, chain); err != nil {
		t.Fatal(err)
	}
	if report := s.verify(); len(report.Faults) > 0 {
		t.Errorf("faults without the anchor: %v, want none, as it cannot be seen", report.Faults)
	}
	if report := s.verify(clean.Heads...); len(report.Faults) == 0 {
		t.Error("no fault with the anchor, want one")
	}
}

func (s *secured) rows(table string) []map[string]any {
	s.t.Helper()
	found, err := s.db.DB.Queryx("SELECT * FROM " + table) //nolint:unqueryvet // whatever columns it has
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = found.Close() }()
	var all []map[string]any
	for found.Next() {
		row := map[string]any{}
		if err := found.MapScan(row); err != nil {
			s.t.Fatal(err)
		}
		all = append(all, row)
	}
	return all
}

func (s *secured) restore(table string, rows []map[string]any) {
	s.t.Helper()
	if _, err := s.db.DB.Exec("DELETE FROM " + table); err != nil {
		s.t.Fatal(err)
	}
	for _, row := range rows {
		var columns, marks []string
		var values []any
		for name, value := range row {
			columns, marks, values = append(columns, name), append(marks, "?"), append(values, value)
		}
		if _, err := s.db.DB.Exec(fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", table, strings.Join(columns, ","), strings.Join(marks, ",")), values...); err != nil {
			s.t.Fatal(err)
		}
	}
}

// With a key, even an intruder with access to the whole database cannot forge the trail: computing
// the hashes needs the key.
func TestAuditKeys(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, nil)
	old, current := auditchain.NewKey([]byte(strings.Repeat("o", 32))), auditchain.NewKey([]byte(strings.Repeat("c", 32)))
	write := func(keys ...auditchain.Key) {
		t.Helper()
		st, err := store.Open(store.Config{DSN: s.db.DSN, Now: s.clock.now, Zone: time.UTC, Log: jsonLog(&lines{}), MACKeys: keys})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := st.CreateRoom(t.Context(), store.SystemRequest(), clinic.Room{Name: fmt.Sprint("Room ", serial.Add(1)), IsActive: true}); err != nil {
			t.Fatal(err)
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	}
	verify := func(keys ...auditchain.Key) []string {
		t.Helper()
		st, err := store.Open(store.Config{DSN: s.db.DSN, Now: s.clock.now, Zone: time.UTC, Log: jsonLog(&lines{}), MACKeys: keys})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = st.Close() }()
		report, err := st.VerifyAudit(t.Context(), nil, func(int64) {})
		if err != nil {
			t.Fatal(err)
		}
		return report.Faults
	}
	write(old)
	write(current, old)
	if faults := verify(current, old); len(faults) > 0 {
		t.Errorf("faults with both keys: %v, want none", faults)
	}
	if faults := verify(current); len(faults) != 1 || !strings.Contains(faults[0], "MEMS_AUDIT_KEYS") {
		t.Errorf("faults without the old key: %v, want one that names MEMS_AUDIT_KEYS", faults)
	}
	if faults := verify(auditchain.NewKey([]byte(strings.Repeat("x", 32)))); len(faults) == 0 {
		t.Error("verification with another key found no fault, want one")
	}
	encoded, err := json.Marshal(s.rows("audit_chains"))
	if err != nil || strings.Contains(string(encoded), "oooo") {
		t.Errorf("audit_chains = %s (%v), want no key in them", encoded, err)
	}
}
