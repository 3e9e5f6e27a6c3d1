package main

import (
	"encoding/json"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"mems/internal/contract"
)

// repository creates a repository with two released contracts, an unreleased one, and
// documents for partners.
func repository(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	contract, err := os.ReadFile("../../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	number := regexp.MustCompile(`(?m)^  version: .*$`)
	write := func(path, text string) {
		full := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for path, version := range map[string]string{
		releasedDir + "/1.0.0.yaml": "1.0.0", releasedDir + "/1.1.0.yaml": "1.1.0", contractFile: "1.2.0",
	} {
		write(path, number.ReplaceAllString(string(contract), "  version: "+version))
	}
	write("internal/publish/guides/booking.md", "# Booking\n\nSee [times](times.md#zones), [the rules](../../clinic/booking.go) and [the contract](../../../openapi.yaml).\n")
	write("internal/publish/guides/times.md", "# Times\n\n## Zones\n\nA [list](https://www.iana.org/time-zones).\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
	write("gen/typescript/README.md", "# The TypeScript client\n")
	return root
}

// planted returns differences as oasdiff reports them.
func planted(_, revision spec) (changes, error) {
	if revision.version == "1.2.0" {
		return changes{}, nil
	}
	return changes{all: []change{
		{ID: "endpoint-added", Text: "endpoint added", Level: 1, Operation: "GET", Path: "/more"},
		{ID: "new-required-request-property", Text: "added <a> property", Level: 3, Operation: "POST", Path: "/rooms"},
	}}, nil
}

func built(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "site")
	if err := buildSite(repository(t), dir, planted, io.Discard); err != nil {
		t.Fatal(err)
	}
	return dir
}

var attribute = regexp.MustCompile(`<(\w+)[^>]*? (?:href|src)="([^"]*)"`)

// Every link of the site leads to a file of the site, so that it works from a disk; only
// links for people to follow lead elsewhere.
func TestSiteLinks(t *testing.T) {
	t.Parallel()
	dir := built(t)
	links := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".html" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range attribute.FindAllStringSubmatch(string(text), -1) {
			element, target := m[1], m[2]
			to, err := url.Parse(target)
			if err != nil {
				return err
			}
			if to.Scheme == "data" || to.Scheme != "" && element == "a" {
				continue
			}
			links++
			place := filepath.Join(filepath.Dir(path), filepath.FromSlash(to.Path))
			if to.Path == "" {
				place = path
			}
			linked, err := os.ReadFile(place)
			if to.Scheme != "" || strings.HasPrefix(to.Path, "/") || err != nil {
				t.Errorf("link of %s to %q (%v), want a relative one", path, target, err)
				continue
			}
			if to.Fragment != "" && !strings.Contains(string(linked), `id="`+to.Fragment+`"`) {
				t.Errorf("link of %s to %q, want an element with that id", path, target)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if links < 500 {
		t.Errorf("checked %d links, want at least 500", links)
	}
}

// The site has every version, each with all its pages.
func TestSiteIsWhole(t *testing.T) {
	t.Parallel()
	dir := built(t)
	read := func(path string) string {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			t.Error(err)
		}
		return string(data)
	}
	var versions []version
	if err := json.Unmarshal([]byte(read("versions.json")), &versions); err != nil {
		t.Fatal(err)
	}
	want := []version{{"1.2.0", "next", "not released yet"}, {"1.1.0", "1.1.0", "the latest"}, {"1.0.0", "1.0.0", ""}}
	if !reflect.DeepEqual(versions, want) {
		t.Errorf("versions %v, want %v", versions, want)
	}
	for _, folder := range []string{"next", "1.1.0", "1.0.0", "latest"} {
		for _, path := range []string{"index.html", "reference.html", "spec.js", "guides/booking.html", "clients/typescript.html", "problems/doctor-overlap/index.html"} {
			read(folder + "/" + path)
		}
	}
	if read("latest/openapi.yaml") != read("1.1.0/openapi.yaml") || !strings.Contains(read("latest/openapi.yaml"), "version: 1.1.0") {
		t.Error("latest/openapi.yaml is not that of 1.1.0, want the newest release")
	}
	if !strings.Contains(read("latest/problems/no-offer/index.html"), "<code>acceptOffer</code>, <code>declineOffer</code>") {
		t.Error("page of the problem no-offer does not name acceptOffer and declineOffer, want both")
	}
	problems := read("latest/problems/index.html")
	for _, p := range contract.ProblemTypes() {
		if !strings.Contains(problems, "/problems/"+string(p.Slug)+"<") {
			t.Errorf("problems page lacks %s, want it", p.Slug)
		}
	}
	changes := read("latest/changelog.html")
	for _, part := range []string{"1.2.0, not released yet", "Words only.", "Breaking", "POST /rooms: added", "GET /more: endpoint added", "The first contract"} {
		if !strings.Contains(changes, part) {
			t.Errorf("changelog of the site lacks %q, want it:\n%s", part, changes)
		}
	}
	booking := read("latest/guides/booking.html")
	for _, part := range []string{`<a href="../guides/times.html#zones">times</a>`, " the rules and ", `<a href="../openapi.yaml">`} {
		if !strings.Contains(booking, part) {
			t.Errorf("guide lacks %q, want it:\n%s", part, booking)
		}
	}
}
