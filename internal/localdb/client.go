package localdb

import (
	"errors"
	"os/exec"
	"path/filepath"
)

// FindLogReader returns the command that reads an engine's binary log: its own tool, on
// PATH or in the tree of an unpacked MySQL. The other engine's tool does not understand the
// log.
func FindLogReader(engine Engine) ([]string, error) {
	if engine == MariaDB {
		if path, err := exec.LookPath("mariadb-binlog"); err == nil {
			return []string{path, "--no-defaults"}, nil
		}
		return nil, errors.New("mariadb-binlog is not on PATH; install the package mariadb-client")
	}
	if path, err := exec.LookPath("mysqlbinlog"); err == nil {
		if target, err := filepath.EvalSymlinks(path); err == nil && filepath.Base(target) != "mariadb-binlog" {
			return []string{path, "--no-defaults"}, nil
		}
	}
	if tree, ok := unpacked(); ok {
		if path := filepath.Join(tree.tree, "usr", "bin", "mysqlbinlog"); exists(path) {
			return append(append([]string{}, tree.before...), path, "--no-defaults"), nil
		}
	}
	return nil, errors.New("mysqlbinlog of MySQL is not on PATH; install MySQL's client or server package")
}
