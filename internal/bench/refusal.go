package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// rivals is the number of doctors of one specialization in a large clinic.
const rivals = 953

// fillRivals creates doctors of one specialization, each with a full day of appointments, and
// returns the first one.
func fillRivals(ctx context.Context, dsn string, day time.Time) (first int64, err error) {
	db, err := sqlx.ConnectContext(ctx, "mysql", dsn)
	if err != nil {
		return 0, err
	}
	defer func() { _ = db.Close() }()
	if err := insert(ctx, db, `INSERT INTO doctors (full_name, specialization, created_at, updated_at) VALUES `, rivals, func(i int) string {
		return fmt.Sprintf("('Dr. Rival %03d','Rival','%s','%s')", i, created, created)
	}); err != nil {
		return 0, err
	}
	if err := db.GetContext(ctx, &first, `SELECT MIN(id) FROM doctors WHERE specialization = 'Rival'`); err != nil {
		return 0, err
	}
	return first, insert(ctx, db, `INSERT INTO appointments (patient_id, doctor_id, start_time, end_time, duration_minutes, status, created_at, updated_at) VALUES `, rivals*slotsADay, func(i int) string {
		start := day.Add(firstSlot + time.Duration(i/rivals)*slotLength)
		return fmt.Sprintf("(%d,%d,'%s','%s',20,'scheduled','%s','%s')", 1+i, first+int64(i%rivals),
			start.Format(time.DateTime), start.Add(slotLength).Format(time.DateTime), created, created)
	})
}

// refusals measures refused bookings: clients that all request an occupied time, and then 64
// that request a free one, of which one succeeds.
func (b *bench) refusals(ctx context.Context, o options) error {
	day := b.horizon.AddDate(0, 0, 30)
	doctor, err := fillRivals(ctx, b.dsn, day)
	if err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	want := func(c *httpClient, patient int, start time.Time) (int, error) {
		return c.send("POST", "/appointments", fmt.Appendf(nil,
			`{"patient_id":%d,"doctor_id":%d,"start_time":"%s","duration_minutes":15}`, patient, doctor, start.Format(time.RFC3339)))
	}
	fmt.Printf("\n### Refusals, %d doctors of one specialization\n\n", rivals)
	fmt.Println("| what | clients | answers/s | p50 | p99 | server core-ms | database core-ms | failed |")
	fmt.Println("|---|--:|--:|--:|--:|--:|--:|--:|")
	row := func(name string, clients int, r result, cpu used) {
		fmt.Printf("| %s | %d | %.0f | %s | %s | %s | %d |\n", name, clients, r.perSecond,
			ms(percentile(r.latencies, 0.5)), ms(percentile(r.latencies, 0.99)), cpu.per(len(r.latencies)), r.failures)
	}
	for _, clients := range []int{1, 16, 64} {
		connections, err := dialAll(ctx, b.address, clients)
		if err != nil {
			return err
		}
		before := b.now()
		refused, err := round(ctx, clients, o.duration, func(_ context.Context, worker int) error {
			return expect(409)(want(connections[worker], int(patients)-worker, day.Add(firstSlot+time.Hour)))
		})
		cpu := b.now().minus(before)
		closeAll(connections)
		if err != nil {
			return err
		}
		row("refuse a taken time", clients, refused, cpu)
	}
	const racers = 64
	connections, err := dialAll(ctx, b.address, racers)
	if err != nil {
		return err
	}
	defer closeAll(connections)
	var all result
	before := b.now()
	for i := range o.rounds {
		free := day.Add(20*time.Hour + time.Duration(i)*15*time.Minute)
		statuses := make(chan int, racers)
		race, err := together(racers, func(worker int) error {
			status, err := want(connections[worker], int(patients)-worker, free)
			statuses <- status
			return err
		})
		if err != nil {
			return err
		}
		count := map[int]int{}
		for range racers {
			count[<-statuses]++
		}
		if count[201] != 1 || count[409] != racers-1 {
			all.failures++
			say("a race of %d ended with %v", racers, count)
		}
		all.latencies = append(all.latencies, race.latencies...)
		all.perSecond = max(all.perSecond, race.perSecond)
	}
	row("race for one free time", racers, all, b.now().minus(before))
	return nil
}
