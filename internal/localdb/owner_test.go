//go:build unix

package localdb_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mems/internal/localdb"
)

// A killed owner leaves nothing that obstructs the next start.
func TestOwnerKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	t.Run("WhileServing", func(t *testing.T) {
		owner := startOwner(t, dir)
		fill(t, start(t, dir)) // attached
		kill(t, owner)
		waitUntil(t, "the server to end without being asked", func() bool { return serverOf(t, dir) == 0 })
	})
	t.Run("NextStart", func(t *testing.T) {
		owner := startOwner(t, dir)
		kill(t, owner) // and immediately:
		next := start(t, dir)
		if !next.Owned() {
			t.Error("next start attached to a server without an owner, want it to own one")
		}
		if n := count(t, next); n != 2 {
			t.Errorf("%d rows, want 2", n)
		}
	})
	t.Run("WhileStarting", func(t *testing.T) {
		owner := ownerCommand(t, dir)
		if err := owner.Start(); err != nil {
			t.Fatal(err)
		}
		waitUntil(t, "a server process", func() bool { return serverOf(t, dir) != 0 })
		kill(t, owner)
		if n := count(t, start(t, dir)); n != 2 {
			t.Errorf("%d rows, want 2", n)
		}
	})
}

func ownerCommand(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	owner := exec.CommandContext(t.Context(), os.Args[0])
	owner.Env = append(os.Environ(), "MEMS_TEST_OWN="+dir)
	return owner
}

// startOwner returns once the owner's server accepts connections.
func startOwner(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	owner := ownerCommand(t, dir)
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 8000)
	n, err := out.Read(line)
	if err != nil || !strings.HasPrefix(string(line[:n]), "serving") {
		t.Fatalf("owner says %q (%v), want serving", line[:n], err)
	}
	return owner
}

func kill(t *testing.T, owner *exec.Cmd) {
	t.Helper()
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait() // killed, as expected
}

// serverOf returns the process that uses dir's data; 0 for none.
func serverOf(t *testing.T, dir string) int {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range lines {
		text, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(text), "--datadir="+dir+"/data\x00") {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	return 0
}

func waitUntil(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 3000 {
		if is() {
			return
		}
		time.Sleep(10 * time.Millisecond) // another process sends no signal
	}
	t.Fatalf("timed out waiting for %s", what)
}

func TestManyStartAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	servers := make([]*localdb.Server, 6)
	errs := make([]error, len(servers))
	var all sync.WaitGroup
	for i := range servers {
		all.Go(func() { servers[i], errs[i] = localdb.Start(t.Context(), options(dir, t.Logf)) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	owners := 0
	for _, s := range servers {
		stopLater(t, s)
		if s.Owned() {
			owners++
		}
		if err := ping(t, s.DSN("")); err != nil {
			t.Error(err)
		}
	}
	if owners != 1 {
		t.Errorf("%d owners, want 1", owners)
	}
}

// The owner of a directory may take long, or end before its server accepts connections.
func TestWaitForOwner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lock, err := os.Create(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	t.Run("NotForEver", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, err := localdb.Start(ctx, options(dir, t.Logf))
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "another process owns") {
			t.Errorf("Start while another process holds the lock = %v, want %v and that it owns the directory",
				err, context.DeadlineExceeded)
		}
	})
	t.Run("TakeOver", func(t *testing.T) {
		// What a crashed owner left must not be trusted.
		if err := os.MkdirAll(filepath.Join(dir, "run"), 0o700); err != nil {
			t.Fatal(err)
		}
		left := `{"engine":"mariadb","socket":"` + filepath.Join(dir, "run", "mysql.sock") + `"}`
		if err := os.WriteFile(filepath.Join(dir, "run", "server.json"), []byte(left), 0o600); err != nil {
			t.Fatal(err)
		}
		waits := make(chan struct{})
		var once sync.Once
		go func() {
			<-waits
			_ = lock.Close()
		}()
		s, err := localdb.Start(t.Context(), options(dir, func(format string, args ...any) {
			t.Logf(format, args...)
			once.Do(func() { close(waits) }) // it logs this after a while
		}))
		if err != nil {
			t.Fatal(err)
		}
		stopLater(t, s)
		if !s.Owned() {
			t.Error("server has no owner, want the process that took over")
		}
	})
}

func TestControl(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, dir)
	fill(t, s)
	t.Run("RestartWhileRunning", func(t *testing.T) {
		before := serverOf(t, dir)
		if err := s.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if after := serverOf(t, dir); after == before || after == 0 {
			t.Errorf("server process %d before the restart and %d after it, want another", before, after)
		}
	})
	t.Run("EndedByItself", func(t *testing.T) {
		if err := syscall.Kill(serverOf(t, dir), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if err := s.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := count(t, s); n != 2 {
			t.Errorf("%d rows, want 2", n)
		}
	})
	t.Run("StopWithoutTime", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Stop(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want that it was killed", err)
		}
		if pid := serverOf(t, dir); pid != 0 {
			t.Errorf("server process %d still runs after Stop, want none", pid)
		}
	})
	t.Run("AfterStop", func(t *testing.T) {
		if err := s.Stop(t.Context()); err != nil {
			t.Errorf("second Stop: %v, want no error", err)
		}
		if err := s.Restart(t.Context()); err == nil {
			t.Error("Restart without the directory's lock = nil, want an error")
		}
		if err := s.Kill(); err == nil {
			t.Error("Kill of a stopped server = nil, want an error")
		}
	})
}
