package clinic_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"mems/internal/clinic"
)

func TestText(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"Empty", "", ""},
		{"OnlySpaces", " \t\r\n\u00a0\u3000", ""},
		{"Trimmed", "\u00a0 Ann \u2003\n", "Ann"},
		{"InnerSpacesKept", "Ann  Maria", "Ann  Maria"},
		{"CaseKept", "McDonald", "McDonald"},
		{"Composed", "Rene\u0301", "René"},
		{"MarksInOrder", "a\u0323\u0307", "ạ\u0307"},
		{"MarksOutOfOrder", "a\u0307\u0323", "ạ\u0307"},
		{"AngstromSign", "\u212bngström", "Ångström"},
		{"Hangul", "\u1100\u1161\u11a8", "각"},
		{"LigatureKept", "ﬁ", "ﬁ"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := clinic.Text(c.in); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// Text returns the same for equivalent inputs, and is idempotent.
func TestTextIsOneForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := words().Draw(t, "s")
		kept := clinic.Text(s)
		if again := clinic.Text(kept); again != kept {
			t.Fatalf("Text(%q) = %q, want it unchanged", kept, again)
		}
		if other := clinic.Text(" " + norm.NFD.String(s) + "\n"); other != kept {
			t.Fatalf("Text of the decomposed text = %q, want that of the composed, %q", other, kept)
		}
	})
}

// words draws texts with many letters that fold or compose in unusual ways.
func words() *rapid.Generator[string] {
	odd := []rune("aAzZ.@ 09iIİıſsSßẞσΣςǰŉﬃᾳᾼΐκKKåÅÅꭰᎠᏸᏰǅ\u0300\u0301\u0307\u0308\u0323\u0345\u0331\u030c\u200d가\u1100\u1161")
	return rapid.StringOf(rapid.OneOf(rapid.SampledFrom(odd), rapid.Rune()))
}

func TestParseEmail(t *testing.T) {
	local64 := strings.Repeat("l", 64)
	domain := strings.Repeat(strings.Repeat("d", 62)+".", 3) // 189 octets
	for _, c := range []struct{ name, in, want string }{
		{"Plain", "ann@example.org", "ann@example.org"},
		{"Trimmed", " \tann@example.org\u00a0\n", "ann@example.org"},
		{"CaseKept", "Ann.Muster@Example.ORG", "Ann.Muster@Example.ORG"},
		{"Tag", "ann+clinic@example.org", "ann+clinic@example.org"},
		{"Atext", "!#$%&'*+-/=?^_`{|}~@example.org", "!#$%&'*+-/=?^_`{|}~@example.org"},
		{"NoDot", "ann@localhost", "ann@localhost"},
		{"Composed", "rene\u0301@example.org", "rené@example.org"},
		{"IDN", "ann@bu\u0308cher.example", "ann@bücher.example"},
		{"IDNEncoded", "ann@xn--bcher-kva.example", "ann@xn--bcher-kva.example"},
		{"OtherScripts", "用户@例子.广告", "用户@例子.广告"},
		{"LooksEncoded", "=?utf-8?q?a?=@example.org", "=?utf-8?q?a?=@example.org"},
		{"LongestLocal", local64 + "@example.org", local64 + "@example.org"},
		{"Longest", local64 + "@" + domain[:188] + "d", local64 + "@" + domain[:188] + "d"},
		{"LongestWithSpaces", "  " + local64 + "@" + domain[:188] + "d  ", local64 + "@" + domain[:188] + "d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, ok := clinic.ParseEmail(c.in); got != c.want || !ok {
				t.Errorf("ParseEmail(%q) = %q, %t, want %q", c.in, got, ok, c.want)
			}
		})
	}
	for _, c := range []struct{ name, in string }{
		{"Empty", ""},
		{"Blank", "  "},
		{"NoAt", "ann.example.org"},
		{"NoLocal", "@example.org"},
		{"NoDomain", "ann@"},
		{"TwoAts", "ann@muster@example.org"},
		{"FullWidthAt", "ann＠example.org"},
		{"Named", "Ann Muster <ann@example.org>"},
		{"AngleBrackets", "<ann@example.org>"},
		{"Quoted", `"ann muster"@example.org`},
		{"QuotedNeedlessly", `"ann"@example.org`},
		{"QuotedAt", `"ann@muster"@example.org`},
		{"Comment", "ann@example.org (home)"},
		{"CommentBefore", "(home) ann@example.org"},
		{"Group", "all: ann@example.org;"},
		{"List", "ann@example.org, bob@example.org"},
		{"DomainLiteral", "ann@[192.0.2.1]"},
		{"LeadingDot", ".ann@example.org"},
		{"TrailingDot", "ann.@example.org"},
		{"DoubleDot", "ann..muster@example.org"},
		{"DomainLeadingDot", "ann@.example.org"},
		{"DomainTrailingDot", "ann@example.org."},
		{"Space", "ann muster@example.org"},
		{"SpaceAroundAt", "ann @ example.org"},
		{"Newline", "ann@example.org\nBcc: bob@example.org"},
		{"Control", "ann\u0007@example.org"},
		{"ControlC1", "ann\u0085muster@example.org"},
		{"Delete", "ann\u007f@example.org"},
		{"Zero", "ann\x00@example.org"},
		{"NoBreakSpace", "ann\u00a0muster@example.org"},
		{"LineSeparator", "ann\u2028muster@example.org"},
		{"ZeroWidthSpace", "ann@example.org\u200b"},
		{"ByteOrderMark", "\ufeffann@example.org"},
		{"SoftHyphen", "ann\u00admuster@example.org"},
		{"RightToLeftOverride", "ann\u202egro.elpmaxe@example.org"},
		{"InvalidUTF8", "ann\xff@example.org"},
		{"LocalTooLong", local64 + "l@example.org"},
		{"LocalTooLongInOctets", strings.Repeat("é", 33) + "@example.org"},
		{"TooLong", local64 + "@" + domain + "d"},
		{"TooLongInOctets", "ann@" + strings.Repeat("é", 126)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, ok := clinic.ParseEmail(c.in); ok || got != "" {
				t.Errorf("ParseEmail(%q) = %q, %t, want it refused", c.in, got, ok)
			}
		})
	}
}

