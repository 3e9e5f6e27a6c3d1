package localdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

var errNoManager = errors.New("this system's package manager is not one that can be used without asking you")

// advice tells a person how to get a server.
func advice(e Engine) string {
	pkg := "mariadb-server-core mariadb-client-core"
	if e == MySQL {
		pkg = "mysql-server"
	}
	switch {
	case has("apt-get"):
		return "install one with: sudo apt-get install " + pkg
	case has("dnf"):
		return "install one with: sudo dnf install mariadb-server"
	case has("apk"):
		return "install one with: sudo apk add mariadb mariadb-client"
	case has("brew"):
		return "install one with: brew install mariadb"
	default:
		return "install MariaDB 10.11 or later, or MySQL 8.4 or later, or set MEMS_DATABASE_URL to a server of yours"
	}
}

func has(name string) bool {
	_, err := exec.LookPath(name)
	return err == nil
}

// install brings a server to this machine. MariaDB comes as Debian's core
// packages, which, unlike mariadb-server, start no service of their own. MySQL
// comes as an unpacked tree in the user's cache, because Debian's stable
// releases do not have it.
func install(ctx context.Context, want Engine, log func(string, ...any)) (program, error) {
	if !has("apt-get") {
		return program{}, fmt.Errorf("no %s was found and %w: %s", want.words(), errNoManager, advice(want))
	}
	if want == MySQL {
		return unpackMySQL(ctx, log)
	}
	log("no database server found; installing mariadb-server-core with apt-get (about 20 s, once)")
	if err := aptGet(ctx, "update"); err != nil {
		log("apt-get update failed, trying with the lists that are here: %v", err)
	}
	if err := aptGet(ctx, "install", "-y", "--no-install-recommends", "mariadb-server-core", "mariadb-client-core"); err != nil {
		return program{}, fmt.Errorf("%w\nYou can also do it yourself: %s", err, advice(want))
	}
	p, ok := installed(ctx, MariaDB)
	if !ok {
		return program{}, fmt.Errorf("mariadb-server-core was installed, but no server was found; %s", advice(want))
	}
	log("installed %s", p.path)
	return p, nil
}

// aptGet runs apt-get as root: as it is, or by sudo if that asks for nothing.
func aptGet(ctx context.Context, args ...string) error {
	line := append([]string{"apt-get", "-q"}, args...)
	if os.Geteuid() != 0 {
		if !has("sudo") || exec.CommandContext(ctx, "sudo", "-n", "true").Run() != nil {
			return fmt.Errorf("installing needs root; type: sudo %s", strings.Join(line, " "))
		}
		line = append([]string{"sudo", "-n"}, line...)
	}
	cmd := exec.CommandContext(ctx, line[0], line[1:]...) //nolint:gosec // G204: constants
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(line, " "), err, lastLines(out))
	}
	return nil
}

func lastLines(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}

// treeDir is where the MySQL tree is kept.
func treeDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "mems", "mysql-tree"), nil
}

// unpacked finds a MySQL that unpackMySQL has left here before.
func unpacked(want Engine) (program, bool) {
	tree, err := treeDir()
	if err != nil || want != Any && want != MySQL {
		return program{}, false
	}
	path := filepath.Join(tree, "usr", "sbin", "mysqld")
	if _, err := os.Stat(path); err != nil {
		return program{}, false
	}
	loader, err := filepath.Glob(filepath.Join(tree, "usr", "lib*", "ld-linux-*.so.*"))
	if err != nil || len(loader) == 0 {
		return program{}, false
	}
	libraries, err := filepath.Glob(filepath.Join(tree, "usr", "lib", "*-linux-gnu"))
	if err != nil || len(libraries) == 0 {
		return program{}, false
	}
	return program{
		engine: MySQL, path: path, tree: tree,
		before: []string{loader[0], "--library-path", strings.Join(libraries, ":")},
	}, true
}

