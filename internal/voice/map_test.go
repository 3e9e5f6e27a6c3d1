package voice

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The walks of the map lead through files that are there, and functions that stand in
// them: a map that names what has moved is worse than none.
func TestMapNamesWhatIsThere(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	rows := 0
	_, walks, _ := strings.Cut(string(text), "\n| file | functions | does |")
	for line := range strings.Lines(walks) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.Contains(cells[1], "`") {
			continue
		}
		var code strings.Builder
		for _, m := range quoted.FindAllStringSubmatch(cells[1], -1) {
			if !strings.Contains(m[1], ".") {
				continue // a function of a walk before
			}
			name := filepath.Join("..", m[1])
			if rest, ok := strings.CutPrefix(m[1], "web/"); ok {
				name = filepath.Join("../reception/web/src", rest)
			}
			content, err := os.ReadFile(name)
			if err != nil {
				t.Errorf("the map names %s: %v, want a file that exists", m[1], err)
			}
			code.Write(content)
		}
		if code.Len() == 0 {
			continue
		}
		rows++
		for _, m := range quoted.FindAllStringSubmatch(cells[2], -1) {
			function := regexp.QuoteMeta(m[1][strings.LastIndexByte(m[1], '.')+1:])
			definition := `(?m)^func (\([^)]+\) )?` + function + `[\[(]`
			if !strings.Contains(cells[1], ".go") {
				definition = `\b` + function + `\(`
			}
			if !regexp.MustCompile(definition).MatchString(code.String()) {
				t.Errorf("the map names %s in%s, want a function that is there", m[1], cells[1])
			}
		}
	}
	if rows < 30 {
		t.Errorf("the map has %d rows that were read, want at least 30", rows)
	}
}
