// Package localdb runs a private MySQL-compatible server as a child process,
// so that MEMS can be tried out and tested with nothing prepared.
//
// The server lives in one directory, listens on a unix socket only, belongs to
// one process at a time (others attach to it), and ends with its owner, also
// when the owner is killed. It is found on this machine or, when allowed,
// installed by the system's package manager. It is not meant for production:
// there, give MEMS the address of a server that somebody looks after.
package localdb

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
)

// Engine is a kind of server.
type Engine string

// The engines. Any takes the one that made the directory, else what is found.
const (
	Any     Engine = ""
	MariaDB Engine = "mariadb"
	MySQL   Engine = "mysql"
)

// Options say which server to run, where and how.
type Options struct {
	// Dir holds everything: data, log, socket. Created with mode 0700.
	Dir string
	// Engine chooses the kind of server.
	Engine Engine
	// Durable flushes every commit to the disk. Without it a power cut may
	// lose the last second, which is what tests want.
	Durable bool
	// Install allows installing a server when none is found.
	Install bool
	// BufferPoolMB is the server's cache; 0 means 256.
	BufferPoolMB int
	// Log receives progress for people. Required.
	Log func(format string, args ...any)
}

// Server is a running private server.
type Server struct {
	options Options
	program program
	dir     string
	socket  string
	lock    *os.File // nil when attached to another process's server
	child   *child
	version string
}

// startLimit bounds how long a server may take to come up, crash recovery
// included.
const startLimit = 2 * time.Minute

// Start starts the server of o.Dir, or attaches to it when another process
// already runs it.
func Start(ctx context.Context, o Options) (*Server, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the database directory: %w", err)
	}
	s := &Server{options: o, dir: dir}
	if s.socket, err = socketPath(dir); err != nil {
		return nil, err
	}
	s.lock, err = takeLock(filepath.Join(dir, "lock"))
	if errors.Is(err, errLocked) {
		return s, s.attach(ctx)
	}
	if err != nil {
		return nil, err
	}
	if err := s.startOwned(ctx); err != nil {
		_ = s.lock.Close()
		return nil, err
	}
	return s, nil
}

func (s *Server) startOwned(ctx context.Context) error {
	var err error
	if s.program, err = find(ctx, s.dir, s.options); err != nil {
		return err
	}
	if err := initialise(ctx, s.dir, s.program, s.options.Log); err != nil {
		return err
	}
	if err := endOrphan(s.dir); err != nil {
		return err
	}
	return s.run(ctx)
}

// run starts the child and waits until it answers.
func (s *Server) run(ctx context.Context) error {
	_ = os.Remove(s.socket) // left by a crash; the lock says that nobody listens
	var err error
	if s.child, err = startChild(s.program, s.serverArgs(), filepath.Join(s.dir, "server.log")); err != nil {
		return fmt.Errorf("start %s: %w", s.program.path, err)
	}
	if err := s.waitReady(ctx, s.child.done); err != nil {
		_ = s.child.stop(context.WithoutCancel(ctx), syscall.SIGKILL)
		return fmt.Errorf("%w\nThe last lines of %s:\n%s", err, filepath.Join(s.dir, "server.log"), tail(filepath.Join(s.dir, "server.log")))
	}
	return nil
}

// attach waits for the server of another process.
func (s *Server) attach(ctx context.Context) error {
	if err := s.waitReady(ctx, nil); err != nil {
		return fmt.Errorf("another process owns %s, but its database does not answer: %w", s.dir, err)
	}
	if strings.Contains(s.version, "MariaDB") {
		s.program.engine = MariaDB
	} else {
		s.program.engine = MySQL
	}
	return nil
}

// waitReady waits for the first answer to a query. ended is closed when there
// is nothing left to wait for.
func (s *Server) waitReady(ctx context.Context, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	db, err := sql.Open("mysql", s.DSN(""))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	for {
		if err := db.QueryRowContext(ctx, `SELECT VERSION()`).Scan(&s.version); err == nil {
			return nil
		}
		select {
		case <-ended:
			return errors.New("the database server ended while it was starting")
		case <-ctx.Done():
			return fmt.Errorf("the database server did not answer in time: %w", ctx.Err())
		case <-time.After(30 * time.Millisecond):
		}
	}
}

// DSN is the go-sql-driver address of a database of this server, as its root
// user; an empty name means none.
func (s *Server) DSN(database string) string {
	c := mysql.NewConfig()
	c.User, c.Net, c.Addr, c.DBName = "root", "unix", s.socket, database
	c.Logger = &mysql.NopLogger{} // connections that fail while it starts are no news
	return c.FormatDSN()
}

// Socket is the path of the server's unix socket.
func (s *Server) Socket() string { return s.socket }

// Engine is the kind of server that runs.
func (s *Server) Engine() Engine { return s.program.engine }

// Version is what the server says of itself.
func (s *Server) Version() string { return s.version }

// Owned reports whether this process runs the server; otherwise another one
// does and Stop leaves it alone.
func (s *Server) Owned() bool { return s.lock != nil }

// Stop asks the server to shut down and waits; when ctx ends first, it is
// killed, which a durable server survives without loss.
func (s *Server) Stop(ctx context.Context) error {
	if !s.Owned() {
		return nil
	}
	err := s.child.stop(ctx, syscall.SIGTERM)
	_ = os.Remove(s.socket)
	_ = s.lock.Close()
	return err
}

// Kill ends the server at once, as a crash would. Restart brings it back.
func (s *Server) Kill() error {
	if !s.Owned() {
		return errors.New("localdb: only the owner may kill the server")
	}
	return s.child.stop(context.Background(), syscall.SIGKILL)
}

// Restart starts the server again after Kill, on the same data.
func (s *Server) Restart(ctx context.Context) error {
	if !s.Owned() {
		return errors.New("localdb: only the owner may restart the server")
	}
	return s.run(ctx)
}

// socketPath is where the socket goes: in dir, unless that is too deep for the
// 108 bytes that a socket's address has.
func socketPath(dir string) (string, error) {
	if p := filepath.Join(dir, "mysql.sock"); len(p) < 100 {
		return p, nil
	}
	sum := sha256.Sum256([]byte(dir))
	short := filepath.Join(os.TempDir(), "mems-"+hex.EncodeToString(sum[:8]))
	if err := os.Mkdir(short, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	// Somebody else may have made it first, to read along.
	info, err := os.Lstat(short)
	if err != nil {
		return "", err
	}
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 || !ownedByUs(info) {
		return "", fmt.Errorf("%s is not a private directory of ours; remove it, or use a shorter MEMS_DATA_DIR", short)
	}
	return filepath.Join(short, "mysql.sock"), nil
}

// tail gives the last lines of a log.
func tail(path string) string {
	text, err := os.ReadFile(path) //nolint:gosec // G304: our own log
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-12):], "\n")
}
