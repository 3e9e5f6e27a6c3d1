package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// nameFile replaces the name of a hidden temporary file in an error by that of the final
// file, which the operator knows.
func nameFile(err error, file string) error {
	folder := filepath.Dir(file)
	if path, ok := errors.AsType[*fs.PathError](err); ok && isHidden(path.Path, folder) {
		return &fs.PathError{Op: path.Op, Path: file, Err: path.Err}
	}
	if link, ok := errors.AsType[*os.LinkError](err); ok && isHidden(link.Old, folder) {
		return &fs.PathError{Op: link.Op, Path: file, Err: link.Err}
	}
	return err
}

func isHidden(path, folder string) bool {
	return filepath.Dir(path) == folder && strings.HasPrefix(filepath.Base(path), ".")
}