// unpackMySQL fetches mysql-server-core and every library it needs, down to
// libc, from Debian's unstable suite into a tree of its own that touches
// nothing of the system, and is run by its own loader. apt resolves and checks
// the signatures, against an empty system, with lists apart from the machine's.
func unpackMySQL(ctx context.Context, log func(string, ...any)) (program, error) {
	tree, err := treeDir()
	if err != nil {
		return program{}, err
	}
	log("no MySQL server found; unpacking Debian's into %s (about 330 MB, 15 s, once)", tree)
	if err := os.MkdirAll(filepath.Dir(tree), 0o700); err != nil {
		return program{}, err
	}
	work, err := os.MkdirTemp(filepath.Dir(tree), "unpacking-")
	if err != nil {
		return program{}, err
	}
	defer func() { _ = os.RemoveAll(work) }()
	mirror, err := debianMirror(ctx)
	if err != nil {
		return program{}, err
	}
	const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
	source := fmt.Sprintf("deb [signed-by=%s] %s sid main\n", keyring, mirror)
	if err := os.WriteFile(filepath.Join(work, "sources.list"), []byte(source), 0o600); err != nil {
		return program{}, err
	}
	for _, d := range []string{"lists/partial", "cache/archives/partial", "tree"} {
		if err := os.MkdirAll(filepath.Join(work, d), 0o700); err != nil {
			return program{}, err
		}
	}
	apt := []string{
		"-q", "-o", "Dir::Etc::sourcelist=" + filepath.Join(work, "sources.list"), "-o", "Dir::Etc::sourceparts=/dev/null",
		"-o", "Dir::State::lists=" + filepath.Join(work, "lists"), "-o", "Dir::Cache=" + filepath.Join(work, "cache"),
		"-o", "Dir::State::status=/dev/null", "-o", "APT::Sandbox::User=",
	}
	for _, step := range [][]string{
		{"update"},
		{"install", "-y", "--no-install-recommends", "--download-only", "mysql-server-core"},
	} {
		cmd := exec.CommandContext(ctx, "apt-get", append(append([]string{}, apt...), step...)...) //nolint:gosec // G204: paths of our own
		if out, err := cmd.CombinedOutput(); err != nil {
			return program{}, fmt.Errorf("apt-get %s: %w\n%s", step[0], err, lastLines(out))
		}
	}
	packages, err := filepath.Glob(filepath.Join(work, "cache", "archives", "*.deb"))
	if err != nil {
		return program{}, err
	}
	for _, deb := range packages {
		cmd := exec.CommandContext(ctx, "dpkg-deb", "-x", deb, filepath.Join(work, "tree")) //nolint:gosec // G204: paths of our own
		if out, err := cmd.CombinedOutput(); err != nil {
			return program{}, fmt.Errorf("unpack %s: %w\n%s", filepath.Base(deb), err, lastLines(out))
		}
	}
	// All or nothing; if another process was faster, its tree is as good.
	if err := os.Rename(filepath.Join(work, "tree"), tree); err != nil {
		if p, ok := unpacked(MySQL); ok {
			return p, nil
		}
		return program{}, err
	}
	p, ok := unpacked(MySQL)
	if !ok {
		return program{}, fmt.Errorf("the MySQL tree in %s is not complete; remove it and try again", tree)
	}
	return p, nil
}

// debianMirror is the address from which this machine gets Debian's packages.
func debianMirror(ctx context.Context) (string, error) {
	if !exists("/etc/debian_version") || !has("dpkg-deb") {
		return "", fmt.Errorf("unpacking MySQL works on Debian only; %s", advice(MySQL))
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(CODENAME)", "Created-By: Packages").Output()
	if err != nil {
		return "", fmt.Errorf("apt-get indextargets: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		// Updates and security of a release have names with a hyphen, and may
		// come from elsewhere.
		if len(f) == 3 && f[1] == "Debian" && !strings.Contains(f[2], "-") {
			return f[0], nil
		}
	}
	return "", fmt.Errorf("apt knows no Debian mirror (run apt-get update first?); %s", advice(MySQL))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
