package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"mems/internal/store"
	"mems/internal/storetest"
)

// An invalid command line is reported before a database is opened.
func TestWordsAreCheckedFirst(t *testing.T) {
	t.Parallel()
	nowhere := "MEMS_DATABASE_URL=nobody@unix(/nowhere)/mems"
	for name, test := range map[string]struct {
		args []string
		env  string
		code int
		says []string
	}{
		"role":    {[]string{"keys", "create", "--role", "boss", "x"}, nowhere, exitFailed, []string{`"boss"`, "admin, auditor, doctor, manager, partner, receptionist"}},
		"doctor":  {[]string{"keys", "create", "--role", "doctor", "x"}, nowhere, exitFailed, []string{"--doctor"}},
		"ca":      {[]string{"migrate", "status"}, "MEMS_DATABASE_URL=mysql://u:geheim@127.0.0.1:1/mems?tls=mems", exitConfig, []string{"tls=mems", "MEMS_DATABASE_CA_FILE"}},
		"down":    {[]string{"migrate", "down"}, nowhere, exitUsage, []string{"backup", "--yes"}},
		"upwards": {[]string{"migrate", "up", "please"}, nowhere, exitUsage, []string{"please"}},
	} {
		code, said := runMEMS(t, test.args, test.env)
		if code != test.code || !contains(said, test.says...) || strings.Contains(said, "geheim") {
			t.Errorf("%s: mems %q: exit %d, want %d and %q in the output, without \"geheim\":\n%s",
				name, test.args, code, test.code, test.says, said)
		}
	}
}

// Ctrl-C during initialisation of the private database prints that it stopped, and nothing
// else.
func TestInterruptedStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// In its first moments, too, where it may end before it can print that.
	for after := time.Duration(0); after < 45*time.Millisecond; after += 5 * time.Millisecond {
		p := startProcess(t, []string{"serve"}, "MEMS_HTTP_ADDR=127.0.0.1:0", "MEMS_DATA_DIR="+filepath.Join(dir, "early"+after.String()))
		time.Sleep(after)
		p.Signal(syscall.SIGINT)
		code := p.Wait()
		said := strings.TrimSpace(p.Output())
		_, rest, found := strings.Cut(said, "\n")
		switch {
		case code == -1 && said == "": // before it handled signals
		case code == exitOK && (said == "stopped." || found && strings.HasPrefix(said, "making a new") && rest == "stopped."):
		default:
			t.Errorf("SIGINT after %s: exit code %d, output %q; want %d and stopped.", after, code, said, exitOK)
		}
	}
	for _, after := range []time.Duration{0, 300 * time.Millisecond} {
		p := startProcess(t, []string{"serve"}, "MEMS_HTTP_ADDR=127.0.0.1:0", "MEMS_DATA_DIR="+filepath.Join(dir, after.String()))
		p.waitFor("making a new")
		time.Sleep(after)
		p.Signal(syscall.SIGINT)
		code := p.Wait()
		lines := strings.Split(strings.TrimSpace(p.Output()), "\n")
		if code != exitOK || len(lines) != 2 || lines[1] != "stopped." {
			t.Errorf("SIGINT while a database is made: exit code %d, output %q; want %d and two lines, the last stopped.",
				code, lines, exitOK)
		}
	}
}

// A data directory of another user is reported as such.
func TestDataDirectoryOfAnotherUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		return // only root can change a directory's owner
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Join(dir, "db"), 65534, 65534); err != nil {
		t.Fatal(err)
	}
	code, said := runMEMS(t, []string{"serve"}, "MEMS_HTTP_ADDR=127.0.0.1:0", "MEMS_DATA_DIR="+dir)
	if code != exitFailed || !contains(said, "belongs to another user", "MEMS_DATA_DIR") {
		t.Errorf("mems serve: exit %d, want %d and \"belongs to another user\", \"MEMS_DATA_DIR\" in the output:\n%s",
			code, exitFailed, said)
	}
}

// An interrupted command prints that it stopped, and what to do next.
func TestInterruptedCommands(t *testing.T) {
	t.Parallel()
	url := "MEMS_DATABASE_URL=" + storetest.Empty(t).DSN
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	code := run(ended, []string{"migrate", "up"}, []string{url}, &out, &out)
	if code != exitFailed || !contains(out.String(), "stopped", "to resume") || contains(out.String(), "cancel") {
		t.Errorf("interrupted migrate up: exit %d, want %d and how to resume:\n%s", code, exitFailed, &out)
	}
}

// Errors say what to do, and nothing misleading.
func TestMessagesSayWhatToDo(t *testing.T) {
	t.Parallel()
	code, said := runMEMS(t, []string{"migrate", "status"}, "MEMS_DATABASE_URL=mysql://u:geheim@127.0.0.1:1/mems?tls=mems", "MEMS_DATABASE_CA_FILE=/nowhere/ca.pem")
	if code != exitConfig || !contains(said, "MEMS_DATABASE_CA_FILE", "/nowhere/ca.pem") || contains(said, "MEMS_DATABASE_URL") {
		t.Errorf("mems migrate status: exit %d, want %d"+
			" and \"MEMS_DATABASE_CA_FILE\", \"/nowhere/ca.pem\" in the output, without \"MEMS_DATABASE_URL\":\n%s",
			code, exitConfig, said)
	}
	if advice := store.AdviceFor(&mysql.MySQLError{Number: 1049}); !contains(advice, "dropped", "restore a backup") {
		t.Errorf("AdviceFor error 1049 = %q, want restoring a backup", advice)
	}
	if err := explain(&mysql.MySQLError{Number: 1698}); !contains(err.Error(), "db/grants.sql") {
		t.Errorf("explain of error 1698 = %v, want db/grants.sql in it", err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mems.env"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"demo"}, {"reset", "--yes-destroy-all-data"}} {
		if code, said := runMEMS(t, args, "MEMS_SERVICE_DIR="+dir); code != exitConfig || !contains(said, dir, "MEMS_DATA_DIR") {
			t.Errorf("mems %q: exit %d, want %d and %q, \"MEMS_DATA_DIR\" in the output:\n%s",
				args, code, exitConfig, dir, said)
		}
	}
	script := exec.CommandContext(t.Context(), "bash", "../../.deploy/users.sh")
	if out, err := script.CombinedOutput(); err == nil || !contains(string(out), "usage") {
		t.Errorf("users.sh without arguments: %v, want an error and its usage:\n%s", err, out)
	}
	r := restoring{program: &program{}, file: "f.gz", identity: "key.txt", unsigned: true}
	if said := r.finishing(); said != "mems restore --finish --identity key.txt --unsigned f.gz" {
		t.Errorf("finishing = %q, want mems restore --finish with the options that were given", said)
	}
}
