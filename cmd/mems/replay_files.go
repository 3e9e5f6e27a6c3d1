package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mems/internal/backup"
)

// findLog returns the files of a binary log in order, from the one in which a backup ends,
// and checks that they contain everything the server wrote before until.
func (p *program) findLog(folder string, head backup.Head, until time.Time) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if names, err = logFiles(names, head.LogFile); err != nil {
		return nil, err
	}
	var files []string
	var end backup.LogEnd
	var newest time.Time
	for i, name := range names {
		files = append(files, filepath.Join(folder, name))
		if end, err = readLogEnd(files[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if i == 0 && end.Position < head.LogPosition {
			return nil, fmt.Errorf("%s ends at position %d, before the backup's position %d: it is a different file or a partial copy", name, end.Position, head.LogPosition)
		}
		if end.Cut && i < len(names)-1 {
			p.say("%s is truncated within an event or a transaction after position %d, as happens when a server is killed. "+
				"If the directory is a copy, compare this file with the original", name, end.Position)
		}
		if end.At.After(newest) {
			newest = end.At
		}
	}
	last := names[len(names)-1]
	missing, err := p.missingLog(folder, last, end)
	if err != nil {
		return nil, err
	}
	fault := ""
	switch {
	case missing != "":
		fault = fmt.Sprintf("%s is missing, which continues the log after %s", missing, last)
	case end.Cut:
		fault = fmt.Sprintf("%s is truncated within an event or a transaction after position %d", last, end.Position)
	}
	whole := newest.Add(time.Second) // the log's times are whole seconds
	switch {
	case fault != "" && until.After(whole):
		return nil, fmt.Errorf("%s: acknowledged changes may be missing. Copy the whole directory again. Nothing was written. "+
			"If the rest is lost, --until %s writes everything there is", fault, whole.Format(time.RFC3339))
	case fault != "" && until.After(newest):
		p.say("%s: later changes are lost, and possibly some from the last second", fault)
	case until.After(newest):
		p.say("the log ends at %s, before --until: later changes, if any, are not in %s", newest.Format(time.RFC3339), last)
	}
	return files, nil
}

func readLogEnd(file string) (backup.LogEnd, error) {
	f, err := os.Open(file) //nolint:gosec // G304: in the folder that the operator names
	if err != nil {
		return backup.LogEnd{}, err
	}
	defer func() { _ = f.Close() }() // read-only
	return backup.ReadLogEnd(f)
}

// missingLog returns the newest file of the log that follows the last one in the folder,
// according to that file's end or the log's index (bin.index for bin.000009).
func (p *program) missingLog(folder, last string, end backup.LogEnd) (string, error) {
	base, _, _ := strings.Cut(last, ".")
	index, err := os.ReadFile(filepath.Join(folder, base+".index")) //nolint:gosec // G304: as above
	if errors.Is(err, fs.ErrNotExist) {
		p.say("there is no %s.index in %s, so a missing last file may go unnoticed", base, folder)
	} else if err != nil {
		return "", err
	}
	missing := ""
	for _, name := range append(strings.Fields(string(index)), end.Next) {
		name = filepath.Base(name) // the server's path, often a different one
		if b, number, _ := strings.Cut(name, "."); b == base && number != "" && strings.Trim(number, "0123456789") == "" &&
			compareLogFiles(name, last) > 0 && (missing == "" || compareLogFiles(name, missing) > 0) {
			missing = name
		}
	}
	return missing, nil
}

// compareLogFiles orders files of one log: their numbers get longer after 999999.
func compareLogFiles(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// logFiles returns the names of a binary log's files from first on, in order.
// Errors: a file is missing.
func logFiles(names []string, first string) ([]string, error) {
	base, number, _ := strings.Cut(first, ".")
	var found []string
	for _, name := range names {
		b, n, _ := strings.Cut(name, ".")
		if b == base && len(n) >= len(number) && strings.Trim(n, "0123456789") == "" && (len(n) > len(number) || n >= number) {
			found = append(found, name)
		}
	}
	slices.SortFunc(found, compareLogFiles)
	if len(found) == 0 || found[0] != first {
		return nil, fmt.Errorf("%s, which contains the backup's position, is missing", first)
	}
	var at int
	for i, name := range found {
		var n int
		_, number, _ := strings.Cut(name, ".")
		if _, err := fmt.Sscan(strings.TrimLeft(number, "0"), &n); err != nil {
			return nil, fmt.Errorf("%s is not the name of a binary log file", name)
		}
		if i > 0 && n != at+1 {
			return nil, fmt.Errorf("a file between %s and %s is missing", found[i-1], name)
		}
		at = n
	}
	return found, nil
}
