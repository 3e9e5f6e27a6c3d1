package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mems/internal/storetest"
)

// The reasons for failing to listen are distinguished: a port in use is not a port that
// needs a privilege.
func TestListeningAdvice(t *testing.T) {
	t.Parallel()
	for errno, want := range map[syscall.Errno]struct {
		says   string
		config bool
	}{
		syscall.EADDRINUSE:    {"Another program is using this address", false},
		syscall.EACCES:        {"CAP_NET_BIND_SERVICE", true},
		syscall.EADDRNOTAVAIL: {"does not have this address", false},
		syscall.EMFILE:        {"MEMS_HTTP_ADDR=:443", false},
	} {
		err := adviseListening(&net.OpError{Op: "listen", Net: "tcp", Err: os.NewSyscallError("bind", errno)}, "MEMS_HTTP_ADDR", ":443")
		if !contains(err.Error(), want.says, "MEMS_HTTP_ADDR") || errors.As(err, &settingError{}) != want.config {
			t.Errorf("adviseListening of %v = %v, want %q, the setting's name, and a wrong setting: %t",
				errno, err, want.says, want.config)
		}
		if errno != syscall.EADDRINUSE && strings.Contains(err.Error(), "Another program") {
			t.Errorf("error of %v = %v, want no other program blamed", errno, err)
		}
	}
	if _, err := listen(t.Context(), "MEMS_HTTP_ADDR", "192.0.2.1:0"); err == nil || !strings.Contains(err.Error(), "does not have this address") {
		t.Errorf("listen on an address of another machine = %v, want an error that says so", err)
	}
}

// The service manager is notified when the server is ready, which requires the database,
// and when it stops.
func TestNotifiesTheServiceManager(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = manager.Close() }()
	next := func() string {
		t.Helper()
		if err := manager.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		message := make([]byte, 100)
		n, err := manager.Read(message)
		if err != nil {
			t.Fatal(err)
		}
		return string(message[:n])
	}
	d := storetest.New(t)
	d.DB.MustExec(`RENAME TABLE goose_db_version TO goose_db_version_away`)
	p := startMEMS(t, "MEMS_DATABASE_URL="+d.DSN, "NOTIFY_SOCKET="+socket)
	if said := next(); !strings.HasPrefix(said, "STATUS=waiting for the database: ") {
		t.Errorf("first notification = %q, want STATUS=waiting for the database", said)
	}
	d.DB.MustExec(`RENAME TABLE goose_db_version_away TO goose_db_version`)
	if said := next(); !strings.HasPrefix(said, "READY=1\n") {
		t.Errorf("notification when the database answers = %q, want READY=1", said)
	}
	waitReady(t, p) // immediately
	p.Signal(syscall.SIGTERM)
	if said := next(); said != "STOPPING=1" {
		t.Errorf("notification after SIGTERM = %q, want STOPPING=1", said)
	}
	if code := p.Wait(); code != exitOK {
		t.Errorf("exit code %d, want %d", code, exitOK)
	}
}
