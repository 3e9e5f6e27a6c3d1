package localdb

import "syscall"

// childAttributes: separate process group, and a signal from the kernel when we end, even
// by kill -9.
func childAttributes(onOurEnd syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: onOurEnd}
}
