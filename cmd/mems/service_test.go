package main

import (
	"os"
	"path/filepath"
	"testing"

	"mems/internal/storetest"
)

// Commands without a database URL neither create nor start a private database, and say what
// to set; they find a private server that is running.
func TestOnlyServeAndDemoStartAPrivateServer(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	env := []string{"MEMS_DATA_DIR=" + dir, "MEMS_SERVICE_DIR=" + filepath.Join(dir, "none")}
	create := []string{"keys", "create", "--role", "manager", "Desk"}
	for _, args := range [][]string{
		create,
		{"keys", "list"},
		{"checksum"},
		{"backup", filepath.Join(t.TempDir(), "backup.gz")},
		{"migrate", "status"},
		{"migrate", "up"},
		{"audit", "verify"},
	} {
		code, said := runMEMS(t, args, env...)
		if code != exitConfig || !contains(said, "set MEMS_DATABASE_URL", dir) {
			t.Errorf("mems %q: exit %d, want %d and \"set MEMS_DATABASE_URL\", %q in the output:\n%s",
				args, code, exitConfig, dir, said)
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("stat of the data directory: %v, want none made", err)
	}
	startMEMS(t, env...)
	if code, said := runMEMS(t, create, env...); code != exitOK {
		t.Errorf("the server that runs is not found: mems %q: exit %d, want %d:\n%s", create, code, exitOK, said)
	}
}

// On a machine with the package, each command uses the service's database as the user that
// it needs.
func TestCommandsFindTheService(t *testing.T) {
	t.Parallel()
	dsn, dir := storetest.New(t).DSN, t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("mems.env", "# settings\nMEMS_HTTP_ADDR=127.0.0.1:8080\nMEMS_AUTH=\"required\"\n; MEMS_LOG_LEVEL=none\n\nMEMS_CLINIC_TIME_ZONE=Europe/Zurich\n")
	write("app-url", dsn+"\n")
	write("audit-keys", someKeys)
	env := "MEMS_SERVICE_DIR=" + dir
	code, said := runMEMS(t, []string{"keys", "create", "--role", "manager", "Desk"}, env)
	if code != exitOK || !contains(said, "service in "+dir) {
		t.Fatalf("mems keys create --role manager Desk: exit %d, want %d and %q in the output:\n%s",
			code, exitOK, "service in "+dir, said)
	}
	if code, said := runMEMS(t, []string{"keys", "list"}, "MEMS_DATABASE_URL="+dsn); code != exitOK || !contains(said, "Desk") {
		t.Errorf("the key is elsewhere: mems keys list: exit %d, want %d and \"Desk\" in the output:\n%s",
			code, exitOK, said)
	}
	all, from, err := withService("retain", []string{env})
	if err != nil || from != dir || contains(join(all), "MEMS_DATABASE_URL_FILE") {
		t.Errorf("withService(retain) = %q from %q (%v), want no URL, from %s", all, from, err, dir)
	}
	write("migrate-url", dsn)
	if all, _, err = withService("retain", []string{env, "MEMS_AUTH=open"}); err != nil ||
		!contains(join(all), "MEMS_DATABASE_URL_FILE="+filepath.Join(dir, "migrate-url"), "MEMS_AUDIT_KEYS_FILE=") || all[len(all)-3] != "MEMS_AUTH=open" {
		t.Errorf("withService(retain) = %q (%v), want the files of migrate-url and audit keys, and MEMS_AUTH as given",
			all, err)
	}
	for _, set := range [][]string{{"keys", "MEMS_DATABASE_URL=" + dsn}, {"keys", "MEMS_DATA_DIR=" + dir}, {"serve"}} {
		if _, from, err := withService(set[0], append(set[1:], env)); err != nil || from != "" {
			t.Errorf("withService with %v: taken from %q (%v), want nothing taken", set, from, err)
		}
	}
	write("mems.env", "MEMS_LOG_FORMAT=xml\n")
	if code, said := runMEMS(t, []string{"keys", "list"}, env); code != exitConfig || !contains(said, "MEMS_LOG_FORMAT") {
		t.Errorf("mems keys list: exit %d, want %d and \"MEMS_LOG_FORMAT\" in the output:\n%s",
			code, exitConfig, said)
	}
}

func join(environ []string) string {
	text := ""
	for _, e := range environ {
		text += e + "\n"
	}
	return text
}

// A wrong setting of the service is reported with file and line, never with a secret value;
// a service without the database URL of a command does not count as missing.
func TestFaultsOfTheServiceAreLocated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	settings := filepath.Join(dir, "mems.env")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# settings\nMEMS_DATABASE_URL=mysql://u:topsecret@/x\nMEMS_LOG_LEVELS=info\nMEMS_MAX_AT_ONCE=many\nMEMS_AUDIT_KEYS=topsecret\n")
	code, said := runMEMS(t, []string{"migrate", "status"}, "MEMS_SERVICE_DIR="+dir)
	if code != exitConfig || contains(said, "topsecret") ||
		!contains(said, settings+", line 3: unknown variable MEMS_LOG_LEVELS", settings+", line 4: MEMS_MAX_AT_ONCE: invalid", settings+", line 5: MEMS_AUDIT_KEYS: ") {
		t.Errorf("mems migrate status: exit %d, want %d and %q, %q, %q in the output, without \"topsecret\":\n%s",
			code, exitConfig,
			settings+", line 3: unknown variable MEMS_LOG_LEVELS", settings+", line 4: MEMS_MAX_AT_ONCE: invalid", settings+", line 5: MEMS_AUDIT_KEYS: ", said)
	}
	for _, wrong := range []string{
		"export MEMS_DATABASE_URL=mysql://u:topsecret@/x", "\ufeffMEMS_DATABASE_URL=mysql://u:topsecret@/x", "MEMS_DATABASE_URL mysql://u:topsecret@/x",
		"MEMS-LOG-LEVEL=info", "MEMS_LOG_LEVEL: info", "=x", "no line",
	} {
		write("# settings\n\nMEMS_LOG_LEVEL=info\n" + wrong + "\n")
		code, said := runMEMS(t, []string{"checksum"}, "MEMS_SERVICE_DIR="+dir)
		if code != exitConfig || contains(said, "topsecret") || !contains(said, settings+", line 4: not NAME=VALUE") {
			t.Errorf("%q: mems checksum: exit %d, want %d and %q in the output, without \"topsecret\":\n%s",
				wrong, code, exitConfig, settings+", line 4: not NAME=VALUE", said)
		}
	}
	write("MEMS_HTTP_ADDR=127.0.0.1:8080\n")
	code, said = runMEMS(t, []string{"migrate", "status"}, "MEMS_SERVICE_DIR="+dir)
	if code != exitConfig || !contains(said, filepath.Join(dir, "migrate-url")) || contains(said, "no service installed") {
		t.Errorf("mems migrate status: exit %d, want %d and %q in the output, without \"no service installed\":\n%s",
			code, exitConfig, filepath.Join(dir, "migrate-url"), said)
	}
}

// A write error names the file, not its temporary predecessor.
func TestFilesAreNamedInErrors(t *testing.T) {
	t.Parallel()
	dsn, dir := storetest.New(t).DSN, filepath.Join(t.TempDir(), "missing")
	for _, args := range [][]string{{"backup", filepath.Join(dir, "x.gz")}, {"audit", "verify", "--anchor", filepath.Join(dir, "x.json")}} {
		code, said := runMEMS(t, args, "MEMS_DATABASE_URL="+dsn)
		if code != exitFailed || !contains(said, dir+"/x.") || contains(said, dir+"/.") {
			t.Errorf("mems %q: exit %d, want %d and %q in the output, without %q:\n%s",
				args, code, exitFailed, dir+"/x.", dir+"/.", said)
		}
	}
}
