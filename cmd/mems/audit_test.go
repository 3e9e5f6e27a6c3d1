package main

import (
	"bytes"
	"encoding/base64"
	"testing"

	"mems/internal/storetest"
)

// With a key that has nothing to do with the one that wrote, nothing is served, and
// verifying says that the key is unknown, not that somebody tampered.
func TestServeRefusesAnUnknownAuditKey(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	first, second := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("a"), 32)), base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("b"), 32))
	run := func(want int, keys string, words string, args ...string) {
		t.Helper()
		code, output := runMEMS(t, args, "MEMS_DATABASE_URL="+d.DSN, "MEMS_AUDIT_KEYS="+keys, "MEMS_HTTP_ADDR=127.0.0.1:0", "MEMS_RETAIN_CHANGES_DAYS=30")
		if code != want || !contains(output, words) {
			t.Errorf("%v: code %d, want %d with %q:\n%s", args, code, want, words, output)
		}
	}
	run(0, first, "mems_", "keys", "create", "--role", "admin", "first")
	run(0, first, "is whole", "audit", "verify")
	run(78, second, "MEMS_AUDIT_KEYS=new,former", "serve")
	run(78, "", "MEMS_AUDIT_KEYS=new,former", "serve")
	run(1, second, "unknown key", "audit", "verify")
	for _, keys := range []string{second, ""} { // what they wrote could not be told from tampering
		run(78, keys, "MEMS_AUDIT_KEYS=new,former", "keys", "create", "--role", "admin", "unkeyed")
		run(78, keys, "MEMS_AUDIT_KEYS=new,former", "keys", "revoke", "1")
		run(78, keys, "MEMS_AUDIT_KEYS=new,former", "retain")
	}
	run(0, first, "is whole", "audit", "verify")
	run(0, second+","+first, "mems_", "keys", "create", "--role", "admin", "second")
	run(0, second+","+first, "is whole", "audit", "verify")
}

// A server that was started before its database finds the wrong key when that comes.
func TestUnknownAuditKeyIsFoundLater(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	if code, said := runMEMS(t, []string{"keys", "create", "--role", "admin", "first"}, "MEMS_DATABASE_URL="+d.DSN, "MEMS_AUDIT_KEYS="+someKeys); code != exitOK {
		t.Fatal(said)
	}
	d.DB.MustExec(`RENAME TABLE goose_db_version TO goose_db_version_away`)
	p := startMEMS(t, "MEMS_DATABASE_URL="+d.DSN)
	d.DB.MustExec(`RENAME TABLE goose_db_version_away TO goose_db_version`)
	if code := p.Wait(); code != exitConfig || !contains(p.Output(), "MEMS_AUDIT_KEYS=new,former") {
		t.Errorf("%d %s", code, p.Output())
	}
}
