package main

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"mems/internal/storetest"
)

// With unrelated keys nothing is served, and verification reports an unknown key, not
// tampering.
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
	run(0, first, "is intact", "audit", "verify")
	run(78, second, "MEMS_AUDIT_KEYS=new,former", "serve")
	run(78, "", "MEMS_AUDIT_KEYS is not set, and", "serve")
	run(1, second, "unknown key", "audit", "verify")
	// Their entries could not be distinguished from tampering.
	for keys, words := range map[string]string{second: "MEMS_AUDIT_KEYS=new,former", "": "MEMS_AUDIT_KEYS is not set, and"} {
		run(78, keys, words, "keys", "create", "--role", "admin", "unkeyed")
		run(78, keys, words, "keys", "revoke", "1")
		run(78, keys, words, "retain")
		run(78, keys, words, "zone", "set", "Europe/Zurich")
	}
	// Beside an installed service whose settings are not used.
	service := t.TempDir()
	if err := os.WriteFile(filepath.Join(service, "mems.env"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	code, said := runMEMS(t, []string{"zone", "set", "Europe/Zurich"}, "MEMS_DATABASE_URL="+d.DSN, "MEMS_SERVICE_DIR="+service)
	if code != exitConfig || !contains(said, "MEMS_AUDIT_KEYS is not set, and", "leave MEMS_DATABASE_URL", service) || contains(said, "new,former") {
		t.Errorf("beside a service: mems zone set Europe/Zurich: exit %d, want %d"+
			" and \"MEMS_AUDIT_KEYS is not set, and\", \"leave MEMS_DATABASE_URL\", %q in the output, without \"new,former\":\n%s",
			code, exitConfig, service, said)
	}
	run(0, first, "is intact", "audit", "verify")
	run(0, second+","+first, "mems_", "keys", "create", "--role", "admin", "second")
	run(0, second+","+first, "is intact", "audit", "verify")
}

// A server started before its database detects the wrong key once the database is there.
func TestUnknownAuditKeyIsFoundLater(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	if code, said := runMEMS(t, []string{"keys", "create", "--role", "admin", "first"}, "MEMS_DATABASE_URL="+d.DSN, "MEMS_AUDIT_KEYS="+someKeys); code != exitOK {
		t.Fatalf("mems keys create --role admin first: exit %d, want %d:\n%s", code, exitOK, said)
	}
	d.DB.MustExec(`RENAME TABLE goose_db_version TO goose_db_version_away`)
	p := startMEMS(t, "MEMS_DATABASE_URL="+d.DSN)
	d.DB.MustExec(`RENAME TABLE goose_db_version_away TO goose_db_version`)
	if code := p.Wait(); code != exitConfig || !contains(p.Output(), "MEMS_AUDIT_KEYS is not set, and") {
		t.Errorf("serve: exit %d, want %d and that MEMS_AUDIT_KEYS is not set:\n%s", code, exitConfig, p.Output())
	}
}
