package localdb

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// socketPath returns the path of the socket: in dir/run, unless that exceeds the 108 bytes
// (104 on macOS) of a socket address or has characters with a meaning in a DSN ("@" ends
// the user's name).
//
// The socket itself is accessible to everyone, and root has no password, so the directory
// around it must keep other users out.
func socketPath(dir string) (string, error) {
	run := filepath.Join(dir, "run")
	if err := privateDir(run); err != nil {
		return "", err
	}
	if p := filepath.Join(run, "mysql.sock"); len(p) < 100 && plain(p) {
		return p, nil
	}
	short, err := shortDir(dir)
	return filepath.Join(short, "mysql.sock"), err
}

// tmpDir returns the directory for the server's temporary tables. On start MariaDB removes
// all that it finds there, even another server's (measured: with a shared directory, one in
// ten concurrent initialisations failed or crashed), so every server has its own.
func tmpDir(dir string) (string, error) {
	tmp := filepath.Join(dir, "tmp")
	if !plain(tmp) { // a colon separates paths
		short, err := shortDir(dir)
		if err != nil {
			return "", err
		}
		tmp = filepath.Join(short, "tmp")
	}
	return tmp, privateDir(tmp)
}

// shortDir creates a private directory with a short, plain name as an alias of dir.
func shortDir(dir string) (string, error) {
	sum := sha256.Sum256([]byte(dir))
	short := filepath.Join(os.TempDir(), "mems-"+hex.EncodeToString(sum[:8]))
	return short, privateDir(short)
}

// privateDir creates a directory that only we can enter. It rejects one that another user
// created first, who could read along.
func privateDir(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 || !ownedByUs(info) {
		return fmt.Errorf("%s is not a directory that only this user can enter; remove it, or use another MEMS_DATA_DIR", path)
	}
	return nil
}

// plain reports whether a path needs no quoting in a DSN or a shell script.
func plain(path string) bool {
	return strings.IndexFunc(path, func(r rune) bool {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("/._-+", r):
			return false
		default:
			return true
		}
	}) < 0
}
