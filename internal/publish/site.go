package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mems/internal/contract"
	"mems/internal/docs"
)

//go:embed site
var siteFiles embed.FS

var templates = template.Must(template.ParseFS(siteFiles, "site/*.html"))

// site is a site under construction.
type site struct {
	root      string // of the repository
	dir       string
	documents []document
	changelog string
}

// page is the data of the templates.
type page struct {
	Kind, Title, Version, Note, Up string
	Cards                          []card
	Problems                       []problem
	Body                           template.HTML
}

// problem is a problem type and the operations whose x-problems list it.
type problem struct {
	contract.ProblemType

	Operations []string // by name; none in versions without x-problems
}

type card struct{ Path, Title, Text string }

// version is an entry of versions.json.
type version struct {
	Version string `json:"version"`
	Path    string `json:"path"`
	Note    string `json:"note,omitempty"`
}

// buildSite builds the site of every released contract, and of the current one if it
// differs, in dir, which it empties first.
func buildSite(root, dir string, diff differ, out io.Writer) error {
	specs, err := releasedSpecs(filepath.Join(root, releasedDir))
	if err != nil {
		return err
	}
	if len(specs) == 0 {
		return errors.New("nothing is released yet: run 'make release-spec' first")
	}
	latest := specs[len(specs)-1]
	next, err := readSpec(filepath.Join(root, contractFile))
	if err != nil {
		return err
	}
	if !bytes.Equal(next.data, latest.data) {
		next.folder, next.note = "next", "not released yet"
		specs = append(specs, next)
	}
	s := &site{root: root, dir: dir}
	if s.documents, err = documentsIn(root); err != nil {
		return err
	}
	if s.changelog, err = changelogOf(specs, diff); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := s.assets(); err != nil {
		return err
	}
	var versions []version
	for _, c := range slices.Backward(specs) {
		if err := s.build(c, c.home()); err != nil {
			return fmt.Errorf("version %s: %w", c.version, err)
		}
		v := version{Version: c.version, Path: c.home(), Note: c.note}
		if c.version == latest.version && c.note == "" {
			v.Note = "the latest"
		}
		versions = append(versions, v)
	}
	if err := s.build(latest, "latest"); err != nil {
		return err
	}
	if err := s.json("versions.json", versions); err != nil {
		return err
	}
	if err := s.html("index.html", "versions.html", versions); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "built %s: open %s\n", latest.version, filepath.Join(dir, "index.html"))
	return nil
}

// documentsIn returns the documents for partners that exist.
func documentsIn(root string) ([]document, error) {
	files := map[string]string{
		"gen/typescript/README.md":               "clients/typescript.html",
		"gen/postman/README.md":                  "clients/postman.html",
		"internal/publish/conformance/README.md": "conformance.html",
	}
	guides, err := filepath.Glob(filepath.Join(root, "internal/publish/guides/*.md"))
	if err != nil {
		return nil, err
	}
	for _, guide := range guides {
		name := strings.TrimSuffix(filepath.Base(guide), ".md")
		files["internal/publish/guides/"+name+".md"] = "guides/" + name + ".html"
	}
	var all []document
	for file, path := range files {
		d, err := readDocument(filepath.Join(root, file), path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b document) int { return strings.Compare(a.path, b.path) })
	return all, nil
}

// assets writes the files that all versions share.
func (s *site) assets() error {
	script, err := docs.Script()
	if err != nil {
		return err
	}
	if err := s.write("assets/scalar.js", script); err != nil {
		return err
	}
	for _, name := range []string{"style.css", "reference.js"} {
		data, err := siteFiles.ReadFile("site/" + name)
		if err != nil {
			return err
		}
		if err := s.write("assets/"+name, data); err != nil {
			return err
		}
	}
	return nil
}

// build writes the pages of one version into a folder.
func (s *site) build(c spec, folder string) error {
	at := func(path string) string { return folder + "/" + path }
	asJSON, err := contract.JSON(c.data)
	if err != nil {
		return err
	}
	for path, data := range map[string][]byte{
		"openapi.yaml": c.data, "openapi.json": asJSON, "changelog.md": []byte(s.changelog),
		"spec.js": slices.Concat([]byte("const memsContract = "), asJSON),
	} {
		if err := s.write(at(path), data); err != nil {
			return err
		}
	}
	if err := s.html(at("reference.html"), "reference.html", page{Version: c.version}); err != nil {
		return err
	}
	cards := []card{
		{"reference.html", "Reference", "Every operation, with examples"},
		{"problems/index.html", "Problems", "Every error, and what to do"},
		{"changelog.html", "Changes", "What each version changed"},
		{"openapi.yaml", "openapi.yaml", "The contract, as it was written"},
		{"openapi.json", "openapi.json", "The same for programs"},
	}
	pages := map[string]string{"openapi.yaml": "openapi.yaml"}
	for _, d := range s.documents {
		pages[filepath.Base(strings.TrimSuffix(d.path, ".html")+".md")] = d.path
		cards = append(cards, card{d.path, d.title, about(d.path)})
	}
	if err := s.page(c, at("index.html"), page{Kind: "index", Title: "Contract", Cards: cards}); err != nil {
		return err
	}
	changelog := document{title: "Changes", path: "changelog.html", source: s.changelog}
	for _, d := range append([]document{changelog}, s.documents...) {
		body, err := render(d, pages)
		if err != nil {
			return fmt.Errorf("%s: %w", d.path, err)
		}
		if err := s.page(c, at(d.path), page{Kind: "document", Title: d.title, Body: body}); err != nil {
			return err
		}
	}
	return s.problems(c, folder)
}

// about returns the second line of a card.
func about(path string) string {
	switch {
	case strings.HasPrefix(path, "clients/"):
		return "A client, ready to use"
	case strings.HasPrefix(path, "guides/"):
		return "A guide"
	default:
		return "Prove that your client fits"
	}
}

// problems writes a page for each problem type of the contract.
func (s *site) problems(c spec, folder string) error {
	slugs, err := c.problemSlugs()
	if err != nil {
		return err
	}
	operations, err := c.operationsByProblem()
	if err != nil {
		return err
	}
	var known []problem
	for _, t := range contract.ProblemTypes() {
		if slices.Contains(slugs, string(t.Slug)) {
			known = append(known, problem{t, operations[string(t.Slug)]})
		}
	}
	if err := s.page(c, folder+"/problems/index.html", page{Kind: "problems", Title: "Problem types", Problems: known}); err != nil {
		return err
	}
	for _, p := range known {
		one := page{Kind: "problems", Title: p.Title, Problems: []problem{p}}
		if err := s.page(c, folder+"/problems/"+string(p.Slug)+"/index.html", one); err != nil {
			return err
		}
	}
	return nil
}

// page writes a page of a version.
func (s *site) page(c spec, path string, p page) error {
	p.Version, p.Note = c.version, c.note
	p.Up = strings.Repeat("../", strings.Count(path, "/")-1)
	return s.html(path, "page.html", p)
}

func (s *site) html(path, name string, data any) error {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, name, data); err != nil {
		return err
	}
	return s.write(path, b.Bytes())
}

func (s *site) json(path string, data any) error {
	text, err := json.MarshalIndent(data, "", "  ")
	if err != nil {
		return err
	}
	return s.write(path, append(text, '\n'))
}

func (s *site) write(path string, data []byte) error {
	full := filepath.Join(s.dir, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil { //nolint:gosec // read by everybody
		return err
	}
	return os.WriteFile(full, data, 0o644) //nolint:gosec // read by everybody
}
