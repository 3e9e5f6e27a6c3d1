package main

import (
	"strings"
	"testing"

	"mems/internal/storetest"
)

// Mistakes in "mems keys" are reported in terms of the command line, before any database is
// opened.
func TestMistakesInKeys(t *testing.T) {
	t.Parallel()
	nowhere := "MEMS_DATABASE_URL=nobody@unix(/nowhere)/mems"
	for name, test := range map[string]struct {
		args []string
		code int
		says []string
	}{
		"no id":        {[]string{"revoke"}, exitUsage, []string{"mems keys list"}},
		"no number":    {[]string{"revoke", "abc"}, exitUsage, []string{`"abc"`}},
		"list of what": {[]string{"list", "all"}, exitUsage, []string{"no arguments"}},
		"flag last":    {[]string{"create", "Desk", "--role", "admin"}, exitUsage, []string{"before the name"}},
		"scope":        {[]string{"create", "--role", "partner", "--scope", "all", "x"}, exitFailed, []string{"--scope", "patients:read"}},
		"doctor":       {[]string{"create", "--role", "doctor", "x"}, exitFailed, []string{"--doctor"}},
		"days":         {[]string{"create", "--role", "admin", "--days", "-4", "x"}, exitFailed, []string{"--days"}},
		"many days":    {[]string{"create", "--role", "admin", "--days", "9999", "x"}, exitFailed, []string{"--days"}},
		"two lines":    {[]string{"create", "--role", "admin", "x\ny"}, exitFailed, []string{"the name", "control characters"}},
		"long":         {[]string{"create", "--role", "admin", strings.Repeat("é", 101)}, exitFailed, []string{"the name", "100"}},
	} {
		code, said := runMEMS(t, append([]string{"keys"}, test.args...), nowhere)
		if code != test.code || !contains(said, test.says...) || contains(said, "_") {
			t.Errorf("%s: mems %q: exit %d, want %d and %q in the output, without \"_\":\n%s",
				name, append([]string{"keys"}, test.args...), code, test.code, test.says, said)
		}
	}
	url := "MEMS_DATABASE_URL=" + storetest.New(t).DSN
	for name, test := range map[string]struct{ args, says []string }{
		"no key":    {[]string{"keys", "revoke", "99"}, []string{"no key 99", "mems keys list"}},
		"no doctor": {[]string{"keys", "create", "--role", "doctor", "--doctor", "77", "x"}, []string{"no doctor 77"}},
	} {
		if code, said := runMEMS(t, test.args, url); code != exitFailed || !contains(said, test.says...) {
			t.Errorf("%s: mems %q: exit %d, want %d and %q in the output:\n%s",
				name, test.args, code, exitFailed, test.says, said)
		}
	}
}

// A database that rejects the user, or does not exist, is distinguished from one without
// migrations.
func TestAdviceForTheDatabase(t *testing.T) {
	t.Parallel()
	dsn := storetest.New(t).DSN
	_, rest, _ := strings.Cut(dsn, "@")
	stranger := "MEMS_DATABASE_URL=stranger:geheim@" + rest
	for name, test := range map[string]struct {
		args []string
		env  string
		says []string
	}{
		"stranger's keys":      {[]string{"keys", "list"}, stranger, []string{"user", "password", "db/grants.sql", "'mems_app'@'localhost'", "''@'localhost'"}},
		"stranger's migration": {[]string{"migrate", "up"}, stranger, []string{"user", "password", "db/grants.sql", "'mems_app'@'localhost'", "''@'localhost'"}},
		"nobody there":         {[]string{"migrate", "status"}, "MEMS_DATABASE_URL=u:geheim@tcp(127.0.0.1:1)/mems", []string{"running", "MEMS_DATABASE_URL"}},
		"nobody's keys":        {[]string{"keys", "list"}, "MEMS_DATABASE_URL=u:geheim@tcp(127.0.0.1:1)/mems", []string{"running", "MEMS_DATABASE_URL"}},
	} {
		code, said := runMEMS(t, test.args, test.env)
		if code != exitFailed || !contains(said, test.says...) || contains(said, "geheim") || contains(said, "migrated?") {
			t.Errorf("%s: mems %q: exit %d, want %d and %q in the output, without \"geheim\", \"migrated?\":\n%s",
				name, test.args, code, exitFailed, test.says, said)
		}
	}
}

// With half of a TLS pair, the error names the missing half, with a usable example.
func TestHalfATLSPair(t *testing.T) {
	t.Parallel()
	for given, missing := range map[string]string{"MEMS_TLS_CERT_FILE": "MEMS_TLS_KEY_FILE", "MEMS_TLS_KEY_FILE": "MEMS_TLS_CERT_FILE"} {
		code, said := runMEMS(t, []string{"version"}, given+"=/etc/some.pem")
		if code != exitConfig || !contains(said, missing+`: invalid value ""`, "for example "+missing+"=/") {
			t.Errorf("%s alone: mems version: exit %d, want %d and %q, %q in the output:\n%s",
				given, code, exitConfig, missing+`: invalid value ""`, "for example "+missing+"=/", said)
		}
	}
}

// A limit of open files that leaves few connections for clients is reported at start.
func TestFewFilesAreTold(t *testing.T) {
	t.Parallel()
	p := startMEMS(t, "MEMS_DATABASE_URL="+storetest.New(t).DSN, "MEMS_TEST_FILES=64", "MEMS_LOG_LEVEL=warn")
	if !contains(p.Output(), "ulimit -n", "connections=8") {
		t.Errorf("output of a start with few files: want ulimit -n and connections=8 in it:\n%s", p.Output())
	}
}
