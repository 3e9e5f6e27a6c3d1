package localdb

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// The error without a server names something to install.
func TestAdvice(t *testing.T) {
	for _, path := range []string{"/nowhere", "/usr/bin:/bin"} {
		t.Setenv("PATH", path)
		for _, e := range []Engine{Any, MariaDB, MySQL} {
			if a := advice(e); !strings.Contains(a, "install") {
				t.Errorf("advice(%q) = %q, want install in it", e, a)
			}
			if w := e.words(); !strings.Contains(w, "server") {
				t.Errorf("words of %q = %q, want server in it", e, w)
			}
		}
	}
	t.Setenv("PATH", "/nowhere")
	if _, err := install(t.Context(), MySQL, t.Logf); err == nil || !strings.Contains(err.Error(), "install") {
		t.Errorf("install without a package manager = %v, want an error with install", err)
	}
}

func TestCommandShowsWhatFailed(t *testing.T) {
	t.Parallel()
	if err := command(t.Context(), t.TempDir(), "ls", "no-such-file"); err == nil || !strings.Contains(err.Error(), "no-such-file") {
		t.Errorf("command = %v, want what ls said about no-such-file", err)
	}
}

// A full disk or too few files in a server's output is reported plainly.
func TestCauses(t *testing.T) {
	t.Parallel()
	for output, want := range map[string]string{
		"Error writing file './mysql/db.MYI' (Errcode: 28 \"No space left on device\")":                       "the disk is full",
		"[ERROR] InnoDB: preallocating 100663296 bytes for file ./ib_logfile101 failed with error 28":         "the disk is full",
		"[ERROR] [MY-012267] [InnoDB] The error means the disk is full":                                       "the disk is full",
		"Can't open file: './mysql/' (errno: 24 - Too many open files)":                                       "ulimit -n",
		"[ERROR] InnoDB: Operating system error number 28 in a file operation. errno: 28 - Success somewhere": "the disk is full",
	} {
		if err := causeOf("/data", output, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("causeOf(%q) = %v, want %q in it", output, err, want)
		}
	}
	if err := causeOf("/data", "errno: 280 and 2400", nil); err != nil {
		t.Error(err)
	}
}

// Without a network the error says that MySQL could not be downloaded, and what to do.
func TestMySQLWithoutNetwork(t *testing.T) {
	t.Parallel()
	if !has("apt-get") || !has("dpkg-deb") {
		return // downloaded on Debian only
	}
	err := download(t.Context(), t.TempDir(), "http://127.0.0.1:1/debian")
	if err == nil || !strings.Contains(err.Error(), "no MySQL server was found, and it could not be downloaded") || !strings.Contains(err.Error(), "install MySQL") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := find(ctx, t.TempDir(), Options{Engine: MySQL, Install: true, Log: t.Logf}); !errors.Is(err, context.Canceled) {
		t.Errorf("find with a cancelled context = %v, want %v", err, context.Canceled)
	}
}
