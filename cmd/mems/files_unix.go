//go:build unix

package main

import "syscall"

// mostFiles is how many files this process may have open; 0 when it cannot be told.
func mostFiles() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return int(min(limit.Cur, 1<<20))
}
