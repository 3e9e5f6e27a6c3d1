// Package localdb runs a private MySQL-compatible server as a child process, so that MEMS
// can be tried and tested without preparation.
//
// The server lives in one directory, listens on a unix socket that only its owner can
// access, belongs to one process at a time (others attach to it), and ends with that
// process, even if it is killed. An installed server is used or, if allowed, one is
// installed by the system's package manager. It is not meant for production, which needs a
// server that is administered.
//
// The directory contains:
//
//	lock          flock of the owner
//	data/         the server's data, with mems-engine naming its engine
//	new-*/        an interrupted initialisation; removed by the next start
//	tmp/          the server's temporary tables
//	run/          mode 0700: the socket, and server.json for attaching processes
//	server.log    the server's output since its last start
package localdb

import (
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/go-sql-driver/mysql"
)

// Engine is a kind of server.
type Engine string

// The engines. Any uses the one that created the directory, else any that is found.
const (
	Any     Engine = ""
	MariaDB Engine = "mariadb"
	MySQL   Engine = "mysql"
)

// Options configure a server.
type Options struct {
	// Dir holds everything: data, log, socket. Created with mode 0700.
	Dir string
	// Engine chooses the kind of server.
	Engine Engine
	// Durable flushes every commit to the disk. Without it a crash of the server may lose
	// the last second, and one of the machine everything, which is fine for tests.
	Durable bool
	// Install allows installing a server if none is found.
	Install bool
	// BinaryLog enables the binary log, in the data directory; a durable MySQL has it
	// anyway.
	BinaryLog bool
	// BufferPoolMB is the server's cache; 0 means 256.
	BufferPoolMB int
	// Port, if not 0, also opens 127.0.0.1:Port, for benchmarks and for inspection. Other
	// users of the machine can connect to it, so it requires a password; see TCPDSN.
	Port int
	// Log receives progress messages for people; may be nil.
	Log func(format string, args ...any)

	member *member // of a Cluster; nil for a standalone server
}

// Server is a running private server. Its methods are safe for concurrent use.
type Server struct {
	options Options
	dir     string
	socket  string

	mu       sync.Mutex // guards what follows: one start or stop at a time
	program  program
	tmp      string
	version  string
	password string // of the TCP account; empty for none
	owned    bool
	released bool     // Stop was called on another process's server
	lock     *os.File // nil if attached, and after Stop
	child    *child   // nil before the first start
}

// DSN returns the go-sql-driver DSN of a database of this server, as root over the unix
// socket; an empty name means none.
func (s *Server) DSN(database string) string { return s.config(database).FormatDSN() }

func (s *Server) config(database string) *mysql.Config {
	c := mysql.NewConfig()
	c.User, c.Net, c.Addr, c.DBName = "root", "unix", s.socket, database
	return c
}

// TCPDSN returns the go-sql-driver DSN on 127.0.0.1; empty without Port.
func (s *Server) TCPDSN(database string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.password == "" {
		return ""
	}
	c := mysql.NewConfig()
	c.User, c.Passwd, c.DBName = tcpUser, s.password, database
	c.Net, c.Addr = "tcp", "127.0.0.1:"+strconv.Itoa(s.options.Port)
	return c.FormatDSN()
}

// Socket returns the path of the server's unix socket.
func (s *Server) Socket() string { return s.socket }

// Engine returns the engine of the running server.
func (s *Server) Engine() Engine {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.program.engine
}

// Version returns the server's version.
func (s *Server) Version() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version
}

// Owned reports whether this process runs the server. Otherwise another one does, and Stop
// does not stop it.
func (s *Server) Owned() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.owned
}

func (s *Server) data() string    { return filepath.Join(s.dir, "data") }
func (s *Server) logFile() string { return filepath.Join(s.dir, "server.log") }
func (s *Server) pidFile() string { return filepath.Join(s.dir, "run", "server.pid") }
