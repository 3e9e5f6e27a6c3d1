package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"mems/internal/contracttest"
	"mems/internal/storetest"
)

// allJSON checks that every line of output is JSON, and returns the lines.
func allJSON(t *testing.T, output string) (lines []map[string]any) {
	t.Helper()
	for line := range strings.Lines(output) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Errorf("line of the log = %q (%v), want JSON", line, err)
		}
		lines = append(lines, fields)
	}
	return lines
}

// With MEMS_LOG_FORMAT=json every line is JSON, from the welcome to the end, and the names
// of durations have their unit.
func TestJSONLogsAreJSONAlone(t *testing.T) {
	t.Parallel()
	p := startProcess(t, []string{"serve", "--migrate"}, "MEMS_HTTP_ADDR=127.0.0.1:0", "MEMS_LOG_FORMAT=json", "MEMS_AUTH=required",
		"MEMS_METRICS_ADDR=127.0.0.1:0", "MEMS_DATABASE_URL="+storetest.New(t).DSN)
	p.waitFor("no API key exists yet")
	var url string
	for _, line := range allJSON(t, p.Output()) {
		if line["msg"] == "MEMS is serving" {
			url, _ = line["url"].(string)
		}
	}
	contracttest.New(t, url).Get("/version").Want(t, http.StatusOK, "")
	p.waitFor(`"msg":"request"`)
	p.Signal(syscall.SIGTERM)
	if code := p.Wait(); code != exitOK {
		t.Errorf("exit code = %d, want %d", code, exitOK)
	}
	for _, line := range allJSON(t, p.Output()) {
		took, ok := line["took_seconds"].(float64)
		if line["msg"] == "request" && (!ok || took <= 0 || took > 10) || line["took"] != nil {
			t.Errorf("request in the log = %v, want took_seconds of at most 10 and no took", line)
		}
	}
	if !strings.Contains(p.Output(), `"msg":"stopped."`) {
		t.Errorf("output, want the line stopped.:\n%s", p.Output())
	}
}

// A failed start reports the cause in JSON, too.
func TestJSONFailuresAreJSON(t *testing.T) {
	t.Parallel()
	for _, environ := range [][]string{
		{"MEMS_MAX_AT_ONCE=many", "MEMS_PROT=1"},
		{"MEMS_DATABASE_URL=nonsense"},
		{"MEMS_HTTP_ADDR=0.0.0.0:0"},
	} {
		_, output := runMEMS(t, []string{"serve"}, append(environ, "MEMS_LOG_FORMAT=json")...)
		if lines := allJSON(t, output); len(lines) != 1 || lines[0]["level"] != "ERROR" {
			t.Errorf("mems serve with %v, want one line of JSON at level ERROR:\n%s", environ, output)
		}
	}
}

// Logged durations are in seconds in every package, and their names say so.
func TestDurationsAreInSeconds(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		var b bytes.Buffer
		logsTo(&b, format, slog.LevelInfo).Info("x", "took", 1500*time.Millisecond, "pause_seconds", time.Second)
		if !contains(strings.NewReplacer(`"`, "", ":", "=").Replace(b.String()), "took_seconds=1.5", "pause_seconds=1") {
			t.Errorf("%s log = %s, want took_seconds=1.5 and pause_seconds=1", format, b.String())
		}
	}
}

// Every wrong setting is reported in one run, even those that only serve checks.
func TestServeNamesEveryWrongSetting(t *testing.T) {
	t.Parallel()
	code, output := runMEMS(t, []string{"serve"}, "MEMS_HTTP_ADDR=0.0.0.0:0", "MEMS_TLS_CERT_FILE=/nowhere/cert", "MEMS_TLS_KEY_FILE=/nowhere/key",
		"MEMS_DATABASE_CA_FILE=/nowhere/ca", "MEMS_DATABASE_URL=nonsense", "MEMS_STATUS_DIR=/nowhere/status")
	if code != exitConfig || !contains(output, "MEMS_HTTP_ADDR=", "MEMS_TLS_CERT_FILE", "MEMS_DATABASE_CA_FILE: ", "MEMS_DATABASE_URL: ", "MEMS_STATUS_DIR: ") {
		t.Errorf("mems serve: exit %d, want %d"+
			" and \"MEMS_HTTP_ADDR=\", \"MEMS_TLS_CERT_FILE\", \"MEMS_DATABASE_CA_FILE: \", \"MEMS_DATABASE_URL: \", \"MEMS_STATUS_DIR: \" in the output:\n%s",
			code, exitConfig, output)
	}
}

// Backups and verifications record their last success, and serve exports it.
func TestServeTellsOfBackupsAndVerifications(t *testing.T) {
	t.Parallel()
	dir, url := t.TempDir(), "MEMS_DATABASE_URL="+storetest.New(t).DSN
	for _, args := range [][]string{{"backup", t.TempDir() + "/backup.gz"}, {"audit", "verify"}} {
		if code, output := runMEMS(t, args, url, "MEMS_STATUS_DIR="+dir); code != exitOK {
			t.Fatalf("mems %q: exit %d, want %d:\n%s", args, code, exitOK, output)
		}
	}
	p := startMEMS(t, url, "MEMS_METRICS_ADDR=127.0.0.1:0", "MEMS_STATUS_DIR="+dir)
	if metrics := metricsOf(t, p); !contains(metrics, "\nmems_backup_timestamp_seconds 1.", "\nmems_audit_verify_timestamp_seconds 1.",
		"\nmems_audit_verify_faults 0\n", "\nmems_ready 1\n", "\nprocess_start_time_seconds ") {
		t.Errorf("metrics, want the last backup and verification, without faults, and ready:\n%s", metrics)
	}
}
