package main

import (
	"bytes"
	"html/template"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

// document is a markdown file that becomes a page.
type document struct{ title, path, source string }

var firstHeading = regexp.MustCompile(`(?m)^# (.+)$`)

// readDocument reads a markdown file that becomes the page at path.
func readDocument(file, path string) (document, error) {
	data, err := os.ReadFile(file) //nolint:gosec // a file of this repository
	if err != nil {
		return document{}, err
	}
	d := document{title: strings.TrimSuffix(filepath.Base(file), ".md"), path: path, source: string(data)}
	if m := firstHeading.FindStringSubmatch(d.source); m != nil {
		d.title = m[1]
	}
	return d, nil
}

// render renders a document as HTML. The files are also read in the repository: a link to a
// file that has no page on the site is reduced to its text.
func render(d document, pages map[string]string) (template.HTML, error) {
	source := []byte(d.source)
	md := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithParserOptions(parser.WithAutoHeadingID()))
	root := md.Parser().Parse(text.NewReader(source))
	var strays []*ast.Link
	err := ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		link, ok := n.(*ast.Link)
		if !ok || !entering {
			return ast.WalkContinue, nil
		}
		to := string(link.Destination)
		file, anchor, _ := strings.Cut(to, "#")
		page, known := pages[filepath.Base(file)]
		switch {
		case file == "" || strings.HasPrefix(to, "https://") || strings.HasPrefix(to, "http://"):
		case known && filepath.Base(file) != "README.md":
			if anchor != "" {
				page += "#" + anchor
			}
			link.Destination = []byte(strings.Repeat("../", strings.Count(d.path, "/")) + page)
		default:
			strays = append(strays, link)
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		return "", err
	}
	for _, link := range strays {
		parent := link.Parent()
		for child := link.FirstChild(); child != nil; {
			next := child.NextSibling()
			parent.InsertBefore(parent, link, child)
			child = next
		}
		parent.RemoveChild(parent, link)
	}
	var b bytes.Buffer
	err = md.Renderer().Render(&b, source, root)
	return template.HTML(b.String()), err //nolint:gosec // of our own files; goldmark leaves raw HTML out
}
