package contract

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
)

// unseen are the characters, as members of a class of Go's regular expressions, that
// nobody sees: separators, controls, formats, and the letters and symbols that are blank.
// ECMA 262, whose expressions the contract's are, has the separators in \s, and so has
// what takes surrounding spaces away; Go's \s is ASCII's.
const unseen = `\x{0085}\p{Z}\p{Cf}\x{115F}\x{1160}\x{2800}\x{3164}\x{FFA0}`

var (
	escapedRune = regexp.MustCompile(`\\u([0-9A-F]{4})`)
	patterns    sync.Map // compiled, by the contract's text of them
)

// compilePattern compiles a pattern of the contract. One that asks for a character that
// is no space asks for one that can be seen: no name, reason or note is an empty one.
func compilePattern(text string) (openapi3.RegexMatcher, error) {
	if known, ok := patterns.Load(text); ok {
		return known.(*regexp.Regexp), nil //nolint:forcetypeassert // nothing else is kept
	}
	expression := text
	if expression == `\S` {
		expression = `[^\s]`
	}
	expression = strings.ReplaceAll(expression, `[^\s`, `[^\s`+unseen)
	compiled, err := regexp.Compile(escapedRune.ReplaceAllString(expression, `\x{$1}`))
	if err != nil {
		return nil, err
	}
	patterns.Store(text, compiled)
	return compiled, nil
}

// isTextPattern reports whether a pattern excludes characters from a text that is free
// otherwise.
func isTextPattern(pattern string) bool { return strings.HasPrefix(pattern, `^[^`) }

var (
	patternsOnce sync.Once
	errPatterns  error
)

// usePatterns compiles the contract's patterns before anybody else in the process can:
// kin-openapi keeps one expression for each text of a pattern, the first that was compiled.
func usePatterns(doc *openapi3.T) error {
	patternsOnce.Do(func() {
		if err := doc.Validate(context.Background(), openapi3.SetRegexCompiler(compilePattern), openapi3.DisableExamplesValidation()); err != nil {
			errPatterns = fmt.Errorf("contract: %w", err)
		}
	})
	return errPatterns
}
