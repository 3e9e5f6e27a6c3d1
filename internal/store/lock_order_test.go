package store_test

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
)

// Only db/README.md states the order in which kinds of rows are locked, so that no other text can
// contradict it. A function's own "Lock order" is about its rows. This test checks the texts;
// TestNoDeadlockBetweenCrossingWriters checks the code.
func TestLockOrderIsStatedOnce(t *testing.T) {
	t.Parallel()
	const root = "../.."
	stated := regexp.MustCompile(`(?i)doctors?( first)?,? then (the )?patients?`)
	order := "**Lock order**: doctors, then patients, then rooms, then appointments, ids ascending"
	readme, err := os.ReadFile(root + "/db/README.md")
	if err != nil || !strings.Contains(string(readme), order) {
		t.Fatalf("db/README.md does not state %q: %v", order, err)
	}
	err = fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && (name == "node_modules" || name == "gen" || name == "bin" || name != "." && name != ".github" && strings.HasPrefix(name, ".")) {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, ".md") || path == "db/README.md" || strings.HasSuffix(path, "lock_order_test.go") {
			return nil
		}
		text, err := os.ReadFile(root + "/" + path)
		if found := stated.Find(text); found != nil {
			t.Errorf("%s says %q: refer to db/README.md instead", path, found)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
