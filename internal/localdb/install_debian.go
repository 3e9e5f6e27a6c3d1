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

// treeDir returns the directory of the MySQL tree.
func treeDir() (string, error) {
	cache, err := cacheDir()
	return filepath.Join(cache, "mysql-tree-"+runtime.GOARCH), err
}

// unpacked returns the MySQL that unpackMySQL unpacked earlier.
func unpacked() (program, bool) {
	tree, err := treeDir()
	if err != nil {
		return program{}, false
	}
	// The loader's name and path depend on the architecture.
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

// unpackMySQL downloads mysql-server-core and all libraries that it needs, including libc,
// from Debian's unstable suite into a separate tree, which changes nothing in the system,
// needs no root, and is run by its own loader. apt resolves against an empty system with
// separate lists, and checks the signatures. The caller holds the installation lock.
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
	// Atomic: a tree under its final name is complete.
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

// download downloads the packages to work/cache/archives.
func download(ctx context.Context, work, mirror string) error {
	if err := fetchPackages(ctx, work, mirror); err != nil {
		if ctx.Err() != nil {
			return ctx.Err() // cancelled
		}
		return fmt.Errorf("no MySQL server was found, and it could not be downloaded from %s. Without a network, %s; "+
			"or use MariaDB, if that is installed.\n%w", mirror, advice(MySQL), err)
	}
	return nil
}

func fetchPackages(ctx context.Context, work, mirror string) error {
	for _, d := range []string{"lists/partial", "cache/archives/partial", "dpkg", "tree"} {
		if err := os.MkdirAll(filepath.Join(work, d), 0o700); err != nil {
			return err
		}
	}
	// An empty system. Not /dev/null: apt locks the directory that contains the file.
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
			// The machine's pins may forbid unstable.
			"-o", "Dir::Etc::preferences=/dev/null", "-o", "Dir::Etc::preferencesparts=/dev/null",
			"-o", "Dir::State::lists=" + filepath.Join(work, "lists"), "-o", "Dir::Cache=" + filepath.Join(work, "cache"),
			"-o", "Dir::State::status=" + status, "-o", "APT::Sandbox::User=",
			// Require signatures, whatever the machine's configuration.
			"-o", "Acquire::AllowInsecureRepositories=false", "-o", "APT::Get::AllowUnauthenticated=false",
		}, args...)...)
	}
	if err := apt("update"); err != nil {
		// An old keyring lacks the current keys. The machine's own suite has a newer
		// keyring, signed with keys that it has.
		if err2 := command(ctx, work, "apt-get", "-q", "download", "debian-archive-keyring"); err2 != nil {
			return fmt.Errorf("%w (and downloading a newer keyring failed: %w)", err, err2)
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

// command runs a tool in a directory; its error includes the output.
func command(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // G204: constants and paths of our own
	cmd.Dir = dir
	if out, err := runToEnd(cmd); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, lastLines(out))
	}
	return nil
}

// debianMirror returns the URL of this machine's Debian mirror.
func debianMirror(ctx context.Context) (string, error) {
	if !exists("/etc/debian_version") || !has("dpkg-deb") {
		return "", fmt.Errorf("no MySQL server was found, and unpacking one works on Debian only; %s", advice(MySQL))
	}
	// A fresh container has no package lists, hence no release information: use the names
	// in the sources.
	for _, ask := range []struct {
		flag, format string
		is           func(a, b string) bool
	}{
		// Updates and security suites have names with a hyphen, and may come from other
		// hosts.
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
	return "", fmt.Errorf("no MySQL server was found, and apt has no Debian mirror configured; %s", advice(MySQL))
}

// codename returns the codename of this machine's release.
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
