package server_test

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"mems/internal/clinic"
	"mems/internal/store"
)

// One search box finds a patient by anything that a receptionist is told.
func TestPatientSearch(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	maria := f.registered(object{"first_name": "María José", "last_name": "García Márquez", "birth_date": "1980-12-03", "phone": "+41 44 555 01 77", "email": "maria@bücher.example"})
	jan := f.registered(object{"first_name": "Jan", "last_name": "van der Berg", "birth_date": "1980-03-12", "phone": "(212) 555-0100"})
	odegard := f.registered(object{"first_name": "Bjørn", "last_name": "Ødegård", "birth_date": "1999-11-30", "phone": "044 555 09 99 ext. 12"})
	wang := f.registered(object{"first_name": "小明", "last_name": "王"})
	for _, c := range []struct {
		q    string
		want []int64
	}{
		{"Marquez", []int64{maria.ID}},
		{"marquez, maria", []int64{maria.ID}},
		{"Berg, Jan", []int64{jan.ID}},
		{"odegaard", []int64{odegard.ID}},
		{"王小明", []int64{wang.ID}},
		{"1980-12-03", []int64{maria.ID}},
		{"03.12.1980", []int64{maria.ID, jan.ID}}, // either order
		{"3/12/1980", []int64{maria.ID, jan.ID}},
		{"30.11.1999", []int64{odegard.ID}},
		{"11/30/99", []int64{odegard.ID}},
		{"19991130", []int64{odegard.ID}},
		{"1999년 11월 30일", []int64{odegard.ID}},
		{"berg 12.03.1980", []int64{jan.ID}},
		{"044 555 01 77", []int64{maria.ID}},
		{"+41 (0)44 555 01 77", []int64{maria.ID}},
		{"0177", []int64{maria.ID}},
		{"+1 212 555 0100", []int64{jan.ID}},
		{"+41 44 555 09 99", []int64{odegard.ID}},
		{"044 555 09 99 ext. 12", []int64{odegard.ID}}, // as it was registered
		{"+41 44 555 09 99 x12", []int64{odegard.ID}},
		{"+41445550999;ext=12", []int64{odegard.ID}},
		{"044 555 09 99 ext. 1", nil},
		{"+41 44 555 01 77 #3", []int64{maria.ID}}, // registered without one
		{"+41\u00a044\u00a0555\u00a001\u00a077", []int64{maria.ID}},
		{"\u202a+41 44 555 01 77\u202c", []int64{maria.ID}},
		{"tel:+41445550177", []int64{maria.ID}},
		{"٠٤٤ ٥٥٥ ٠١ ٧٧", []int64{maria.ID}},
		{"０４４ ５５５ ０１ ７７", []int64{maria.ID}},
		{"Maria@xn--bcher-kva.example", []int64{maria.ID}},
		{"maria@b", []int64{maria.ID}},
		{jan.Mrn, []int64{jan.ID}},
		{jan.Mrn[:4] + "-" + jan.Mrn[4:], []int64{jan.ID}},
		{fmt.Sprint(jan.ID), []int64{jan.ID}},
		{jan.Mrn[:7], []int64{jan.ID}},
		{"%", nil},
		{"_", nil},
		{"-", nil},
		{"Marquez Berg", nil},
		{"31.31.1980", nil},
		{"99999999999999999999", nil},
		{"@", nil},
	} {
		got := f.found("q", c.q)
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%q finds %v, want %v", c.q, got, c.want)
		}
	}
	for _, phone := range []string{"044 555 09 99 ext. 12", "+41 44 555 09 99 x12", "0999 #12"} {
		if got := f.found("phone", phone); !slices.Equal(got, []int64{odegard.ID}) {
			t.Errorf("search by the phone %q = %v, want [%d]", phone, got, odegard.ID)
		}
	}
	f.register(object{"email": "ann@straße.example"}).Want(t, 201, "")
	f.register(object{"email": "ann@xn--strae-oqa.example"}).Want(t, 409, "email-taken")
	if got := f.found("birth_date", "1980-12-03"); !slices.Equal(got, []int64{maria.ID}) {
		t.Errorf("search by the birth date = %v, want [%d]", got, maria.ID)
	}
	if got := f.found("name", "Marquez", "birth_date", "1980-03-12"); got != nil {
		t.Errorf("search by a name and another birth date = %v, want none", got)
	}
	f.register(object{"email": "ann@bücher.example"}).Want(t, 201, "")
	f.register(object{"email": "ann@xn--bcher-kva.example"}).Want(t, 409, "email-taken")
}

