package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
	"mems/internal/store"
)

// The plans of the hot queries on a clinic with some history use the right index, do not sort, and
// examine nothing that grows with the table.
func TestPlans(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 20, 0)
	ps := make([]clinic.Patient, 1500)
	for i := range ps {
		email, phone := fmt.Sprintf("p%d@example.org", i), fmt.Sprintf("+41 44 %07d", i*7919%10_000_000)
		ps[i] = clinic.Patient{FirstName: fmt.Sprintf("Name%04d", i*31%1500), LastName: fmt.Sprintf("Name%04d", i), Email: &email, Phone: &phone}
	}
	ids, err := f.store.CreatePatients(t.Context(), store.SystemRequest(), ps)
	if err != nil {
		t.Fatal(err)
	}
	for d, doctor := range f.doctors {
		var as []clinic.Appointment
		for i := range 300 {
			start := time.Date(2027, 1, 1+i/3, 9+i%3, 0, 0, 0, time.UTC)
			as = append(as, clinic.Appointment{
				PatientID: ids[(d*300+i)%len(ids)], Status: clinic.StatusCompleted,
				Time: clinic.Interval{Start: start, End: start.Add(30 * time.Minute)},
			})
		}
		if _, err := f.store.ImportAppointments(t.Context(), store.SystemRequest(), doctor, as); err != nil {
			t.Fatal(err)
		}
	}
	// The feed has its positions, and a webhook its messages.
	if _, err := f.store.ListChanges(t.Context(), store.SystemRequest(), store.ChangesQuery{Limit: 1}); err != nil {
		t.Fatal(err)
	}
	f.DB.MustExec(`
		INSERT INTO webhooks (id, url, types, secret, created_by, version, created_at, updated_at)
		VALUES (7, 'https://example.org', '[]', '01234567890123456789012345678901', 'test', 1, '2027-01-01', '2027-01-01')`)
	f.DB.MustExec(`
		INSERT INTO webhook_deliveries (webhook_id, position, at, type, object, object_id, status, since, last_at, created_at)
		SELECT 7, position, at, type, object, object_id, 'delivered', at, at, at FROM changes`)
	// The trail has many callers and patients.
	f.DB.MustExec(`
		INSERT INTO audit_entries (chain, seq, at, subject, operation, action, object, patient_id, hash)
		SELECT 1, id, '2027-01-01' + INTERVAL id MINUTE, CONCAT('key:', id % 97), CONCAT('op', id % 89), 'read', 'patient', patient_id, REPEAT('x', 32)
		FROM appointments`)
	f.DB.MustExec(`INSERT INTO audit_patients (patient_id, entry_id) SELECT patient_id, id FROM audit_entries WHERE chain = 1 AND patient_id IS NOT NULL`)
	if _, err := f.DB.Exec(`ANALYZE TABLE audit_entries, audit_patients, appointments, patients, patient_names, doctors, changes, webhook_deliveries`); err != nil {
		t.Fatal(err)
	}
	one, err := sqlx.Connect("mysql", f.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = one.Close() }()
	one.SetMaxOpenConns(1) // so that the session's settings stay
	store.ExplainHotQueries(t, one)
}
