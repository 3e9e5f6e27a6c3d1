// Package localdb runs a private MySQL-compatible server as a child process,
// so that MEMS can be tried out and tested with nothing prepared.
//
// The server lives in one directory, listens on a unix socket that only its
// owner can reach, belongs to one process at a time (others attach to it), and
// ends with that process, also when it is killed. It is found on this machine
// or, when allowed, installed by the system's package manager. It is not meant
// for production: there, give MEMS the address of a server that somebody looks
// after.
//
// A directory looks like this:
//
//	lock          flock of the owner
//	data/         the server's data, with mems-engine saying who made them
//	new-*/        data whose initialisation was cut short; removed by the next start
//	tmp/          the server's temporary tables
//	run/          mode 0700: the socket, server.json for those who attach
//	server.log    what the server said since its last start
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
	// Durable flushes every commit to the disk. Without it the end of the
	// server may lose the last second, and the end of the machine everything,
	// which is what tests want.
	Durable bool
	// Install allows installing a server when none is found.
	Install bool
	// BinaryLog keeps a binary log, in the folder of the data; a durable MySQL does anyway.
	BinaryLog bool
	// BufferPoolMB is the server's cache; 0 means 256.
	BufferPoolMB int
	// Port, when not 0, also opens 127.0.0.1:Port, for benchmarks and for the
	// curious. Other users of the machine can reach it, so that way in asks for
	// a password; see TCPDSN.
	Port int
	// Log receives progress for people; nil means that nobody wants it.
	Log func(format string, args ...any)

	member *member // of a Cluster; nil for a server of its own
}

// Server is a running private server. Its methods may be called by several
// goroutines.
type Server struct {
	options Options
	dir     string
	socket  string

	mu       sync.Mutex // guards what follows: one start or stop at a time
	program  program
	tmp      string
	version  string
	password string // of the TCP account; empty when there is none
	owned    bool
	released bool     // Stop was called on a server of another process
	lock     *os.File // nil when attached, and after Stop
	child    *child   // nil before the first start
}

// DSN is the go-sql-driver address of a database of this server, as its root
// user over the unix socket; an empty name means none.
func (s *Server) DSN(database string) string { return s.config(database).FormatDSN() }

func (s *Server) config(database string) *mysql.Config {
	c := mysql.NewConfig()
	c.User, c.Net, c.Addr, c.DBName = "root", "unix", s.socket, database
	return c
}

// TCPDSN is the go-sql-driver address by which the server answers on
// 127.0.0.1; empty when it does not.
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

// Socket is the path of the server's unix socket.
func (s *Server) Socket() string { return s.socket }

// Engine is the kind of server that runs.
func (s *Server) Engine() Engine {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.program.engine
}

// Version is what the server says of itself.
func (s *Server) Version() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version
}

// Owned reports whether this process runs the server; otherwise another one
// does, and Stop leaves it alone.
func (s *Server) Owned() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.owned
}

func (s *Server) data() string    { return filepath.Join(s.dir, "data") }
func (s *Server) logFile() string { return filepath.Join(s.dir, "server.log") }
func (s *Server) pidFile() string { return filepath.Join(s.dir, "run", "server.pid") }
