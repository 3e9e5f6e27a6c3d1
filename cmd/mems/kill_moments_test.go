package main

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mems/internal/contracttest"
	"mems/internal/localdb"
)

// numberFrom returns the number in an environment variable, or fallback.
func numberFrom(t *testing.T, name string, fallback int64) int64 {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		return fallback
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// The first start with a private database, as by "make run", is ended at a random moment by
// a random signal, sent to the process or, as by a terminal, to its group. The next start
// serves, with the schema of an undisturbed one.
//
// "make kill-moments" repeats it: MEMS_TEST_KILL_MOMENTS times, from the seed
// MEMS_TEST_KILL_SEED.
func TestFirstStartKilled(t *testing.T) {
	t.Parallel()
	seed := numberFrom(t, "MEMS_TEST_KILL_SEED", time.Now().UnixNano())
	count := numberFrom(t, "MEMS_TEST_KILL_MOMENTS", 5)
	t.Logf("MEMS_TEST_KILL_SEED=%d", seed)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	base := t.TempDir()

	dir := filepath.Join(base, "whole")
	began := time.Now()
	p := startFirst(t, dir)
	p.waitFor("MEMS is serving ")
	took := time.Since(began)
	want := schemaOf(t, dir)
	endFirst(t, p, dir)
	if !strings.Contains(want, "TRIGGER ") || !strings.Contains(want, "MIGRATION ") {
		t.Fatalf("schema is not whole, want its triggers and migrations:\n%s", want)
	}

	signals := []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGKILL}
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup, and then ignored by MEMS, too
		signals = append(signals, syscall.SIGHUP)
	}
	for i := range count {
		dir := filepath.Join(base, strconv.FormatInt(i, 10))
		after := time.Duration(random.Int64N(int64(took)))
		sent, group := signals[random.IntN(len(signals))], random.IntN(2) == 0
		what := fmt.Sprintf("moment %d: %s after %s, to the group: %t", i, sent, after, group)
		killed := startFirst(t, dir)
		select {
		case <-time.After(after):
		case <-killed.done:
			t.Errorf("%s: the process ended before, want it killed:\n%s", what, killed.Output())
		}
		pid := killed.cmd.Process.Pid
		if group {
			pid = -pid
		}
		_ = syscall.Kill(pid, sent)
		killed.Wait()
		if sent != syscall.SIGQUIT { // for which Go prints goroutines
			if fault := faultIn(killed.Output()); fault != "" {
				t.Errorf("%s: output has the fault %q, want none:\n%s", what, fault, killed.Output())
			}
		}
		again := startFirst(t, dir)
		t.Log(what)
		again.waitFor("MEMS is serving ")
		_, rest, _ := strings.Cut(again.Output(), "MEMS is serving ")
		url, _, _ := strings.Cut(rest, "\n")
		contracttest.New(t, url).Get("/readyz").Want(t, http.StatusOK, "")
		if got := schemaOf(t, dir); got != want {
			t.Errorf("%s: the schema differs, want\n%s\ngot\n%s", what, want, got)
		}
		endFirst(t, again, dir)
	}
}

// faultIn returns the first word of output that indicates a fault; empty for none.
func faultIn(output string) string {
	for _, word := range []string{"rror", "panic", "cancel", "mems serve:", "signal:"} {
		if strings.Contains(output, word) {
			return word
		}
	}
	return ""
}

// startFirst starts what "make run" does.
func startFirst(t *testing.T, dataDir string) *process {
	t.Helper()
	return startProcess(t, []string{"serve", "--migrate"}, "MEMS_HTTP_ADDR=127.0.0.1:0", "MEMS_LOG_LEVEL=error", "MEMS_DATA_DIR="+dataDir, testEngine())
}

// testEngine returns the engine of these tests' private databases.
func testEngine() string {
	if engine := os.Getenv("MEMS_TEST_DATABASE_ENGINE"); engine != "" {
		return "MEMS_DATABASE_ENGINE=" + engine
	}
	return "MEMS_DATABASE_ENGINE=auto"
}

// endFirst stops a process, checks that no database server outlives it, and removes the
// data.
func endFirst(t *testing.T, p *process, dataDir string) {
	t.Helper()
	p.Signal(syscall.SIGTERM)
	if code := p.Wait(); code != exitOK {
		t.Errorf("exit code %d, want %d:\n%s", code, exitOK, p.Output())
	}
	if pid := privateServer(t, dataDir); pid != 0 {
		t.Errorf("private database still runs as process %d, want it ended with its owner", pid)
	}
	if err := os.RemoveAll(dataDir); err != nil {
		t.Error(err)
	}
}

// schemaOf returns the schema in a data directory whose server is running.
func schemaOf(t *testing.T, dataDir string) string {
	t.Helper()
	s, err := localdb.Attach(t.Context(), localdb.Options{Dir: filepath.Join(dataDir, "db")})
	if err != nil {
		t.Fatal(err)
	}
	pool, err := sql.Open("mysql", s.DSN("mems"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pool.Close() }()
	rows, err := pool.QueryContext(t.Context(), `
		SELECT CONCAT_WS(' ', 'COLUMN', table_name, ordinal_position, column_name, column_type, is_nullable, column_default, extra) AS line
		FROM information_schema.columns WHERE table_schema = DATABASE()
		UNION ALL SELECT CONCAT_WS(' ', 'KEY', table_name, index_name, seq_in_index, column_name, non_unique)
		FROM information_schema.statistics WHERE table_schema = DATABASE()
		UNION ALL SELECT CONCAT_WS(' ', 'CONSTRAINT', table_name, constraint_name, constraint_type)
		FROM information_schema.table_constraints WHERE table_schema = DATABASE()
		UNION ALL SELECT CONCAT_WS(' ', 'TRIGGER', trigger_name, action_timing, event_manipulation, event_object_table, action_statement)
		FROM information_schema.triggers WHERE trigger_schema = DATABASE()
		UNION ALL SELECT CONCAT_WS(' ', 'MIGRATION', version_id, is_applied) FROM goose_db_version
		UNION ALL SELECT CONCAT_WS(' ', 'INSTALLATION', id, disposable) FROM installation
		ORDER BY line`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var b strings.Builder
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		b.WriteString(line + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
