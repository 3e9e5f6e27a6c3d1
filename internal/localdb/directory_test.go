package localdb_test

import (
	"context"
	"database/sql"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mems/internal/localdb"
)

func TestUnfinishedInitialisation(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	half := filepath.Join(dir, "new-123", "mysql")
	if err := os.MkdirAll(half, 0o700); err != nil {
		t.Fatal(err)
	}
	fill(t, start(t, dir))
	if _, err := os.Stat(half); !os.IsNotExist(err) {
		t.Errorf("stat of a half-made directory: %v, want it removed", err)
	}
}

// A cancelled initialisation does not obstruct the next one either.
func TestCancelledInitialisation(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := localdb.Start(ctx, options(dir, func(format string, args ...any) {
		t.Logf(format, args...)
		cancel() // at the message that it begins
	}))
	if err == nil {
		t.Fatal("Start with a cancelled context = nil, want an error")
	}
	if _, err := os.Stat(filepath.Join(dir, "data")); !os.IsNotExist(err) {
		t.Errorf("stat of the data directory: %v, want none", err)
	}
	fill(t, start(t, dir))
}

func TestUnusualDirectories(t *testing.T) {
	t.Parallel()
	for name, sub := range map[string]string{
		"Deep":   strings.Repeat("deep/", 25),
		"Spaces": "my clinic (1)/data",
		"At":     "user@example/data?",
		"Umlaut": "Käthe/データ",
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), sub)
			s := start(t, dir)
			if len(s.Socket()) >= 100 {
				t.Errorf("socket path has %d bytes, want fewer than 100", len(s.Socket()))
			}
			t.Cleanup(func() { _ = os.RemoveAll(filepath.Dir(s.Socket())) })
			fill(t, s)
			// If shared with other servers, they fail at random.
			var tmp string
			if err := connect(t, s).QueryRowContext(t.Context(), `SELECT @@tmpdir`).Scan(&tmp); err != nil {
				t.Fatal(err)
			}
			if tmp != filepath.Join(dir, "tmp") && tmp != filepath.Join(filepath.Dir(s.Socket()), "tmp") {
				t.Errorf("temporary directory = %q, want the server's own", tmp)
			}
		})
	}
}

// Root has no password, so other users must not reach the socket, whatever the mode of the
// given directory.
func TestSocketIsPrivate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := start(t, dir)
	info, err := os.Stat(filepath.Dir(s.Socket()))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v around the socket (%v), want 0700", info.Mode().Perm(), err)
	}
	t.Run("ForeignDirectory", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "run"), 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := localdb.Start(t.Context(), options(dir, t.Logf)); err == nil {
			t.Error("Start in a directory that others can enter = nil, want an error")
		}
	})
}

func TestPort(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir(), t.Logf)
	o.Port = freePort(t)
	s, err := localdb.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	stopLater(t, s)
	attached := start(t, o.Dir)
	for _, dsn := range []string{s.TCPDSN(""), attached.TCPDSN("")} {
		if err := ping(t, dsn); err != nil {
			t.Errorf("connect by TCP: %v, want no error", err)
		}
	}
	_, address, _ := strings.Cut(s.TCPDSN(""), "@")
	for _, user := range []string{"root", "mems", ""} {
		if err := ping(t, user+"@"+address); err == nil {
			t.Errorf("connect by TCP as %q without a password = nil, want an error", user)
		}
	}
	if quiet := start(t, t.TempDir()); quiet.TCPDSN("") != "" {
		t.Errorf("TCPDSN of a server without a port = %q, want none", quiet.TCPDSN(""))
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("address of the listener = %v, want one of TCP", l.Addr())
	}
	return address.Port
}

func ping(t *testing.T, dsn string) error {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	return db.PingContext(t.Context())
}

func TestErrors(t *testing.T) {
	t.Parallel()
	other := localdb.MySQL
	if engine() == localdb.MySQL {
		other = localdb.MariaDB
	}
	write := func(t *testing.T, name, text string) string {
		t.Helper()
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "data", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	fails := func(t *testing.T, o localdb.Options, words ...string) {
		t.Helper()
		s, err := localdb.Start(t.Context(), o)
		if err == nil {
			stopLater(t, s)
			t.Fatalf("Start = nil, want an error with %q", words)
		}
		for _, w := range words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("Start = %q, want %q in it", err, w)
			}
		}
	}
	t.Run("OtherEngine", func(t *testing.T) {
		fails(t, options(write(t, "mems-engine", string(other)+" 10.11\n"), t.Logf), "made by "+string(other), "use "+string(other))
	})
	t.Run("OtherEngineRuns", func(t *testing.T) {
		s := start(t, t.TempDir())
		o := options(filepath.Dir(filepath.Dir(s.Socket())), t.Logf)
		o.Engine = other
		fails(t, o, "another process runs "+string(engine()))
	})
	t.Run("NewerData", func(t *testing.T) {
		fails(t, options(write(t, "mems-engine", string(engine())+" 99.1\n"), t.Logf), "99.1", "older")
	})
	t.Run("ServerDies", func(t *testing.T) {
		fails(t, options(write(t, "ibdata1", "not a database"), t.Logf), "server.log", "ERROR", "exit status 1")
	})
	t.Run("NoSuchEngine", func(t *testing.T) {
		o := options(t.TempDir(), t.Logf)
		o.Engine = "oracle"
		fails(t, o, "oracle", "mariadb")
	})
	t.Run("NoDirectory", func(t *testing.T) { fails(t, options("", nil), "directory") })
	t.Run("DirectoryIsAFile", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		fails(t, options(file, nil), "directory")
	})
}
