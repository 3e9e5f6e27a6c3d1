package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mems/internal/contracttest"
)

// privateServer returns the pid of the database server in a data directory; 0 for none.
func privateServer(t *testing.T, dataDir string) int {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range lines {
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), "--datadir="+dataDir+"/db/data\x00") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			return pid
		}
	}
	return 0
}

// waitReady waits until the server is ready again.
func waitReady(t *testing.T, p *process) {
	t.Helper()
	client := contracttest.New(t, p.URL)
	client.Allow5xx = true
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		written, err := client.Try(contracttest.Request{
			Method: http.MethodPost, Path: "/doctors", Body: map[string]any{"full_name": "Dr.", "specialization": "Any"},
		})
		if err == nil && written.Status == http.StatusCreated {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no write succeeded within a minute, want one:\n%s", p.Output())
		}
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if client.Get("/readyz").Status == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("/readyz is not 200 within 5 s of a write, want it ready:\n%s", p.Output())
		}
	}
}

// If the private database dies, it is restarted. If its owner is killed, the other process
// takes it over. If it dies repeatedly, the process exits with a status that makes a
// service manager restart both.
func TestPrivateDatabaseDies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startMEMS(t, "MEMS_DATA_DIR="+dir)
	second := startMEMS(t, "MEMS_DATA_DIR="+dir)
	kill := func() {
		t.Helper()
		if pid := privateServer(t, dir); pid != 0 {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	kill()
	waitReady(t, first)
	waitReady(t, second)

	first.Signal(syscall.SIGKILL)
	first.Wait()
	second.waitFor("running it here from now on")
	waitReady(t, second)

	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		select {
		case <-second.done:
		default:
			kill()
			continue
		}
		break
	}
	if code := second.Wait(); code != exitFailed || !contains(second.Output(), "private database: the database server died", "server.log") {
		t.Errorf("exit code %d, want %d and that the database server died:\n%s", code, exitFailed, second.Output())
	}
	if pid := privateServer(t, dir); pid != 0 {
		t.Errorf("private database still runs as process %d, want it ended with its owner", pid)
	}
}
