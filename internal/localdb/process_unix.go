//go:build unix

package localdb

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

const supported = true

// takeLock locks the directory for this process until the file is closed or the process
// ends, however it ends.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // G304: our own file
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errLocked
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

func ownedByUs(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// killGroup kills a process group.
func killGroup(leader int) error { return syscall.Kill(-leader, syscall.SIGKILL) }

// mostFiles returns the limit of open files.
func mostFiles() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fewestFiles
	}
	return limit.Cur
}

// isFull reports whether the disk of dir has no space for a server to write.
func isFull(dir string) bool {
	free, err := freeBytes(dir)
	return err == nil && free < 2<<20
}

// freeBytes returns how much may be written into the file system of dir.
func freeBytes(dir string) (uint64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, err
	}
	return fs.Bavail * uint64(fs.Bsize), nil //nolint:gosec // G115: a size is not negative
}

func signalProcess(pid int, signal syscall.Signal) { _ = syscall.Kill(pid, signal) }
