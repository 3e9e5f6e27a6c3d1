package main

import (
	"bufio"
	"context"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os/exec"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"

	"mems/db"
	"mems/internal/contracttest"
	"mems/internal/storetest"
)

// With the private database everything starts without preparation, the printed commands
// work, and the data survive a stop and a crash.
func TestPrivateDatabase(t *testing.T) {
	t.Parallel()
	env := []string{"MEMS_DATA_DIR=" + t.TempDir(), "MEMS_CLINIC_TIME_ZONE=Europe/Zurich"}
	first := startMEMS(t, env...)
	_, lines, _ := strings.Cut(first.Output(), "another terminal:\n")
	lines, _, _ = strings.Cut(lines, "Send the last line")
	out, err := exec.CommandContext(t.Context(), "sh", "-eu", "-c", lines).CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"status":"scheduled"`) {
		t.Fatalf("the pasted lines: %v, want a scheduled appointment:\n%s", err, out)
	}

	t.Run("OtherCommandsJoin", func(t *testing.T) {
		code, out := runMEMS(t, []string{"migrate", "status"}, env...)
		if code != 0 || strings.Contains(out, "pending") || !strings.Contains(out, "00001_clinic.sql") {
			t.Errorf("mems migrate status: exit %d, want %d and \"00001_clinic.sql\" in the output, without \"pending\":\n%s",
				code, 0, out)
		}
	})
	// A terminal's Ctrl-C reaches the whole group; the database must outlast mems.
	if err := syscall.Kill(-first.cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := first.Wait(); code != 0 {
		t.Errorf("exit code after Ctrl-C = %d, want 0", code)
	}

	second := startMEMS(t, env...)
	contracttest.New(t, second.URL).Get("/appointments/1").Want(t, http.StatusOK, "")
	second.Signal(syscall.SIGKILL)
	second.Wait()

	third := startMEMS(t, env...)
	contracttest.New(t, third.URL).Get("/appointments/1").Want(t, http.StatusOK, "")
	third.Signal(syscall.SIGTERM)
	if code := third.Wait(); code != 0 {
		t.Errorf("exit code after SIGTERM = %d, want 0", code)
	}
	t.Run("Reset", func(t *testing.T) {
		code, out := runMEMS(t, []string{"reset", "--yes-destroy-all-data"}, env...)
		if code != 0 || !strings.Contains(out, "all data was destroyed") {
			t.Errorf("mems reset --yes-destroy-all-data: exit %d, want %d and \"all data was destroyed\" in the output:\n%s",
				code, 0, out)
		}
	})
}

// The program returns normally when its context ends.
func TestServeUntilItsContextEnds(t *testing.T) {
	t.Parallel()
	d := storetest.Empty(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	said, out := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"serve", "--migrate", "--http-addr=127.0.0.1:0"},
			[]string{"MEMS_DATABASE_URL=" + d.DSN}, out, io.Discard)
		_ = out.Close()
	}()
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), "MEMS is serving "); ok {
			go func() { _, _ = io.Copy(io.Discard, said) }() // otherwise it would block on the pipe
			contracttest.New(t, url).Get("/readyz").Want(t, http.StatusOK, "")
			break
		}
	}
	cancel()
	if got := <-code; got != exitOK {
		t.Errorf("exit code = %d, want %d", got, exitOK)
	}
}

func TestServeRefuses(t *testing.T) {
	t.Parallel()
	t.Run("OpenNetwork", func(t *testing.T) {
		t.Parallel()
		code, out := runMEMS(t, []string{"serve"}, "MEMS_HTTP_ADDR=0.0.0.0:0", "MEMS_DATABASE_URL=root@unix(/nowhere)/mems")
		if code != exitConfig || !strings.Contains(out, "MEMS_ALLOW_OPEN") {
			t.Errorf("mems serve: exit %d, want %d and \"MEMS_ALLOW_OPEN\" in the output:\n%s", code, exitConfig, out)
		}
	})
	t.Run("PortInUse", func(t *testing.T) {
		t.Parallel()
		taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = taken.Close() }()
		code, out := runMEMS(t, []string{"serve"}, "MEMS_HTTP_ADDR="+taken.Addr().String(), "MEMS_DATABASE_URL=root@unix(/nowhere)/mems")
		if code != exitFailed || !strings.Contains(out, "MEMS_HTTP_ADDR") || !strings.Contains(out, taken.Addr().String()) {
			t.Errorf("mems serve: exit %d, want %d and \"MEMS_HTTP_ADDR\", %q in the output:\n%s",
				code, exitFailed, taken.Addr().String(), out)
		}
	})
	t.Run("DatabaseAwayStillServes", func(t *testing.T) {
		t.Parallel()
		p := startMEMS(t, "MEMS_DATABASE_URL=root@unix(/nowhere/mysql.sock)/mems")
		c := contracttest.New(t, p.URL)
		c.Allow5xx = true
		c.Get("/healthz").Want(t, http.StatusOK, "")
		c.Get("/readyz").Want(t, http.StatusServiceUnavailable, "unavailable")
		c.Get("/doctors/1").Want(t, http.StatusServiceUnavailable, "unavailable")
		c.Post("/doctors", map[string]any{"full_name": "Dr.", "specialization": "Any"}).Want(t, http.StatusServiceUnavailable, "unavailable")
		p.waitFor("Ctrl-C")
		if said := p.Output(); !contains(said, "cannot be used yet", "/readyz says why") || contains(said, "A first booking") {
			t.Errorf("output of a server that is not ready, want that it cannot be used yet, and no first booking:\n%s",
				said)
		}
	})
}

func TestMigrateAndReset(t *testing.T) {
	t.Parallel()
	d := storetest.Empty(t)
	url := "MEMS_DATABASE_URL=" + d.DSN
	type step struct {
		args []string
		code int
		says string
	}
	migrations, err := fs.Glob(db.Migrations, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	steps := []step{
		{[]string{"migrate", "status"}, 0, "pending"},
		{[]string{"reset", "--yes-destroy-all-data"}, 1, "disposable"},
		{[]string{"migrate", "up"}, 0, "migrated to 00002_backstop.sql"},
		{[]string{"migrate", "up"}, 0, "nothing to do"},
		{[]string{"reset", "--yes-destroy-all-data"}, 1, "UPDATE installation"},
		{[]string{"demo"}, 1, "administrator"},
	}
	for _, m := range slices.Backward(migrations) {
		steps = append(steps, step{[]string{"migrate", "down", "--yes"}, 0, "undid " + path.Base(m)})
	}
	for _, step := range append(steps, step{[]string{"migrate", "down", "--yes"}, 0, "nothing to revert"}) {
		code, out := runMEMS(t, step.args, url)
		if code != step.code || !strings.Contains(out, step.says) {
			t.Errorf("mems %v: exit %d, want %d and %q:\n%s", step.args, code, step.code, step.says, out)
		}
	}
	t.Run("ServeMigrates", func(t *testing.T) {
		p := startProcess(t, []string{"serve", "--migrate"}, url, "MEMS_HTTP_ADDR=127.0.0.1:0")
		p.waitFor("MEMS is serving")
		if !strings.Contains(p.Output(), "migrated to 00001_clinic.sql") {
			t.Errorf("output, want migrated to 00001_clinic.sql in it:\n%s", p.Output())
		}
	})
}
