package clinic_test

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"mems/internal/clinic"
)

// names reports whether a text search finds a name.
func names(first, last, text string) bool {
	search := clinic.NameSearch(text)
	keys := clinic.NameKeys(first, last)
	for _, beginnings := range search {
		if !slices.ContainsFunc(beginnings, func(b string) bool {
			return slices.ContainsFunc(keys, func(k clinic.NameKey) bool { return strings.HasPrefix(k.Key, b) })
		}) {
			return false
		}
	}
	return len(search) > 0
}

// alike reports whether two names are considered the same.
func alike(a, b [2]string) bool {
	whole := clinic.WholeNames(a[0], a[1])
	return slices.ContainsFunc(clinic.NameKeys(b[0], b[1]), func(k clinic.NameKey) bool { return slices.Contains(whole[:], k.Key) })
}

func TestNamesThatAreOne(t *testing.T) {
	for _, same := range [][]string{
		{"Strauß", "STRAUSS", "strauss", "Strauẞ"},
		{"Işık", "IŞIK", "isik", "İşık", "ışık"},
		{"Ødegård", "Odegard", "ØDEGÅRD", "Oedegaard", "Odegaard"},
		{"Łukasz", "Lukasz", "ŁUKASZ"},
		{"Đặng", "Dang", "ĐẶNG"},
		{"Æbelø", "Aebeloe", "Abelo"},
		{"Müller", "Muller", "Mueller", "MU\u0308LLER"},
		{"Jörg", "Jorg", "Joerg"},
		{"Bäcker", "Backer", "Baecker"},
		{"Œuvrard", "Oeuvrard", "Ouvrard"},
		{"Þór", "Thor"},
		{"O'Brien", "O’Brien", "OʼBrien", "O`Brien", "O´Brien", "OBrien", "O Brien", "o‘brien", "O′Brien"},
		{"Anne-Marie", "Anne Marie", "Annemarie", "Anne‐Marie", "ANNE–MARIE"},
		{"J. R.", "JR", "J.R.", "j r"},
		{"ﬁnn", "Finn"},
		{"Иванов", "ИВАНОВ"},
		{"Παπαδόπουλος", "ΠΑΠΑΔΟΠΟΥΛΟΣ"},
		{"王小明"},
		{"محمد", "مُحَمَّد"},
		{"がく"},
		{"🦄"},
	} {
		for _, a := range same {
			for _, b := range same {
				if !alike([2]string{"Kim", a}, [2]string{b, "Kim"}) || clinic.NameBucket("Kim", a) != clinic.NameBucket(b, "Kim") {
					t.Errorf("%q and %q have different keys or buckets, want the same", a, b)
				}
				if !names("Kim", a, b) || !names("Kim", a, "kim, "+b) {
					t.Errorf("search for %q does not find %q, want it found", b, a)
				}
			}
		}
	}
	for _, two := range [][2]string{{"Müller", "Müllers"}, {"Иванов", "Петров"}, {"王", "汪"}, {"Kim", "Tim"}, {"がく", "かく"}} {
		if alike([2]string{"Ann", two[0]}, [2]string{"Ann", two[1]}) {
			t.Errorf("%q and %q have the same keys, want different ones", two[0], two[1])
		}
	}
}

func TestNamesAreFoundByAnyWord(t *testing.T) {
	for _, c := range []struct{ first, last, text string }{
		{"María José", "García Márquez", "Marquez"},
		{"María José", "García Márquez", "marq jose"},
		{"María José", "García Márquez", "Márquez, María"},
		{"Jan", "van der Berg", "Berg, Jan"},
		{"Jan", "van der Berg", "van der Berg, Jan"},
		{"Jan", "van der Berg", "jan berg"},
		{"Jan", "van der Berg", "vanderberg"},
		{"Siobhán", "O'Brien", "brien"},
		{"Anna", "Ekberg", "annaekberg"},
		{"Aiko", "Haddad", "Haddad, Aiko"},
		{"小明", "王", "王小明"},
		{"Ann", "Muster", "an mu"},
	} {
		if !names(c.first, c.last, c.text) {
			t.Errorf("search for %q does not find %s %s, want it found", c.text, c.first, c.last)
		}
	}
	if names("Ann", "Muster", "usters") || names("Ann", "Muster", "-") || names("Ann", "Muster", "ann muster x") {
		t.Error("search for a part of a word, for nothing or for a word too many finds Ann Muster, want none")
	}
}

// Every name is found by itself, in any order, composed or not, in capitals, and by every
// prefix.
func TestNameKeysProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkNames(t, words().Draw(t, "first"), words().Draw(t, "last")) })
}

func FuzzNameKeys(f *testing.F) {
	f.Add("Jan", "van der Berg")
	f.Add("İ ﬁ", "ǰ ß")
	f.Add("θ\u07ef\x1e\u0711", "")          // a mark that sorts before the mark of the previous word
	f.Add("\u1100 \u1161", "\u0dd9 \u0dcf") // two halves of a letter, each a separate word
	f.Fuzz(func(t *testing.T, first, last string) { checkNames(t, first, last) })
}

func checkNames(t rapid.TB, first, last string) {
	t.Helper()
	first, last = clinic.Text(strings.ToValidUTF8(first, "")), clinic.Text(strings.ToValidUTF8(last, ""))
	whole := clinic.WholeNames(first, last)
	swapped := clinic.WholeNames(last, first)
	if whole[0] != swapped[1] || whole[1] != swapped[0] || clinic.NameBucket(first, last) != clinic.NameBucket(last, first) {
		t.Fatalf("keys of %+q %+q depend on the order of the names, want them not to", first, last)
	}
	if decomposed := clinic.WholeNames(norm.NFD.String(first), norm.NFD.String(last)); decomposed != whole {
		t.Fatalf("keys of %+q %+q decomposed = %q, want %q", first, last, decomposed, whole)
	}
	for _, k := range clinic.NameKeys(first, last) {
		if again := clinic.WholeNames(k.Key, "")[0]; again != k.Key {
			t.Fatalf("key %+q of %+q %+q has the key %+q, want itself", k.Key, first, last, again)
		}
	}
	if whole[0] != "" && !alike([2]string{first, last}, [2]string{first, last}) {
		t.Fatalf("%+q %+q is not like itself, want it to be", first, last)
	}
}

// Every name is found by its own words, whatever they begin with.
func TestNamesThatBeginInTheMiddleOfALetter(t *testing.T) {
	for _, c := range [][2]string{{"\u1100", "\u1161"}, {"하", "\u11abZ"}, {"\u1100", "\u1161zz"}, {"θ\u07ef", "\u0711α"}} {
		if text := c[0] + " " + c[1]; !names(c[0], c[1], text) || !names(c[0], c[1], c[1]+", "+c[0]) {
			t.Errorf("search for %+q does not find it, want it found", text)
		}
	}
}
