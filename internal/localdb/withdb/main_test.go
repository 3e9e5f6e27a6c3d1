package main_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// build compiles the command once for all tests.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "withdb")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v, want no error:\n%s", err, out)
	}
	return binary
}

// withdb returns the command without a database in its environment.
func withdb(t *testing.T, binary string, args ...string) *exec.Cmd {
	t.Helper()
	engine := os.Getenv("MEMS_TEST_DATABASE_ENGINE")
	if engine == "" {
		engine = "mariadb"
	}
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"-engine", engine}, args...)...)
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "MEMS_") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	cmd.Env = append(cmd.Env, "TMPDIR="+t.TempDir())
	return cmd
}

func code(t *testing.T, cmd *exec.Cmd) (int, string, string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func TestWithdb(t *testing.T) {
	binary := build(t)
	t.Run("CommandSeesServer", func(t *testing.T) {
		cmd := withdb(t, binary, "--", "sh", "-c", `cat; echo "$MEMS_TEST_DATABASE_URL $MEMS_TEST_DATABASE_ENGINE"; exit 7`)
		cmd.Stdin = strings.NewReader("typed ")
		got, out, errs := code(t, cmd)
		if got != 7 {
			t.Errorf("exit code %d, want the command's 7: %s", got, errs)
		}
		if !strings.HasPrefix(out, "typed root@unix(") || !strings.Contains(out, "mysql.sock)/ m") {
			t.Errorf("output = %q, want what was typed, and the socket", out)
		}
		if !strings.Contains(errs, "private database: m") {
			t.Errorf("stderr = %q, want which server it is", errs)
		}
		for _, e := range cmd.Env {
			if dir, ok := strings.CutPrefix(e, "TMPDIR="); ok {
				if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
					t.Errorf("left in the directory: %v (%v), want nothing", left, err)
				}
			}
		}
	})
	t.Run("Signal", func(t *testing.T) {
		// The command requests the signal as soon as it runs.
		cmd := withdb(t, binary, "--", "sh", "-c", `trap "exit 9" TERM; kill -TERM $PPID; while :; do sleep 0.05; done`)
		if got, _, errs := code(t, cmd); got != 9 {
			t.Errorf("exit code %d, want the command's answer to the signal, 9: %s", got, errs)
		}
	})
	t.Run("EndedBySignal", func(t *testing.T) {
		if got, _, errs := code(t, withdb(t, binary, "--", "sh", "-c", "kill -KILL $$")); got != 128+int(syscall.SIGKILL) {
			t.Errorf("exit code of a killed command = %d, want %d: %s", got, 128+int(syscall.SIGKILL), errs)
		}
	})
	t.Run("KeptDirectory", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "kept")
		for range 2 {
			if got, _, errs := code(t, withdb(t, binary, "-durable", "-dir", dir, "--", "true")); got != 0 {
				t.Errorf("exit code = %d, want 0: %s", got, errs)
			}
		}
		if _, err := os.Stat(filepath.Join(dir, "data", "ibdata1")); err != nil {
			t.Error(err)
		}
	})
	t.Run("ServerGiven", func(t *testing.T) {
		cmd := withdb(t, binary, "--", "sh", "-c", `echo "$MEMS_TEST_DATABASE_URL"`)
		cmd.Env = append(cmd.Env, "MEMS_TEST_DATABASE_URL=given")
		if got, out, errs := code(t, cmd); got != 0 || out != "given\n" || errs != "" {
			t.Errorf("exit code %d, output %q, stderr %q; want 0, %q and none", got, out, errs, "given\n")
		}
	})
	t.Run("NoCommand", func(t *testing.T) {
		if got, _, _ := code(t, withdb(t, binary)); got != 2 {
			t.Errorf("exit code %d, want 2", got)
		}
	})
	t.Run("NoSuchCommand", func(t *testing.T) {
		if got, _, _ := code(t, withdb(t, binary, "--", "no-such-command-here")); got != 127 {
			t.Errorf("exit code %d, want 127", got)
		}
	})
}
