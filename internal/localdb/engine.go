package localdb

import (
	"context"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// program is an executable server.
type program struct {
	engine  Engine
	release release
	path    string
	// installer is MariaDB's script that creates a data directory.
	installer string
	// before precedes path on the command line: the dynamic loader of an unpacked tree and
	// its library path.
	before []string
	// tree is the root of an unpacked tree; empty for an installed server.
	tree string
}

func (p program) command(ctx context.Context, args ...string) *exec.Cmd {
	line := append(append(append([]string{}, p.before...), p.path), args...)
	return exec.CommandContext(ctx, line[0], line[1:]...) //nolint:gosec // G204: paths found by us
}

// release is the first two numbers of a version. Data can be upgraded, never downgraded.
type release struct{ major, minor int }

func (r release) String() string { return fmt.Sprintf("%d.%d", r.major, r.minor) }

func (r release) before(o release) bool {
	return r.major < o.major || r.major == o.major && r.minor < o.minor
}

func (e Engine) words() string {
	switch e {
	case MariaDB:
		return "MariaDB server"
	case MySQL:
		return "MySQL server"
	case Any:
		return "MySQL or MariaDB server"
	default:
		return fmt.Sprintf("server called %q", string(e))
	}
}

// find returns a server for the data: the engine that created them, at least as new, else
// the requested one, else any.
func find(ctx context.Context, data string, o Options) (program, error) {
	if o.Engine != Any && o.Engine != MariaDB && o.Engine != MySQL {
		return program{}, fmt.Errorf("unknown database engine %q (expected %s or %s)", o.Engine, MariaDB, MySQL)
	}
	want := o.Engine
	maker, made := makerOf(data)
	if maker != Any {
		if want != Any && want != maker {
			return program{}, fmt.Errorf("the data in %s were made by %s and cannot be read by %s; use %s, or another directory, or remove this one",
				filepath.Dir(data), maker, want, maker)
		}
		want = maker
	}
	var old program
	for p := range servers(ctx, want) {
		if !p.release.before(made) {
			return p, nil
		}
		old = p
	}
	if err := ctx.Err(); err != nil {
		return program{}, err // cancelled: finding none means nothing
	}
	if old.path != "" {
		return program{}, fmt.Errorf("the data in %s were made by %s %s, and the server here is older: %s (%s); install a newer one, or remove the directory",
			filepath.Dir(data), maker, made, old.release, old.path)
	}
	if !o.Install {
		return program{}, fmt.Errorf("no %s was found: %s", want.words(), advice(want))
	}
	return install(ctx, want, o.Log)
}

// servers yields the servers of this machine, best first: installed ones, then the tree
// that unpackMySQL left. Each is identified only when its turn comes, which takes
// milliseconds.
func servers(ctx context.Context, want Engine) iter.Seq[program] {
	candidates := installed()
	if tree, ok := unpacked(); ok && want != MariaDB {
		candidates = append(candidates, tree)
	}
	return func(yield func(program) bool) {
		for _, c := range candidates {
			if p, ok := identify(ctx, c); ok && (want == Any || want == p.engine) && !yield(p) {
				return
			}
		}
	}
}

// installed returns the servers on PATH and in the usual places, which are often not on the
// PATH of an ordinary user.
func installed() []program {
	var found []program
	seen := map[string]bool{}
	for _, name := range []string{"mariadbd", "mysqld"} {
		var paths []string
		if p, err := exec.LookPath(name); err == nil {
			paths = append(paths, p)
		}
		for _, dir := range []string{
			"/usr/sbin", "/usr/libexec", "/usr/local/sbin", "/usr/local/bin", "/usr/local/mysql/bin",
			"/opt/homebrew/bin", "/opt/homebrew/opt/mariadb/bin", "/opt/homebrew/opt/mysql/bin",
		} {
			paths = append(paths, filepath.Join(dir, name))
		}
		for _, path := range paths {
			if target, err := filepath.EvalSymlinks(path); err == nil && !seen[target] {
				seen[target] = true
				found = append(found, program{path: path})
			}
		}
	}
	return found
}

// first returns the best server of this machine, if there is one.
func first(ctx context.Context, want Engine) (program, bool) {
	for p := range servers(ctx, want) {
		return p, true
	}
	return program{}, false
}

var versionWords = regexp.MustCompile(`Ver (\d+)\.(\d+)`)

// identify runs a program to find out its engine: the name is no evidence, since mysqld is
// often a link to mariadbd.
func identify(ctx context.Context, p program) (program, bool) {
	out, err := p.command(ctx, "--no-defaults", "--version").Output()
	if err != nil {
		return p, false
	}
	numbers := versionWords.FindStringSubmatch(string(out))
	if numbers == nil {
		return p, false
	}
	p.release.major, _ = strconv.Atoi(numbers[1]) // the pattern matches digits only
	p.release.minor, _ = strconv.Atoi(numbers[2])
	if !strings.Contains(string(out), "MariaDB") {
		p.engine = MySQL
		return p, true
	}
	p.engine = MariaDB
	p.installer, err = mariadbInstaller(p.path)
	return p, err == nil
}

// mariadbInstaller returns the script that belongs to a server, with its helpers; Debian
// packages both apart from the server.
func mariadbInstaller(server string) (string, error) {
	if _, err := exec.LookPath("my_print_defaults"); err != nil {
		return "", err
	}
	for _, dir := range []string{"../bin", "../scripts"} {
		if p := filepath.Join(filepath.Dir(server), dir, "mariadb-install-db"); exists(p) {
			return p, nil
		}
	}
	return exec.LookPath("mariadb-install-db")
}

// markName is a file inside the data, so that it is moved and removed with them.
const markName = "mems-engine"

// mark records which server uses the data.
func mark(data string, p program) error {
	return os.WriteFile(filepath.Join(data, markName), fmt.Appendf(nil, "%s %s\n", p.engine, p.release), 0o600)
}

// makerOf returns the server that created the data. Without our mark (data put there by
// hand) it looks for files that only one engine has.
func makerOf(data string) (Engine, release) {
	var r release
	var e string
	if text, err := os.ReadFile(filepath.Join(data, markName)); err == nil { //nolint:gosec // G304: our own file
		if _, err := fmt.Sscanf(string(text), "%s %d.%d", &e, &r.major, &r.minor); err == nil {
			return Engine(e), r
		}
	}
	switch {
	case exists(filepath.Join(data, "mysql.ibd")):
		return MySQL, release{}
	case exists(filepath.Join(data, "aria_log_control")):
		return MariaDB, release{}
	default:
		return Any, release{}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
