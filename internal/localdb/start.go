package localdb

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
)

const (
	// startLimit is the timeout of a server's start, including crash recovery.
	startLimit = 2 * time.Minute
	// attachLimit is the timeout of waiting for another process's server, which that
	// process may still be installing.
	attachLimit = 10 * time.Minute
	// stopLimit is the time between asking a server to shut down and killing it.
	stopLimit = 30 * time.Second
	// pollPause is the interval of polling where there is no signal.
	pollPause = 25 * time.Millisecond
)

// Start starts the server of o.Dir, or attaches to it if another process already runs it.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	if !supported {
		return nil, errors.New("a private database server needs Linux or macOS; set MEMS_DATABASE_URL to your own server")
	}
	if o.Dir == "" {
		return nil, errors.New("localdb: no directory given")
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the database directory: %w", err)
	}
	// A canonical path: orphans are recognised by it.
	dir, err := filepath.EvalSymlinks(o.Dir)
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if info, err := os.Stat(dir); err != nil || !ownedByUs(info) {
		return nil, cmp.Or(err, fmt.Errorf("%s belongs to another user: run this as that user, or use another directory (MEMS_DATA_DIR)", dir))
	}
	s := &Server{options: o, dir: dir}
	if err := s.ownOrAttach(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// ownOrAttach locks the directory, or attaches to the server of its owner. It tries both in
// turn, since an owner may end while we wait for its server.
func (s *Server) ownOrAttach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, attachLimit)
	defer cancel()
	for waited := time.Duration(0); ; waited += pollPause {
		lock, err := takeLock(filepath.Join(s.dir, "lock"))
		if err == nil {
			s.lock, s.owned = lock, true
			s.socket = "" // not what a crashed owner published
			if err := s.startOwned(ctx); err != nil {
				_ = lock.Close()
				return err
			}
			return nil
		}
		if !errors.Is(err, errLocked) {
			return err
		}
		attached, err := s.attach(ctx)
		if attached || errors.Is(err, errOtherEngine) {
			return err
		}
		if waited == 2*time.Second {
			s.options.Log("another process owns %s; waiting for its database to answer", s.dir)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("another process owns %s, but its database does not answer (%w): %w", s.dir, ctx.Err(), err)
		case <-time.After(pollPause):
		}
	}
}

func (s *Server) startOwned(ctx context.Context) error {
	if most := mostFiles(); most < fewestFiles {
		return fmt.Errorf("%w; it is %d", errFewFiles, most)
	}
	var err error
	if s.socket == "" { // otherwise kept from the owner that it was attached to
		if s.socket, err = socketPath(s.dir); err != nil {
			return err
		}
	}
	if s.tmp, err = tmpDir(s.dir); err != nil {
		return err
	}
	// First, because an orphan may still write what is read below.
	if err := endOrphans(ctx, s.dir, s.options.Log); err != nil {
		return err
	}
	if s.program, err = find(ctx, s.data(), s.options); err != nil {
		return err
	}
	if err := s.initialise(ctx); err != nil {
		return err
	}
	return s.run(ctx)
}

// run starts the child, waits until it accepts connections, and publishes it.
func (s *Server) run(ctx context.Context) error {
	// Left by a crash; we hold the lock, so nothing listens on it. MySQL refuses to start
	// if the pid in the lock file has been reused.
	_ = os.Remove(s.socket)
	_ = os.Remove(s.socket + ".lock")
	// SIGTERM in a server's first moments can make it hang (orphanGrace). The next start
	// then ends it. With disposable data there may be no next start, and nothing is worth a
	// shutdown.
	onOurEnd := syscall.SIGTERM
	if !s.options.Durable {
		onOurEnd = syscall.SIGKILL
	}
	program := s.program
	program.before = append(s.options.member.enter(), program.before...)
	cmd := program.command(context.WithoutCancel(ctx), s.serverArgs()...)
	child, err := startChild(cmd, s.logFile(), onOurEnd)
	if err != nil {
		return fmt.Errorf("start %s: %w", s.program.path, err)
	}
	s.child = child
	err = s.waitReady(ctx)
	if err == nil && s.options.Port != 0 {
		err = s.openTCP(ctx)
	}
	if err == nil {
		err = s.publish()
	}
	if err != nil {
		_ = s.child.stop(context.WithoutCancel(ctx), syscall.SIGKILL)
		said, _ := os.ReadFile(s.logFile())
		if isFull(s.dir) {
			err = errors.Join(err, syscall.ENOSPC)
		}
		if cause := causeOf(s.dir, string(said), err); cause != nil {
			return fmt.Errorf("the database server did not start: %w. See %s", cause, s.logFile())
		}
		return fmt.Errorf("%w\nThe last lines of %s:\n%s", err, s.logFile(), tail(s.logFile()))
	}
	return nil
}

// waitReady waits until the child answers a query.
func (s *Server) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		version, err := s.askVersion(ctx)
		if err == nil {
			s.version = version
			return nil
		}
		select {
		case <-s.child.done:
			return fmt.Errorf("the database server ended while it was starting (%s)", s.child.state)
		case <-ctx.Done():
			return fmt.Errorf("the database server did not answer (%w): %w", ctx.Err(), err)
		case <-time.After(pollPause):
		}
	}
}

// askVersion opens a new connection and returns the server's version.
func (s *Server) askVersion(ctx context.Context) (string, error) {
	db, err := s.open()
	if err != nil {
		return "", err
	}
	defer func() { _ = db.Close() }()
	var version string
	err = db.QueryRowContext(ctx, `SELECT VERSION()`).Scan(&version)
	return version, err
}

// open opens a pool for our own queries, whose driver does not log errors of a starting
// server to stderr.
func (s *Server) open() (*sql.DB, error) {
	c := s.config("")
	c.Logger = &mysql.NopLogger{}
	c.Timeout = 5 * time.Second
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// tail returns the last lines of a log.
func tail(path string) string {
	text, err := os.ReadFile(path) //nolint:gosec // G304: our own log
	if err != nil {
		return err.Error()
	}
	return lastLines(text)
}

func lastLines(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-12):], "\n")
}
