package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"mems/internal/localdb"
)

// machine describes what was measured, on what.
func machine(ctx context.Context, o options, db *localdb.Server) string {
	kernel, _ := exec.CommandContext(ctx, "uname", "-sr").Output()
	return fmt.Sprintf(`Measured %s with rounds of %s, %d each, medians.
%s, %d cores, %s of memory, %s, %s, %s %s (durable: every commit flushed).
Load generator, server and database share these cores. A booking through HTTP and one
run directly are the same transaction; "direct" is the ceiling.
`, time.Now().UTC().Format(time.DateOnly), o.duration, o.rounds,
		first("/proc/cpuinfo", "model name"), runtime.NumCPU(), first("/proc/meminfo", "MemTotal"),
		strings.TrimSpace(string(kernel)), runtime.Version(), db.Engine(), db.Version())
}

// first finds the value of a "name: value" line.
func first(path, name string) string {
	text, err := os.ReadFile(path) //nolint:gosec // G304: /proc
	if err != nil {
		return "unknown " + name
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown " + name
}
