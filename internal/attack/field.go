package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"mems/internal/localdb"
	"mems/internal/program"
)

// field is a private database and the servers under attack.
type field struct {
	options
	dir, binary, dsn string
	db               *localdb.Server
	doctor, patient  int64
	appointment      int64
	admin            string // a key
	start            time.Time

	mu      sync.Mutex
	servers map[string]*target
	numbers int // the last number used in a unique name
}

// target is a server.
type target struct{ *program.Server }

// newField builds mems, starts the database and a server that requires API keys, and creates
// the clinic's records.
func newField(ctx context.Context, o options, say io.Writer) (*field, error) {
	dir, err := os.MkdirTemp("", "mems-attack-")
	if err != nil {
		return nil, err
	}
	f := &field{options: o, dir: dir, servers: map[string]*target{}}
	if err := f.prepare(ctx, say); err != nil {
		f.close() //nolint:contextcheck // also when ctx has ended
		return nil, err
	}
	return f, nil
}

func (f *field) prepare(ctx context.Context, say io.Writer) error {
	_, _ = fmt.Fprintln(say, "building mems, starting a database")
	var err error
	if f.binary, err = program.Build(ctx, f.dir); err != nil {
		return err
	}
	if f.db, err = localdb.Start(ctx, localdb.Options{Dir: filepath.Join(f.dir, "db"), Engine: localdb.Engine(f.engine), Install: true}); err != nil {
		return err
	}
	if f.dsn, err = f.newDatabase(ctx, "mems"); err != nil {
		return err
	}
	if out, err := f.mems(ctx, nil, "migrate", "up"); err != nil {
		return fmt.Errorf("migrate: %w\n%s", err, out)
	}
	if f.admin, err = f.key(ctx, "admin"); err != nil {
		return err
	}
	s, err := f.closed(ctx)
	if err != nil {
		return err
	}
	return f.fill(ctx, s)
}

// fill creates the records that the attacks use.
func (f *field) fill(ctx context.Context, s *target) error {
	var err error
	if f.doctor, err = f.newDoctor(ctx, s); err != nil {
		return err
	}
	if f.patient, err = f.create(ctx, s, "/patients", object{"first_name": "Ann", "last_name": secretName}); err != nil {
		return err
	}
	f.start = time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 3).Add(8 * time.Hour)
	f.appointment, err = f.create(ctx, s, "/appointments", object{
		"patient_id": f.patient, "doctor_id": f.doctor, "start_time": f.start.Format(time.RFC3339), "duration_minutes": 30,
	})
	return err
}

// secretName must not appear in responses to callers who may not read patients.
const secretName = "Geheimrat"

// newDoctor creates a doctor who works all day, every day.
func (f *field) newDoctor(ctx context.Context, s *target) (int64, error) {
	return f.newDoctorOf(ctx, s, "Dermatology", "24:00")
}

// newDoctorOf creates a doctor who works every day from midnight to end.
func (f *field) newDoctorOf(ctx context.Context, s *target, specialization, end string) (int64, error) {
	id, err := f.create(ctx, s, "/doctors", object{"full_name": "Dr. Noor Haddad", "specialization": specialization})
	if err != nil {
		return 0, err
	}
	var blocks []object
	for day := 1; day <= 7; day++ {
		blocks = append(blocks, object{"weekday": day, "start": "00:00", "end": end})
	}
	a, err := s.ask(ctx, request{
		method: "PUT", path: fmt.Sprintf("/doctors/%d/working-hours", id), key: f.admin,
		body: object{"time_zone": "UTC", "timetables": []object{{"effective_from": "2020-01-01", "blocks": blocks}}, "exceptions": []object{}},
	})
	return id, a.want(err, http.StatusOK)
}

// create sends a POST request as the administrator and returns the id of the new record.
func (f *field) create(ctx context.Context, s *target, path string, body object) (int64, error) {
	return f.createAs(ctx, s, f.admin, path, body)
}

