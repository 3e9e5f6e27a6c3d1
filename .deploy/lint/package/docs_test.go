package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goreleaser/goreleaser/v2/pkg/config"
)

// Every link in a document of the package or of an archive leads to something in it.
func TestShippedLinks(t *testing.T) {
	t.Parallel()
	written := t.TempDir()
	if err := docs("../../..", written); err != nil {
		t.Fatal(err)
	}
	read := func(file string) string {
		name := filepath.Join("../../..", file)
		if inDocs, found := strings.CutPrefix(file, "bin/docs/"); found {
			name = filepath.Join(written, inDocs)
		}
		content, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
		}
		return string(content)
	}
	c, err := config.Load("../../../.goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	archive, deb := map[string]string{}, map[string]string{}
	for _, f := range c.Archives[0].Files {
		if info, err := os.Stat(filepath.Join("../../..", f.Source)); err == nil && info.IsDir() {
			continue
		}
		to := f.Destination
		if to == "" {
			to = f.Source
		}
		archive[to] = read(f.Source)
	}
	_, all, err := contents("../../..")
	if err != nil {
		t.Fatal(err)
	}
	const folder = "/usr/share/doc/mems/"
	sources := map[string]string{}
	for _, f := range all {
		sources[f.Destination] = f.Source
	}
	for _, f := range all {
		to, inFolder := strings.CutPrefix(f.Destination, folder)
		switch {
		case f.Type == "symlink" && inFolder:
			deb[to] = read(sources[f.Source])
		case f.Type == "tree":
			for _, place := range shipped {
				if filepath.Ext(place) == ".md" {
					deb[place] = read("bin/docs/" + place)
				}
			}
		case inFolder:
			deb[to] = read(f.Source)
		}
	}
	for name, files := range map[string]map[string]string{"archive": archive, "package": deb} {
		documents := 0
		for place, text := range files {
			if filepath.Ext(place) != ".md" {
				continue
			}
			documents++
			if dead := deadLinks(text, place, files); len(dead) > 0 {
				t.Errorf("%s: links of %s that lead nowhere = %q, want none", name, place, dead)
			}
		}
		if documents != 7 {
			t.Errorf("%s: %d documents, want 7", name, documents)
		}
	}
	if dead := deadLinks("[a](b.md) [b](#c) [c](#d)\n# D", "a.md", map[string]string{"a.md": "# D"}); len(dead) != 2 {
		t.Errorf("dead links = %q, want 2", dead)
	}
}
