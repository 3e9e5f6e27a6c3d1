package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writeSpec writes a small contract.
func writeSpec(t *testing.T, path, version, title string) {
	t.Helper()
	text := "openapi: 3.0.3\ninfo:\n  title: " + title + "\n  version: " + version + "\npaths: {}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A released contract does not change unless forced.
func TestReleaseKeepsWhatWasReleased(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	contract := filepath.Join(dir, "contract")
	released := filepath.Join(dir, "released")
	if err := os.Mkdir(released, 0o755); err != nil {
		t.Fatal(err)
	}
	content := func(want string) {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(released, "1.2.0.yaml"))
		if err != nil || !strings.Contains(string(data), want) {
			t.Errorf("%v: %s, want %s", err, data, want)
		}
	}
	writeSpec(t, contract, "1.2.0", "first")
	for range 2 { // repeating a release is allowed
		if err := release(contract, released, false, io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	writeSpec(t, contract, "1.2.0", "second")
	if err := release(contract, released, false, io.Discard); err == nil || !strings.Contains(err.Error(), "FORCE=1") {
		t.Errorf("release of another contract with the same version = %v, want an error with FORCE=1", err)
	}
	content("first")
	if err := release(contract, released, true, io.Discard); err != nil {
		t.Fatal(err)
	}
	content("second")
}

// Versions are sorted numerically, and a file's name must match its version.
func TestReleasedSpecs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, version := range []string{"1.10.0", "1.9.0", "0.1.0"} {
		writeSpec(t, filepath.Join(dir, version+".yaml"), version, "x")
	}
	specs, err := releasedSpecs(dir)
	if err != nil || len(specs) != 3 || specs[0].version != "0.1.0" || specs[2].version != "1.10.0" {
		t.Errorf("releasedSpecs = %v, %v, want 3 in order, from 0.1.0 to 1.10.0", specs, err)
	}
	writeSpec(t, filepath.Join(dir, "1.11.0.yaml"), "1.12.0", "x")
	if _, err := releasedSpecs(dir); err == nil || !strings.Contains(err.Error(), "rename") {
		t.Errorf("releasedSpecs with a file under another name = %v, want an error that says rename", err)
	}
	writeSpec(t, filepath.Join(dir, "1.11.0.yaml"), "1.11", "x")
	if _, err := releasedSpecs(dir); err == nil || !strings.Contains(err.Error(), "three numbers") {
		t.Errorf("releasedSpecs with a version of two numbers = %v, want an error", err)
	}
}

// The repository's released contracts can be read.
func TestReleasedHere(t *testing.T) {
	t.Parallel()
	specs, err := releasedSpecs("released")
	if err != nil || len(specs) == 0 {
		t.Errorf("releasedSpecs = %d, %v, want some", len(specs), err)
	}
}
