package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What is wrong with a command is said before a database is looked for.
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
			t.Errorf("%s: %d %s", name, code, said)
		}
	}
}

// Ctrl-C while the private database is being made says that it stopped, and no more.
func TestInterruptedStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// In its first moments too, where it may end before it can say so.
	for after := time.Duration(0); after < 45*time.Millisecond; after += 5 * time.Millisecond {
		p := startProcess(t, []string{"serve"}, "MEMS_HTTP_ADDR=127.0.0.1:0", "MEMS_DATA_DIR="+filepath.Join(dir, "early"+after.String()))
		time.Sleep(after)
		p.Signal(syscall.SIGINT)
		code := p.Wait()
		said := strings.TrimSpace(p.Output())
		_, rest, found := strings.Cut(said, "\n")
		switch {
		case code == -1 && said == "": // before it listened to signals
		case code == exitOK && (said == "stopped." || found && strings.HasPrefix(said, "making a new") && rest == "stopped."):
		default:
			t.Errorf("after %s: exit code %d: %q", after, code, said)
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
			t.Errorf("exit code %d: %q", code, lines)
		}
	}
}

// A data directory of another user is named as such.
func TestDataDirectoryOfAnotherUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		return // only root can give a directory away
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
		t.Errorf("%d %s", code, said)
	}
}
