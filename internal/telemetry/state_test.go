package telemetry_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mems/db"
	"mems/internal/telemetry"
)

// Alerts have their data even without any request.
func TestStateWithoutTraffic(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.want(map[string]float64{
		"mems_ready": 1, "mems_migrations_pending": 0, "mems_webhook_refused_seconds": 0, "mems_webhooks_gone": 0,
		"mems_tls_certificate_expiry_timestamp_seconds": float64(now().AddDate(0, 0, 90).Unix()),
	})
	f.absent("mems_backup_timestamp_seconds", "mems_audit_verify_timestamp_seconds", "mems_audit_verify_faults")
	f.noteAll()
	if err := os.WriteFile(filepath.Join(f.status, "mems_backup.prom"), []byte("mems_ready 7\nmems_backup_timestamp_seconds x\n\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.absent("mems_backup_timestamp_seconds")
	f.want(map[string]float64{"mems_ready": 1})

	// A schema older than the program requires.
	if _, err := f.db.DB.Exec(`DELETE FROM goose_db_version WHERE version_id = ?`, db.Latest); err != nil {
		t.Fatal(err)
	}
	f.eventually("mems_ready", 0)
	f.want(map[string]float64{"mems_migrations_pending": 1})
	f.absent("mems_webhook_refused_seconds")
}

// A refused message counts from its first attempt until it is accepted.
func TestStateOfWebhooks(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, statement := range []string{
		`INSERT INTO webhooks (id, url, types, enabled, secret, created_by, version, created_at, updated_at)
		 VALUES (1, 'https://a.example', '[]', 1, REPEAT('s', 32), 'test', 1, '2027-03-01 00:00:00', '2027-03-01 00:00:00')`,
		`INSERT INTO webhook_deliveries (webhook_id, at, type, status, attempts, since, next_at, last_error, created_at)
		 VALUES (1, '2027-03-01 06:00:00', 'appointment.booked', 'pending', 0, '2027-03-01 05:00:00', '2027-03-01 05:00:00', NULL, '2027-03-01 05:00:00'),
		        (1, '2027-03-01 06:00:00', 'appointment.booked', 'dead', 9, '2027-03-01 01:00:00', NULL, '500', '2027-03-01 05:00:00'),
		        (1, '2027-03-01 06:00:00', 'appointment.booked', 'pending', 4, '2027-03-01 06:30:00', '2027-03-01 09:00:00', '500', '2027-03-01 05:00:00')`,
	} {
		if _, err := f.db.DB.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	f.want(map[string]float64{"mems_webhook_refused_seconds": 90 * 60, "mems_webhooks_gone": 0})
	if _, err := f.db.DB.Exec(`UPDATE webhooks SET enabled = 0, disabled_reason = 'answered 410'`); err != nil {
		t.Fatal(err)
	}
	f.want(map[string]float64{"mems_webhooks_gone": 1})
}

// A process without a store, or with an unreachable database, reports that it is not ready.
func TestStateOfADeadDatabase(t *testing.T) {
	t.Parallel()
	f := setup(t)
	watch, err := telemetry.New(t.Context(), telemetry.Config{Version: "v9", Commit: "c0ffee", Schema: "9", Log: f.logger()})
	if err != nil {
		t.Fatal(err)
	}
	f.watch = watch
	f.want(map[string]float64{"mems_ready": 0})
	f.absent("mems_migrations_pending", "mems_webhook_refused_seconds", "mems_tls_certificate_expiry_timestamp_seconds")
	watch.Watch(telemetry.State{Store: f.nowhere(), Now: now})
	f.want(map[string]float64{"mems_ready": 0})
	f.absent("mems_migrations_pending", "mems_webhook_refused_seconds", "mems_tls_certificate_expiry_timestamp_seconds")
}

// The start time is right although /proc/stat is hidden, as by ProcSubset=pid.
func TestProcessStartTime(t *testing.T) {
	t.Parallel()
	for name, metrics := range map[string]func() string{
		"AsItIs": func() string { return telemetry.ProcessMetrics(os.Getpid()) },
		"Hidden": func() string { return telemetry.ProcessMetrics(math.MaxInt32) },
	} {
		text := metrics()
		var start float64
		for line := range strings.Lines(text) {
			if value, ok := strings.CutPrefix(line, "process_start_time_seconds "); ok {
				start = parse(t, value)
			}
		}
		if age := float64(time.Now().Unix()) - start; age < -1 || age > 3600 || strings.Count(text, "\nprocess_start_time_seconds ") != 1 {
			t.Errorf("%s: started %v s ago, want within the last hour, and process_start_time_seconds once:\n%s",
				name, age, text)
		}
	}
}

// noteAll records a success of each command with a status file.
func (f *fixture) noteAll() {
	f.t.Helper()
	for file, values := range map[*telemetry.StatusFile]map[string]float64{
		&telemetry.BackupStatus: {"mems_backup_timestamp_seconds": 1803888000},
		&telemetry.AuditStatus:  {"mems_audit_verify_timestamp_seconds": 1803888060, "mems_audit_verify_faults": 2},
	} {
		if err := telemetry.WriteStatus(f.status, *file, values); err != nil {
			f.t.Fatal(err)
		}
		f.want(values)
	}
}

func (f *fixture) absent(names ...string) {
	f.t.Helper()
	got := f.scrape()
	for _, name := range names {
		if v, ok := got[name]; ok {
			f.t.Errorf("%s is %v, want none", name, v)
		}
	}
}
