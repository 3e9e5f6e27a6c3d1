package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"mems/internal/program"
)

// field is a private database and the servers on it.
type field struct {
	dir, out, binary string
	say              io.Writer
	ground           ground
	db               *sql.DB
	wire             *wire
	servers          []*target
	scene            *scene
	rush             rush
	receiver         *receiver
	probe            probe
	followers        []*follower
	following        sync.WaitGroup
	unfollow         context.CancelFunc

	// zoneName is the clinic's zone, chosen so that its day has just begun and the run stays
	// within one day of the queue.
	zoneName string
	today    time.Time // its midnight in that zone
	day      time.Time // the midnight after
	days     int       // how many days are booked at a time
	// stepsOfADay is the number of steps after which a client books the following days.
	stepsOfADay int
	frozen      time.Time // when the servers' clocks were stopped, to read everything

	doctors  []int64
	patients []int64
	rooms    []int64
	types    []kind
}

// kind is an appointment type.
type kind struct {
	id                     int64
	minutes, before, after int
	needsRoom              bool
}

// target is a server that keeps its address when it is started again.
type target struct {
	address string
	clock   string          // the file that shifts its clock
	log     string          // the file of its log
	batches bool            // MEMS_BOOKING_BATCHES
	running *program.Server // nil while it is down
	ready   atomic.Bool     // by /readyz, as for a load balancer
}

func newField(ctx context.Context, o options, say io.Writer) (*field, error) {
	dir, err := os.MkdirTemp("", "mems-proof-")
	if err != nil {
		return nil, err
	}
	f := &field{
		dir: dir, out: o.out, binary: o.binary, say: say, wire: newWire(), scene: newScene(), days: 4,
		stepsOfADay: max(1, callsOfADay*o.doctors/o.clients),
	}
	f.zoneName, f.today = morning(time.Now())
	f.day = f.today.AddDate(0, 0, 1)
	if err := f.prepare(ctx, o, say); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *field) prepare(ctx context.Context, o options, say io.Writer) error {
	_, _ = fmt.Fprintln(say, "building mems, starting a database")
	var err error
	if f.binary == "" {
		if f.binary, err = program.Build(ctx, f.dir, "-tags=proof"); err != nil {
			return err
		}
	}
	if f.ground, err = newGround(ctx, o, filepath.Join(f.dir, "db"), f.wire.calm.Store, say); err != nil {
		return err
	}
	if err = f.ground.create(ctx); err != nil {
		return err
	}
	if f.db, err = f.ground.open(ctx); err != nil {
		return err
	}
	if out, err := f.mems(ctx, "migrate", "up"); err != nil {
		return fmt.Errorf("migrate: %w\n%s", err, out)
	}
	var config net.ListenConfig
	for n := range o.servers {
		l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		t := &target{batches: n%2 == 1, address: l.Addr().String(), clock: filepath.Join(f.dir, fmt.Sprintf("clock-%d", n+1)), log: filepath.Join(f.out, fmt.Sprintf("server-%d.log", n+1))}
		_ = l.Close()
		_ = os.Remove(t.log) // of an earlier run
		f.servers = append(f.servers, t)
		if err := f.start(ctx, t); err != nil {
			return err
		}
	}
	f.follow(ctx)
	if err := f.fill(ctx, o.doctors); err != nil {
		return err
	}
	return f.holdProbe(ctx)
}

func (f *field) environment(address string) []string {
	return program.Environment("MEMS_DATABASE_URL="+f.ground.url(), "MEMS_LOG_LEVEL=error", "MEMS_HTTP_ADDR="+address,
		"MEMS_CLINIC_TIME_ZONE="+f.zoneName, "MEMS_WEBHOOK_NETWORKS=127.0.0.0/8")
}

// mems runs a command of the program.
func (f *field) mems(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, f.binary, args...) //nolint:gosec // G204: our own
	cmd.Env = f.environment("127.0.0.1:0")
	return cmd.CombinedOutput()
}

