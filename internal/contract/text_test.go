package contract

import (
	"strings"
	"testing"
	"unicode"

	"github.com/getkin/kin-openapi/openapi3"

	"mems/gen/api"
	"mems/internal/clinic"
)

// Every text in a request excludes what clinic.Unreadable does. Search text, which is not
// stored, may be anything a user pastes except control characters.
func TestEveryTextExcludesControls(t *testing.T) {
	t.Parallel()
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OperationsOf(doc, 1000); err != nil {
		t.Fatal(err)
	}
	var unreadable []rune
	for r := range unicode.MaxRune + 1 {
		if clinic.Unreadable(r) {
			unreadable = append(unreadable, r)
		}
	}
	texts := 0
	check := func(where string, s *openapi3.Schema, kept bool) {
		if !s.Type.Is(openapi3.TypeString) || len(s.Enum) > 0 || s.Format == "date" || s.Format == "date-time" || s.Format == "email" {
			return
		}
		compiled, err := compilePattern(s.Pattern)
		if err != nil {
			t.Fatal(err)
		}
		texts++
		free := s.Pattern == "" || compiled.MatchString("Zoë Ærø") // more than ASCII
		for _, r := range unreadable {
			if free && (kept || r > 0x1f && r < 0x2000) && (s.Pattern == "" || compiled.MatchString("a"+string(r)+"b")) {
				t.Errorf("%s accepts %U, want it refused", where, r)
				break
			}
		}
		if free && kept && s.Pattern != "" && strings.Contains(s.Pattern, "*[") && compiled.MatchString("\u200b\u200d") {
			t.Errorf("%s accepts a text of invisible characters, want it refused", where)
		}
	}
	eachBodySchema(doc, func(where string, s *openapi3.Schema) { check(where, s, true) })
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			for _, p := range append(append(openapi3.Parameters{}, item.Parameters...), op.Parameters...) {
				switch {
				case p.Value.Name == "If-Match": // compared, never stored
				case p.Value.In == openapi3.ParameterInQuery && p.Value.Schema.Value.Items != nil:
					check(method+" "+path+" "+p.Value.Name, p.Value.Schema.Value.Items.Value, false)
				default:
					check(method+" "+path+" "+p.Value.Name, p.Value.Schema.Value, p.Value.In != openapi3.ParameterInQuery)
				}
			}
		}
	}
	if texts < 50 {
		t.Errorf("found %d texts, want at least 50", texts)
	}
}

// Violations name the bound, in the singular if it is 1.
func TestViolationsNameTheBound(t *testing.T) {
	t.Parallel()
	one, many := uint64(1), uint64(20)
	for _, test := range []struct {
		code   string
		schema *openapi3.Schema
		want   string
	}{
		{"min_length", &openapi3.Schema{MinLength: 1}, "must have at least 1 character"},
		{"max_length", &openapi3.Schema{MaxLength: &one}, "must have at most 1 character"},
		{"min_items", &openapi3.Schema{MinItems: 1}, "must have at least 1 item"},
		{"max_items", &openapi3.Schema{MaxItems: &many}, "must have at most 20 items"},
		{"unique_items", &openapi3.Schema{UniqueItems: true}, "must not contain an item twice"},
	} {
		if got := detailOf(test.code, test.schema); got != test.want {
			t.Errorf("%s: %q, want %q", test.code, got, test.want)
		}
	}
}
