package clinic

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/net/idna"
	"golang.org/x/text/width"
)

// EmailKey returns the form in which e-mail addresses are compared: trimmed, NFC, and case
// folded (Unicode full case folding). RFC 5321 allows a case-sensitive local part, but no
// provider in use has one, and Ann@ and ann@ must not become two patients. domainKey
// returns the domain's key.
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

// domainKey returns the form in which domains are compared: full-width letters, which
// Chinese and Japanese keyboards produce, are narrowed, and punycode labels decoded.
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

// decodeLabel returns the folded text of a punycode label. It reports false for other
// labels, and for those that no domain can have.
func decodeLabel(label string) (string, bool) {
	if !strings.HasPrefix(label, "xn--") {
		return "", false
	}
	decoded, err := idna.Punycode.ToUnicode(label)
	if err != nil || decoded == label {
		return "", false
	}
	// Compare before folding: ß and ς have their own encodings, but fold to ss and σ, which
	// are encoded differently.
	if again, err := idna.Punycode.ToASCII(decoded); err != nil || again != label {
		return "", false
	}
	text := narrow(textKey(decoded))
	return text, !strings.HasPrefix(text, "xn--") && !strings.Contains(dots.Replace(text), ".")
}

// narrow returns a label without full-width letters. A full-width @ stays: narrowed, it
// would begin another domain.
func narrow(label string) string {
	if strings.ContainsRune(label, '\uff20') {
		return label
	}
	return textKey(width.Fold.String(label))
}

// extension matches the extension after a number.
var extension = regexp.MustCompile(`(?i),? *(?:;ext=|ext\.?|[x#]) *([0-9]{1,7}) *$`)

// phone is a parsed number; its digits have no leading zeros.
type phone struct {
	country   string // "" in national format
	number    string
	extension string
}

// parsePhone parses a number. One that begins with + or 00 is international, and its (0),
// which is dialled nationally only, is dropped. The country of a national number is not
// known and need not be: numbers are compared by the digits that both have.
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

// PhoneKey returns the key by which phone numbers are searched: the digits in reverse, so
// that "ends with" is a prefix that an index can find, without the leading zeros of
// national numbers, and the extension, if any, after an x.
func PhoneKey(s string) string {
	p := parsePhone(s)
	key := reversed(p.country + p.number)
	if p.extension != "" && key != "" {
		key += "x" + p.extension
	}
	return key
}

// PhoneHome returns the prefix of the number's key without its country code, if it has one.
func PhoneHome(s string) string {
	p := parsePhone(s)
	if p.country != "" {
		return reversed(p.number)
	}
	// A country code may have been typed without its +.
	if digits := digitsOf(s); len(digits) >= 10 && digits[0] != '0' {
		if n, err := phonenumbers.Parse("+"+digits, phonenumbers.UNKNOWN_REGION); err == nil && phonenumbers.IsValidNumber(n) {
			return reversed(strconv.FormatUint(n.GetNationalNumber(), 10))
		}
	}
	return reversed(p.number)
}

// SamePhone reports whether two keys may belong to the same number: they are equal, or one
// has up to three more digits, a country code. Different extensions are different numbers.
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
