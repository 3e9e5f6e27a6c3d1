package clinic

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/net/idna"
	"golang.org/x/text/width"
)

// EmailKey returns what makes two e-mail addresses the same: trimmed, NFC, and case
// folded (Unicode full case folding). RFC 5321 lets the part before the @ be
// case-sensitive, but no provider that people use does so, and a clinic must not
// keep Ann@ and ann@ as two patients. The domain is keyed by domainKey.
func EmailKey(s string) string {
	key := textKey(s)
	at := strings.LastIndexByte(key, '@')
	if at < 0 {
		return key
	}
	return key[:at+1] + domainKey(key[at+1:])
}

// dots maps the full stops that separate labels (RFC 3490, 3.1) to the ASCII one.
var dots = strings.NewReplacer("\u3002", ".", "\uff0e", ".", "\uff61", ".")

// domainKey returns the form in which a domain is compared: without the width of
// its letters, which Chinese and Japanese keyboards add, and each label in punycode
// as the text it encodes.
func domainKey(domain string) string {
	labels := strings.Split(dots.Replace(domain), ".")
	for i, label := range labels {
		label = narrow(label)
		if decoded, ok := decodeLabel(label); ok {
			label = decoded
		}
		labels[i] = label
	}
	return strings.Join(labels, ".")
}

// decodeLabel returns the folded text of a label in punycode. It reports false for
// any other label, and for one that no domain can have.
func decodeLabel(label string) (string, bool) {
	if !strings.HasPrefix(label, "xn--") {
		return "", false
	}
	decoded, err := idna.Punycode.ToUnicode(label)
	if err != nil || decoded == label {
		return "", false
	}
	// Compared before folding: ß and ς have an encoding of their own, and fold to ss
	// and σ, which encode otherwise.
	if again, err := idna.Punycode.ToASCII(decoded); err != nil || again != label {
		return "", false
	}
	text := narrow(textKey(decoded))
	return text, !strings.HasPrefix(text, "xn--") && !strings.Contains(dots.Replace(text), ".")
}

// narrow returns a label in letters of the usual width. The full-width @ stays, or
// the address would have another domain.
func narrow(label string) string {
	if strings.ContainsRune(label, '\uff20') {
		return label
	}
	return textKey(width.Fold.String(label))
}

// extension is what follows a number within a company.
var extension = regexp.MustCompile(`(?i),? *(?:;ext=|ext\.?|[x#]) *([0-9]{1,7}) *$`)

// phone is a number in its parts: digits without leading zeros.
type phone struct {
	country   string // "" when it is written as at home
	number    string
	extension string
}

// parsePhone reads a number. One that begins with + or 00 has a country, and what
// follows it is without the (0) that is dialled at home only. Of a number as it is
// dialled at home the country is not known, and need not be: the two are compared
// by what both have.
func parsePhone(s string) phone {
	var p phone
	if m := extension.FindStringSubmatchIndex(s); m != nil {
		p.extension, s = s[m[2]:m[3]], s[:m[0]]
	}
	abroad := strings.HasPrefix(strings.TrimLeft(s, " ("), "+")
	if abroad {
		s = strings.Replace(s, "(0)", "", 1)
	}
	digits := digitsOf(s)
	if abroad || strings.HasPrefix(digits, "00") {
		digits = strings.TrimLeft(digits, "0")
		n, err := phonenumbers.Parse("+"+digits, phonenumbers.UNKNOWN_REGION)
		if err == nil && phonenumbers.IsValidNumber(n) {
			p.country = strconv.Itoa(int(n.GetCountryCode()))
			p.number = strconv.FormatUint(n.GetNationalNumber(), 10)
			return p
		}
		if err == nil && abroad {
			p.country = strconv.Itoa(int(n.GetCountryCode()))
			p.number = strings.TrimPrefix(digits, p.country)
			return p
		}
	}
	p.number = strings.TrimLeft(digits, "0")
	return p
}

// PhoneKey is what phone numbers are searched by: their digits from last to
// first, so that "ends with" is a prefix an index can find, without the zeros
// in front of a national number that an international one has not, and the
// extension, if any, after an x.
func PhoneKey(s string) string {
	p := parsePhone(s)
	key := reversed(p.country + p.number)
	if p.extension != "" && key != "" {
		key += "x" + p.extension
	}
	return key
}

// PhoneHome is the beginning of the key of the same number as it is dialled at
// home: without its country, if it has one.
func PhoneHome(s string) string {
	p := parsePhone(s)
	if p.country != "" {
		return reversed(p.number)
	}
	// A country may have been written without its +.
	if digits := digitsOf(s); len(digits) >= 10 && digits[0] != '0' {
		if n, err := phonenumbers.Parse("+"+digits, phonenumbers.UNKNOWN_REGION); err == nil && phonenumbers.IsValidNumber(n) {
			return reversed(strconv.FormatUint(n.GetNationalNumber(), 10))
		}
	}
	return reversed(p.number)
}

// SamePhone reports whether two keys may be of one number: they are equal, or one of
// them has a country of at most three digits more. Different extensions are
// different numbers.
func SamePhone(a, b string) bool {
	a, extA, _ := strings.Cut(a, "x")
	b, extB, _ := strings.Cut(b, "x")
	if extA != "" && extB != "" && extA != extB {
		return false
	}
	if len(a) > len(b) {
		a, b = b, a
	}
	return a == b && len(a) >= 4 || len(a) >= 6 && len(b)-len(a) <= 3 && strings.HasPrefix(b, a)
}

func digitsOf(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

func reversed(digits string) string {
	b := make([]byte, len(digits))
	for i := range len(digits) {
		b[len(b)-1-i] = digits[i]
	}
	return string(b)
}
