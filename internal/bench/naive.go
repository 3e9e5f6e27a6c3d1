package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

const (
	// wanted is how many doctors are in demand in the rush, and near how many of their next
	// times each client chooses one.
	wanted, near = 10, 4
	// contestants is how many clients request the same time simultaneously, contests how
	// often.
	contestants, contests = 16, 25
)

// opponent is one of the two servers that "naive" compares, and its appointments.
type opponent struct {
	name    string
	mems    bool
	address string
	db      *sqlx.DB
	processes
	horizon time.Time // no appointments after it
	booked  atomic.Int64
}

// naive compares MEMS with a server that checks and then inserts: bookings of different times,
// a rush in which clients choose among few times, and contests for one time. It counts the
// appointments that overlap another one of their doctor.
func (b *bench) naive(ctx context.Context, o options, binary string) error {
	ours, err := sqlx.ConnectContext(ctx, "mysql", b.dsn)
	if err != nil {
		return err
	}
	defer func() { _ = ours.Close() }()
	theirs, stop, err := b.startNaive(ctx, ours, filepath.Dir(binary))
	if err != nil {
		return fmt.Errorf("start the naive server: %w", err)
	}
	defer stop()
	both := []*opponent{{name: "MEMS", mems: true, address: b.address, db: ours, processes: b.processes}, theirs}
	fmt.Println("\n| bookings | clients | server | booked/s | refused/s | p50 | p99 | server core-ms | database core-ms | booked twice |")
	fmt.Println("|---|--:|---|--:|--:|--:|--:|--:|--:|--:|")
	for _, clients := range o.clients {
		for _, one := range both {
			one.horizon = b.horizon
		}
		if err := duel(ctx, o, "of different times", clients, both, func(*opponent) clinic.Booking { return b.booking() }); err != nil {
			return err
		}
	}
	for _, clients := range o.clients {
		b.horizon = b.horizon.AddDate(1, 0, 0)
		for _, one := range both {
			one.horizon = b.horizon
			one.booked.Store(0)
		}
		if err := duel(ctx, o, "in a rush for few times", clients, both, b.rush); err != nil {
			return err
		}
	}
	b.horizon = b.horizon.AddDate(1, 0, 0)
	for _, one := range both {
		one.horizon = b.horizon
		if err := one.contest(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// rush returns a booking of one of the next times of the doctors in demand.
func (b *bench) rush(one *opponent) clinic.Booking {
	slot := int(one.booked.Load())/wanted + rand.IntN(near) //nolint:gosec // G404: load
	return clinic.Booking{
		DoctorID: 1 + int64(withHours+rand.IntN(wanted)), PatientID: 1 + b.next.Add(1)*patientStep%patients, //nolint:gosec // G404: load
		Start: b.horizon.Add(time.Duration(slot) * 15 * time.Minute), Duration: 15 * time.Minute,
	}
}

// duel alternates rounds of the two servers and prints a row for each.
func duel(ctx context.Context, o options, name string, clients int, both []*opponent, next func(*opponent) clinic.Booking) error {
	totals := make([]score, len(both))
	for i := range o.rounds + 1 { // the first one is a warm-up
		for n, one := range both {
			s, err := one.round(ctx, o, clients, next)
			if err != nil {
				return fmt.Errorf("%s: %w", one.name, err)
			}
			if i > 0 || o.rounds == 1 {
				totals[n].add(s)
			}
		}
	}
	for n, one := range both {
		doubles, err := one.doubles(ctx)
		if err != nil {
			return err
		}
		totals[n].print(name, clients, one.name, doubles)
	}
	return nil
}

// score has the measurements of one server.
type score struct {
	booked, refused int
	latencies       []time.Duration
	lasted          time.Duration
	cpu             used
}

func (s *score) add(other score) {
	s.booked, s.refused, s.lasted = s.booked+other.booked, s.refused+other.refused, s.lasted+other.lasted
	s.latencies, s.cpu = append(s.latencies, other.latencies...), s.cpu.plus(other.cpu)
}

func (s *score) print(name string, clients int, server string, doubles int) {
	rate := func(n int) float64 { return float64(n) / s.lasted.Seconds() }
	fmt.Printf("| %s | %d | %s | %.0f | %.0f | %s | %s | %s | **%d** |\n", name, clients, server, rate(s.booked), rate(s.refused),
		ms(percentile(s.latencies, 0.5)), ms(percentile(s.latencies, 0.99)), s.cpu.per(s.booked+s.refused), doubles)
}

// send requests a booking and reports whether it was made. Every response but "created" and
// "conflict" is an error.
func (one *opponent) send(c *httpClient, k clinic.Booking) (booked bool, err error) {
	switch status, err := c.send(http.MethodPost, "/appointments", bookingBody(k)); {
	case err != nil:
		return false, err
	case status == http.StatusCreated:
		one.booked.Add(1)
		return true, nil
	case status != http.StatusConflict:
		return false, fmt.Errorf("status %d", status)
	}
	return false, nil
}

func (one *opponent) round(ctx context.Context, o options, clients int, next func(*opponent) clinic.Booking) (score, error) {
	connections, err := dialAll(ctx, one.address, clients)
	if err != nil {
		return score{}, err
	}
	defer closeAll(connections)
	var booked, refused atomic.Int64
	before, began := one.now(), time.Now()
	r, err := round(ctx, clients, o.duration, func(_ context.Context, worker int) error {
		made, err := one.send(connections[worker], next(one))
		switch {
		case err != nil:
			return err
		case made:
			booked.Add(1)
		default:
			refused.Add(1)
		}
		return nil
	})
	return score{
		booked: int(booked.Load()), refused: int(refused.Load()), latencies: r.latencies,
		lasted: time.Since(began), cpu: one.now().minus(before),
	}, err
}

// contest has clients request one free time simultaneously, again and again.
func (one *opponent) contest(ctx context.Context, b *bench) error {
	connections, err := dialAll(ctx, one.address, contestants)
	if err != nil {
		return err
	}
	defer closeAll(connections)
	var total score
	before := one.now()
	for i := range contests {
		var made atomic.Int64
		start := one.horizon.Add(time.Duration(i) * 15 * time.Minute)
		began := time.Now()
		r, err := together(contestants, func(worker int) error {
			booked, err := one.send(connections[worker], clinic.Booking{
				DoctorID: doctors, PatientID: 1 + b.next.Add(1)*patientStep%patients, Start: start, Duration: 15 * time.Minute,
			})
			if booked {
				made.Add(1)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
		total.add(score{
			booked: int(made.Load()), refused: contestants - int(made.Load()), latencies: r.latencies, lasted: time.Since(began),
		})
	}
	total.cpu = one.now().minus(before)
	doubles, err := one.doubles(ctx)
	if err != nil {
		return err
	}
	total.print(fmt.Sprintf("of one time by all, %d times", contests), contestants, one.name, doubles)
	return nil
}

// doubles counts the appointments after the horizon that overlap an earlier one of their
// doctor. Both schemas have these columns.
func (one *opponent) doubles(ctx context.Context) (n int, err error) {
	err = one.db.GetContext(ctx, &n, `
		SELECT COUNT(DISTINCT b.id)
		FROM appointments AS a
		JOIN appointments AS b ON b.doctor_id = a.doctor_id AND b.id > a.id AND b.start_time < a.end_time AND b.end_time > a.start_time
		  AND b.start_time >= ?
		WHERE a.start_time >= ?`, one.horizon, one.horizon)
	if err == nil && one.mems && n > 0 {
		err = fmt.Errorf("MEMS booked %d times twice", n)
	}
	return n, err
}

// startNaive copies the clinic into the naive server's tables and starts the server.
func (b *bench) startNaive(ctx context.Context, ours *sqlx.DB, dir string) (*opponent, func(), error) {
	config, err := mysql.ParseDSN(b.dsn)
	if err != nil {
		return nil, nil, err
	}
	source := config.DBName
	config.DBName += "_naive"
	config.ParseTime, config.InterpolateParams = true, true
	say("copying the clinic into %s", config.DBName)
	for _, statement := range []string{
		`DROP DATABASE IF EXISTS ` + config.DBName,
		`CREATE DATABASE ` + config.DBName,
		`CREATE TABLE ` + config.DBName + `.doctors (id BIGINT PRIMARY KEY AUTO_INCREMENT, full_name VARCHAR(200) NOT NULL)`,
		`CREATE TABLE ` + config.DBName + `.patients (id BIGINT PRIMARY KEY AUTO_INCREMENT, first_name VARCHAR(100) NOT NULL, last_name VARCHAR(100) NOT NULL)`,
		`CREATE TABLE ` + config.DBName + `.appointments (
			id BIGINT PRIMARY KEY AUTO_INCREMENT, patient_id BIGINT NOT NULL, doctor_id BIGINT NOT NULL,
			start_time DATETIME(6) NOT NULL, end_time DATETIME(6) NOT NULL, duration_minutes INT NOT NULL,
			status VARCHAR(20) NOT NULL, created_at DATETIME(6) NOT NULL,
			KEY doctor_start (doctor_id, start_time), KEY patient_start (patient_id, start_time),
			FOREIGN KEY (doctor_id) REFERENCES ` + config.DBName + `.doctors (id),
			FOREIGN KEY (patient_id) REFERENCES ` + config.DBName + `.patients (id))`,
		`INSERT INTO ` + config.DBName + `.doctors SELECT id, full_name FROM ` + source + `.doctors`,
		`INSERT INTO ` + config.DBName + `.patients SELECT id, first_name, last_name FROM ` + source + `.patients`,
		`INSERT INTO ` + config.DBName + `.appointments
			SELECT id, patient_id, doctor_id, start_time, end_time, duration_minutes, status, created_at FROM ` + source + `.appointments`,
	} {
		// Injection-safe: names of our own databases.
		if _, err := ours.ExecContext(ctx, statement); err != nil {
			return nil, nil, err
		}
	}
	db, err := sqlx.ConnectContext(ctx, "mysql", config.FormatDSN())
	if err != nil {
		return nil, nil, err
	}
	binary := filepath.Join(dir, "naive")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "mems/internal/bench/naive").CombinedOutput(); err != nil { //nolint:gosec // G204: our own
		return nil, nil, fmt.Errorf("%w: %s", err, out)
	}
	cmd := exec.CommandContext(ctx, binary, config.FormatDSN()) //nolint:gosec // G204: our own
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	stop := func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
		_ = db.Close()
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		stop()
		return nil, nil, errors.New("it ended without serving")
	}
	return &opponent{
		name: "naive", address: strings.TrimPrefix(lines.Text(), "http://"), db: db,
		processes: processes{cmd.Process.Pid, b.database},
	}, stop, nil
}
