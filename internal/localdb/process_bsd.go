//go:build unix && !linux

package localdb

import "syscall"

// childAttributes: separate process group. Where the kernel does not end the child with us,
// the next start does (endOrphans).
func childAttributes(syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
