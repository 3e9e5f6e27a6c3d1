package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The text that "make prove-it-can-fail" replaces exists.
func TestSpoiltCopiesApply(t *testing.T) {
	for _, s := range spoiltCopies {
		text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(s.file)))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), s.from) {
			t.Errorf("%s: %s lacks %q, want it, to be removed", s.name, s.file, s.from)
		}
	}
}
