package localdb

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// program is a server that can be run.
type program struct {
	engine Engine
	path   string
	// before precedes path in the command line: the dynamic loader of an
	// unpacked tree and its library path.
	before []string
	// tree is the root of an unpacked tree; empty for an installed server.
	tree string
}

func (p program) command(ctx context.Context, args ...string) *exec.Cmd {
	line := append(append(append([]string{}, p.before...), p.path), args...)
	return exec.CommandContext(ctx, line[0], line[1:]...) //nolint:gosec // G204: paths found by us
}

// find finds the server for dir: the engine that made the directory, else the
// one asked for, else any.
func find(ctx context.Context, dir string, o Options) (program, error) {
	want := o.Engine
	if made, err := os.ReadFile(filepath.Join(dir, "engine")); err == nil { //nolint:gosec // G304: our own file
		maker := Engine(strings.TrimSpace(string(made)))
		if want != Any && want != maker {
			return program{}, fmt.Errorf("the data in %s were made by %s and cannot be read by %s; use %s, or another directory",
				dir, maker, want, maker)
		}
		want = maker
	}
	if p, ok := installed(ctx, want); ok {
		return p, nil
	}
	if p, ok := unpacked(want); ok {
		return p, nil
	}
	if !o.Install {
		return program{}, fmt.Errorf("no %s was found: %s", want.words(), advice(want))
	}
	return install(ctx, want, o.Log)
}

func (e Engine) words() string {
	switch e {
	case MariaDB:
		return "MariaDB server"
	case MySQL:
		return "MySQL server"
	default:
		return "MySQL or MariaDB server"
	}
}

// installed looks on PATH and where servers are put, which is often not on the
// PATH of an ordinary user.
func installed(ctx context.Context, want Engine) (program, bool) {
	for _, name := range []string{"mariadbd", "mysqld"} {
		candidates := []string{
			"/usr/sbin/" + name, "/usr/local/sbin/" + name, "/usr/local/bin/" + name,
			"/usr/libexec/" + name, "/opt/homebrew/bin/" + name, "/usr/local/mysql/bin/" + name,
		}
		if p, err := exec.LookPath(name); err == nil {
			candidates = append([]string{p}, candidates...)
		}
		for _, path := range candidates {
			engine, ok := engineOf(ctx, program{path: path})
			if !ok || want != Any && want != engine {
				continue
			}
			if engine == MariaDB && !canInitialise() {
				continue
			}
			return program{engine: engine, path: path}, true
		}
	}
	return program{}, false
}

// engineOf asks a program what it is; the name does not tell, since mysqld is
// often a link to mariadbd.
func engineOf(ctx context.Context, p program) (Engine, bool) {
	out, err := p.command(ctx, "--no-defaults", "--version").Output()
	switch {
	case err != nil:
		return Any, false
	case strings.Contains(string(out), "MariaDB"):
		return MariaDB, true
	default:
		return MySQL, true
	}
}

// canInitialise reports whether MariaDB's script and what it calls are here;
// Debian packs them apart from the server.
func canInitialise() bool {
	_, err := exec.LookPath("mariadb-install-db")
	_, err2 := exec.LookPath("my_print_defaults")
	return err == nil && err2 == nil
}

// initialise makes an empty data directory, beside its final place, and moves
// it there when it is complete: a crash in between leaves nothing that a later
// start would mistake for data.
func initialise(ctx context.Context, dir string, p program, log func(string, ...any)) error {
	data := filepath.Join(dir, "data")
	if _, err := os.Stat(data); err == nil {
		return nil
	}
	log("making a new %s data directory in %s", p.engine, dir)
	unfinished := filepath.Join(dir, "data.unfinished")
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	var cmd *exec.Cmd
	if p.engine == MariaDB {
		// "normal" authentication: root without a password, by the socket that
		// only we can reach, instead of asking who the operating system's user is.
		cmd = exec.CommandContext(ctx, "mariadb-install-db", append([]string{ //nolint:gosec // G204: paths of our own
			"--no-defaults", "--datadir=" + unfinished,
			"--auth-root-authentication-method=normal", "--skip-test-db",
		}, asRoot()...)...)
	} else {
		cmd = p.command(ctx, append(append([]string{"--no-defaults", "--initialize-insecure", "--datadir=" + unfinished},
			p.treeArgs()...), asRoot()...)...)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initialise the database: %w\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(dir, "engine"), []byte(p.engine+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(unfinished, data)
}

// asRoot: servers refuse to run as root unless told that it is meant.
func asRoot() []string {
	if os.Geteuid() == 0 {
		return []string{"--user=root"}
	}
	return nil
}

// treeArgs tell a server from an unpacked tree where its files are.
func (p program) treeArgs() []string {
	if p.tree == "" {
		return nil
	}
	return []string{
		"--basedir=" + filepath.Join(p.tree, "usr"),
		"--lc-messages-dir=" + filepath.Join(p.tree, "usr", "share", "mysql"),
		"--plugin-dir=" + filepath.Join(p.tree, "usr", "lib", "mysql", "plugin"),
	}
}

func (s *Server) serverArgs() []string {
	pool := s.options.BufferPoolMB
	if pool == 0 {
		pool = 256
	}
	args := append([]string{
		"--no-defaults",
		"--datadir=" + filepath.Join(s.dir, "data"),
		"--socket=" + s.socket,
		"--pid-file=" + pidFile(s.dir),
		"--skip-networking",
		"--character-set-server=utf8mb4",
		"--max-connections=400",
		"--skip-name-resolve",
		"--performance-schema=OFF", // saves memory and about a second
		"--innodb-buffer-pool-size=" + strconv.Itoa(pool<<20),
	}, s.program.treeArgs()...)
	args = append(args, asRoot()...)
	if s.options.Durable {
		args = append(args, "--innodb-flush-log-at-trx-commit=1")
	} else {
		args = append(args, "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=OFF")
	}
	if s.program.engine == MySQL {
		args = append(args, "--mysqlx=OFF", "--secure-file-priv=NULL")
		if s.options.Durable {
			// As production would run: with a binary log, flushed too.
			args = append(args, "--sync-binlog=1")
		} else {
			args = append(args, "--skip-log-bin")
		}
	}
	return args
}
