package localdb

import (
	"path/filepath"
	"strconv"
)

// serverArgs returns the settings of a running server, for a machine that also does other
// work.
func (s *Server) serverArgs() []string {
	pool := s.options.BufferPoolMB
	if pool == 0 {
		pool = 256
	}
	args := []string{
		"--no-defaults", // the machine's own configuration is for another server
		"--datadir=" + s.data(),
		"--socket=" + s.socket,
		"--pid-file=" + s.pidFile(),
		"--tmpdir=" + s.tmp,
		"--character-set-server=utf8mb4",
		"--max-connections=400",
		"--skip-name-resolve",
		"--innodb-buffer-pool-size=" + strconv.Itoa(pool<<20),
	}
	args = append(append(args, s.program.treeArgs()...), asRoot()...)
	if s.program.engine == MySQL {
		args = append(args, "--mysqlx=OFF", "--secure-file-priv=NULL")
	}
	if m := s.options.member; m != nil {
		return append(args, m.args(s)...)
	}
	args = append(args, "--performance-schema=OFF") // saves memory and about a second
	if s.options.Port == 0 {
		args = append(args, "--skip-networking")
	} else {
		args = append(args, "--bind-address=127.0.0.1", "--port="+strconv.Itoa(s.options.Port))
	}
	if !s.options.Durable {
		return append(args, s.unsafeArgs()...)
	}
	args = append(args, "--innodb-flush-log-at-trx-commit=1")
	if s.options.BinaryLog {
		args = append(args, "--log-bin=binlog", "--binlog-format=ROW")
	}
	if s.program.engine == MySQL {
		// Like in production: with a binary log, which is flushed, too. One day of it is
		// enough here. (MariaDB has none by default.)
		args = append(args, "--sync-binlog=1", "--binlog-expire-logs-seconds=86400")
	}
	return args
}

// unsafeArgs disables what protects data against a crash of the machine.
func (s *Server) unsafeArgs() []string {
	if s.options.Durable {
		return nil
	}
	args := []string{"--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=OFF"}
	if s.program.engine == MySQL {
		// nosync leaves flushing to the operating system. It saves one of the three seconds
		// that creating a MySQL data directory takes.
		args = append(args, "--skip-log-bin", "--innodb-flush-method=nosync")
	}
	return args
}

// treeArgs returns the file locations for a server from an unpacked tree.
func (p program) treeArgs() []string {
	if p.tree == "" {
		return nil
	}
	usr := filepath.Join(p.tree, "usr")
	return []string{
		"--basedir=" + usr,
		"--lc-messages-dir=" + filepath.Join(usr, "share", "mysql"),
		"--character-sets-dir=" + filepath.Join(usr, "share", "mysql", "charsets"),
		"--plugin-dir=" + filepath.Join(usr, "lib", "mysql", "plugin"),
	}
}
