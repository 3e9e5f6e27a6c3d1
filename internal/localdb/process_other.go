//go:build !unix

package localdb

import (
	"errors"
	"os"
	"syscall"
)

// On other systems MEMS needs a server that is run otherwise: Start reports that; the rest
// only makes the program compile.
const supported = false

var errUnsupported = errors.New("not on this system")

func takeLock(string) (*os.File, error) { return nil, errUnsupported }

func ownedByUs(os.FileInfo) bool { return false }

func killGroup(int) error { return errUnsupported }

func signalProcess(int, syscall.Signal) {}

func childAttributes(syscall.Signal) *syscall.SysProcAttr { return nil }

func mostFiles() uint64 { return fewestFiles }

func isFull(string) bool { return false }

func freeBytes(string) (uint64, error) { return 0, errUnsupported }
