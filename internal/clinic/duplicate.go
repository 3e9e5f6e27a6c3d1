package clinic

import (
	"strings"
	"unicode/utf8"
)

// Identifier is a number that a patient has elsewhere, such as with an insurer.
type Identifier struct {
	System, Value string
}

// Candidate is a patient who may be the same person, masked.
type Candidate struct {
	ID         int64
	MRN        string
	MaskedName string   // "A** M*****"
	BirthYear  *int     // nil: not known
	PhoneEnds  *string  // last two digits; nil: not known
	Patient    *Patient // nil: the caller may not read the patient
}

// CandidateOf masks a patient. The record itself is added for a caller who may
// read it.
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
			ends := key[1:2] + key[0:1] // the key is backwards
			c.PhoneEnds = &ends
		}
	}
	return c
}

// mask leaves the first letter of a name, and its length up to eight.
func mask(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	return string(first) + strings.Repeat("*", min(utf8.RuneCountInString(s[size:]), 8))
}

// MergeGain lists what a merge would take over from the duplicate: the members
// that the survivor has not.
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
