package clinic

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// PatientSearch is a parsed search box. A patient matches if every member that is not empty
// matches.
type PatientSearch struct {
	Name       string   // words of the name
	Email      string   // beginning of an e-mail address
	BirthDates []Date   // the readings of a birth date
	Numbers    []Number // all must match
}

// Number is a group of digits with several readings; one that matches is enough.
type Number struct {
	Text       string // as it was typed
	BirthDates []Date // its readings as a birth date
	Extension  bool   // it ends with one, so it is a phone number
}

// PatientParameters has the parameters of a patient search that cannot be combined with
// every other.
type PatientParameters struct {
	MRN, Identifier, IdentifierSystem *string
	Others                            bool // other search parameters are given
}

// Parse returns the id in the medical record number, 0 without one. Errors:
// CodeValidationFailed.
func (p PatientParameters) Parse() (mrn int64, err error) {
	switch {
	case p.MRN != nil && (p.Others || p.Identifier != nil):
		return 0, Invalid(Violation{Parameter: "mrn", Code: "combination", Detail: "cannot be combined with other searches"})
	case p.MRN != nil:
		id, ok := ParseMRN(*p.MRN)
		if !ok {
			return 0, Invalid(Violation{
				Parameter: "mrn", Code: "invalid", Detail: "is no medical record number: its check digit does not match, look for a wrong or swapped digit",
			})
		}
		return id, nil
	case (p.Identifier == nil) != (p.IdentifierSystem == nil):
		return 0, Invalid(Violation{Parameter: "identifier", Code: "combination", Detail: "must be given together with identifier_system"})
	}
	return 0, nil
}

// Empty reports whether the search has nothing that could match a patient.
func (s PatientSearch) Empty() bool {
	return s.Name == "" && s.Email == "" && len(s.BirthDates) == 0 && len(s.Numbers) == 0
}

var (
	// A date has three groups of digits, the middle one of one or two. Between them are
	// dots, slashes, hyphens, or the Chinese, Japanese and Korean words for year, month and
	// day.
	searchedDate = regexp.MustCompile(`(?:^|[\s,;])([0-9]{1,4})(\s*[./\x{2010}-\x{2013}年년-]\s*)([0-9]{1,2})(\s*[./\x{2010}-\x{2013}月월-]\s*)([0-9]{1,4})\s*[.日일]?(?:$|[\s,;])`)
	searchedWord = regexp.MustCompile(`[^\s,;]+`)
	// A number, with the separators that people type.
	searchedNumber = regexp.MustCompile(`^\+?\(?\+?[0-9][0-9 ()./-]*$`)
	searchedTel    = regexp.MustCompile(`^(?i:tel:) *`)
	digitsOnly     = regexp.MustCompile(`^[+(]*[0-9][0-9()./-]*$`)
	eightDigits    = regexp.MustCompile(`^[0-9]{8}$`)
)

// ParsePatientSearch parses the text of a search box. Readings as a birth date after today
// are dropped.
func ParsePatientSearch(text string, today Date) PatientSearch {
	var s PatientSearch
	text = searchedTel.ReplaceAllString(Text(strings.Map(plainDigit, text)), "")
	if m := searchedDate.FindStringSubmatchIndex(text); m != nil {
		part := func(i int) string { return text[m[2*i]:m[2*i+1]] }
		if dates := readings(part(1), part(3), part(5), today); len(dates) > 0 {
			s.BirthDates = dates
			text = strings.TrimSpace(text[:m[2]] + " " + text[m[1]:])
		}
	}
	if searchedNumber.MatchString(text) { // a single number, whatever its spacing
		s.Numbers = []Number{numberOf(text, today)}
		return s
	}
	if m := extension.FindStringIndex(text); m != nil && searchedNumber.MatchString(text[:m[0]]) {
		s.Numbers = []Number{{Text: text, Extension: true}}
		return s
	}
	var name []string
	for _, word := range searchedWord.FindAllString(text, -1) {
		switch {
		case strings.Contains(word, "@") && s.Email == "":
			s.Email = word
		case digitsOnly.MatchString(word):
			s.Numbers = append(s.Numbers, numberOf(word, today))
		default:
			name = append(name, word)
		}
	}
	s.Name = strings.Join(name, " ")
	return s
}

