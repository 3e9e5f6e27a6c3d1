package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// Bounds of a server's resident memory in MB after the attacks, and of its peak. Measured:
// 137 MB for both.
const (
	mostAfter = 450
	mostEver  = 600
)

// memoryAfter compares the memory of every attacked server with the bounds.
func memoryAfter(ctx context.Context, f *field) (string, error) {
	if runtime.GOOS != "linux" {
		return "not measured: only Linux tells", nil
	}
	if _, err := f.closed(ctx); err != nil { // if it is the only attack, no server runs yet
		return "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var after, ever int64
	for name, t := range f.servers {
		now, peak, err := memoryOf(t.PID())
		if err != nil {
			return "", fmt.Errorf("read the memory of the server %q: %w", name, err)
		}
		after, ever = max(after, now), max(ever, peak)
		if now > mostAfter || peak > mostEver {
			return "", fmt.Errorf("the server %q holds %d MB (at most %d), and held %d MB (at most %d)", name, now, mostAfter, peak, mostEver)
		}
	}
	return fmt.Sprintf("%d servers hold at most %d MB, and held %d MB", len(f.servers), after, ever), nil
}

// memoryOf returns the resident memory of a process in MB, now and at its peak.
func memoryOf(pid int) (now, peak int64, err error) {
	status, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = status.Close() }() // only read
	lines := bufio.NewScanner(status)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) != 3 || words[2] != "kB" {
			continue
		}
		kb, err := strconv.ParseInt(words[1], 10, 64)
		if err != nil {
			return 0, 0, err
		}
		switch words[0] {
		case "VmRSS:":
			now = kb >> 10
		case "VmHWM:":
			peak = kb >> 10
		}
	}
	if now == 0 || peak == 0 {
		return 0, 0, fmt.Errorf("process %d does not tell its memory", pid)
	}
	return now, peak, lines.Err()
}
