package localdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

var errOtherEngine = errors.New("another engine")

// ErrNotRunning reports that no process runs a server in a directory.
var ErrNotRunning = errors.New("no server is running there")

// Attach attaches to the server that another process runs in o.Dir, and creates nothing.
// Errors: ErrNotRunning.
func Attach(ctx context.Context, o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	dir, err := filepath.EvalSymlinks(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	s := &Server{options: o, dir: dir}
	attached, err := s.attach(ctx)
	switch {
	case attached:
		return s, nil
	case errors.Is(err, errOtherEngine), ctx.Err() != nil:
		return nil, err
	default:
		return nil, fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
}

// published is what the owner publishes to attaching processes, in run/server.json. It
// includes the socket, whose path may depend on the owner's environment.
type published struct {
	Engine   Engine `json:"engine"`
	Socket   string `json:"socket"`
	Durable  bool   `json:"durable"`
	Port     int    `json:"port,omitempty"`
	Password string `json:"password,omitempty"`
}

func publishedFile(dir string) string { return filepath.Join(dir, "run", "server.json") }

// publish is called once the server accepts connections.
func (s *Server) publish() error {
	p := published{Engine: s.program.engine, Socket: s.socket, Durable: s.options.Durable, Password: s.password}
	if s.password != "" {
		p.Port = s.options.Port
	}
	text, err := json.Marshal(p) //nolint:gosec // G117: the password is for those who may read this directory
	if err != nil {
		return err
	}
	// Written atomically, because others may be reading it.
	draft := publishedFile(s.dir) + ".new"
	if err := os.WriteFile(draft, text, 0o600); err != nil {
		return err
	}
	return os.Rename(draft, publishedFile(s.dir))
}

func (s *Server) unpublish() { _ = os.Remove(publishedFile(s.dir)) }

// attach tries once to connect to the server of the directory's owner. A crashed owner may
// have left its file, so only a connection counts.
func (s *Server) attach(ctx context.Context) (bool, error) {
	text, err := os.ReadFile(publishedFile(s.dir))
	if err != nil {
		return false, errors.New("it is not running yet")
	}
	var p published
	if err := json.Unmarshal(text, &p); err != nil {
		return false, fmt.Errorf("read %s: %w", publishedFile(s.dir), err)
	}
	s.socket = p.Socket
	if s.version, err = s.askVersion(ctx); err != nil {
		return false, err
	}
	if s.options.Engine != Any && s.options.Engine != p.Engine {
		return false, fmt.Errorf("another process runs %s in %s, not %s; stop it, or use another directory: %w",
			p.Engine, s.dir, s.options.Engine, errOtherEngine)
	}
	if s.options.Durable && !p.Durable {
		s.options.Log("the server in %s belongs to another process, which runs it without flushing commits to the disk", s.dir)
	}
	s.program = program{engine: p.Engine}
	s.options.Port, s.password = p.Port, p.Password
	return true, nil
}
