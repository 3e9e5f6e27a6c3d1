package localdb

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A scratch directory is where TMPDIR says, and what a killed process has left there is
// removed, but nothing that is in use or may be about to be.
func TestScratchDir(t *testing.T) {
	parent := t.TempDir()
	t.Setenv("TMPDIR", parent)
	place := func(name string, age time.Duration) (dir string, lock *os.File) {
		t.Helper()
		dir = filepath.Join(parent, scratchPattern+name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		lock, err := takeLock(filepath.Join(dir, "lock"))
		if err != nil {
			t.Fatal(err)
		}
		then := time.Now().Add(-age)
		if err := os.Chtimes(lock.Name(), then, then); err != nil {
			t.Fatal(err)
		}
		return dir, lock
	}
	left, lock := place("left", time.Hour)
	_ = lock.Close()
	used, held := place("used", time.Hour)
	defer func() { _ = held.Close() }()
	fresh, lock := place("fresh", 0)
	_ = lock.Close()

	dir, err := ScratchDir()
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Dir(dir) != parent {
		t.Errorf("made %s, want one in TMPDIR, %s", dir, parent)
	}
	for _, c := range []struct {
		dir  string
		want bool
	}{{left, false}, {used, true}, {fresh, true}} {
		if _, err := os.Stat(c.dir); (err == nil) != c.want {
			t.Errorf("%s is there: %v, want %v", c.dir, err == nil, c.want)
		}
	}
}
