package localdb

import (
	"errors"
	"fmt"
	"regexp"
	"syscall"
)

// A server says these in many words of its own, of which a person needs the cause.
var (
	diskFull     = regexp.MustCompile(`(?i)no space left on device|errno:? 28\b|error:? (number )?28\b|disk is full|disk full`)
	tooManyFiles = regexp.MustCompile(`(?i)too many open files|errno:? 24\b|error:? (number )?24\b`)
)

// fewestFiles is how many open files a server needs at least for our tables.
const fewestFiles = 256

var errFewFiles = errors.New("too few files may be open for a database server: raise the limit (ulimit -n 4096)")

// causeOf returns the cause that err or the output of a server tells, and what to do;
// nil when it is none that is known.
func causeOf(dir, output string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), diskFull.MatchString(output):
		return fmt.Errorf("the disk is full: make room where %s is, or use another directory (MEMS_DATA_DIR)", dir)
	case errors.Is(err, syscall.EMFILE), tooManyFiles.MatchString(output):
		return errFewFiles
	}
	return nil
}
