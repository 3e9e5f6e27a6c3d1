package main

import (
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/contracttest"
	"mems/internal/localdb"
)

// Runs the recovery of db/README.md command by command: a backup, changes, a dropped
// database, a restore, the binary log, the switch, and an upgrade. Every row from before
// the accident is restored.
func TestRecoveryAsDocumented(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../db/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(readme), "<!-- recovery:")
	text, _, found := strings.Cut(text, "<!-- /recovery -->")
	if !found {
		t.Fatal("db/README.md has no steps of recovery, want them")
	}
	var script strings.Builder
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(text, -1) {
		script.WriteString(block[1])
	}
	engine := localdb.Engine(os.Getenv("MEMS_TEST_DATABASE_ENGINE"))
	dir := t.TempDir()
	db, err := localdb.Start(t.Context(), localdb.Options{Dir: filepath.Join(dir, "s"), Engine: engine, Durable: true, Install: true, BinaryLog: true, Log: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Stop(t.Context()) })
	root, err := sql.Open("mysql", db.DSN(""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	exec1 := func(text string) {
		t.Helper()
		if _, err := root.ExecContext(t.Context(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	exec1("SET GLOBAL log_bin_trust_function_creators = 1") // as in the document
	secrets, backups, bin := filepath.Join(dir, "etc"), filepath.Join(dir, "backups"), filepath.Join(dir, "bin")
	for _, d := range []string{secrets, backups, bin} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	put := func(path, content string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	const password = "abcdefghijklmnop0123"
	for _, name := range []string{"app", "migrate", "backup"} {
		put(filepath.Join(secrets, name+"-url"), fmt.Sprintf("mysql://mems_%s:%s@db:3306/mems\n", name, password), 0o600)
	}
	put(filepath.Join(secrets, "audit-keys"), "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n", 0o600)
	here, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	client, err := exec.LookPath("mysql")
	if err != nil {
		client, err = exec.LookPath("mariadb")
	}
	if err != nil {
		t.Fatal(err)
	}
	// Stands in for the document's machine: programs on PATH, and a server by its socket
	// where the secrets name a host.
	put(filepath.Join(bin, "mysql"), fmt.Sprintf("#!/bin/sh\nexec %s --socket=%s --user=root \"$@\"\n", client, db.Socket()), 0o700)
	put(filepath.Join(bin, "systemctl"), "#!/bin/sh\necho \"$@\" >> "+dir+"/systemctl\n", 0o700)
	put(filepath.Join(bin, "mems"), fmt.Sprintf("#!/bin/sh\nMEMS_DATABASE_URL=$(sed 's#^mysql://\\(.*\\)@db:3306/#\\1@unix(%s)/#' $MEMS_DATABASE_URL_FILE)\nexport MEMS_DATABASE_URL MEMS_TEST_MAIN=1\nunset MEMS_DATABASE_URL_FILE\nexec %s \"$@\"\n", db.Socket(), os.Args[0]), 0o700)
	shell := func(commands string) string {
		t.Helper()
		c := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c",
			"export users='env SECRETS=. GRANTS="+here+"/db/grants.sql DB_SOCKET="+db.Socket()+" "+here+"/.deploy/users.sh'\n"+commands)
		c.Dir = secrets
		c.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("run the steps: %v, want no error\n%s\n%s", err, commands, last(string(out), 4000))
		}
		return string(out)
	}
	const audit = "MEMS_AUDIT_KEYS_FILE=audit-keys "
	shell("$users migrate\nMEMS_DATABASE_URL_FILE=migrate-url " + audit + "mems migrate up\n$users app backup")
	if db.Engine() == localdb.MySQL {
		exec1("GRANT RELOAD, REPLICATION CLIENT ON *.* TO 'mems_backup'@'%'") // as in the document
	}
	serve := func(database string) *process {
		return startMEMS(t, "MEMS_DATABASE_URL=mems_app:"+password+"@unix("+db.Socket()+")/"+database, "MEMS_AUDIT_KEYS_FILE="+secrets+"/audit-keys")
	}
	sums := func(database string) string {
		code, out := runMEMS(t, []string{"checksum"}, "MEMS_DATABASE_URL="+db.DSN(database))
		if code != exitOK {
			t.Fatalf("mems checksum: exit %d, want %d:\n%s", code, exitOK, out)
		}
		return out
	}
	p := serve("mems")
	c := contracttest.New(t, p.URL)
	var patient api.Patient
	c.Post("/patients", map[string]any{"first_name": "Ann", "last_name": "Before"}).Want(t, http.StatusCreated, "").Decode(t, &patient)
	var doctor api.Doctor
	c.Post("/doctors", map[string]any{"full_name": "Dr.", "specialization": "Any"}).Want(t, http.StatusCreated, "").Decode(t, &doctor)
	start := time.Now().Add(48 * time.Hour).Truncate(time.Hour)
	c.Post("/appointments", booking(patient.ID, doctor.ID, start, 30)).Want(t, http.StatusCreated, "")
	file := filepath.Join(backups, "mems-2027-03-01.gz")
	shell("MEMS_DATABASE_URL_FILE=backup-url " + audit + "mems backup --binlog-position " + file)

	rehearse(t, db, client, filepath.Join(dir, "s", "data"), file)
	var later api.Patient
	c.Post("/patients", map[string]any{"first_name": "Bob", "last_name": "After"}).Want(t, http.StatusCreated, "").Decode(t, &later)
	c.Post("/appointments", booking(later.ID, doctor.ID, start.Add(time.Hour), 30)).Want(t, http.StatusCreated, "")
	p.Signal(syscall.SIGTERM)
	p.Wait()
	changeSchemaByHand(t, db)
	before := sums("mems")
	exec1("FLUSH BINARY LOGS")
	spoilLog(t, filepath.Join(dir, "s", "data"), file)
	time.Sleep(2100 * time.Millisecond) // the log's times are whole seconds
	until := time.Now().UTC()
	time.Sleep(1100 * time.Millisecond)
	exec1("DROP DATABASE mems")

	steps := strings.NewReplacer("/backups/", backups+"/", "/var/lib/mysql-log", filepath.Join(dir, "s", "data"),
		"2027-03-01T13:59:00+01:00", until.Format(time.RFC3339)).Replace(script.String())
	said := shell(steps)
	if after := sums("mems_restored"); after != before {
		t.Errorf("checksums after the recovery:\n%s\nwant those from before:\n%s\n%s", after, before, said)
	}
	exec1("INSERT INTO elsewhere.notes VALUES (1)") // applied exactly once
	// The steps of an upgrade.
	shell("MEMS_DATABASE_URL_FILE=migrate-url " + audit + "mems migrate up\n$users app backup")
	c = contracttest.New(t, serve("mems_restored").URL)
	c.Get(fmt.Sprintf("/patients/%d", later.ID)).Want(t, http.StatusOK, "")
	c.Post("/appointments", booking(patient.ID, doctor.ID, start.Add(time.Hour), 30)).Want(t, http.StatusConflict, "doctor-overlap")
}
