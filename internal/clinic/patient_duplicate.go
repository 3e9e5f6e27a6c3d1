package clinic

import (
	"strings"
	"unicode/utf8"
)

// Identifier is a patient's number in another system, such as an insurer's.
type Identifier struct {
	System, Value string
}

// Candidate is a possible duplicate of a patient, masked.
type Candidate struct {
	ID         int64
	MRN        string
	MaskedName string   // "A** M*****"
	BirthYear  *int     // nil: not known
	PhoneEnds  *string  // last two digits; nil: not known
	Patient    *Patient // nil: the caller may not read the patient
}

// CandidateOf masks a patient. It includes the record itself if the caller may read it.
func CandidateOf(p Patient, readable bool) Candidate {
	c := Candidate{ID: p.ID, MRN: MRN(p.ID), MaskedName: mask(p.FirstName) + " " + mask(p.LastName)}
	if readable {
		c.Patient = &p
	}
	if p.BirthDate != nil {
		c.BirthYear = &p.BirthDate.Year
	}
	if p.Phone != nil {
		if key := PhoneKey(*p.Phone); len(key) >= 2 {
			ends := key[1:2] + key[0:1] // the key is reversed
			c.PhoneEnds = &ends
		}
	}
	return c
}

// mask keeps the first letter of a name, and shows its length up to eight more.
func mask(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	return string(first) + strings.Repeat("*", min(utf8.RuneCountInString(s[size:]), 8))
}

// MergeGain copies the members that the surviving record lacks from the duplicate, and
// lists them.
func MergeGain(survivor *Patient, duplicate Patient) []string {
	var gained []string
	if survivor.Email == nil && duplicate.Email != nil {
		survivor.Email = duplicate.Email
		gained = append(gained, "email")
	}
	if survivor.Phone == nil && duplicate.Phone != nil {
		survivor.Phone = duplicate.Phone
		gained = append(gained, "phone")
	}
	if survivor.BirthDate == nil && duplicate.BirthDate != nil {
		survivor.BirthDate = duplicate.BirthDate
		gained = append(gained, "birth_date")
	}
	return gained
}
