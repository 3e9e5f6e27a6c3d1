package main

import (
	"fmt"
	"slices"
	"strings"
)

// differ returns the differences between two contracts: compare, or a test's own.
type differ func(base, revision spec) (changes, error)

// changelogOf formats the changes of each contract from the one before, newest first.
func changelogOf(specs []spec, diff differ) (string, error) {
	var b strings.Builder
	b.WriteString("# Changes to the contract\n\nMade from the differences of the released contracts. While the major version is 0,\n" +
		"a minor version may break ([SemVer 4](https://semver.org/#spec-item-4)).\n")
	for i, s := range slices.Backward(specs) {
		fmt.Fprintf(&b, "\n## %s\n\n", heading(s))
		if i == 0 {
			b.WriteString("The first contract that was released.\n")
			continue
		}
		found, err := diff(specs[i-1], s)
		if err != nil {
			return "", err
		}
		b.WriteString(tell(found))
	}
	return b.String(), nil
}

func heading(s spec) string {
	if s.note != "" {
		return s.version + ", " + s.note
	}
	return s.version
}

// tell formats the differences as markdown, breaking ones first.
func tell(found changes) string {
	parts := []struct {
		title string
		of    func(change) bool
	}{
		{"Breaking", func(c change) bool { return c.Level >= levelError }},
		{"To be looked at", func(c change) bool { return c.Level == levelError-1 }},
		{"Added and changed", func(c change) bool { return c.Level < levelError-1 }},
	}
	var b strings.Builder
	for _, part := range parts {
		lines := group(slices.DeleteFunc(slices.Concat(found.all, found.sunset), func(c change) bool {
			return !part.of(c) || c.ID == "api-version-not-bumped"
		}))
		if len(lines) == 0 {
			continue
		}
		slices.Sort(lines)
		fmt.Fprintf(&b, "### %s\n\n", part.title)
		for _, line := range lines {
			fmt.Fprintf(&b, "- %s\n", line[:strings.LastIndex(line, " [")])
		}
		b.WriteString("\n")
	}
	if b.Len() == 0 {
		return "Words only.\n"
	}
	return b.String()
}
