package contract

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
)

// unseen matches invisible characters, as members of a Go character class: separators,
// controls, formats, and blank letters and symbols. The contract's patterns are of ECMA
// 262, whose \s includes the separators, as does trimming; Go's \s is ASCII only.
const unseen = `\x{0085}\p{Z}\p{Cf}\x{115F}\x{1160}\x{2800}\x{3164}\x{FFA0}`

// endOfText ends what the contract's patterns of stored text exclude. A pattern of ECMA 262
// cannot name characters beyond U+FFFF in a way that is portable, so compilePattern adds
// astral: tag characters and the noncharacters of the other planes ("Texts" in the contract).
const endOfText = `\uFEFF\uFFFE\uFFFF`

var astral = func() string {
	var class strings.Builder
	class.WriteString(`\x{E0000}-\x{E007F}`)
	for plane := 1; plane <= 0x10; plane++ {
		fmt.Fprintf(&class, `\x{%XFFFE}\x{%XFFFF}`, plane, plane)
	}
	return class.String()
}()

var (
	escapedRune = regexp.MustCompile(`\\u([0-9A-F]{4})`)
	patterns    sync.Map // compiled, by pattern
)

// compilePattern compiles a pattern of the contract. \S requires a visible character: no
// name, reason or note may look empty.
func compilePattern(text string) (openapi3.RegexMatcher, error) {
	if known, ok := patterns.Load(text); ok {
		return known.(*regexp.Regexp), nil //nolint:forcetypeassert // nothing else is kept
	}
	expression := text
	if expression == `\S` {
		expression = `[^\s]`
	}
	expression = strings.ReplaceAll(expression, `[^\s`, `[^\s`+unseen)
	expression = strings.ReplaceAll(expression, endOfText, endOfText+astral)
	compiled, err := regexp.Compile(escapedRune.ReplaceAllString(expression, `\x{$1}`))
	if err != nil {
		return nil, err
	}
	patterns.Store(text, compiled)
	return compiled, nil
}

// isTextPattern reports whether a pattern only excludes characters from free text.
func isTextPattern(pattern string) bool { return strings.HasPrefix(pattern, `^[^`) }

var (
	patternsOnce sync.Once
	errPatterns  error
)

// usePatterns compiles the contract's patterns before any other code in the process does:
// kin-openapi caches the first compiled expression of each pattern.
func usePatterns(doc *openapi3.T) error {
	patternsOnce.Do(func() {
		if err := doc.Validate(context.Background(), openapi3.SetRegexCompiler(compilePattern), openapi3.DisableExamplesValidation()); err != nil {
			errPatterns = fmt.Errorf("contract: %w", err)
		}
	})
	return errPatterns
}
