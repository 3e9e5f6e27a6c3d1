package model

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

//go:embed *.pml common.h
var files embed.FS

// Event is one moment of a history that clients can see: a call begins, or its answer is there.
type Event struct {
	Call     int
	Answered bool
}

// Trace is one run of a model as its clients see it.
type Trace struct {
	Asked   string  // what this run's calls ask for, in the model's words
	Events  []Event // in order
	Results []int   // by call; 0: never asked
}

// Key names what was asked and when, without what was answered.
func (t Trace) Key() string { return fmt.Sprint(t.Asked, t.Events) }

// Traces are all runs that a model with -DTRACES has, found by SPIN and gcc in dir. It needs
// both programs. Runs that clients cannot tell apart are one.
func Traces(ctx context.Context, dir, name string, options ...string) ([]Trace, error) {
	if err := build(ctx, dir, name, append(slices.Clone(options), "-DTRACES"), "-DSAFETY", "-DNOCLAIM"); err != nil {
		return nil, err
	}
	text, err := output(ctx, dir, filepath.Join(dir, "pan"), "-m100000")
	if err != nil {
		return nil, err
	}
	if !strings.Contains(text, "errors: 0") || strings.Contains(text, "Search not completed") {
		return nil, fmt.Errorf("the search of %s is not complete: %s", name, text[max(0, len(text)-2000):])
	}
	found := map[string]Trace{}
	for line := range strings.Lines(text) {
		rest, is := strings.CutPrefix(strings.TrimSpace(line), "trace ")
		if _, known := found[rest]; !is || known {
			continue
		}
		if found[rest], err = parse(rest); err != nil {
			return nil, fmt.Errorf("%s: %q: %w", name, line, err)
		}
	}
	var all []Trace
	for _, line := range slices.Sorted(maps.Keys(found)) {
		all = append(all, found[line])
	}
	return all, nil
}

// build makes the program pan of a model in dir. options are for the model, flags for the search.
func build(ctx context.Context, dir, name string, options []string, flags ...string) error {
	for _, file := range []string{"common.h", name + ".pml"} {
		text, err := files.ReadFile(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o600); err != nil {
			return err
		}
	}
	if _, err := output(ctx, dir, "spin", append(slices.Clone(options), "-a", name+".pml")...); err != nil {
		return err
	}
	_, err := output(ctx, dir, "gcc", append([]string{"-O1", "-w", "-DMEMLIM=2048", "-o", "pan", "pan.c"}, flags...)...)
	return err
}

// parse reads what common.h prints of a run: "ASKED : EVENTS : RESULTS", in numbers. An event
// is twice the call, and one more when it is answered.
func parse(line string) (Trace, error) {
	parts := strings.Split(line, ":")
	if len(parts) != 3 {
		return Trace{}, fmt.Errorf("%d parts", len(parts))
	}
	t := Trace{Asked: strings.TrimSpace(parts[0])}
	for word := range strings.FieldsSeq(parts[1]) {
		n, err := strconv.Atoi(word)
		if err != nil {
			return t, err
		}
		t.Events = append(t.Events, Event{Call: n / 2, Answered: n%2 == 1})
	}
	for word := range strings.FieldsSeq(parts[2]) {
		n, err := strconv.Atoi(word)
		if err != nil {
			return t, err
		}
		t.Results = append(t.Results, n)
	}
	return t, nil
}

// output runs a command in dir and returns what it prints.
func output(ctx context.Context, dir, command string, arguments ...string) (string, error) {
	c := exec.CommandContext(ctx, command, arguments...) //nolint:gosec // G204: our own words
	c.Dir = dir
	var text bytes.Buffer
	c.Stdout, c.Stderr = &text, &text
	if err := c.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", command, err, text.String())
	}
	return text.String(), nil
}
