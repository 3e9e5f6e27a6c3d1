package clinic

import (
	"hash/fnv"
	"slices"
	"strings"
	"unicode"

	"github.com/mozillazg/go-unidecode"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Names are searched and compared by key: letters and digits only, case folded, without
// marks, with ligatures and strokes resolved, and with letters that some languages spell in
// two ways (ü and ue, ø and oe, å and aa) reduced to the base letter (u, o, a). Spaces,
// hyphens, apostrophes and dots between the words of a name are ignored.
//
// The words of a name are found in any order because every rotation of them is stored: each
// word, and each run of consecutive words, begins a rotation.

const (
	maxNameKey   = 64 // letters that are compared
	maxNameWords = 16 // words that begin a rotation
)

// NameKey is one rotation of a patient's name.
type NameKey struct {
	Key    string
	Family bool // begins with a word of the last name
}

// NameKeys lists the rotations of a name, each once.
func NameKeys(first, last string) []NameKey {
	given, family := nameWords(first), nameWords(last)
	words := append(slices.Clone(given), family...)
	var keys []NameKey
	for i := range min(len(words), maxNameWords) {
		k := NameKey{joinKey(append(slices.Clone(words[i:]), words[:i]...)...), i >= len(given)}
		if j := slices.IndexFunc(keys, func(o NameKey) bool { return o.Key == k.Key }); j >= 0 {
			keys[j].Family = keys[j].Family || k.Family
			continue
		}
		keys = append(keys, k)
	}
	// The last name first, however many words it has.
	if k := joinKey(append(slices.Clone(family), given...)...); k != "" && !slices.ContainsFunc(keys, func(o NameKey) bool { return o.Key == k }) {
		keys = append(keys, NameKey{k, true})
	}
	return keys
}

// WholeNames returns the two keys of the whole name; every similar name has one of them
// among its own.
func WholeNames(first, last string) [2]string {
	given, family := nameWords(first), nameWords(last)
	return [2]string{joinKey(append(slices.Clone(given), family...)...), joinKey(append(slices.Clone(family), given...)...)}
}

// NameSearch returns, for each word of a search, the key prefixes by which a name contains
// it: the word itself, or the word joined to those before it, since "Anne Marie" finds
// Annemarie. A name matches if it has one prefix for each word.
func NameSearch(text string) [][]string {
	var words []string
	for _, word := range strings.FieldsFunc(Text(text), func(r rune) bool { return unicode.IsSpace(r) || r == ',' || r == ';' || r == '，' || r == '、' }) {
		if folded := strings.Join(nameWords(word), ""); folded != "" {
			words = append(words, folded)
		}
	}
	words = words[:min(len(words), 8)]
	search := make([][]string, len(words))
	for i := range words {
		for from := i; from >= 0; from-- {
			search[i] = append(search[i], joinKey(words[from:i+1]...))
		}
	}
	return search
}

// NameBucket returns the guard that registrations of similar names share: one of
// NameBuckets. It depends on the set of letters, not on their order, and not on letters
// that joining words may drop.
func NameBucket(first, last string) int {
	letters := []rune(strings.NewReplacer("a", "", "e", "").Replace(strings.Join(append(nameWords(first), nameWords(last)...), "")))
	slices.Sort(letters)
	h := fnv.New32a()
	_, _ = h.Write([]byte(string(letters))) // a hash never fails
	return int(h.Sum32() % NameBuckets)
}

// NameBuckets is the number of guards for names.
const NameBuckets = 4096

// joinKey returns the key of joined words: ae, oe, ue and aa become one letter, and at most
// maxNameKey letters are kept. Each letter depends only on those before it, so the key of a
// prefix is a prefix of the key.
func joinKey(words ...string) string {
	var key []rune
	var before rune
	for _, r := range strings.Join(words, "") {
		double := r == 'e' && (before == 'a' || before == 'o' || before == 'u') || r == 'a' && before == 'a'
		if !double {
			key = append(key, r)
			before = r
		}
		if len(key) == maxNameKey {
			break
		}
	}
	return string(key)
}

// nameWords splits a text into folded words.
func nameWords(text string) []string {
	var words []string
	var word strings.Builder
	end := func() {
		if word.Len() > 0 {
			words = append(words, norm.NFC.String(word.String()))
			word.Reset()
		}
	}
	// Fold before and after decomposing: a capital with a mark, and an enclosed letter, need
	// both.
	for _, r := range norm.NFKD.String(strings.ToLower(cases.Fold().String(norm.NFKD.String(text)))) {
		switch {
		case r == 'ı':
			word.WriteByte('i')
		case r == 'ə':
			word.WriteByte('e')
		case dropped(r):
		case word.Len() == 0 && !norm.NFC.PropertiesString(string(r)).BoundaryBefore():
			// A mark or a trailing Hangul jamo without its letter would combine with the
			// previous word.
		case r > unicode.MaxASCII && unicode.Is(unicode.Latin, r):
			for _, plain := range strings.ToLower(unidecode.Unidecode(string(r))) {
				if unicode.IsLetter(plain) {
					word.WriteRune(plain)
				}
			}
		case letters[r] != 0:
			word.WriteRune(letters[r])
		case unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.So, unicode.Co):
			word.WriteRune(r)
		default:
			end()
		}
	}
	end()
	return words
}

// letters maps letters that are spelt in two ways within one script.
var letters = map[rune]rune{
	'ى': 'ي', 'ی': 'ي', 'ک': 'ك', 'ة': 'ه', 'ە': 'ه', 'ς': 'σ',
}

// dropped reports whether r is ignored: marks of scripts that are also written without
// them, and invisible characters.
func dropped(r rune) bool {
	switch {
	case r == '\u3099' || r == '\u309a': // makes another Japanese letter
		return false
	case r == '\u0640': // Arabic tatweel
		return true
	case unicode.Is(unicode.Mn, r):
		return unicode.In(r, unicode.Inherited, unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Hebrew, unicode.Arabic)
	case 0x02b0 <= r && r <= 0x02ff: // modifier letters, among them apostrophes
		return true
	}
	return unicode.Is(unicode.Cf, r)
}