// createAs is create by another caller.
func (f *field) createAs(ctx context.Context, s *target, key, path string, body object) (int64, error) {
	a, err := s.ask(ctx, request{method: "POST", path: path, key: key, body: body})
	if err := a.want(err, http.StatusCreated); err != nil {
		return 0, fmt.Errorf("POST %s: %w", path, err)
	}
	var made struct {
		ID int64 `json:"id"`
	}
	return made.ID, json.Unmarshal(a.body, &made)
}

// newDatabase creates an empty database and returns its URL.
func (f *field) newDatabase(ctx context.Context, name string) (dsn string, err error) {
	db, err := sql.Open("mysql", f.db.DSN(""))
	if err != nil {
		return "", err
	}
	defer func() { _ = db.Close() }()
	_, err = db.ExecContext(ctx, "CREATE DATABASE "+name+" CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
	return f.db.DSN(name), err
}

// environment returns the environment of a mems process on this database.
func (f *field) environment(env []string) []string {
	return program.Environment(append([]string{"MEMS_DATABASE_URL=" + f.dsn, "MEMS_LOG_LEVEL=error", "MEMS_HTTP_ADDR=127.0.0.1:0"}, env...)...)
}

// mems runs a command of the program and waits for it.
func (f *field) mems(ctx context.Context, env []string, args ...string) (output string, err error) {
	limit, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(limit, f.binary, args...) //nolint:gosec // G204: our own
	cmd.Env = f.environment(env)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// key creates an API key.
func (f *field) key(ctx context.Context, role string, scopes ...string) (string, error) {
	_, key, err := f.keyAndID(ctx, role, scopes...)
	return key, err
}

func (f *field) keyAndID(ctx context.Context, role string, scopes ...string) (id int64, key string, err error) {
	args := []string{"keys", "create", "--role", role}
	for _, scope := range scopes {
		args = append(args, "--scope", scope)
	}
	out, err := f.mems(ctx, nil, append(args, f.unique("attacker"))...)
	if err != nil {
		return 0, "", fmt.Errorf("make a key: %w\n%s", err, out)
	}
	for line := range strings.Lines(out) {
		if _, err := fmt.Sscanf(line, "key %d ", &id); err != nil && len(strings.Fields(line)) == 1 {
			key = strings.TrimSpace(line)
		}
	}
	return id, key, nil
}

func (f *field) unique(name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.numbers++
	return fmt.Sprintf("%s %d", name, f.numbers)
}

// closed returns the server that requires API keys and otherwise has the default settings.
func (f *field) closed(ctx context.Context) (*target, error) {
	return f.server(ctx, "closed", "MEMS_AUTH=required")
}

// unlimited returns a server that requires API keys and has no rate limit, for load.
func (f *field) unlimited(ctx context.Context) (*target, error) {
	return f.server(ctx, "unlimited", "MEMS_AUTH=required", "MEMS_RATE_LIMIT=0")
}

// server returns the server with this name, started if necessary.
func (f *field) server(ctx context.Context, name string, env ...string) (*target, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if t := f.servers[name]; t != nil {
		return t, nil
	}
	t, err := f.serve(ctx, env)
	if err != nil {
		return nil, fmt.Errorf("start the server %q: %w", name, err)
	}
	if f.spoil {
		if t.URL, err = spoiled(ctx, t.Address(), f.admin); err != nil {
			return nil, err
		}
	}
	f.servers[name] = t
	return t, nil
}

func (f *field) serve(ctx context.Context, env []string) (*target, error) {
	var log strings.Builder
	s, err := program.Serve(ctx, f.binary, f.environment(env), &log)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, log.String())
	}
	return &target{s}, nil
}

// close stops everything and removes the data.
func (f *field) close() {
	for _, t := range f.servers {
		t.Kill()
	}
	if f.db != nil {
		limit, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = f.db.Stop(limit) // the data are deleted anyway
	}
	_ = os.RemoveAll(f.dir)
}
