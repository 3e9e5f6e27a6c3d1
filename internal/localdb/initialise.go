package localdb

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
)

// initialise creates the data directory, unless it exists, under another name and renames
// it when it is complete: what a crash leaves is never mistaken for data.
func (s *Server) initialise(ctx context.Context) error {
	if left, err := filepath.Glob(filepath.Join(s.dir, "new-*")); err == nil {
		for _, dir := range left {
			_ = os.RemoveAll(dir) // at worst left as garbage
		}
	}
	if exists(s.data()) {
		// From here on an older server cannot read them.
		return mark(s.data(), s.program)
	}
	s.options.Log("making a new %s %s data directory in %s", s.program.engine, s.program.release, s.dir)
	fresh, err := os.MkdirTemp(s.dir, "new-")
	if err != nil {
		return cmp.Or(causeOf(s.dir, "", err), err)
	}
	cmd, err := s.initCommand(ctx, fresh)
	if err != nil {
		return err
	}
	cmd.Env = append(os.Environ(), "TMPDIR="+s.tmp) // not an argument, which the script would drop
	if out, err := runToEnd(cmd); err != nil {
		logs, _ := filepath.Glob(filepath.Join(fresh, "*.err")) // where some versions report the cause
		for _, name := range logs {
			text, _ := os.ReadFile(name) //nolint:gosec // G304: our own folder
			out = append(out, text...)
		}
		full := isFull(fresh) // before space is freed
		_ = os.RemoveAll(fresh)
		_ = os.WriteFile(s.logFile(), out, 0o600) //nolint:gosec // G703: our own log, for those who want to know more
		if full {
			err = syscall.ENOSPC
		}
		if cause := causeOf(s.dir, string(out), err); cause != nil {
			return fmt.Errorf("initialise the database: %w", cause)
		}
		// All of it: MariaDB's script first names the cause and then explains at length.
		return fmt.Errorf("initialise the database with %s: %w\n%s", s.program.path, err, out)
	}
	if err := mark(fresh, s.program); err != nil {
		return cmp.Or(causeOf(s.dir, "", err), err)
	}
	return os.Rename(fresh, s.data())
}

func (s *Server) initCommand(ctx context.Context, fresh string) (*exec.Cmd, error) {
	if s.program.engine == MySQL {
		args := append([]string{"--no-defaults", "--initialize-insecure", "--datadir=" + fresh}, s.program.treeArgs()...)
		args = append(append(args, s.unsafeArgs()...), asRoot()...)
		return s.program.command(ctx, args...), nil
	}
	if !plain(fresh) {
		// The script does not quote paths, so it gets a plain alias.
		short, err := shortDir(s.dir)
		if err != nil {
			return nil, err
		}
		link := filepath.Join(short, "dir")
		_ = os.Remove(link)
		if err := os.Symlink(s.dir, link); err != nil {
			return nil, err
		}
		fresh = filepath.Join(link, filepath.Base(fresh))
	}
	// "normal" authentication: root without a password through the socket that only we can
	// access, instead of by operating system user.
	args := append([]string{
		"--no-defaults", "--datadir=" + fresh,
		"--auth-root-authentication-method=normal", "--skip-test-db",
	}, asRoot()...)
	return exec.CommandContext(ctx, s.program.installer, args...), nil //nolint:gosec // G204: a path found by us
}

// runToEnd runs a command that must not outlive us, including its children.
func runToEnd(cmd *exec.Cmd) ([]byte, error) {
	cmd.SysProcAttr = childAttributes(syscall.SIGKILL)
	cmd.Cancel = func() error { return killGroup(cmd.Process.Pid) }
	runtime.LockOSThread() // see startChild
	defer runtime.UnlockOSThread()
	return cmd.CombinedOutput()
}

// asRoot returns the argument without which servers refuse to run as root.
func asRoot() []string {
	if os.Geteuid() == 0 {
		return []string{"--user=root"}
	}
	return nil
}
