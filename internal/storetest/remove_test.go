package storetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// A directory is removed after its process has ended, even if that was killed.
func TestRemoveAfterProcess(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv("MEMS_TEST_REMOVE"); dir != "" {
		removeAfterProcess(t, dir)
		if err := os.WriteFile(filepath.Join(dir, "ready"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if os.Getenv("MEMS_TEST_STAY") != "" {
			select {}
		}
		return
	}
	for name, stay := range map[string]string{"Ended": "", "Killed": "1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "database")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRemoveAfterProcess$")
			child.Env = append(os.Environ(), "MEMS_TEST_REMOVE="+dir, "MEMS_TEST_STAY="+stay)
			if err := child.Start(); err != nil {
				t.Fatal(err)
			}
			if stay != "" {
				waitUntil(t, "the process is ready", func() bool { return exists(filepath.Join(dir, "ready")) })
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			_ = child.Wait() // one of the two was killed
			waitUntil(t, "the directory is removed", func() bool { return !exists(dir) })
		})
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting until %s", what)
		}
	}
}
