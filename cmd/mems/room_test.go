package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A full disk at the first start is reported as such, without the database server's output.
func TestFullDiskAtFirstStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=24m"); err != nil {
		t.Logf("no small disk can be made here (%v)", err) // not root; internal/localdb tests the messages
		return
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	code, said := runMEMS(t, []string{"serve"}, "MEMS_HTTP_ADDR=127.0.0.1:0", "MEMS_DATA_DIR="+filepath.Join(dir, "data"), testEngine())
	if code != exitFailed || !contains(said, "the disk is full", "MEMS_DATA_DIR") || strings.Count(said, "\n") > 3 {
		t.Errorf("mems serve on a full disk: exit %d, want %d and a short message that the disk is full:\n%s",
			code, exitFailed, said)
	}
	left, err := os.ReadDir(filepath.Join(dir, "data", "db"))
	for _, e := range left {
		if strings.HasPrefix(e.Name(), "new-") {
			t.Errorf("directory has %s, want it removed", e.Name())
		}
	}
	if err != nil {
		t.Error(err)
	}
}

// Too low a limit of open files is reported as such.
func TestFewFilesAtFirstStart(t *testing.T) {
	t.Parallel()
	p := startProcess(t, []string{"serve"}, "MEMS_HTTP_ADDR=127.0.0.1:0", "MEMS_DATA_DIR="+t.TempDir(), "MEMS_TEST_FILES=64", testEngine())
	if code := p.Wait(); code != exitFailed || !contains(p.Output(), "ulimit -n 4096") || strings.Contains(p.Output(), "Errcode") {
		t.Errorf("mems serve with few files: exit %d, want %d and ulimit -n 4096, without an error's number:\n%s",
			code, exitFailed, p.Output())
	}
}
