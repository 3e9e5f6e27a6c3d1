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
	"sync/atomic"
	"time"

	"mems/internal/program"
)

// field is a private database and the servers on it.
type field struct {
	dir, out, binary string
	ground           ground
	db               *sql.DB
	wire             *wire
	servers          []*target
	doctors          []int64
	patients         []int64
	day              time.Time
}

// target is a server that keeps its address when it is started again.
type target struct {
	address string
	clock   string          // the file that shifts its clock
	log     string          // the file of its log
	running *program.Server // nil while it is down
	ready   atomic.Bool     // by its own word, as a load balancer hears it
}

func newField(ctx context.Context, o options, say io.Writer) (*field, error) {
	dir, err := os.MkdirTemp("", "mems-proof-")
	if err != nil {
		return nil, err
	}
	f := &field{dir: dir, out: o.out, binary: o.binary, wire: newWire()}
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
	if f.ground, err = newGround(ctx, o, filepath.Join(f.dir, "db")); err != nil {
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
		t := &target{address: l.Addr().String(), clock: filepath.Join(f.dir, fmt.Sprintf("clock-%d", n+1)), log: filepath.Join(f.out, fmt.Sprintf("server-%d.log", n+1))}
		_ = l.Close()
		_ = os.Remove(t.log) // of an earlier run
		f.servers = append(f.servers, t)
		if err := f.start(ctx, t); err != nil {
			return err
		}
	}
	return f.fill(ctx)
}

func (f *field) environment(address string) []string {
	return program.Environment("MEMS_DATABASE_URL="+f.ground.url(), "MEMS_LOG_LEVEL=error", "MEMS_HTTP_ADDR="+address)
}

// mems runs a command to its end.
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
	defer func() { _ = log.Close() }() // the process has it, too
	env := append(f.environment(t.address), "PROOF_CLOCK_FILE="+t.clock, "MEMS_SHUTDOWN_DELAY=1s")
	if t.running, err = program.Serve(ctx, f.binary, env, log); err != nil {
		return fmt.Errorf("%w: %s says more", err, t.log)
	}
	return nil
}

// kill ends a server as a crash would.
func (t *target) kill() {
	if t.running != nil {
		t.running.Kill()
		t.running = nil
	}
}

// fill makes few doctors and patients, so that clients collide.
func (f *field) fill(ctx context.Context) error {
	f.day = time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 3)
	create := func(path string, body any) (int64, error) {
		text, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+f.servers[0].address+path, bytes.NewReader(text))
		if err != nil {
			return 0, err
		}
		r.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, err
		}
		defer func() { _ = answer.Body.Close() }()
		var made struct {
			ID int64 `json:"id"`
		}
		if answer.StatusCode != http.StatusCreated {
			return 0, fmt.Errorf("POST %s: %s", path, answer.Status)
		}
		err = json.NewDecoder(answer.Body).Decode(&made)
		return made.ID, err
	}
	for i := range 3 {
		id, err := create("/doctors", map[string]any{"full_name": fmt.Sprintf("Doctor %c", 'A'+i), "specialization": "Dermatology"})
		if err != nil {
			return err
		}
		f.doctors = append(f.doctors, id)
	}
	for i := range 8 {
		id, err := create("/patients", map[string]any{"first_name": "Pat", "last_name": fmt.Sprintf("Number%c", 'A'+i)})
		if err != nil {
			return err
		}
		f.patients = append(f.patients, id)
	}
	return nil
}

// close ends everything and removes the data.
func (f *field) close() {
	for _, t := range f.servers {
		t.kill()
	}
	if f.db != nil {
		_ = f.db.Close()
	}
	if f.ground != nil {
		f.ground.close()
	}
	_ = os.RemoveAll(f.dir)
}
