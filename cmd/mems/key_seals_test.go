package main

import (
	"encoding/base64"
	"strings"
	"testing"

	"mems/internal/storetest"
)

// Keys that were written without MEMS_AUDIT_KEYS, or altered afterwards, are listed as
// refused; "mems keys seal" accepts one as it is.
func TestKeysSeal(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	url := "MEMS_DATABASE_URL=" + d.DSN
	with := []string{url, "MEMS_AUDIT_KEYS=" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))}
	mems := func(wantCode int, env []string, says []string, args ...string) {
		t.Helper()
		if code, said := runMEMS(t, append([]string{"keys"}, args...), env...); code != wantCode || !contains(said, says...) {
			t.Errorf("%s: exit %d, want %d and %q:\n%s", args, code, wantCode, says, said)
		}
	}
	// state returns the line of "keys list" about a key.
	state := func(name string) string {
		t.Helper()
		_, said := runMEMS(t, []string{"keys", "list"}, with...)
		for line := range strings.Lines(said) {
			if strings.Contains(line, name) {
				return line
			}
		}
		t.Errorf("mems keys list lacks %s, want it:\n%s", name, said)
		return ""
	}

	mems(exitOK, []string{url}, nil, "create", "--role", "admin", "older")
	if line := state("older"); strings.Contains(line, "refused") { // the first use seals existing keys
		t.Errorf("key from before the seals is listed as %q, want it not refused", line)
	}
	mems(exitOK, with, nil, "create", "--role", "partner", "sealed")
	mems(exitConfig, []string{url}, []string{"MEMS_AUDIT_KEYS"}, "create", "--role", "manager", "refused")
	mems(exitOK, with, nil, "create", "--role", "manager", "unsealed")
	d.DB.MustExec(`UPDATE api_keys SET seal = NULL WHERE id = 3`)
	if line := state(" sealed"); strings.Contains(line, "refused") {
		t.Errorf("sealed key is listed as %q, want it not refused", line)
	}
	if line := state("unsealed"); !strings.Contains(line, "refused, not sealed; valid until") {
		t.Errorf("key without a seal is listed as %q, want it refused, not sealed", line)
	}
	mems(exitConfig, []string{url}, []string{"MEMS_AUDIT_KEYS"}, "seal", "3")
	mems(exitUsage, with, []string{"missing key id"}, "seal")
	mems(exitUsage, with, []string{"mems keys list"}, "seal", "three")
	mems(exitFailed, with, nil, "seal", "99")
	mems(exitOK, with, []string{"unsealed, manager", "is sealed"}, "seal", "3")
	if line := state("unsealed"); strings.Contains(line, "refused") {
		t.Errorf("key that was sealed is listed as %q, want it not refused", line)
	}
	d.DB.MustExec(`UPDATE api_keys SET role = 'admin' WHERE id = 2`)
	if line := state(" sealed"); !strings.Contains(line, "refused, seal is wrong") {
		t.Errorf("altered key is listed as %q, want it refused, with a wrong seal", line)
	}
}
