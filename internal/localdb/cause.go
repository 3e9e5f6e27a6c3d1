package localdb

import (
	"errors"
	"fmt"
	"regexp"
	"syscall"
)

// Servers report these in many different words; a person needs the cause.
var (
	diskFull     = regexp.MustCompile(`(?i)no space left on device|errno:? 28\b|error:? (number )?28\b|disk is full|disk full`)
	tooManyFiles = regexp.MustCompile(`(?i)too many open files|errno:? 24\b|error:? (number )?24\b`)
)

// fewestFiles is the minimum number of open files that a server needs for our tables.
const fewestFiles = 256

var errFewFiles = errors.New("the limit of open files is too low for a database server: raise it (ulimit -n 4096)")

// causeOf returns the known cause in err or in the output of a server, with the remedy; nil
// if none is recognised.
func causeOf(dir, output string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), diskFull.MatchString(output):
		return fmt.Errorf("the disk is full: free some space for %s, or use another directory (MEMS_DATA_DIR)", dir)
	case errors.Is(err, syscall.EMFILE), tooManyFiles.MatchString(output):
		return errFewFiles
	}
	return nil
}
