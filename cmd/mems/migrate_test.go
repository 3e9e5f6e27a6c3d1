package main

import (
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"mems/db"
	"mems/internal/store"
	"mems/internal/storetest"
)

// "mems migrate up" is stopped at any moment, by any signal: the next one goes on
// from there, and says nothing of an error.
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
			t.Errorf("stopped by %v, it says:\n%s", signal, p.Output())
		}
	}
	p := startProcess(t, []string{"migrate", "up"}, "MEMS_DATABASE_URL="+d.DSN)
	<-p.done
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("the last one ended with %d:\n%s", code, p.Output())
	}
	sc, err := store.OpenSchema(d.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sc.Close() }()
	all, err := sc.Status(t.Context())
	if err != nil || len(all) == 0 || all[len(all)-1].Version != db.Latest {
		t.Fatalf("%d migrations (%v), want them up to %d", len(all), err, db.Latest)
	}
	for _, m := range all {
		if !m.Applied {
			t.Errorf("%s is not applied", m.Name)
		}
	}
}
