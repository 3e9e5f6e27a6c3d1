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

// socketPath is where the socket goes: in dir/run, unless that is too deep for
// the 108 bytes (104 on macOS) that a socket's address has, or has characters
// that mean something in a DSN ("@" ends the user's name).
//
// The socket's own mode lets everybody in, and root has no password, so the
// directory around it is what keeps others out.
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

// tmpDir is where the server puts temporary tables. A MariaDB that starts
// removes all of them that it finds there, also those of another server
// (measured: shared, one in ten initialisations beside other servers failed or
// crashed), so every server has a directory of its own.
func tmpDir(dir string) (string, error) {
	tmp := filepath.Join(dir, "tmp")
	if !plain(tmp) { // a colon would part it in two
		short, err := shortDir(dir)
		if err != nil {
			return "", err
		}
		tmp = filepath.Join(short, "tmp")
	}
	return tmp, privateDir(tmp)
}

// shortDir is a private directory with a short, plain name that stands for dir.
func shortDir(dir string) (string, error) {
	sum := sha256.Sum256([]byte(dir))
	short := filepath.Join(os.TempDir(), "mems-"+hex.EncodeToString(sum[:8]))
	return short, privateDir(short)
}

// privateDir makes a directory that only we can enter. Somebody else may have
// made it first, to read along: then it is refused.
func privateDir(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 || !ownedByUs(info) {
		return fmt.Errorf("%s is not a directory that only we can enter; remove it, or use another MEMS_DATA_DIR", path)
	}
	return nil
}

// plain reports whether a path means the same in a DSN and in a shell script.
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