func TestEmailKey(t *testing.T) {
	for _, c := range []struct{ name, a, b string }{
		{"Case", "Ann@Example.ORG", "ann@example.org"},
		{"Spaces", " ann@example.org\t", "ann@example.org"},
		{"NormalForms", "rene\u0301@example.org", "ren\u00e9@example.org"},
		{"NormalFormsAndCase", "RENE\u0301@example.org", "ren\u00e9@example.org"},
		{"ComposedByFolding", "J\u030c@example.org", "\u01f0@example.org"},
		{"DottedI", "İ@example.org", "i\u0307@example.org"},
		{"SharpS", "strasse@example.org", "STRAßE@example.org"},
		{"CapitalSharpS", "strasse@example.org", "straẞe@example.org"},
		{"FinalSigma", "νίκος@example.org", "ΝΊΚΟΣ@example.org"},
		{"KelvinSign", "\u212aelvin@example.org", "kelvin@example.org"},
		{"LongS", "ſam@example.org", "sam@example.org"},
		{"Ligature", "gri\ufb03n@example.org", "GRIFFIN@example.org"},
		{"IotaSubscript", "\u1fb3@example.org", "ΑΙ@example.org"},
		{"Cherokee", "Ꭰ@example.org", "ꭰ@example.org"},
		{"CherokeeOld", "Ᏸ@example.org", "ᏸ@example.org"},
		{"DomainIDN", "ann@BU\u0308CHER.example", "ann@bücher.example"},
	} {
		t.Run("Same"+c.name, func(t *testing.T) {
			if a, b := clinic.EmailKey(c.a), clinic.EmailKey(c.b); a != b {
				t.Errorf("EmailKey(%q) = %q and EmailKey(%q) = %q, want the same", c.a, a, c.b, b)
			}
		})
	}
	for _, c := range []struct{ name, a, b string }{
		{"Accent", "rene@example.org", "rené@example.org"},
		{"DotlessI", "ı@example.org", "i@example.org"},
		{"DottedI", "İ@example.org", "i@example.org"},
		{"Dots", "a.nn@example.org", "ann@example.org"},
		{"Tag", "ann+clinic@example.org", "ann@example.org"},
		{"Umlaut", "müller@example.org", "mueller@example.org"},
		{"OtherScript", "аnn@example.org", "ann@example.org"},
	} {
		t.Run("Other"+c.name, func(t *testing.T) {
			if a, b := clinic.EmailKey(c.a), clinic.EmailKey(c.b); a == b {
				t.Errorf("EmailKey(%q) and EmailKey(%q) = %q, want different keys", c.a, c.b, a)
			}
		})
	}
}

