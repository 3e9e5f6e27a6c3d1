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

// noticeDays is the minimum number of days between the release that deprecates an operation
// or member and its sunset.
const noticeDays = "180"

// severity raises changes that oasdiff considers harmless but this API does not: it rejects
// unknown members and parameters, so removing one breaks clients that still send it.
//
//go:embed severity.txt
var severity []byte

// change is a difference between two contracts, as oasdiff reports it.
type change struct {
	ID           string `json:"id"`
	Text         string `json:"text"`
	Level        int    `json:"level"` // 3: error, 2: warning, 1: information
	Operation    string `json:"operation"`
	Path         string `json:"path"`
	SharedSchema struct {
		Name string `json:"name"`
	} `json:"sharedSchema"`
}

const levelError = 3

// unannounced marks a removal or deprecation without the written notice that even a major
// version owes.
func (c change) unannounced() bool {
	switch c.ID {
	case "request-property-removed", "request-parameter-removed",
		"response-required-property-removed", "response-optional-property-removed":
		return true
	}
	return strings.HasSuffix(c.ID, "-removed-without-deprecation") || strings.Contains(c.ID, "sunset") && c.Level == levelError
}

// changes are the differences between two contracts.
type changes struct {
	all []change
	// sunset has removals after their announced sunset. oasdiff accepts these, but clients
	// whose authors missed the notice break all the same, so they need a major version
	// here.
	sunset []change
}

// compare runs oasdiff for every difference, and again for those that it would report
// without deprecations.
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
	var full, bare [2]string
	for i, s := range []spec{base, revision} {
		var doc yaml.Node
		if err := yaml.Unmarshal(s.data, &doc); err != nil {
			return changes{}, fmt.Errorf("%s: %w", s.path, err)
		}
		renameSchemes(&doc)
		if full[i], err = writeNode(&doc, filepath.Join(dir, fmt.Sprintf("full-%d.yaml", i))); err != nil {
			return changes{}, fmt.Errorf("%s: %w", s.path, err)
		}
		stripDeprecation(&doc)
		if bare[i], err = writeNode(&doc, filepath.Join(dir, fmt.Sprintf("bare-%d.yaml", i))); err != nil {
			return changes{}, fmt.Errorf("%s: %w", s.path, err)
		}
	}
	all, err := changelog(ctx, oasdiff, levels, full[0], full[1])
	if err != nil {
		return changes{}, err
	}
	had, err := changelog(ctx, oasdiff, levels, bare[0], bare[1])
	if err != nil {
		return changes{}, err
	}
	found := changes{all: all}
	for _, c := range had {
		reported := func(o change) bool { // the same, without this step
			return o.Operation == c.Operation && o.Path == c.Path &&
				(o.ID == c.ID && o.Text == c.Text || o.removes() && o.Level == levelError)
		}
		if c.removes() && !slices.ContainsFunc(all, reported) {
			c.Text = strings.ReplaceAll(c.Text, "without deprecation", "after its sunset")
			found.sunset = append(found.sunset, c)
		}
	}
	return found, nil
}

// removes reports whether something was removed.
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
		return nil, fmt.Errorf("parse the output of oasdiff: %w", err)
	}
	return found, nil
}

// refused returns the changes that must not be released as this version.
func refused(found changes, base, revision spec) []change {
	if mayBreak(base, revision) {
		return slices.DeleteFunc(slices.Clone(found.all), func(c change) bool { return !c.breaksNotice() })
	}
	if semver.Compare(semver.Major(revision.canonical()), semver.Major(base.canonical())) > 0 {
		return slices.DeleteFunc(slices.Clone(found.all), func(c change) bool { return !c.unannounced() })
	}
	return breaking(found)
}

// breaking returns the changes that break clients of the base.
func breaking(found changes) []change {
	return slices.DeleteFunc(slices.Concat(found.all, found.sunset), func(c change) bool { return c.Level < levelError })
}

// mayBreak reports whether the revision is a new minor version of a contract
// whose major version is 0, where SemVer (section 4) promises nothing.
func mayBreak(base, revision spec) bool {
	from, to := base.canonical(), revision.canonical()
	return semver.Major(from) == "v0" && semver.Major(to) == "v0" &&
		semver.Compare(semver.MajorMinor(to), semver.MajorMinor(from)) > 0
}

// breaksNotice reports whether a change deprecates without a date or with too early a one,
// or removes before the announced date: written promises, which hold in 0.y too.
func (c change) breaksNotice() bool {
	return strings.Contains(c.ID, "sunset") && c.Level == levelError
}

// check fails if the contract would break clients of the newest released one.
func check(ctx context.Context, oasdiff, contract, dir string, out io.Writer) error {
	if oasdiff == "" {
		return errors.New("missing flag: -oasdiff PATH")
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
	breaks := group(breaking(found))
	switch {
	case len(bad) > 0:
	case len(breaks) == 0 || !mayBreak(base, revision):
		_, _ = fmt.Fprintf(out, "%s %s keeps what %s promised (changes: %d)\n", contract, revision.version, base.version, len(group(found.all)))
		return nil
	default:
		for _, line := range breaks {
			_, _ = fmt.Fprintln(out, line)
		}
		_, _ = fmt.Fprintf(out, "%s %s breaks clients of %s in the ways listed above (%d). A minor version may while the major version\n"+
			"is 0 (SemVer 4); CHANGELOG.md must say what a client has to change.\n", contract, revision.version, base.version, len(breaks))
		return nil
	}
	for _, line := range group(bad) {
		_, _ = fmt.Fprintln(out, line)
	}
	return fmt.Errorf("%s %s breaks clients of the released %s.\n"+
		"Keep what they use, and add beside it. What has to go is first marked as deprecated in a release, with\n"+
		"x-deprecated-at and x-sunset at least %s days ahead; after that day it goes, with a new major version in info.version (a new minor version in 0.y).\n"+
		"See internal/publish/README.md", contract, revision.version, base.version, noticeDays)
}

// group formats changes as lines. A change of a shared schema appears in every operation
// that uses it, and is listed once.
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
