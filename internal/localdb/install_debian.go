package localdb

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// treeDir is where the MySQL tree is kept.
func treeDir() (string, error) {
	cache, err := cacheDir()
	return filepath.Join(cache, "mysql-tree-"+runtime.GOARCH), err
}

// unpacked finds a MySQL that unpackMySQL has left here before.
func unpacked() (program, bool) {
	tree, err := treeDir()
	if err != nil {
		return program{}, false
	}
	// The loader's name and place depend on the architecture.
	loaders, err := filepath.Glob(filepath.Join(tree, "usr", "lib*", "ld-linux*.so.*"))
	if err != nil || len(loaders) == 0 {
		return program{}, false
	}
	libraries, err := filepath.Glob(filepath.Join(tree, "usr", "lib", "*-linux-gnu*"))
	if err != nil || len(libraries) == 0 {
		return program{}, false
	}
	return program{
		path: filepath.Join(tree, "usr", "sbin", "mysqld"), tree: tree,
		before: []string{loaders[0], "--library-path", strings.Join(libraries, ":")},
	}, true
}

// unpackMySQL fetches mysql-server-core and every library it needs, down to
// libc, from Debian's unstable suite into a tree of its own that touches
// nothing of the system, needs no root, and is run by its own loader. apt
// resolves against an empty system, with lists apart from the machine's, and
// checks the signatures. The caller holds the installation lock.
func unpackMySQL(ctx context.Context, log func(string, ...any)) (program, error) {
	tree, err := treeDir()
	if err != nil {
		return program{}, err
	}
	mirror, err := debianMirror(ctx)
	if err != nil {
		return program{}, err
	}
	log("no MySQL server found; unpacking Debian's into %s (about 330 MB, 20 s, once)", tree)
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(tree), "unpacking-*")); err == nil {
		for _, dir := range left {
			_ = os.RemoveAll(dir) // of a process that was killed here
		}
	}
	work, err := os.MkdirTemp(filepath.Dir(tree), "unpacking-")
	if err != nil {
		return program{}, err
	}
	defer func() { _ = os.RemoveAll(work) }()
	if err := download(ctx, work, mirror); err != nil {
		return program{}, err
	}
	packages, err := filepath.Glob(filepath.Join(work, "cache", "archives", "*.deb"))
	if err != nil {
		return program{}, err
	}
	for _, deb := range packages {
		if err := command(ctx, work, "dpkg-deb", "-x", deb, filepath.Join(work, "tree")); err != nil {
			return program{}, err
		}
	}
	// All or nothing: a tree under its final name is complete.
	if err := os.RemoveAll(tree); err != nil {
		return program{}, err
	}
	if err := os.Rename(filepath.Join(work, "tree"), tree); err != nil {
		return program{}, err
	}
	p, ok := first(ctx, MySQL)
	if !ok {
		return program{}, fmt.Errorf("the MySQL unpacked into %s does not run; %s", tree, advice(MySQL))
	}
	return p, nil
}

// download leaves the packages in work/cache/archives.
func download(ctx context.Context, work, mirror string) error {
	if err := fetchPackages(ctx, work, mirror); err != nil {
		if ctx.Err() != nil {
			return ctx.Err() // stopped
		}
		return fmt.Errorf("no MySQL server was found, and none could be fetched from %s. Without a network, %s; "+
			"or use MariaDB, where that is installed.\n%w", mirror, advice(MySQL), err)
	}
	return nil
}

