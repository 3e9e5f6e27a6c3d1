package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// shipped are the places, in archives and in the package's folder of documents, of
// what documents are and lead to.
var shipped = map[string]string{
	"README.md":                          "README.md",
	"LICENSE":                            "LICENSE",
	"openapi.yaml":                       "openapi.yaml",
	".github/SECURITY.md":                "SECURITY.md",
	"db/README.md":                       "db/README.md",
	"db/grants.sql":                      "db/grants.sql",
	".deploy/README.md":                  "deploy/README.md",
	".deploy/cluster/README.md":          "deploy/cluster/README.md",
	".deploy/cluster/haproxy.cfg":        "deploy/cluster/haproxy.cfg",
	".deploy/cluster/hundred-clinics.md": "deploy/cluster/hundred-clinics.md",
	".deploy/cluster/mysqld.cnf":         "deploy/cluster/mysqld.cnf",
	".deploy/proxies/Caddyfile":          "deploy/proxies/Caddyfile",
	".deploy/proxies/haproxy.cfg":        "deploy/proxies/haproxy.cfg",
	".deploy/proxies/nginx.conf":         "deploy/proxies/nginx.conf",
	"internal/telemetry/README.md":       "telemetry/README.md",
	"internal/telemetry/alerts.yaml":     "telemetry/alerts.yaml",
	"internal/telemetry/dashboard.json":  "telemetry/dashboard.json",
}

var link = regexp.MustCompile(`\[([^\[\]]*)\]\(([^()\s#:]*)(#[^()\s]*)?\)`)

// docs writes the documents among what is shipped into a folder. Their links lead to
// what is shipped too; one that leads elsewhere in the source becomes its text.
func docs(root, out string) error {
	for source, place := range shipped {
		if path.Ext(source) != ".md" {
			continue
		}
		content, err := os.ReadFile(filepath.Join(root, source))
		if err != nil {
			return err
		}
		file := filepath.Join(out, place)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(relink(string(content), source)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// relink changes the links of a document to what they are where it is shipped.
func relink(text, source string) string {
	return link.ReplaceAllStringFunc(text, func(found string) string {
		part := link.FindStringSubmatch(found)
		label, target, anchor := part[1], part[2], part[3]
		if target == "" {
			return found
		}
		place, here := shipped[path.Join(path.Dir(source), target)]
		if !here {
			return label + " (in the source)"
		}
		relative, err := filepath.Rel(path.Dir(shipped[source]), place)
		if err != nil {
			return label
		}
		return fmt.Sprintf("[%s](%s%s)", label, filepath.ToSlash(relative), anchor)
	})
}

// deadLinks returns the links of a document that lead to none of the files.
func deadLinks(text, place string, files map[string]string) (dead []string) {
	for _, part := range link.FindAllStringSubmatch(text, -1) {
		to := place
		if part[2] != "" {
			to = path.Join(path.Dir(place), part[2])
		}
		content, found := files[to]
		if !found || part[3] != "" && !anchors(content)[part[3]] {
			dead = append(dead, part[0])
		}
	}
	return dead
}

// anchors are those of a document's headings.
func anchors(text string) map[string]bool {
	all := map[string]bool{}
	for line := range strings.Lines(text) {
		if heading := strings.TrimLeft(line, "#"); heading != line {
			slug := strings.ReplaceAll(strings.ToLower(strings.TrimSpace(heading)), " ", "-")
			all["#"+regexp.MustCompile(`[^\p{L}\p{N}_-]`).ReplaceAllString(slug, "")] = true
		}
	}
	return all
}
