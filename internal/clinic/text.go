package clinic

import (
	"fmt"
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf16"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Text returns s as MEMS stores text: without surrounding spaces and in Unicode normal form
// C (UAX #15), so that the same name typed on two keyboards is the same bytes.
func Text(s string) string {
	return norm.NFC.String(strings.TrimSpace(s))
}

// ParseEmail parses an e-mail address: an RFC 5322 addr-spec without comments or quoting,
// at most 254 octets (RFC 5321 section 4.5.3.1.3). It rejects invisible characters (spaces,
// controls, zero-width and bidirectional marks), so that addresses that look alike are
// equal. It returns the address as it is stored.
func ParseEmail(s string) (string, bool) {
	s = Text(s)
	if len(s) > 254 || strings.ContainsFunc(s, invisible) {
		return "", false
	}
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || a.Name != "" {
		return "", false
	}
	local, domain, _ := strings.Cut(s, "@")
	if len(local) > 64 || strings.HasPrefix(domain, "[") {
		return "", false
	}
	return s, true
}

// invisible reports whether r is a separator, a control or a format character.
func invisible(r rune) bool {
	return unicode.In(r, unicode.Z, unicode.Cc, unicode.Cf)
}

// Unreadable reports whether r is forbidden in stored text: a control character (C0, DEL,
// C1), a line or paragraph separator, one that embeds, overrides or isolates the direction of
// text, the byte order mark, a tag character, or a noncharacter. They are invisible, and make
// texts look alike. Joiners and directional marks are part of names and are allowed.
func Unreadable(r rune) bool {
	switch {
	case unicode.IsControl(r), 0x2028 <= r && r <= 0x202e, 0x2066 <= r && r <= 0x2069:
		return true
	case r == 0xfeff, 0xe0000 <= r && r <= 0xe007f:
		return true
	}
	return 0xfdd0 <= r && r <= 0xfdef || r&0xfffe == 0xfffe // noncharacters (Unicode section 23.7)
}

// Details of violations, for a text with an Unreadable character and for one without any
// visible character.
const (
	DetailUnreadable = "must not contain control characters, characters that change the direction of the text, or others that are invisible or no characters"
	DetailBlank      = "must contain a character that can be seen"
)

// IsBlank reports whether a text has no visible character.
func IsBlank(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		switch r {
		case '\u115f', '\u1160', '\u2800', '\u3164', '\uffa0': // blank letters and a blank symbol
			return false
		}
		return !invisible(r)
	})
}

// textKey returns the form in which texts are compared without regard to case.
func textKey(s string) string {
	// Folding can leave a decomposed form, so normalise again. Fold swaps the two cases of
	// Cherokee letters instead of unifying them; no other result has an upper case left.
	return norm.NFC.String(strings.ToLower(cases.Fold().String(Text(s))))
}

// optionalText is Text for an optional text.
func optionalText(s *string) *string {
	if s == nil {
		return nil
	}
	text := Text(*s)
	return &text
}

// checkOptional is checkLength for an optional text.
func checkOptional(vs []Violation, pointer string, text *string, most int) []Violation {
	if text == nil {
		return vs
	}
	return checkLength(vs, pointer, *text, most)
}

// checkLength adds a violation if s is longer than limit, in UTF-16 units as the contract's
// validator counts. The contract has checked the text as it was sent, but a few characters
// become two or three in normal form C.
func checkLength(vs []Violation, pointer, s string, limit int) []Violation {
	if len(utf16.Encode([]rune(s))) <= limit {
		return vs
	}
	return append(vs, Violation{Pointer: pointer, Code: "max_length", Detail: fmt.Sprintf("must be at most %d characters long in normal form C", limit)})
}