// plainDigit maps digits and spaces to ASCII, and drops the directional marks that copied
// numbers carry.
func plainDigit(r rune) rune {
	switch {
	case r < unicode.MaxASCII:
		return r
	case unicode.Is(unicode.Nd, r):
		// Decimal digits come in runs from zero to nine (Unicode Standard, 4.6).
		zero := r
		for unicode.Is(unicode.Nd, zero-1) {
			zero--
		}
		return '0' + (r-zero)%10
	case unicode.Is(unicode.Zs, r):
		return ' '
	case unicode.Is(unicode.Bidi_Control, r):
		return -1
	}
	return r
}

func numberOf(text string, today Date) Number {
	n := Number{Text: text}
	if eightDigits.MatchString(text) {
		n.BirthDates = append(readings(text[:4], text[4:6], text[6:], today), readings(text[:2], text[2:4], text[4:], today)...)
	}
	return n
}

// readings returns the dates that three groups of digits may mean: year, month, day if the
// year is first, otherwise day and month in either order. A two-digit year is of this
// century or the last.
func readings(a, b, c string, today Date) []Date {
	var dates []Date
	add := func(year, month, day string) {
		for _, y := range years(year, today) {
			d, ok := ParseDate(pad(y, 4) + "-" + pad(month, 2) + "-" + pad(day, 2))
			if ok && !today.Before(d) && !slices.Contains(dates, d) {
				dates = append(dates, d)
			}
		}
	}
	switch {
	case len(a) == 4 && len(c) <= 2:
		add(a, b, c)
	case len(a) <= 2 && (len(c) == 4 || len(c) == 2):
		add(c, b, a)
		add(c, a, b)
	}
	return dates
}

func years(year string, today Date) []string {
	if len(year) == 4 {
		return []string{year}
	}
	century := today.Year / 100
	return []string{strconv.Itoa(century) + pad(year, 2), strconv.Itoa(century-1) + pad(year, 2)}
}

func pad(digits string, width int) string {
	return strings.Repeat("0", max(0, width-len(digits))) + digits
}

// IDRange is a range of ids, both ends included.
type IDRange struct{ First, Last int64 }

// IDs returns the ids that a number matches: as a whole id or medical record number, or as
// a prefix of either, with or without leading zeros.
func (n Number) IDs() []IDRange {
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, n.Text)
	if len(digits) == 0 || len(digits) > 17 {
		return nil
	}
	var ids []IDRange
	add := func(first, last int64) {
		if last > 0 && !slices.Contains(ids, IDRange{first, last}) {
			ids = append(ids, IDRange{max(first, 1), last})
		}
	}
	value, _ := strconv.ParseInt(digits, 10, 64) // 17 digits at most
	const width = 7                              // of the id in a medical record number
	if strings.HasPrefix(digits, "0") && len(digits) < width {
		tail := pow10(width - len(digits))
		add(value*tail, value*tail+tail-1)
	}
	if value == 0 {
		return ids
	}
	add(value, value)
	for tail := int64(10); value*tail+tail-1 < pow10(width) && !strings.HasPrefix(digits, "0"); tail *= 10 {
		add(value*tail, value*tail+tail-1)
	}
	// The whole record number with its check digit; leading zeros are often dropped.
	if id := value / 10; id > 0 && strings.TrimLeft(MRN(id), "0") == strconv.FormatInt(value, 10) {
		add(id, id)
	}
	return ids
}

func pow10(n int) int64 {
	p := int64(1)
	for range n {
		p *= 10
	}
	return p
}
