package localdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// mariadbPackages are Debian's and Ubuntu's: the server and the script that
// makes data directories, but not mariadb-server, which starts a service.
var mariadbPackages = []string{"mariadb-server-core", "mariadb-client-core"}

// advice says how to install a server.
func advice(e Engine) string {
	mysqlAdvice := "install MySQL 8.4 or later (https://dev.mysql.com/downloads/mysql/)"
	switch {
	case has("apt-get") && e == MySQL:
		return mysqlAdvice
	case has("apt-get"):
		return "install one with: sudo apt-get install " + strings.Join(mariadbPackages, " ")
	case has("dnf") && e == MySQL:
		return "install one with: sudo dnf install mysql-server"
	case has("dnf"):
		return "install one with: sudo dnf install mariadb-server"
	case has("apk") && e != MySQL:
		return "install one with: sudo apk add mariadb mariadb-client"
	case has("brew") && e == MySQL:
		return "install one with: brew install mysql"
	case has("brew"):
		return "install one with: brew install mariadb"
	case e == MySQL:
		return mysqlAdvice
	default:
		return "install MariaDB 10.11 or later, or MySQL 8.4 or later, or set MEMS_DATABASE_URL to your own server"
	}
}

func has(name string) bool {
	_, err := exec.LookPath(name)
	return err == nil
}

// install installs a server on this machine: MariaDB as packages; MySQL, which Debian's
// stable releases lack, as an unpacked tree in the user's cache.
func install(ctx context.Context, want Engine, log func(string, ...any)) (program, error) {
	if !has("apt-get") {
		return program{}, fmt.Errorf("no %s was found, and it cannot be installed automatically here: %s", want.words(), advice(want))
	}
	unlock, err := lockInstallation(ctx)
	if err != nil {
		return program{}, err
	}
	defer unlock()
	// Another process, such as another test binary, may have installed it meanwhile.
	if p, ok := first(ctx, want); ok {
		return p, nil
	}
	if want == MySQL {
		return unpackMySQL(ctx, log)
	}
	return installMariaDB(ctx, log)
}

// lockInstallation waits until no other process of this user is installing.
func lockInstallation(ctx context.Context) (func(), error) {
	cache, err := cacheDir()
	if err != nil {
		return nil, err
	}
	for {
		lock, err := takeLock(filepath.Join(cache, "install.lock"))
		if err == nil {
			return func() { _ = lock.Close() }, nil
		}
		if !errors.Is(err, errLocked) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("another process is installing a database server: %w", ctx.Err())
		case <-time.After(pollPause):
		}
	}
}

// cacheDir returns the directory for files that can be downloaded again.
func cacheDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "mems")
	return dir, os.MkdirAll(dir, 0o700)
}

func installMariaDB(ctx context.Context, log func(string, ...any)) (program, error) {
	install := append([]string{"install", "-y", "--no-install-recommends"}, mariadbPackages...)
	sudo, may := rootPrefix(ctx)
	if !may {
		return program{}, fmt.Errorf("no database server was found, and installing one needs root; run: sudo apt-get update && sudo apt-get %s",
			strings.Join(install, " "))
	}
	log("no database server found; installing %s with apt-get (about 20 s, once)", strings.Join(mariadbPackages, " "))
	if err := aptGet(ctx, sudo, "update"); err != nil {
		log("using the existing package lists, because updating them failed: %v", err)
	}
	if err := aptGet(ctx, sudo, install...); err != nil {
		return program{}, fmt.Errorf("%w\nTo install it yourself: %s", err, advice(MariaDB))
	}
	p, ok := first(ctx, MariaDB)
	if !ok {
		return program{}, fmt.Errorf("%s was installed, but no server was found; %s", mariadbPackages[0], advice(MariaDB))
	}
	log("installed %s", p.path)
	return p, nil
}

// rootPrefix returns a prefix that runs a command as root: none, or sudo if it needs no
// password.
func rootPrefix(ctx context.Context) ([]string, bool) {
	if os.Geteuid() == 0 {
		return nil, true
	}
	ok := has("sudo") && exec.CommandContext(ctx, "sudo", "-n", "true").Run() == nil
	return []string{"sudo", "-n"}, ok
}

func aptGet(ctx context.Context, prefix []string, args ...string) error {
	// The variable goes through env because sudo clears the environment.
	line := append(append([]string{}, prefix...), "env", "DEBIAN_FRONTEND=noninteractive",
		"apt-get", "-q", "-o", "DPkg::Lock::Timeout=300")
	line = append(line, args...)
	cmd := exec.CommandContext(ctx, line[0], line[1:]...) //nolint:gosec // G204: constants
	// Killed half-way, dpkg would leave the system half installed.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = time.Minute
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get %s: %w\n%s", args[0], err, lastLines(out))
	}
	return nil
}
