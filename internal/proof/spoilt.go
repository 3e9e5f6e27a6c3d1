package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"mems/internal/program"
)

// spoilt is a copy of the program without one safeguard. A proof that finds no fault in it
// proves nothing.
type spoilt struct {
	name, what string
	file       string // in the repository
	from, to   string
	faults     string // that expose it soonest; empty for all
}

// spoiltCopies replaces, in one file each, every occurrence of a text.
var spoiltCopies = []spoilt{
	{
		"guard", "guard rows are read, not written", "internal/store/guard.go",
		"return t.exec(ctx, write+where, args...)", "_ = write\n\terr = t.GetContext(ctx, &n, row.read+where, args...)\n\treturn n, err",
		"server killed",
	},
	{
		"backstop", "the triggers let every time pass", "db/migrations/00005_backstop_rooms.sql",
		"SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = ", "SET taken = 0; -- ",
		"server killed",
	},
	{
		"retry rule", "a COMMIT without an answer is said to have changed nothing", "internal/store/tx.go",
		"return &clinic.Error{Code: clinic.CodeOutcomeUnknown, Cause: err}", "return err",
		"answers lost",
	},
	{
		"feed", "changes have the positions in which they were written", "internal/store/changes.go",
		"SET position = ? + FIELD(id, ?) WHERE", "SET position = id + 0 * (? + FIELD(id, ?)) WHERE",
		"database killed",
	},
	{
		"idempotency", "the key of a request is not kept", "internal/store/tx.go",
		"if key == nil || len(answer) == 0 {\n\t\tif err := s.runBody", "if key == nil || len(answer) >= 0 {\n\t\tif err := s.runBody",
		"server killed",
	},
}

// catchWithin bounds the proof of each.
const catchWithin = 2 * time.Minute

// canFail runs the proof on each spoilt copy, for longer each time until it is caught, and
// prints what caught it.
func canFail(ctx context.Context, o options, names string, out, say io.Writer) int {
	_, _ = fmt.Fprintf(out, "%-12s %-58s %s\n", "taken out", "", "caught")
	status := 0
	for _, s := range spoiltCopies {
		if names != "all" && !strings.Contains(","+names+",", ","+s.name+",") {
			continue
		}
		said, err := s.catch(ctx, o, say)
		if err != nil {
			said, status = "NOT CAUGHT: "+err.Error(), 1
		}
		_, _ = fmt.Fprintf(out, "%-12s %-58s %s\n", s.name, s.what, said)
	}
	return status
}

func (s *spoilt) catch(ctx context.Context, o options, say io.Writer) (string, error) {
	dir, err := os.MkdirTemp("", "mems-spoilt-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if o.binary, err = s.build(ctx, dir); err != nil {
		return "", err
	}
	o.out, o.faults = filepath.Join(o.out, "spoilt", strings.ReplaceAll(s.name, " ", "-")), s.faults
	began := time.Now()
	for o.duration = 6 * time.Second; time.Since(began)+o.duration < catchWithin; o.duration *= 2 {
		r, err := prove(ctx, o, say)
		if err != nil {
			return "", err
		}
		var by []string
		for _, c := range r.checks {
			if len(c.faults) > 0 {
				by = append(by, fmt.Sprintf("%q: %s", c.name, c.faults[0]))
			}
		}
		if len(by) > 0 {
			return fmt.Sprintf("in %.0f s by\n    %s", time.Since(began).Seconds(), strings.Join(by, "\n    ")), nil
		}
		o.seed++
	}
	return "", fmt.Errorf("within %s", catchWithin)
}

// build compiles the spoilt copy. The other files are those of the repository.
func (s *spoilt) build(ctx context.Context, dir string) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	path := filepath.Join(strings.TrimSpace(string(root)), filepath.FromSlash(s.file))
	text, err := os.ReadFile(path) //nolint:gosec // G304: one of ours
	if err != nil {
		return "", err
	}
	if !strings.Contains(string(text), s.from) {
		return "", fmt.Errorf("%s has no longer what is to be taken out: %q", s.file, s.from)
	}
	replaced := filepath.Join(dir, filepath.Base(path))
	if err := os.WriteFile(replaced, []byte(strings.ReplaceAll(string(text), s.from, s.to)), 0o600); err != nil { //nolint:gosec // G703: a file of ours in a folder of ours
		return "", err
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: replaced}})
	if err != nil {
		return "", err
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		return "", err
	}
	return program.Build(ctx, dir, "-tags=proof", "-overlay="+list)
}
