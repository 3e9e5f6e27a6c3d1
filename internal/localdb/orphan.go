package localdb

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// orphanGrace is the time that a server without an owner has to shut down. It is short
// because one that is signalled while it starts may never end (measured: MariaDB 10.11
// hangs for good), and because killing it costs no more than crash recovery.
const orphanGrace = 5 * time.Second

// endOrphans ends servers that outlived their owner. We hold the directory's lock, so a
// server that still uses it has no owner; usually it is already shutting down after the
// kernel's signal.
func endOrphans(ctx context.Context, dir string, log func(string, ...any)) error {
	ctx, cancel := context.WithTimeout(ctx, orphanGrace+10*time.Second)
	defer cancel()
	for waited := time.Duration(0); ; waited += pollPause {
		pids := orphans(ctx, dir)
		if len(pids) == 0 {
			return nil
		}
		for _, pid := range pids {
			if waited == 0 {
				log("a database server (process %d) has outlived its owner; waiting for it to exit", pid)
			}
			switch {
			case waited >= orphanGrace:
				signalProcess(pid, syscall.SIGKILL)
			case waited == 0:
				signalProcess(pid, syscall.SIGTERM)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("a database server without an owner (process %d) uses %s and does not exit: %w", pids[0], dir, ctx.Err())
		case <-time.After(pollPause):
		}
	}
}

// orphans returns the servers that use dir's data. On Linux it examines every process,
// because a server that is just starting has not yet written its pid anywhere.
func orphans(ctx context.Context, dir string) []int {
	var candidates []string
	if runtime.GOOS == "linux" {
		all, err := filepath.Glob("/proc/[0-9]*")
		if err != nil {
			return nil
		}
		for _, p := range all {
			candidates = append(candidates, filepath.Base(p))
		}
	} else if text, err := os.ReadFile(filepath.Join(dir, "run", "server.pid")); err == nil { //nolint:gosec // G304: our own file
		candidates = []string{strings.TrimSpace(string(text))}
	}
	var found []int
	for _, c := range candidates {
		if pid, err := strconv.Atoi(c); err == nil && pid > 1 && isServerOf(ctx, pid, dir) {
			found = append(found, pid)
		}
	}
	return found
}

// isServerOf reports whether the process is one of our servers on dir's data: pids are
// reused, and an unrelated process must not be signalled.
func isServerOf(ctx context.Context, pid int, dir string) bool {
	dataArg := "--datadir=" + filepath.Join(dir, "data")
	if runtime.GOOS != "linux" {
		line, err := exec.CommandContext(ctx, "ps", "-p", strconv.Itoa(pid), "-o", "command=").Output() //nolint:gosec // G204: a number
		return err == nil && strings.Contains(string(line), " "+dataArg+" ")
	}
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	info, err := os.Stat(proc)
	if err != nil || !ownedByUs(info) {
		return false
	}
	line, err := os.ReadFile(filepath.Join(proc, "cmdline")) //nolint:gosec // G304: /proc
	if err != nil {
		return false
	}
	args := strings.Split(string(line), "\x00")
	return slices.Contains(args, dataArg) && slices.ContainsFunc(args, func(a string) bool {
		name := filepath.Base(a)
		return name == "mariadbd" || name == "mysqld"
	})
}