func fetchPackages(ctx context.Context, work, mirror string) error {
	for _, d := range []string{"lists/partial", "cache/archives/partial", "dpkg", "tree"} {
		if err := os.MkdirAll(filepath.Join(work, d), 0o700); err != nil {
			return err
		}
	}
	// An empty system. Not /dev/null: apt locks the folder that the file is in.
	status := filepath.Join(work, "dpkg", "status")
	if err := os.WriteFile(status, nil, 0o600); err != nil {
		return err
	}
	keyring := "/usr/share/keyrings/debian-archive-keyring.gpg"
	apt := func(args ...string) error {
		source := fmt.Sprintf("deb [signed-by=%s] %s sid main\n", keyring, mirror)
		if err := os.WriteFile(filepath.Join(work, "sources.list"), []byte(source), 0o600); err != nil {
			return err
		}
		return command(ctx, work, "apt-get", append([]string{
			"-q", "-o", "Dir::Etc::sourcelist=" + filepath.Join(work, "sources.list"), "-o", "Dir::Etc::sourceparts=/dev/null",
			// The machine's pins may well forbid unstable.
			"-o", "Dir::Etc::preferences=/dev/null", "-o", "Dir::Etc::preferencesparts=/dev/null",
			"-o", "Dir::State::lists=" + filepath.Join(work, "lists"), "-o", "Dir::Cache=" + filepath.Join(work, "cache"),
			"-o", "Dir::State::status=" + status, "-o", "APT::Sandbox::User=",
			// Whatever the machine's configuration allows: not without a signature.
			"-o", "Acquire::AllowInsecureRepositories=false", "-o", "APT::Get::AllowUnauthenticated=false",
		}, args...)...)
	}
	if err := apt("update"); err != nil {
		// An old keyring does not know today's keys. The machine's own suite has
		// a newer one, signed by keys that it does know.
		if err2 := command(ctx, work, "apt-get", "-q", "download", "debian-archive-keyring"); err2 != nil {
			return fmt.Errorf("%w (and no newer keyring: %w)", err, err2)
		}
		debs, err2 := filepath.Glob(filepath.Join(work, "debian-archive-keyring_*.deb"))
		if err2 != nil || len(debs) != 1 {
			return err
		}
		if err2 := command(ctx, work, "dpkg-deb", "-x", debs[0], filepath.Join(work, "keyring")); err2 != nil {
			return err2
		}
		keyring = filepath.Join(work, "keyring", keyring)
		if err := apt("update"); err != nil {
			return err
		}
	}
	return apt("install", "-y", "--no-install-recommends", "--download-only", "mysql-server-core")
}

// command runs a tool in a directory and shows what it said if it fails.
func command(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // G204: constants and paths of our own
	cmd.Dir = dir
	if out, err := runToEnd(cmd); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, lastLines(out))
	}
	return nil
}

// debianMirror is the address from which this machine gets Debian's packages.
func debianMirror(ctx context.Context) (string, error) {
	if !exists("/etc/debian_version") || !has("dpkg-deb") {
		return "", fmt.Errorf("no MySQL server was found, and unpacking one works on Debian only; %s", advice(MySQL))
	}
	// A fresh container has no lists yet, so what the release files say is not
	// known: there we go by the names in the sources.
	for _, ask := range []struct {
		flag, format string
		is           func(a, b string) bool
	}{
		// Updates and security of a release have names with a hyphen, and may come
		// from elsewhere.
		{"--release-info", "$(ORIGIN) $(CODENAME)", func(origin, name string) bool { return origin == "Debian" && !strings.Contains(name, "-") }},
		{"--no-release-info", "$(COMPONENT) $(RELEASE)", func(component, name string) bool { return component == "main" && name == codename() }},
	} {
		out, err := exec.CommandContext(ctx, "apt-get", "indextargets", ask.flag, //nolint:gosec // G204: constants
			"--format", "$(REPO_URI) "+ask.format, "Created-By: Packages").Output()
		if err != nil {
			return "", fmt.Errorf("apt-get indextargets: %w", err)
		}
		for line := range strings.Lines(string(out)) {
			if f := strings.Fields(line); len(f) == 3 && ask.is(f[1], f[2]) {
				return f[0], nil
			}
		}
	}
	return "", fmt.Errorf("no MySQL server was found, and apt knows no Debian mirror to get one from; %s", advice(MySQL))
}

// codename is the name of this machine's release.
func codename() string {
	text, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); ok {
			return strings.Trim(name, `"`)
		}
	}
	return ""
}
