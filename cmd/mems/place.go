package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"mems/internal/backup"
)

// takenError reports that a file would replace another one.
type takenError struct{ file string }

func (e takenError) Error() string {
	return fmt.Sprintf("%s already exists and was left unchanged. Choose another file, or add --replace", e.file)
}

// checkFree returns takenError if the name is in use.
func checkFree(file string) error {
	_, err := os.Lstat(file)
	switch {
	case err == nil:
		return takenError{file}
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return err
}

// checkTarget returns an error if a backup must not be named file: names of lists of
// revocations and of marks of missing copies are reserved, and --replace replaces only a
// backup or an empty file, here and among the copies.
func (p *program) checkTarget(file string, replace bool) error {
	if name := filepath.Base(file); name == revocationsName || strings.HasSuffix(name, notCopied) {
		return fmt.Errorf("%s is a name that \"mems backup\" uses itself: choose another one. Nothing was written", file)
	}
	if !replace {
		return checkFree(file)
	}
	targets := []string{file}
	if p.BackupCopyDir != "" {
		targets = append(targets, filepath.Join(p.BackupCopyDir, filepath.Base(file)))
	}
	for _, target := range targets {
		info, err := os.Stat(target)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		replaceable := info.Mode().IsRegular() && info.Size() == 0
		if info.Mode().IsRegular() && !replaceable {
			if replaceable, err = looksLikeBackup(target); err != nil {
				return err
			}
		}
		if !replaceable {
			return fmt.Errorf("%s already exists and is not a backup, so --replace does not apply: choose another file. Nothing was written", target)
		}
	}
	return nil
}

func looksLikeBackup(file string) (bool, error) {
	f, err := os.Open(file) //nolint:gosec // G304: named by the operator
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }() // read-only
	return backup.LooksLikeBackup(f)
}

// place renames a finished file. Unless replace is set, it never replaces another file,
// even one that appeared meanwhile.
func place(finished, file string, replace bool) error {
	if replace {
		return os.Rename(finished, file)
	}
	err := os.Link(finished, file)
	switch {
	case err == nil:
		return os.Remove(finished)
	case errors.Is(err, fs.ErrExist):
		return takenError{file}
	}
	// A file system without hard links, like many shares: check, then rename.
	if err := checkFree(file); err != nil {
		return err
	}
	return os.Rename(finished, file)
}

// notCopied is the suffix of the mark beside a backup that was not copied.
const notCopied = ".not-copied"

// copyBackup copies a backup, after any in its directory that earlier runs could not copy.
func (p *program) copyBackup(file string, replace bool) error {
	if p.BackupCopyDir == "" {
		return nil
	}
	if err := os.WriteFile(file+notCopied, nil, 0o600); err != nil { // remains if the process is killed
		return err
	}
	marks, err := filepath.Glob(filepath.Join(escapeGlob(filepath.Dir(file)), "*"+notCopied))
	if err != nil {
		return err
	}
	var faults []error
	for _, mark := range marks {
		missing := strings.TrimSuffix(mark, notCopied)
		_, err := os.Stat(missing)
		if err == nil {
			err = p.copyElsewhere(missing, replace && missing == file)
			if errors.As(err, &takenError{}) && isSame(missing, filepath.Join(p.BackupCopyDir, filepath.Base(missing))) {
				err = nil // an earlier run was killed after copying
			}
			if err == nil && missing != file {
				p.say("copied %s, whose earlier copy had failed", missing)
			}
		} else if errors.Is(err, fs.ErrNotExist) {
			err = nil // expired and deleted
		}
		if err == nil {
			err = os.Remove(mark)
		}
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// isSame reports whether two files have the same contents.
func isSame(a, b string) bool {
	sum := func(file string) []byte {
		h := sha256.New()
		f, err := os.Open(file) //nolint:gosec // G304: a backup and its copy
		if err != nil {
			return nil
		}
		defer func() { _ = f.Close() }() // read-only
		if _, err := io.Copy(h, f); err != nil {
			return nil
		}
		return h.Sum(nil)
	}
	first := sum(a)
	return first != nil && bytes.Equal(first, sum(b))
}

// escapeGlob returns a pattern that matches only name.
func escapeGlob(name string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(name)
}

// copyElsewhere copies a file to MEMS_BACKUP_COPY_DIR, where it appears atomically. It does
// not create the directory, so that an unmounted share is noticed.
func (p *program) copyElsewhere(file string, replace bool) (err error) {
	if p.BackupCopyDir == "" {
		return nil
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s is complete, but copying it to MEMS_BACKUP_COPY_DIR failed: %w", file, err)
		}
	}()
	from, err := os.Open(file) //nolint:gosec // G304: just written
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }() // read-only
	to := filepath.Join(p.BackupCopyDir, filepath.Base(file))
	defer func() { err = nameFile(err, to) }()
	f, err := os.CreateTemp(p.BackupCopyDir, "."+filepath.Base(file)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // fails if it was placed
	_, err = io.Copy(f, from)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return place(f.Name(), to, replace)
}
