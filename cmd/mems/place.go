package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// errTaken says that a file would take another one's place.
type errTaken struct{ file string }

func (e errTaken) Error() string {
	return fmt.Sprintf("%s is there already, and is left as it is. Name another file, or add --replace", e.file)
}

// checkFree returns errTaken if something has the name.
func checkFree(file string) error {
	_, err := os.Lstat(file)
	switch {
	case err == nil:
		return errTaken{file}
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return err
}

// place gives a finished file its name. Unless replace is set, it never takes the
// place of another, also when that came meanwhile.
func place(finished, file string, replace bool) error {
	if replace {
		return os.Rename(finished, file)
	}
	err := os.Link(finished, file)
	switch {
	case err == nil:
		return os.Remove(finished)
	case errors.Is(err, fs.ErrExist):
		return errTaken{file}
	}
	// A file system without hard links, as many shares are: look, then rename.
	if err := checkFree(file); err != nil {
		return err
	}
	return os.Rename(finished, file)
}

// copyElsewhere copies a file into MEMS_BACKUP_COPY_DIR, where it appears when it is
// whole. The directory is not made: if a share is not mounted, that must be noticed.
func (p *program) copyElsewhere(file string, replace bool) (err error) {
	if p.BackupCopyDir == "" {
		return nil
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s is complete, but its copy is not (MEMS_BACKUP_COPY_DIR): %w", file, err)
		}
	}()
	from, err := os.Open(file) //nolint:gosec // G304: just written
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }() // only read
	to := filepath.Join(p.BackupCopyDir, filepath.Base(file))
	f, err := os.CreateTemp(p.BackupCopyDir, "."+filepath.Base(file)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already, when it was placed
	_, err = io.Copy(f, from)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return place(f.Name(), to, replace)
}
