//go:build unix

package main

import "syscall"

// mostFiles returns this process's limit of open files; 0 if unknown.
func mostFiles() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return int(min(limit.Cur, 1<<20))
}
