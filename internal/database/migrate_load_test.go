package database_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"mems/internal/storetest"
)

// The data of a clinic of some years, and how long a booking may take while it is migrated.
// On a quiet machine it is 0.2 s; but the test shares its machine with others, and three
// seconds, a fraction of a request's time limit, tell a delay from an outage.
const (
	loadedDoctors      = 20
	loadedPatients     = 4_000
	loadedAppointments = 200_000
	longestBooking     = 3 * time.Second
)

// Bookings continue while a database of 200,000 appointments is migrated from the first
// schema, and it delays none for long.
func TestMigratingUnderLoad(t *testing.T) {
	d, other := storetest.Empty(t), storetest.Empty(t)
	for _, each := range []*storetest.Database{d, other} {
		if err := each.OpenSchema(t).UpTo(t.Context(), 1, ignore); err != nil {
			t.Fatal(err)
		}
	}
	fill(t, d, loadedAppointments)
	fill(t, other, loadedDoctors)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var booking sync.WaitGroup
	took := make([][]time.Duration, 3)
	for i := range took {
		booking.Go(func() { took[i] = bookUntil(ctx, t, d, i, len(took)) })
	}
	// What the machine itself does to a booking meanwhile, other tests and the disk included, shows on
	// a database of the same server that is not migrated.
	var elsewhere []time.Duration
	booking.Go(func() { elsewhere = bookUntil(ctx, t, other, 0, 1) })
	began := time.Now()
	err := d.OpenSchema(t).Up(t.Context(), ignore)
	lasted := time.Since(began)
	stop()
	booking.Wait()
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Sorted(slices.Values(slices.Concat(took...)))
	if len(all) < 20 {
		t.Fatalf("%d bookings in %v, want at least 20", len(all), lasted)
	}
	worst := all[len(all)-1]
	t.Logf("migrated in %v; %d bookings beside it, half of them in %v, the slowest in %v, in another database in %v",
		lasted, len(all), all[len(all)/2], worst, slices.Max(elsewhere))
	if limit := longestBooking + slices.Max(elsewhere); worst > limit {
		t.Errorf("a booking took %v while the schema was migrated, want at most %v", worst, limit)
	}
	var missing int
	if err := d.DB.Get(&missing, `
		SELECT COUNT(*) FROM appointments AS a
		LEFT JOIN occupied_times AS o ON o.appointment_id = a.id AND o.party = 'doctor'
		WHERE o.appointment_id IS NULL`); err != nil {
		t.Fatal(err)
	}
	if missing > 0 {
		t.Errorf("%d appointments are missing in occupied_times, want none", missing)
	}
}

// fill writes the appointments as an early version would have left them.
func fill(t *testing.T, d *storetest.Database, appointments int) {
	t.Helper()
	const at = `'2027-01-01 08:00:00'`
	numbers := func(n int) string {
		// Digits instead of recursion, whose limits differ between engines.
		return fmt.Sprintf(`(SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n AS n
			FROM digits AS a, digits AS b, digits AS c, digits AS d, digits AS e
			HAVING n < %d)`, n)
	}
	statements := []string{
		`CREATE TABLE digits (n INT PRIMARY KEY)`,
		`INSERT INTO digits VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)`,
		fmt.Sprintf(`INSERT INTO doctors (id, full_name, specialization, created_at, updated_at)
			SELECT n + 1, CONCAT('Doctor ', n), 'Dermatology', %s, %s FROM %s AS numbers`, at, at, numbers(loadedDoctors)),
		fmt.Sprintf(`INSERT INTO patients (id, first_name, last_name, created_at, updated_at)
			SELECT n + 1, 'Ann', CONCAT('Muster ', n), %s, %s FROM %s AS numbers`, at, at, numbers(loadedPatients)),
	}
	// Doctor d is busy every half hour; patients rotate, so none has two appointments at
	// once.
	for doctor := range loadedDoctors {
		statements = append(statements, fmt.Sprintf(`
			INSERT INTO appointments (patient_id, doctor_id, start_time, end_time, duration_minutes, created_at, updated_at)
			SELECT (n * %d + %d) %% %d + 1, %d, '2026-01-01' + INTERVAL n * 30 MINUTE, '2026-01-01' + INTERVAL n * 30 + 30 MINUTE, 30, %s, %s
			FROM %s AS numbers`,
			loadedDoctors, doctor, loadedPatients, doctor+1, at, at, numbers(appointments/loadedDoctors)))
	}
	statements = append(statements, `DROP TABLE digits`)
	for _, statement := range statements {
		if _, err := d.DB.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

// bookUntil books as every version of the program does (guards, a check, the row), one
// booking after the other, and returns how long each took.
func bookUntil(ctx context.Context, t *testing.T, d *storetest.Database, worker, workers int) []time.Duration {
	t.Helper()
	var took []time.Duration
	free := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := worker; ctx.Err() == nil; i += workers {
		doctor, patient := i%loadedDoctors+1, i%loadedPatients+1
		start := free.Add(time.Duration(i) * 15 * time.Minute)
		began := time.Now()
		for try := 1; ; try++ {
			err := book(context.WithoutCancel(ctx), d, doctor, patient, start)
			if err == nil {
				break
			}
			if try == 20 {
				t.Errorf("booking %d after 20 attempts: %v, want it booked", i, err)
				return took
			}
			// A deadlock with the copying of a range; the program retries as well.
			time.Sleep(time.Duration(5+rand.IntN(20)) * time.Millisecond)
		}
		took = append(took, time.Since(began))
		time.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond)
	}
	return took
}

func book(ctx context.Context, d *storetest.Database, doctor, patient int, start time.Time) error {
	tx, err := d.DB.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, guard := range []struct {
		text string
		id   int
	}{
		{`UPDATE doctors SET calendar_rev = calendar_rev + 1 WHERE id = ?`, doctor},
		{`UPDATE patients SET calendar_rev = calendar_rev + 1 WHERE id = ?`, patient},
	} {
		if _, err := tx.ExecContext(ctx, guard.text, guard.id); err != nil {
			return err
		}
	}
	end := start.Add(15 * time.Minute)
	var busy int
	if err := tx.GetContext(ctx, &busy, `
		SELECT COUNT(*) FROM appointments
		WHERE doctor_id = ? AND start_time < ? AND start_time > ? AND end_time > ?`,
		doctor, end, start.Add(-3*time.Hour), start); err != nil {
		return err
	}
	if busy > 0 {
		return fmt.Errorf("doctor %d has %d appointments at %v", doctor, busy, start)
	}
	if _, err := tx.ExecContext(ctx, `
		INSERT INTO appointments (patient_id, doctor_id, start_time, end_time, duration_minutes, created_at, updated_at)
		VALUES (?, ?, ?, ?, 15, ?, ?)`, patient, doctor, start, end, start, start); err != nil {
		return err
	}
	return tx.Commit()
}
