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

// A name is compared by its key, in searches and for likeness: letters and digits
// alone, case folded, without marks, ligatures and strokes resolved, and with what
// some languages write in two ways (ü and ue, ø and oe, å and aa) as the one letter
// that a third way leaves of it. Spaces, hyphens, apostrophes and dots between the
// words of a name are nothing.
//
// The words of a name are found in any order because every rotation of them is
// kept: what begins with a word, or with several that follow each other, begins a
// rotation.

const (
	maxNameKey   = 64 // letters that are compared
	maxNameWords = 16 // words with a rotation of their own
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

// WholeNames are the two keys of which every alike name has one among its own.
func WholeNames(first, last string) [2]string {
	given, family := nameWords(first), nameWords(last)
	return [2]string{joinKey(append(slices.Clone(given), family...)...), joinKey(append(slices.Clone(family), given...)...)}
}

// NameSearch lists, for each word that is searched for, the beginnings of keys with
// which a name has it: the word, or the word after those before it, since "Anne
// Marie" finds Annemarie. A name matches that has one of each.
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

// NameBucket is the guard that the registrations of alike names share: one of
// NameBuckets. It depends on the letters alone, so on no order, but not on those
// that joining words may drop.
func NameBucket(first, last string) int {
	letters := []rune(strings.NewReplacer("a", "", "e", "").Replace(strings.Join(append(nameWords(first), nameWords(last)...), "")))
	slices.Sort(letters)
	h := fnv.New32a()
	_, _ = h.Write([]byte(string(letters))) // a hash takes everything
	return int(h.Sum32() % NameBuckets)
}

// NameBuckets is how many guards there are for names.
const NameBuckets = 4096

// joinKey makes the key of words: one letter of ae, oe, ue and aa, and no more than
// maxNameKey letters. Each letter depends on those before it only, so the key of a
// beginning is the beginning of the key.
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

// nameWords cuts a text into folded words.
func nameWords(text string) []string {
	var words []string
	var word strings.Builder
	end := func() {
		if word.Len() > 0 {
			words = append(words, norm.NFC.String(word.String()))
			word.Reset()
		}
	}
	// Folding comes before and after decomposing: a capital with a mark, and a letter in a
	// box, have no other way.
	for _, r := range norm.NFKD.String(strings.ToLower(cases.Fold().String(norm.NFKD.String(text)))) {
		switch {
		case r == 'ı':
			word.WriteByte('i')
		case r == 'ə':
			word.WriteByte('e')
		case dropped(r):
		case word.Len() == 0 && !norm.NFC.PropertiesString(string(r)).BoundaryBefore():
			// A mark, or a half of a Hangul syllable, without its letter would become one
			// with the word before it.
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

// letters are written in two ways in one script.
var letters = map[rune]rune{
	'ى': 'ي', 'ی': 'ي', 'ک': 'ك', 'ة': 'ه', 'ە': 'ه', 'ς': 'σ',
}

// dropped reports whether a name without r is the same: marks of the scripts that
// are also written without, and what nobody can see.
func dropped(r rune) bool {
	switch {
	case r == '\u3099' || r == '\u309a': // another letter of Japanese
		return false
	case r == '\u0640': // stretches Arabic
		return true
	case unicode.Is(unicode.Mn, r):
		return unicode.In(r, unicode.Inherited, unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Hebrew, unicode.Arabic)
	case 0x02b0 <= r && r <= 0x02ff: // modifier letters, of which some are apostrophes
		return true
	}
	return unicode.Is(unicode.Cf, r)
}
