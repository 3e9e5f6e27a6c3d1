package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
	"mems/internal/localdb"
	"mems/internal/program"
	"mems/internal/store"
)

// bench is a filled clinic and its server.
type bench struct {
	processes

	address string
	dsn     string
	store   *store.Store          // direct reads
	next    atomic.Int64          // number of bookings so far
	taken   [doctors]atomic.Int64 // number of booked slots by doctor
	today   string
	day     clinic.Window
	horizon time.Time
	free    clinic.Interval // two weeks from tomorrow
	ids     []int64         // doctors of availability searches
	some    string          // the same, as a query parameter
}

// booking returns a booking that no other client requests: the next free time of a random
// doctor, so that clients sometimes contend for one, for the next patient in turn, who had no
// booking for long.
func (b *bench) booking() clinic.Booking {
	doctor := withHours + rand.IntN(doctors-withHours) //nolint:gosec // G404: spreads load
	slot := b.taken[doctor].Add(1)
	return clinic.Booking{
		DoctorID: 1 + int64(doctor), PatientID: 1 + b.next.Add(1)*patientStep%patients,
		Start: b.horizon.Add(time.Duration(slot) * 15 * time.Minute), Duration: 15 * time.Minute,
	}
}

func bookingBody(k clinic.Booking) []byte {
	return fmt.Appendf(nil, `{"patient_id":%d,"doctor_id":%d,"start_time":"%s","duration_minutes":15}`, k.PatientID, k.DoctorID, k.Start.Format(time.RFC3339))
}

