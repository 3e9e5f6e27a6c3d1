package localdb

import "syscall"

// childAttributes: own process group, and a signal from the kernel when we end,
// also by kill -9.
func childAttributes(onOurEnd syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: onOurEnd}
}
