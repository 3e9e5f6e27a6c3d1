package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// "mems version" prints what the Makefile, the Dockerfile and goreleaser pass to the
// linker.
func TestVersionFromTheLinker(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "mems")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", file,
		"-ldflags", "-X main.version=v1.2.3 -X main.commit=0badc0de", ".")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build with a version: %v, want no error:\n%s", err, said)
	}
	said, err := exec.CommandContext(t.Context(), file, "version").Output()
	if err != nil || !strings.HasPrefix(string(said), "mems v1.2.3 0badc0de (") {
		t.Errorf("mems version = %q (%v), want v1.2.3 0badc0de", said, err)
	}
}
