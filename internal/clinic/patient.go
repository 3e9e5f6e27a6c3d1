package clinic

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Patient is a person who is treated.
type Patient struct {
	ID        int64
	FirstName string
	LastName  string
	Email     *string // nil: none known
	Phone     *string // nil: none known
	BirthDate *Date   // nil: not known
	// Identifiers are by system and value.
	Identifiers []Identifier
	MergedInto  *int64 // the surviving record; nil: not merged
	Version     int64  // counts changes; the record's ETag
	CreatedAt   time.Time
	UpdatedAt   time.Time
	MadeBy      *int64     // the API key it was created with; nil: by staff
	ErasedAt    *time.Time // nil: not erased
}

// Normalize puts the texts into their stored form.
func (p *Patient) Normalize() {
	p.FirstName, p.LastName = Text(p.FirstName), Text(p.LastName)
	for _, s := range []*string{p.Email, p.Phone} {
		if s != nil {
			*s = Text(*s)
		}
	}
	for i := range p.Identifiers {
		p.Identifiers[i].System, p.Identifiers[i].Value = Text(p.Identifiers[i].System), Text(p.Identifiers[i].Value)
	}
	slices.SortFunc(p.Identifiers, func(a, b Identifier) int {
		return cmp.Or(strings.Compare(a.System, b.System), strings.Compare(a.Value, b.Value))
	})
	p.Identifiers = slices.Compact(p.Identifiers)
}

// PatientPatch is a merge patch of a patient: members that are not Set stay.
type PatientPatch struct {
	FirstName Change[string]
	LastName  Change[string]
	Email     Change[*string]
	Phone     Change[*string]
	BirthDate Change[*Date]
	// Identifiers replaces them all.
	Identifiers Change[[]Identifier]
}

// Apply applies the patch to p.
func (c PatientPatch) Apply(p *Patient) {
	c.FirstName.apply(&p.FirstName)
	c.LastName.apply(&p.LastName)
	c.Email.apply(&p.Email)
	c.Phone.apply(&p.Phone)
	c.BirthDate.apply(&p.BirthDate)
	c.Identifiers.apply(&p.Identifiers)
	p.Normalize()
}

// Change is one member of a merge patch (RFC 7396). The zero value leaves the
// member as it is.
type Change[T any] struct {
	Set   bool
	Value T
}

// ChangeTo returns the change that sets v.
func ChangeTo[T any](v T) Change[T] { return Change[T]{Set: true, Value: v} }

func (c Change[T]) apply(to *T) {
	if c.Set {
		*to = c.Value
	}
}

// Validate checks what the contract's schema cannot express, a name that is too long once
// normalised and a birth date after today, the clinic's local day: CodeValidationFailed
// with all violations. p must be normalised.
func (p *Patient) Validate(today Date) error {
	var vs []Violation
	vs = checkLength(vs, "#/first_name", p.FirstName, 100)
	vs = checkLength(vs, "#/last_name", p.LastName, 100)
	if p.BirthDate != nil && today.Before(*p.BirthDate) {
		vs = append(vs, Violation{Pointer: "#/birth_date", Code: "future", Detail: "must not lie after today"})
	}
	return invalid(vs)
}