// start starts a server and waits until it serves, or ends.
func (f *field) start(ctx context.Context, t *target) error {
	log, err := os.OpenFile(t.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the process has its own
	env := append(f.environment(t.address), "PROOF_CLOCK_FILE="+t.clock, "MEMS_SHUTDOWN_DELAY=1s", fmt.Sprintf("MEMS_BOOKING_BATCHES=%t", t.batches))
	if t.running, err = program.Serve(ctx, f.binary, env, log); err != nil {
		return fmt.Errorf("%w: %s says more", err, t.log)
	}
	return nil
}

// kill ends a server like a crash.
func (t *target) kill() {
	if t.running != nil {
		t.running.Kill()
		t.running = nil
	}
}

// morning returns a zone in which it is about 8 o'clock, and its last midnight.
func morning(now time.Time) (zone string, midnight time.Time) {
	east := 8 - now.UTC().Hour() // -15 to 8
	if east < -12 {
		east += 24
	}
	local := now.In(time.FixedZone(fmt.Sprintf("UTC%+d", east), east*3600))
	y, m, d := local.Date()
	return fmt.Sprintf("Etc/GMT%+d", -east), time.Date(y, m, d, 0, 0, 0, 0, local.Location())
}

// made has the members of a created record that are read.
type made struct {
	ID     int64  `json:"id"`
	Secret string `json:"secret"` // of a webhook
}

// theRun is the actor of the run's own requests.
const theRun = "the run"

// create creates a record and returns it.
func (f *field) create(ctx context.Context, path string, members map[string]any) (answer made, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+f.servers[0].address+path, bytes.NewReader(asJSON(members)))
	if err != nil {
		return answer, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("MEMS-Actor", theRun)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return answer, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusCreated {
		text, _ := io.ReadAll(response.Body) // for the message alone
		return answer, fmt.Errorf("POST %s: %s %s", path, response.Status, text)
	}
	return answer, json.NewDecoder(response.Body).Decode(&answer)
}

// callsOfADay is how many steps of all clients each doctor has before the following days are
// booked, so that calendars are full, but small enough to be checked.
const callsOfADay = 800

// fill creates a webhook, doctors, and so few rooms and patients that clients collide.
func (f *field) fill(ctx context.Context, doctors int) error {
	var err error
	if f.receiver, err = newReceiver(ctx); err != nil {
		return err
	}
	hook, err := f.create(ctx, "/webhooks", map[string]any{"url": f.receiver.url(), "types": hookedTypes})
	if err != nil {
		return err
	}
	if err := f.receiver.verifyWith(hook.Secret); err != nil {
		return err
	}
	for i := range doctors {
		made, err := f.create(ctx, "/doctors", map[string]any{
			"full_name": fmt.Sprintf("Doctor %s", letters(i)), "specialization": "Dermatology", "overbook_cap": i % 3 / 2, // every third's is 1
		})
		if err != nil {
			return err
		}
		f.doctors = append(f.doctors, made.ID)
	}
	for i := range (2*doctors + 2) / 3 {
		made, err := f.create(ctx, "/rooms", map[string]any{"name": fmt.Sprintf("Room %s", letters(i))})
		if err != nil {
			return err
		}
		f.rooms = append(f.rooms, made.ID)
	}
	for _, k := range []kind{{minutes: 20, before: 5, after: 10}, {minutes: 30, before: 10, after: 5, needsRoom: true}} {
		body := map[string]any{
			"name": fmt.Sprintf("Of %d minutes", k.minutes), "duration_minutes": k.minutes,
			"buffer_before_minutes": k.before, "buffer_after_minutes": k.after, "needs_room": k.needsRoom,
		}
		if k.needsRoom {
			body["room_ids"] = f.rooms
		}
		made, err := f.create(ctx, "/appointment-types", body)
		if err != nil {
			return err
		}
		k.id = made.ID
		f.types = append(f.types, k)
	}
	for i := range (8*doctors + 2) / 3 {
		made, err := f.create(ctx, "/patients", map[string]any{"first_name": "Pat", "last_name": "Number" + letters(i)})
		if err != nil {
			return err
		}
		f.patients = append(f.patients, made.ID)
	}
	return nil
}

// letters returns a number as letters: A to Z, BA and so on.
func letters(n int) string {
	if n < 26 {
		return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[n : n+1]
	}
	return letters(n/26) + letters(n%26)
}

// close stops everything and removes the data.
func (f *field) close() {
	if f.unfollow != nil {
		f.unfollow()
		f.following.Wait()
	}
	for _, t := range f.servers {
		t.kill()
	}
	if f.receiver != nil {
		f.receiver.close()
	}
	if f.db != nil {
		_ = f.db.Close()
	}
	if f.ground != nil {
		f.ground.close()
	}
	_ = os.RemoveAll(f.dir)
}
