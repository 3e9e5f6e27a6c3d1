package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/mod/semver"
)

// noticeDays is how long before its sunset an operation or a member is marked
// as deprecated in a released contract.
const noticeDays = "180"

// severity raises what oasdiff takes for harmless and this API does not: it
// refuses members and parameters that it does not know, so taking one away
// breaks whoever still sends it.
//
//go:embed severity.txt
var severity []byte

// change is one difference between two contracts, as oasdiff tells it.
type change struct {
	ID           string `json:"id"`
	Text         string `json:"text"`
	Level        int    `json:"level"` // 3: error, 2: warning, 1: for information
	Operation    string `json:"operation"`
	Path         string `json:"path"`
	SharedSchema struct {
		Name string `json:"name"`
	} `json:"sharedSchema"`
}

const levelError = 3

// unannounced: something is taken away, or deprecated, without the notice in
// writing that even a major version owes.
func (c change) unannounced() bool {
	switch c.ID {
	case "request-property-removed", "request-parameter-removed",
		"response-required-property-removed", "response-optional-property-removed":
		return true
	}
	return strings.HasSuffix(c.ID, "-removed-without-deprecation") || strings.Contains(c.ID, "sunset") && c.Level == levelError
}

// changes are the differences of two contracts.
type changes struct {
	all []change
	// sunset is what went after its announced sunset. oasdiff passes over that;
	// whoever did not read the notice is broken by it all the same, so that it
	// takes a major version here.
	sunset []change
}

// compare asks oasdiff for every difference, and once more for what it would
// say had nothing been deprecated.
func compare(ctx context.Context, oasdiff string, base, revision spec) (changes, error) {
	dir, err := os.MkdirTemp("", "mems-oasdiff-")
	if err != nil {
		return changes{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	levels := filepath.Join(dir, "severity.txt")
	if err := os.WriteFile(levels, severity, 0o600); err != nil {
		return changes{}, err
	}
	bare := [2]string{filepath.Join(dir, "base.yaml"), filepath.Join(dir, "revision.yaml")}
	for i, s := range []spec{base, revision} {
		data, err := withoutDeprecation(s.data)
		if err != nil {
			return changes{}, fmt.Errorf("%s: %w", s.path, err)
		}
		if err := os.WriteFile(bare[i], data, 0o600); err != nil {
			return changes{}, err
		}
	}
	all, err := changelog(ctx, oasdiff, levels, base.path, revision.path)
	if err != nil {
		return changes{}, err
	}
	had, err := changelog(ctx, oasdiff, levels, bare[0], bare[1])
	if err != nil {
		return changes{}, err
	}
	found := changes{all: all}
	for _, c := range had {
		told := func(o change) bool { // already, and as what it is
			return o.Operation == c.Operation && o.Path == c.Path &&
				(o.ID == c.ID && o.Text == c.Text || o.removes() && o.Level == levelError)
		}
		if c.removes() && !slices.ContainsFunc(all, told) {
			c.Text = strings.ReplaceAll(c.Text, "without deprecation", "after its sunset")
			found.sunset = append(found.sunset, c)
		}
	}
	return found, nil
}

// removes says whether something is gone.
func (c change) removes() bool {
	return strings.HasSuffix(c.ID, "-removed") || strings.Contains(c.ID, "-removed-")
}

// changelog runs oasdiff.
func changelog(ctx context.Context, oasdiff, levels, base, revision string) ([]change, error) {
	var message strings.Builder
	command := exec.CommandContext(ctx, oasdiff, "changelog", "--format", "json", //nolint:gosec // the pinned tool
		"--deprecation-days-stable", noticeDays, "--severity-levels", levels, base, revision)
	command.Stderr = &message
	answer, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("oasdiff: %w: %s", err, strings.TrimSpace(message.String()))
	}
	var found []change
	if err := json.Unmarshal(answer, &found); err != nil {
		return nil, fmt.Errorf("oasdiff answered what cannot be read: %w", err)
	}
	return found, nil
}

// withoutDeprecation is the contract as if nothing in it were deprecated.
func withoutDeprecation(contract []byte) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(contract, &doc); err != nil {
		return nil, err
	}
	var strip func(*yaml.Node)
	strip = func(n *yaml.Node) {
		if n.Kind == yaml.MappingNode {
			var kept []*yaml.Node
			for i := 0; i+1 < len(n.Content); i += 2 {
				name, value := n.Content[i].Value, n.Content[i+1]
				if name == "x-sunset" || name == "x-deprecated-at" || name == "deprecated" && value.Kind == yaml.ScalarNode {
					continue
				}
				kept = append(kept, n.Content[i], value)
			}
			n.Content = kept
		}
		for _, child := range n.Content {
			strip(child)
		}
	}
	strip(&doc)
	return yaml.Marshal(&doc)
}

// refused are the changes that must not be released as this version.
func refused(found changes, base, revision spec) []change {
	if semver.Compare(semver.Major(revision.canonical()), semver.Major(base.canonical())) > 0 {
		return slices.DeleteFunc(slices.Clone(found.all), func(c change) bool { return !c.unannounced() })
	}
	bad := slices.DeleteFunc(slices.Clone(found.all), func(c change) bool { return c.Level < levelError })
	return append(bad, slices.DeleteFunc(slices.Clone(found.sunset), func(c change) bool { return c.Level < levelError })...)
}

// check fails when the contract would break those who build on the newest
// released one.
func check(ctx context.Context, oasdiff, contract, dir string, out io.Writer) error {
	if oasdiff == "" {
		return errors.New("say where oasdiff is: -oasdiff PATH")
	}
	specs, err := releasedSpecs(dir)
	if err != nil {
		return err
	}
	if len(specs) == 0 {
		return fmt.Errorf("nothing is released yet: run 'make release-spec', which fills %s", filepath.ToSlash(dir))
	}
	base := specs[len(specs)-1]
	revision, err := readSpec(contract)
	if err != nil {
		return err
	}
	if semver.Compare(revision.canonical(), base.canonical()) < 0 {
		return fmt.Errorf("%s is version %s, older than the released %s: give it a newer one", contract, revision.version, base.version)
	}
	found, err := compare(ctx, oasdiff, base, revision)
	if err != nil {
		return err
	}
	bad := refused(found, base, revision)
	if len(bad) == 0 {
		_, _ = fmt.Fprintf(out, "%s %s keeps what %s promised (changes: %d)\n", contract, revision.version, base.version, len(group(found.all)))
		return nil
	}
	for _, line := range group(bad) {
		_, _ = fmt.Fprintln(out, line)
	}
	return fmt.Errorf("%s %s breaks those who build on the released %s.\n"+
		"Keep what they use, and add beside it. What has to go is first marked as deprecated in a release, with\n"+
		"x-deprecated-at and x-sunset at least %s days ahead; after that day it goes, with a new major version in info.version.\n"+
		"See internal/publish/README.md", contract, revision.version, base.version, noticeDays)
}

// group is the changes as lines. One of a shared schema shows in every operation
// that uses it, and is told once.
func group(changes []change) []string {
	var lines []string
	seen := map[string]bool{}
	for _, c := range changes {
		where := strings.TrimSpace(c.Operation + " " + c.Path)
		if c.SharedSchema.Name != "" {
			where = "schema " + c.SharedSchema.Name
		}
		line := fmt.Sprintf("%s: %s [%s]", where, c.Text, c.ID)
		if key := where + c.ID + c.Text; !seen[key] {
			seen[key] = true
			lines = append(lines, line)
		}
	}
	return lines
}
