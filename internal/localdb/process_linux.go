package localdb

import "syscall"

// childAttributes: own process group, and SIGTERM from the kernel when we end,
// also by kill -9.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
