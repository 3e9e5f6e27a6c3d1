package main

import (
	"testing"

	"mems/internal/storetest"
)

// The first server's zone is stored; a server with another one is rejected with
// instructions to change it by "mems zone set".
func TestOtherZoneIsRefused(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	url, zurich, lisbon := "MEMS_DATABASE_URL="+d.DSN, "MEMS_CLINIC_TIME_ZONE=Europe/Zurich", "MEMS_CLINIC_TIME_ZONE=Europe/Lisbon"
	if code, said := runMEMS(t, []string{"zone"}, url); code != exitOK || !contains(said, "no time zone is stored yet") {
		t.Errorf("mems zone: exit %d, want %d and \"no time zone is stored yet\" in the output:\n%s",
			code, exitOK, said)
	}
	running := startMEMS(t, url, zurich, "MEMS_SHUTDOWN_DELAY=1m")
	startMEMS(t, url, zurich)
	for _, args := range [][]string{{"serve"}, {"demo"}} {
		if args[0] == "demo" {
			d.DB.MustExec(`UPDATE installation SET disposable = 1`)
		}
		code, said := runMEMS(t, args, url, lisbon, "MEMS_HTTP_ADDR=127.0.0.1:0")
		if code != exitConfig || !contains(said, "Europe/Zurich", "MEMS_CLINIC_TIME_ZONE", "mems zone set Europe/Lisbon") {
			t.Errorf("mems %q: exit %d, want %d"+
				" and \"Europe/Zurich\", \"MEMS_CLINIC_TIME_ZONE\", \"mems zone set Europe/Lisbon\" in the output:\n%s",
				args, code, exitConfig, said)
		}
	}
	if code, said := runMEMS(t, []string{"zone", "set", "Europe/Lisbon"}, url); code != exitOK || !contains(said, "(was Europe/Zurich)") {
		t.Errorf("mems zone set Europe/Lisbon: exit %d, want %d and \"(was Europe/Zurich)\" in the output:\n%s",
			code, exitOK, said)
	}
	if code, said := runMEMS(t, []string{"zone", "set", "Europe/Lisbon"}, url); code != exitOK || !contains(said, "is already Europe/Lisbon") || contains(said, "(was") {
		t.Errorf("again: mems zone set Europe/Lisbon: exit %d, want %d"+
			" and \"is already Europe/Lisbon\" in the output, without \"(was\":\n%s",
			code, exitOK, said)
	}
	if code, said := runMEMS(t, []string{"zone"}, url); code != exitOK || said != "Europe/Lisbon\n" {
		t.Errorf("mems zone: exit %d, output %q; want %d and Europe/Lisbon", code, said, exitOK)
	}
	// A running server ends, but not with the status of a wrong setting: the next start may
	// succeed.
	if code := running.Wait(); code != exitFailed || !contains(running.Output(), "changed to Europe/Lisbon", "MEMS_CLINIC_TIME_ZONE=Europe/Lisbon") {
		t.Errorf("running server: exit %d, want %d and that the zone changed:\n%s",
			code, exitFailed, running.Output())
	}
	var entry struct{ Subject, Action, Details string }
	err := d.DB.Get(&entry, `SELECT subject, action, details FROM audit_entries WHERE object = 'clinic_zone'`)
	if err != nil || entry.Subject != "system" || entry.Action != "update" || !contains(entry.Details, "Europe/Zurich", "Europe/Lisbon") {
		t.Errorf("audit entry = %+v (%v), want the system's update from Europe/Zurich to Europe/Lisbon",
			entry, err)
	}
	var entries int
	if err := d.DB.Get(&entries, `SELECT COUNT(*) FROM audit_entries WHERE object = 'clinic_zone'`); err != nil || entries != 1 {
		t.Errorf("%d entries (%v), want that of the one change", entries, err)
	}
	startMEMS(t, url, lisbon)
	for _, args := range [][]string{{"zone", "set", "Mars/Olympus"}, {"zone", "set", "Local"}, {"zone", "set"}, {"zone", "get"}} {
		if code, said := runMEMS(t, args, url); code != exitUsage {
			t.Errorf("mems %q: exit %d, want %d:\n%s", args, code, exitUsage, said)
		}
	}
}

// A server that starts before its database compares the zone later.
func TestOtherZoneIsRefusedLater(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	d.DB.MustExec(`INSERT INTO clinic_zone (id, name) VALUES (1, 'Europe/Zurich')`)
	d.DB.MustExec(`RENAME TABLE goose_db_version TO goose_db_version_away`)
	p := startMEMS(t, "MEMS_DATABASE_URL="+d.DSN, "MEMS_CLINIC_TIME_ZONE=Europe/Lisbon")
	d.DB.MustExec(`RENAME TABLE goose_db_version_away TO goose_db_version`)
	if code := p.Wait(); code != exitConfig || !contains(p.Output(), "made with Europe/Zurich") {
		t.Errorf("running server: exit %d, want %d and the stored zone in the output:\n%s",
			code, exitConfig, p.Output())
	}
}
