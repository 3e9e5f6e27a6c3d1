package fhir

import (
	"net/url"
	"strings"

	"mems/internal/clinic"
)

// Base is the facade's base URL.
type Base struct {
	// Address is used in links, without a trailing slash, such as
	// https://mems.example.org/fhir.
	Address string
	// Asked is the base URL that the client used, "" if that is Address. It is accepted in
	// references but never written: a client may send any Host.
	Asked string
}

// Of returns the URL of a resource.
func (b Base) Of(kind, id string) *string {
	address := b.Address + "/" + kind + "/" + id
	return &address
}

// path returns the path of a reference under b or under the URL that the client used; ok is
// false for a reference to another server.
func (b Base) path(reference string) (path string, ok bool) {
	address, err := url.Parse(reference)
	if err != nil {
		return "", false
	}
	for _, home := range []string{b.Address, b.Asked} {
		home, err := url.Parse(home)
		if err != nil || home.Host == "" || !strings.EqualFold(address.Host, home.Host) {
			continue
		}
		if path, ok := strings.CutPrefix(address.Path, home.Path+"/"); ok {
			return path, true
		}
	}
	return "", false
}

// Reference parses a reference to a resource of this server: "Patient/12", its URL under b,
// with any scheme, or "12" alone, which has no kind. A version (/_history/3) is ignored:
// there is only the current one. complaint is why a reference cannot be used, "" if it can.
func (b Base) Reference(reference string) (kind, id, complaint string) {
	relative := reference
	switch {
	case strings.HasPrefix(reference, "#"):
		return "", "", "is a contained resource; refer to one of this server"
	case strings.HasPrefix(strings.ToLower(reference), "urn:"):
		return "", "", "is a URN; refer to a resource of this server, such as Patient/1"
	case strings.Contains(reference, "://"):
		var here bool
		if relative, here = b.path(reference); !here {
			return "", "", "leads to another server; this one is at " + b.Address
		}
	}
	relative, _, _ = strings.Cut(relative, "/_history/")
	kind, id, both := strings.Cut(relative, "/")
	if !both {
		kind, id = "", relative
	}
	if id == "" || strings.ContainsFunc(id, func(r rune) bool { return !isIDRune(r) }) {
		return "", "", "is no reference to a resource, such as Patient/1"
	}
	return kind, id, ""
}

func isIDRune(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r == '-' || r == '.'
}

// SearchReference parses a search parameter that refers to one of kinds; with one kind, an
// id alone is enough. ok is false for a resource that cannot exist. Errors:
// clinic.CodeValidationFailed for the parameter.
func (b Base) SearchReference(parameter, value string, kinds ...string) (kind string, id int64, ok bool, err error) {
	found, text, complaint := b.Reference(value)
	if complaint == "" && found == "" && len(kinds) == 1 {
		found = kinds[0]
	}
	for _, kind := range kinds {
		if complaint == "" && found == kind {
			id, ok = ParseID(text)
			return kind, id, ok, nil
		}
	}
	if complaint == "" {
		complaint = "must be " + strings.Join(kinds, " or ") + " and an id, such as " + kinds[0] + "/1"
	}
	return "", 0, false, clinic.Invalid(clinic.Violation{Parameter: parameter, Code: "invalid", Detail: complaint})
}

// ParseIDs parses ids separated by commas. It drops text that is not an id; ok is false if
// none is left.
func ParseIDs(list string) (ids []int64, ok bool) {
	for text := range strings.SplitSeq(list, ",") {
		if id, ok := ParseID(text); ok {
			ids = append(ids, id)
		}
	}
	return ids, len(ids) > 0
}