// A patient is found by former names and by the data of merged records.
func TestFormerNamesAndMergedRecordsFindTheSurvivor(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	p := f.registered(object{"first_name": "Lea", "last_name": "Brunner", "birth_date": "1984-02-29", "email": "lea@example.org"})
	path := fmt.Sprintf("/patients/%d", p.ID)
	f.Patch(path, object{"last_name": "Keller"}).Want(t, 200, "")
	for _, q := range []string{"Brunner", "Keller", "Brunner, Lea"} {
		if got := f.found("q", q); !slices.Equal(got, []int64{p.ID}) {
			t.Errorf("search for %q = %v, want [%d]", q, got, p.ID)
		}
	}
	r := f.register(object{"first_name": "Lea", "last_name": "Brunner", "birth_date": "1984-02-29", "on_possible_duplicate": "refuse"})
	r.Want(t, 409, "possible-duplicate")
	twin := f.registered(object{"first_name": "Leah", "last_name": "Brönner", "phone": "+41 44 555 03 21", "email": "leah@example.org"})
	f.Post(path+"/merge", object{"duplicate_id": twin.ID}).Want(t, 200, "")
	for _, query := range [][]string{{"q", "Broenner"}, {"name", "leah"}, {"phone", "0321"}, {"email", "leah@example.org"}, {"q", "leah@example.org"}, {"q", twin.Mrn}} {
		if got := f.found(query...); !slices.Equal(got, []int64{p.ID}) {
			t.Errorf("search for %q = %v, want [%d]", query, got, p.ID)
		}
	}
	f.register(object{"email": "leah@example.org"}).Want(t, 409, "email-taken")
	f.Patch(path, object{"email": "leah@example.org"}).Want(t, 200, "") // her own

	f.Post(path+"/erase", object{"reason": "asked for it"}).Want(t, 200, "")
	for _, query := range [][]string{{"q", "Brunner"}, {"q", "Keller"}, {"q", "Broenner"}, {"phone", "0321"}} {
		if got := f.found(query...); got != nil {
			t.Errorf("search for %q = %v, want none: the patient was erased", query, got)
		}
	}
	var left int
	if err := f.db.DB.Get(&left, `SELECT COUNT(*) FROM patient_names WHERE patient_id IN (?, ?)`, p.ID, twin.ID); err != nil || left != 0 {
		t.Errorf("search keys of erased patients = %d (%v), want none", left, err)
	}
}

// An older version writes no search keys; its records are found once the keys are computed.
func TestKeysOfAnOlderProgramAreMadeGood(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	f.db.DB.MustExec(`
		INSERT INTO patients (first_name, last_name, phone, phone_key, email, email_key, created_at, updated_at)
		VALUES ('Zoë', 'Alt', '+41 (0)44 555 01 77', '771055544014', 'a@xn--bcher-kva.example', 'a@xn--bcher-kva.example', '2026-01-01', '2026-01-01')`)
	p := f.registered(object{"first_name": "Ann", "last_name": "Neu"})
	f.db.DB.MustExec(`UPDATE patients SET last_name = 'Anders', version = version + 1 WHERE id = ?`, p.ID)
	st, err := store.Open(store.Config{DSN: f.db.DSN, Now: time.Now, Zone: time.UTC, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	if n, err := st.RekeyPatients(t.Context()); err != nil || n != 2 {
		t.Fatalf("RekeyPatients = %d, %v, want 2", n, err)
	}
	if n, err := st.RekeyPatients(t.Context()); err != nil || n != 0 {
		t.Fatalf("RekeyPatients again = %d, %v, want 0", n, err)
	}
	for _, query := range [][]string{{"q", "zoe"}, {"phone", "044 555 01 77"}, {"email", "a@bücher.example"}, {"q", "anders"}, {"q", clinic.MRN(p.ID)}} {
		if got := f.found(query...); len(got) != 1 {
			t.Errorf("search for %q = %v, want one patient", query, got)
		}
	}
}
