package main

import (
	"bytes"
	"os"
	"strings"
	"syscall"
	"testing"

	"mems/internal/storetest"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	url := "MEMS_DATABASE_URL=" + d.DSN
	small := []string{"demo", "-patients", "60", "-doctors", "3", "-weeks", "2"}
	t.Run("NotDisposable", func(t *testing.T) {
		if code, out := runMEMS(t, small, url); code != exitFailed || !strings.Contains(out, "UPDATE installation SET disposable = 1") {
			t.Errorf("mems %q: exit %d, want %d and \"UPDATE installation SET disposable = 1\" in the output:\n%s",
				small, code, exitFailed, out)
		}
	})
	if _, err := d.DB.Exec(`UPDATE installation SET disposable = 1`); err != nil {
		t.Fatal(err)
	}
	t.Run("Interrupted", func(t *testing.T) {
		p := startProcess(t, []string{"demo", "-patients", "10000"}, url) // it reports after a quarter of them
		p.waitFor("patients")
		p.Signal(syscall.SIGINT)
		if code := p.Wait(); code != exitFailed || !contains(p.Output(), "stopped.", "mems reset --yes-destroy-all-data", "run the command again") {
			t.Errorf("interrupted demo: exit %d, want %d and what to do next:\n%s", code, exitFailed, p.Output())
		}
		if code, out := runMEMS(t, []string{"reset", "--yes-destroy-all-data"}, url); code != exitOK {
			t.Fatalf("mems reset --yes-destroy-all-data: exit %d, want %d:\n%s", code, exitOK, out)
		}
	})
	t.Run("OK", func(t *testing.T) {
		code, out := runMEMS(t, small, url, "MEMS_HTTP_ADDR=0.0.0.0:8099", "MEMS_ALLOW_OPEN=true")
		for _, text := range []string{"patients          60 of 60", "3 doctors, 60 patients and ", "http://127.0.0.1:8099/appointments?date=", "&doctor_id=", "address\nthat it printed"} {
			if code != exitOK || !strings.Contains(out, text) {
				t.Errorf("mems %q: exit %d, want %d and %q in the output:\n%s", small, code, exitOK, text, out)
			}
		}
	})
	for what, query := range map[string]string{
		"patients":     `SELECT COUNT(*) FROM patients`,
		"doctors":      `SELECT COUNT(*) FROM doctors`,
		"appointments": `SELECT COUNT(*) FROM appointments`,
	} {
		var n int
		if err := d.DB.Get(&n, query); err != nil || n == 0 {
			t.Errorf("%d %s (%v), want some", n, what, err)
		}
	}
	t.Run("AlreadyFull", func(t *testing.T) {
		if code, out := runMEMS(t, small, url); code != exitFailed || !strings.Contains(out, "mems reset") {
			t.Errorf("mems %q: exit %d, want %d and \"mems reset\" in the output:\n%s", small, code, exitFailed, out)
		}
	})
	t.Run("AgainAfterReset", func(t *testing.T) {
		if code, out := runMEMS(t, []string{"reset", "--yes-destroy-all-data"}, url); code != exitOK {
			t.Fatalf("mems reset --yes-destroy-all-data: exit %d, want %d:\n%s", code, exitOK, out)
		}
		if code, out := runMEMS(t, small, url); code != exitOK {
			t.Errorf("mems %q: exit %d, want %d:\n%s", small, code, exitOK, out)
		}
	})
	t.Run("OldSchema", func(t *testing.T) {
		if code, out := runMEMS(t, []string{"migrate", "down", "--yes"}, url); code != exitOK {
			t.Fatalf("mems migrate down --yes: exit %d, want %d:\n%s", code, exitOK, out)
		}
		if code, out := runMEMS(t, small, url); code != exitFailed || !strings.Contains(out, "mems migrate up") {
			t.Errorf("mems %q: exit %d, want %d and \"mems migrate up\" in the output:\n%s",
				small, code, exitFailed, out)
		}
	})
}

func TestBar(t *testing.T) {
	t.Parallel()
	t.Run("Lines", func(t *testing.T) {
		t.Parallel()
		var out bytes.Buffer
		b := newBar(&out)
		for i := range 100 {
			b.show("patients", i+1, 100)
		}
		b.show("appointments", 7, 7)
		b.end()
		if lines := strings.Split(out.String(), "\n"); len(lines) != 6 || !strings.HasPrefix(lines[3], "patients         100 of 100") {
			t.Errorf("progress = %q, want 6 lines, the fourth of 100 patients", lines)
		}
	})
	t.Run("Terminal", func(t *testing.T) {
		t.Parallel()
		null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = null.Close() }()
		b := newBar(null)
		if !b.terminal {
			t.Error("newBar of a character device: no terminal, want one")
		}
		var out bytes.Buffer
		b.w = &out
		b.show("patients", 50, 100)
		b.show("patients", 100, 100)
		b.show("appointments", 0, 0)
		b.end()
		b.end()
		want := "\rpatients      [###############...............]     50 of 100\x1b[K" +
			"\rpatients      [##############################]    100 of 100\x1b[K\n" +
			"\rappointments  [..............................]      0 of 0\x1b[K\n"
		if out.String() != want {
			t.Errorf("got  %q\nwant %q", &out, want)
		}
	})
}

// What "mems demo" prints works at the server that runs the private database, whatever its
// own settings are.
func TestDemoPrintsTheServedAddress(t *testing.T) {
	t.Parallel()
	dir := "MEMS_DATA_DIR=" + t.TempDir()
	p := startMEMS(t, dir, "MEMS_AUTH=required", testEngine())
	code, out := runMEMS(t, []string{"demo", "-patients", "20", "-doctors", "2", "-weeks", "1"}, dir, testEngine())
	if want := `curl -sS -H "X-API-Key: $KEY" '` + p.URL + `/appointments?date=`; code != exitOK || !strings.Contains(out, want) {
		t.Errorf("mems demo: exit %d, want %d and %q in the output:\n%s", code, exitOK, want, out)
	}
}