// Every letter, mark and symbol and its other cases share one key, which is its own key,
// and is no longer than ParseEmail assumes: the column can hold every key.
func TestEmailKeyOfEveryRune(t *testing.T) {
	for r := range rune(unicode.MaxRune) + 1 {
		if !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.S) || unicode.In(r, unicode.Han, unicode.Hangul, unicode.Tangut) {
			continue // not a character, or one without case
		}
		s := "a" + string(r) + "b"
		key := clinic.EmailKey(s)
		if again := clinic.EmailKey(key); again != key {
			t.Errorf("%U: the key %q has the key %q, want itself", r, key, again)
		}
		if utf8.RuneCountInString(key) > len(s) {
			t.Errorf("%U: key %q, want at most %d characters", r, key, len(s))
		}
		if other := unicode.SimpleFold(r); other != r && clinic.EmailKey("a"+string(other)+"b") != key {
			t.Errorf("%U has the key %q, want %U to have it, too", r, key, other)
		}
	}
}

func TestEmailKeyIsOneForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkEmailKey(t, words().Draw(t, "s")) })
}

func FuzzEmailKey(f *testing.F) {
	for _, s := range []string{"Ann@Example.org", "STRAßE@İ.ς", "e\u0301\u0345\u0301", "\u01f0ꭰᎠ", "\xff", " \u00a0", "ﬃ@ŉ", "\u0345"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { checkEmailKey(t, s) })
}

func checkEmailKey(t rapid.TB, s string) {
	t.Helper()
	key := clinic.EmailKey(s)
	if again := clinic.EmailKey(key); again != key {
		t.Fatalf("key %+q of %+q has the key %+q, want itself", key, s, again)
	}
	if other := clinic.EmailKey(" " + norm.NFD.String(s) + "\n"); other != key {
		t.Fatalf("key of %+q decomposed = %+q, want %+q", s, other, key)
	}
	address, ok := clinic.ParseEmail(s)
	if !ok {
		return
	}
	if again, ok := clinic.ParseEmail(address); !ok || again != address {
		t.Fatalf("ParseEmail(%+q) = %+q, which gives %+q, %t, want the same", s, address, again, ok)
	}
	if clinic.EmailKey(address) != key {
		t.Fatalf("key of %+q = %+q, want that of %+q, %+q", address, clinic.EmailKey(address), s, key)
	}
	if n := utf8.RuneCountInString(key); n > 254 {
		t.Fatalf("key of %+q has %d characters, want at most 254", s, n)
	}
}

func TestPhoneKey(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"Empty", "", ""},
		{"NoDigits", "+ ()-./", ""},
		{"OnlyZeros", "000", ""},
		{"National", "044 555 01 23", "321055544"},
		{"International", "+41 44 555 01 23", "32105554414"},
		{"InternationalWithZeros", "0041 44 555 01 23", "32105554414"},
		{"Punctuation", "(044) 555.01/23-", "321055544"},
		{"ZerosAtEndKept", "044 555 01 00", "001055544"},
		{"OtherDigitsAreNone", "٠٤٤ 5", "5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := clinic.PhoneKey(c.in); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func digitsOf(number string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, number)
}

// The end of a number, with or without its leading zero and however spaced, finds the
// number by a prefix of its key.
func TestPhoneKeyFindsByTheEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// The zero in "+41 (0)44", for domestic calls only, is not in the key.
		number := rapid.StringMatching(`\+?([ ()./-]?[0-9]){4,15}`).Filter(func(number string) bool {
			return len(clinic.PhoneKey(number)) == len(strings.TrimLeft(digitsOf(number), "0"))
		}).Draw(t, "number")
		digits := digitsOf(number)
		from := rapid.IntRange(0, len(digits)-1).Draw(t, "from")
		// Two zeros would begin an international number, a different one.
		zero := rapid.SampledFrom([]string{"", "0"}).Draw(t, "zero")
		end := zero + strings.Join(strings.Split(strings.TrimLeft(digits[from:], "0"), ""), " ")
		if !strings.HasPrefix(clinic.PhoneKey(number), clinic.PhoneKey(end)) {
			t.Fatalf("search for %q does not find %q, want it found", end, number)
		}
	})
}
