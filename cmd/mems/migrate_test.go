package main

import (
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"mems/db"
	"mems/internal/storetest"
)

// "mems migrate up" is stopped at any moment, by any signal: the next run continues from
// there and prints no error.
func TestMigratingIsStopped(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	signals := []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL}
	d := storetest.Empty(t)
	whole := startProcess(t, []string{"migrate", "up"}, "MEMS_DATABASE_URL="+storetest.Empty(t).DSN)
	began := time.Now()
	<-whole.done
	took := time.Since(began)
	for i := range 12 {
		p := startProcess(t, []string{"migrate", "up"}, "MEMS_DATABASE_URL="+d.DSN)
		select {
		case <-p.done:
		case <-time.After(time.Duration(random.Int64N(int64(took)))):
		}
		signal := signals[i%len(signals)]
		_ = p.cmd.Process.Signal(signal) // it may have ended
		<-p.done
		if strings.Contains(p.Output(), "Error ") {
			t.Errorf("output after %v has an error, want none:\n%s", signal, p.Output())
		}
	}
	p := startProcess(t, []string{"migrate", "up"}, "MEMS_DATABASE_URL="+d.DSN)
	<-p.done
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("the last mems migrate up: exit code %d, want 0:\n%s", code, p.Output())
	}
	all, err := d.OpenSchema(t).Status(t.Context())
	if err != nil || len(all) == 0 || all[len(all)-1].Version != db.Latest {
		t.Fatalf("%d migrations (%v), want them up to %d", len(all), err, db.Latest)
	}
	for _, m := range all {
		if !m.Applied {
			t.Errorf("migration %s is not applied, want it applied", m.Name)
		}
	}
}

// What undoing a migration loses is listed with its amount, whether it is refused for lack of
// --yes or carried out.
func TestMigrateDownNamesWhatIsLost(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	url := "MEMS_DATABASE_URL=" + d.DSN
	d.DB.MustExec(`INSERT INTO clinic_zone (id, name) VALUES (1, 'Europe/Zurich')`)
	d.DB.MustExec(`DELETE FROM goose_db_version WHERE version_id > 26`) // of later migrations
	code, said := runMEMS(t, []string{"migrate", "down"}, url)
	if code != exitUsage || !contains(said, "clinic_zone (1 row)", "--yes") {
		t.Errorf("mems migrate down: exit %d, want %d and \"clinic_zone (1 row)\", \"--yes\" in the output:\n%s",
			code, exitUsage, said)
	}
	if code, said := runMEMS(t, []string{"migrate", "down", "--yes"}, url); code != exitOK || !contains(said, "clinic_zone (1 row)") {
		t.Errorf("mems migrate down --yes: exit %d, want %d and \"clinic_zone (1 row)\" in the output:\n%s",
			code, exitOK, said)
	}
	d.DB.MustExec(`INSERT INTO audit_chains (started_at, hash, sealed_hash, seal_seq) VALUES ('2026-01-01', '', '', 0)`)
	if _, said := runMEMS(t, []string{"migrate", "down"}, url); !contains(said, "audit_chains.seal_seq (1 row)") || contains(said, "seal_key") {
		t.Errorf("mems migrate down: want \"audit_chains.seal_seq (1 row)\" in the output, without \"seal_key\":\n%s",
			said)
	}
}

// Undoing a migration drops seals only if that was requested explicitly: the trail could
// not be distinguished from a forged one.
func TestMigrateDownKeepsSeals(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	env := []string{"MEMS_DATABASE_URL=" + d.DSN, "MEMS_AUDIT_KEYS=" + someKeys}
	run := func(want int, words string, args ...string) {
		t.Helper()
		if code, said := runMEMS(t, args, env...); code != want || !contains(said, words) {
			t.Errorf("%v: code %d, want %d with %q:\n%s", args, code, want, words, said)
		}
	}
	run(exitOK, "mems_", "keys", "create", "--role", "admin", "first")
	run(exitOK, "is intact", "audit", "verify")
	for range 10 {
		if _, said := runMEMS(t, []string{"migrate", "down", "--yes"}, env...); contains(said, "--lose-seals") {
			break
		}
	}
	run(exitFailed, "audit_chains.seal (2 rows)", "migrate", "down", "--yes")
	run(exitOK, "", "migrate", "up")
	run(exitOK, "is intact", "audit", "verify")
	for range 10 { // past the trail's seals, down to those of API keys
		if _, said := runMEMS(t, []string{"migrate", "down", "--yes", "--lose-seals"}, env...); contains(said, "audit_chains.seal") {
			break
		}
	}
	run(exitFailed, "api_keys.seal (1 row)", "migrate", "down", "--yes")
	run(exitOK, "api_keys.seal (1 row)", "migrate", "down", "--yes", "--lose-seals")
}
