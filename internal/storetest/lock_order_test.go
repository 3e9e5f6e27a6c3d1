package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"mems/internal/clinic"
	"mems/internal/store"
)

// failures collects what a test would fail with.
type failures struct {
	testing.TB

	texts []string
}

func (f *failures) Error(args ...any) { f.texts = append(f.texts, fmt.Sprint(args...)) }

// A transaction fails its test where, and only where, it leaves the lock order.
func TestLockOrder(t *testing.T) {
	d := New(t)
	seen := &failures{TB: t}
	config, err := mysql.ParseDSN(d.DSN)
	if err != nil {
		t.Fatal(err)
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		t.Fatal(err)
	}
	pool := lockOrder{t: seen}.open(connector)
	t.Cleanup(func() { _ = pool.Close() })
	pool.SetMaxOpenConns(1) // each transaction uses the connection of the one before
	const doctor, patient, room = "UPDATE doctors SET calendar_rev = calendar_rev + 1", "UPDATE patients SET calendar_rev = calendar_rev + 1",
		"UPDATE rooms SET calendar_rev = calendar_rev + 1"
	one := func(guard string, id int64) update { return update{guard + " WHERE id = ?", []any{id}} }
	some := func(guard string, ids ...any) update {
		guard = strings.Replace(guard, " SET ", " FORCE INDEX (PRIMARY) SET ", 1)
		return update{guard + " WHERE id IN (?" + strings.Repeat(", ?", len(ids)-1) + ") ORDER BY id", ids}
	}
	unordered := some(doctor, int64(1), int64(2))
	unordered.text = strings.TrimSuffix(unordered.text, " ORDER BY id")
	for name, test := range map[string]struct {
		statements []update
		want       string // in the failure; none if empty
	}{
		"InOrder":           {[]update{one(doctor, 1), one(doctor, 2), one(patient, 1), one(room, 1)}, ""},
		"HeldAlready":       {[]update{one(doctor, 1), one(patient, 1), one(doctor, 1)}, ""},
		"AllDoctorsFirst":   {[]update{{doctor + " ORDER BY id", nil}, one(doctor, 7), one(patient, 1)}, ""},
		"Batch":             {[]update{some(doctor, int64(3), int64(1)), some(patient, int64(1), int64(2)), one(room, 1)}, ""},
		"PatientFirst":      {[]update{one(patient, 1), one(doctor, 1)}, "doctors 1 after that of patients 1"},
		"RoomFirst":         {[]update{one(doctor, 1), one(room, 1), one(patient, 1)}, "patients 1 after that of rooms 1"},
		"HigherIDFirst":     {[]update{one(doctor, 2), one(doctor, 1)}, "doctors 1 after that of doctors 2"},
		"BatchAfterHigher":  {[]update{one(doctor, 2), some(doctor, int64(1), int64(3))}, "doctors 1 after that of doctors 2"},
		"BatchWithoutOrder": {[]update{unordered}, "without ORDER BY id"},
		"AllDoctorsLast":    {[]update{one(doctor, 1), {doctor + " ORDER BY id", nil}}, "all doctors after that of doctors 1"},
	} {
		t.Run(name, func(t *testing.T) {
			seen.texts = nil
			tx, err := pool.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range test.statements {
				if _, err := tx.ExecContext(t.Context(), s.text, s.args...); err != nil {
					t.Fatalf("%s: %v", s.text, err)
				}
			}
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
			got := strings.Join(seen.texts, "\n")
			if test.want == "" && got != "" || !strings.Contains(got, test.want) {
				t.Errorf("fails with %q, want %q", got, test.want)
			}
		})
	}
}

type update struct {
	text string
	args []any
}

// The statements by which the store takes guards are recognised, one and several at once.
func TestLockOrderSeesTheStore(t *testing.T) {
	d := New(t)
	s := d.Open(t, nil, nil)
	doctor, err := s.CreateDoctor(t.Context(), store.SystemRequest(), clinic.Doctor{FullName: "Dr. Noor Haddad", Specialization: "Dermatology", IsActive: true})
	if err != nil {
		t.Fatal(err)
	}
	before := guardsSeen.Load()
	two := []clinic.Appointment{{PatientID: 1}, {PatientID: 2}}
	if _, err := s.ImportAppointments(t.Context(), store.SystemRequest(), doctor.ID, two); !errors.Is(err, clinic.ErrPatientNotFound) {
		t.Errorf("an import without patients: %v, want %v", err, clinic.ErrPatientNotFound)
	}
	if got := guardsSeen.Load() - before; got != 3 {
		t.Errorf("%d guards were seen, want 3: of the doctor and two patients", got)
	}
}
