// Package voice holds the words of the repository to its glossary.
package voice

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// retired are phrases that have a plain English equivalent, with that.
var retired = map[string]string{
	"answers with":      "returns",
	"whoever":           "the role: the caller, the client, the patient, a transaction that",
	"one word too many": "unexpected argument",
	"what came of":      "the result of",
	"is told of":        "sees, is notified of, is called with",
	"rules over":        "can access",
	"for want of":       "the slot is taken",
}

// directories are the directories, with everything below them, and the files in which the
// phrases are retired. Add one when the last phrase is gone from it; none is ever removed.
var directories = []string{
	"internal/clinic", "internal/store", "internal/server", "internal/fhir", "internal/ical", "internal/delivery",
	"internal/contracttest", "internal/storetest", "internal/telemetry", "internal/attack", "internal/bench", "internal/proof", "internal/reception", "internal/conformance", "internal/voice",
	"internal/contract", "internal/docs", "internal/publish", "internal/demo", "internal/localdb", "internal/backup", "internal/program",
	"cmd", ".deploy", ".github", ".spectral.yaml", "openapi.yaml", "README.md", "db/README.md", "internal/README.md", "internal/GLOSSARY.md", "gen/typescript",
}

// written are the kinds of files that people write.
var written = []string{".go", ".md", ".sql", ".yaml", ".ts", ".svelte"}

// No retired phrase comes back to where it was retired.
func TestRetiredPhrasesStayRetired(t *testing.T) {
	t.Parallel()
	root := os.DirFS("../..")
	var phrases []string
	for phrase := range retired {
		phrases = append(phrases, strings.ReplaceAll(phrase, " ", `[\s/*#]+`)) // over the end of a line of a comment, too
	}
	found := regexp.MustCompile(`(?i)\b(` + strings.Join(phrases, "|") + `)\b`)
	read := 0
	for _, directory := range directories {
		err := fs.WalkDir(root, directory, func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() && (d.Name() == "testdata" || d.Name() == "node_modules" || d.Name() == "released") {
				return fs.SkipDir // what was released stays as it is
			}
			if err != nil || d.IsDir() || !slices.Contains(written, path.Ext(name)) {
				return err
			}
			if strings.HasSuffix(name, "voice_test.go") {
				return nil
			}
			read++
			text, err := fs.ReadFile(root, name)
			for _, at := range found.FindAllIndex(text, -1) {
				phrase := strings.Join(strings.FieldsFunc(strings.ToLower(string(text[at[0]:at[1]])), func(r rune) bool { return strings.ContainsRune(" \t\n/*#", r) }), " ")
				line := 1 + strings.Count(string(text[:at[0]]), "\n")
				t.Errorf("%s:%d: %q is retired; write: %s", name, line, phrase, retired[phrase])
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	if read < 200 {
		t.Errorf("read %d files, want those of all directories", read)
	}
}