// measure fills a clinic of the given size and prints its table.
func measure(ctx context.Context, o options, server *localdb.Server, binary string, size int) error {
	if o.only == "refuse" || o.only == "trail" {
		patients = quickPatients // they are not measured
	}
	dsn := server.DSN(fmt.Sprintf("bench_%d", size))
	say("filling %d appointments", size)
	if err := fill(ctx, dsn, size); err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	// Restart after the bulk load: MySQL 9.7 then took 10 ms for every commit, nearly all of
	// it clearing memory, which no clinic sees.
	if err := server.Restart(ctx); err != nil {
		return fmt.Errorf("restart the database: %w", err)
	}
	maxClients := slices.Max(o.clients)
	mems, err := startServer(ctx, o, binary, dsn, maxClients)
	if err != nil {
		return err
	}
	defer mems.Stop()
	direct, err := openDirect(ctx, dsn, server.Engine(), maxClients)
	if err != nil {
		return err
	}
	defer func() { _ = direct.Close() }()
	st, err := store.Open(store.Config{DSN: dsn, MaxOpenConns: maxClients, Now: time.Now, Zone: time.UTC, Log: slog.New(slog.DiscardHandler)}) //nolint:contextcheck // what it starts lives until Close
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	if err := warm(ctx, direct); err != nil {
		return fmt.Errorf("warm the cache: %w", err)
	}
	var dataID string
	if err := direct.GetContext(ctx, &dataID, `SELECT COALESCE(data_id, '') FROM installation WHERE id = 1`); err != nil {
		return err
	}
	workday := weekdaysBack(time.Now().UTC(), 1)[0]
	b := &bench{
		address: mems.Address(), dsn: dsn, processes: processes{server: mems.PID()}, store: st, today: workday.Format(time.DateOnly),
		day:     clinic.Window{ByStart: true, Interval: clinic.Interval{Start: workday, End: workday.AddDate(0, 0, 1)}},
		horizon: workday.AddDate(0, 0, 2*maxAhead), // after the filled days
		free:    clinic.Interval{Start: workday.AddDate(0, 0, 1), End: workday.AddDate(0, 0, 15)},
	}
	if b.database, err = pidOf(ctx, direct); err != nil {
		return fmt.Errorf("find the database's process: %w", err)
	}
	for id := range withHours {
		b.ids = append(b.ids, int64(id+1))
		b.some = strings.TrimPrefix(b.some+","+strconv.Itoa(id+1), ",")
	}
	book := func(c *httpClient) (int, error) {
		return c.send("POST", "/appointments", bookingBody(b.booking()))
	}
	switch o.only {
	case "overload":
		return b.overload(ctx, o, book)
	case "fair":
		return b.fair(ctx, o)
	case "trail":
		return b.trail(ctx, o)
	case "refuse":
		return b.refusals(ctx, o)
	case "naive":
		return b.naive(ctx, o, binary)
	}
	fmt.Printf("\n### %d appointments\n\n", size)
	fmt.Println("| what | clients | HTTP/s | p50 | p99 | server core-ms | database core-ms | direct/s | p50 | p99 | HTTP : direct | failed |")
	fmt.Println("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
	for _, scenario := range append(b.searches(), []scenario{
		{"book", func(c *httpClient) error { return expect(201)(book(c)) }, func(ctx context.Context, _ int) error { return bookDirectly(ctx, direct, dataID, b.booking()) }},
		{"a doctor's day, 20 rows", func(c *httpClient) error {
			return expect(200)(c.send("GET", fmt.Sprintf("/appointments?date=%s&doctor_id=%d", b.today, 1+b.next.Add(1)%doctors), nil))
		}, func(ctx context.Context, _ int) error {
			return b.list(ctx, store.AppointmentQuery{Window: b.day, DoctorID: 1 + b.next.Add(1)%doctors, Limit: 100}, min(slotsADay, size/doctors))
		}},
		{"the clinic's day, 200 rows", func(c *httpClient) error {
			return expect(200)(c.send("GET", "/appointments?limit=200&date="+b.today, nil))
		}, func(ctx context.Context, _ int) error {
			return b.list(ctx, store.AppointmentQuery{Window: b.day, Limit: 200}, 200)
		}},
		{"free times of 50 doctors in 14 days, first 100", func(c *httpClient) error {
			return expect(200)(c.send("GET", fmt.Sprintf("/availability?limit=100&duration_minutes=20&doctor_id=%s&from=%s&to=%s", b.some, b.free.Start.Format(time.RFC3339), b.free.End.Format(time.RFC3339)), nil))
		}, func(ctx context.Context, _ int) error {
			return b.search(ctx, store.AvailabilityQuery{Window: b.free, Duration: slotLength, Limit: 100})
		}},
		{"first free time of each of 200 doctors", func(c *httpClient) error {
			return expect(200)(c.send("GET", "/availability/next?duration_minutes=20", nil))
		}, func(ctx context.Context, _ int) error {
			_, _, err := b.store.ListNextAvailable(ctx, store.SystemRequest(), nil, store.AvailabilityQuery{Duration: slotLength, Step: 15 * time.Minute})
			return err
		}},
		{"find patients by a name's beginning", func(c *httpClient) error {
			return expect(200)(c.send("GET", fmt.Sprintf("/patients?limit=20&name=Last%d", 1+b.next.Add(1)*patientStep%2000), nil))
		}, b.find(func(i int64) store.PatientQuery { return store.PatientQuery{Name: fmt.Sprint("Last", 1+i%2000)} })},
		{"find patients by two names", func(c *httpClient) error {
			i := b.next.Add(1) * patientStep % patients
			return expect(200)(c.send("GET", fmt.Sprintf("/patients?limit=20&name=Last%d%%20First%d", i, i%997), nil))
		}, b.find(func(i int64) store.PatientQuery {
			return store.PatientQuery{Name: fmt.Sprintf("Last%d First%d", i, i%997)}
		})},
		{"find patients by last digits", func(c *httpClient) error {
			return expect(200)(c.send("GET", fmt.Sprintf("/patients?limit=20&phone=%04d", b.next.Add(1)*patientStep%10_000), nil))
		}, b.find(func(i int64) store.PatientQuery { return store.PatientQuery{Phone: fmt.Sprintf("%04d", i%10_000)} })},
		{"find a patient by e-mail", func(c *httpClient) error {
			return expect(200)(c.send("GET", fmt.Sprintf("/patients?email=p%d@example.org", b.next.Add(1)*patientStep%patients), nil))
		}, b.find(func(i int64) store.PatientQuery { return store.PatientQuery{Email: fmt.Sprintf("p%d@example.org", i)} })},
		{"read a patient", func(c *httpClient) error {
			return expect(200)(c.send("GET", fmt.Sprintf("/patients/%d", 1+b.next.Add(1)*patientStep%patients), nil))
		}, func(ctx context.Context, _ int) error {
			_, err := b.store.Patient(ctx, store.SystemRequest(), 1+b.next.Add(1)*patientStep%patients)
			return err
		}},
	}...) {
		if !strings.Contains(scenario.name, o.only) {
			continue
		}
		for _, clients := range o.clients {
			if err := b.compare(ctx, o, scenario.name, clients, scenario.http, scenario.direct); err != nil {
				return fmt.Errorf("%s, %d clients: %w", scenario.name, clients, err)
			}
		}
	}
	if o.only == "" {
		return b.naive(ctx, o, binary)
	}
	return nil
}

// compare alternates rounds over HTTP and directly and prints a row.
func (b *bench) compare(ctx context.Context, o options, name string, clients int, overHTTP func(*httpClient) error, direct work) error {
	connections, err := dialAll(ctx, b.address, clients)
	if err != nil {
		return err
	}
	defer closeAll(connections)
	viaHTTP := func(_ context.Context, worker int) error { return overHTTP(connections[worker]) }
	var ratios, httpRates, directRates []float64
	var failed int
	var firstFailure error
	var httpLatencies, directLatencies []time.Duration
	var cpu used
	for i := range o.rounds + 1 { // the first one is a warm-up
		before := b.now()
		h, err := round(ctx, clients, o.duration, viaHTTP)
		if err != nil {
			return fmt.Errorf("over HTTP: %w", err)
		}
		spent := b.now().minus(before)
		d, err := round(ctx, clients, o.duration, direct)
		if err != nil {
			return fmt.Errorf("directly: %w", err)
		}
		failed += h.failures + d.failures
		firstFailure = cmpErr(cmpErr(firstFailure, h.first), d.first)
		if i == 0 && o.rounds > 1 {
			continue
		}
		cpu = cpu.plus(spent)
		ratios = append(ratios, h.perSecond/d.perSecond)
		httpRates, directRates = append(httpRates, h.perSecond), append(directRates, d.perSecond)
		httpLatencies, directLatencies = append(httpLatencies, h.latencies...), append(directLatencies, d.latencies...)
	}
	fmt.Printf("| %s | %d | %.0f | %s | %s | %s | %.0f | %s | %s | %.2f | %d |\n", name, clients,
		median(httpRates), ms(percentile(httpLatencies, 0.5)), ms(percentile(httpLatencies, 0.99)), cpu.per(len(httpLatencies)),
		median(directRates), ms(percentile(directLatencies, 0.5)), ms(percentile(directLatencies, 0.99)), median(ratios), failed)
	if failed > 0 {
		say("  %s, %d clients: %d failed, the first: %v", name, clients, failed, firstFailure)
	}
	return nil
}

func (b *bench) list(ctx context.Context, q store.AppointmentQuery, rows int) error {
	page, err := b.store.ListAppointments(ctx, store.SystemRequest(), q)
	if err == nil && len(page.Items) != rows {
		err = fmt.Errorf("%d rows, want %d", len(page.Items), rows)
	}
	return err
}

// find searches for patients directly.
func (b *bench) find(query func(i int64) store.PatientQuery) work {
	return func(ctx context.Context, _ int) error {
		q := query(b.next.Add(1) * patientStep % patients)
		q.Limit = 20
		_, err := b.store.ListPatients(ctx, store.SystemRequest(), q)
		return err
	}
}

// search searches for free times directly.
func (b *bench) search(ctx context.Context, q store.AvailabilityQuery) error {
	q.DoctorIDs, q.Step = b.ids, 15*time.Minute
	page, err := b.store.ListAvailability(ctx, store.SystemRequest(), q)
	if err == nil && len(page.Items) != q.Limit {
		err = fmt.Errorf("%d free times, want %d", len(page.Items), q.Limit)
	}
	return err
}

func expect(want int) func(int, error) error {
	return func(status int, err error) error {
		if err == nil && status != want {
			err = fmt.Errorf("status %d %s", status, http.StatusText(status))
		}
		return err
	}
}

// warm reads every index once, because the database has just started and a clinic's has run
// for weeks.
func warm(ctx context.Context, db *sqlx.DB) error {
	for _, index := range []string{
		"appointments FORCE INDEX (PRIMARY)", "appointments FORCE INDEX (appointments_doctor)",
		"appointments FORCE INDEX (appointments_patient)", "appointments FORCE INDEX (appointments_start)",
		"patients FORCE INDEX (PRIMARY)", "doctors FORCE INDEX (PRIMARY)",
		"occupied_times FORCE INDEX (PRIMARY)", "occupied_times FORCE INDEX (occupied_times_appointment)",
	} {
		var n int
		// Injection-safe: one of the constants above.
		if err := db.GetContext(ctx, &n, `SELECT COUNT(*) FROM `+index); err != nil {
			return err
		}
	}
	return nil
}

// startServer starts "mems serve" as a process with default settings, except for a connection
// pool as large as the direct side's. Its log goes to a file.
func startServer(ctx context.Context, o options, binary, dsn string, conns int) (*program.Server, error) {
	log, err := os.Create(filepath.Join(filepath.Dir(binary), "server.log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the server has its own handle
	s, err := program.Serve(ctx, binary, program.Environment("MEMS_DATABASE_URL="+dsn, "MEMS_HTTP_ADDR=127.0.0.1:0",
		"MEMS_DATABASE_MAX_CONNS="+strconv.Itoa(conns), "MEMS_LOG_LEVEL="+o.serverLog, fmt.Sprintf("MEMS_BOOKING_BATCHES=%t", o.batches)), log)
	if err != nil {
		said, _ := os.ReadFile(log.Name()) // without the log the error still tells that it ended
		return nil, fmt.Errorf("%w: %s", err, said)
	}
	return s, nil
}
