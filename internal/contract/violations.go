package contract

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"

	"mems/internal/clinic"
)

// violationsOf flattens kin-openapi's tree of errors (MultiError > RequestError >
// MultiError > SchemaError) into a list of violations.
func violationsOf(err error) []clinic.Violation {
	var vs []clinic.Violation
	collect(err, "", &vs)
	return vs
}

// collect adds the violations of err; parameter is "" for the body.
func collect(err error, parameter string, vs *[]clinic.Violation) {
	if many, ok := err.(openapi3.MultiError); ok { //nolint:errorlint // its Unwrap hides the siblings
		for _, e := range many {
			collect(e, parameter, vs)
		}
		return
	}
	var request *openapi3filter.RequestError
	if e, ok := err.(*openapi3filter.RequestError); ok { //nolint:errorlint // the outermost, not any
		request = e
	}
	if request != nil {
		if request.Parameter != nil {
			collectParameter(request, vs)
			return
		}
		if errors.Is(request.Err, openapi3filter.ErrInvalidRequired) {
			*vs = append(*vs, clinic.Violation{Pointer: "#", Code: "required", Detail: "a body is required"})
			return
		}
		if request.Err != nil {
			collect(request.Err, "", vs)
			return
		}
	}
	if schema, ok := errors.AsType[*openapi3.SchemaError](err); ok {
		*vs = append(*vs, violationOf(schema, parameter))
	}
}

func collectParameter(e *openapi3filter.RequestError, vs *[]clinic.Violation) {
	name := e.Parameter.Name
	add := func(code, detail string) {
		*vs = append(*vs, clinic.Violation{Parameter: name, Code: code, Detail: detail})
	}
	var parse *openapi3filter.ParseError
	switch {
	case errors.Is(e.Err, openapi3filter.ErrInvalidRequired):
		add("required", "is required")
	case errors.Is(e.Err, openapi3filter.ErrInvalidEmptyValue):
		add("min_length", "must not be empty")
	case errors.As(e.Err, &parse):
		add("type", "must be "+typeWords(e.Parameter.Schema.Value))
	default:
		collect(e.Err, name, vs)
	}
}

// codes maps kin-openapi's schema fields to the contract's codes.
var codes = map[string]string{
	"required": "required", "properties": "unknown", "type": "type", "nullable": "not_null",
	"format": "format", "pattern": "pattern", "enum": "enum",
	"minimum": "minimum", "maximum": "maximum", "minLength": "min_length", "maxLength": "max_length",
	"minProperties": "min_properties", "minItems": "min_items", "maxItems": "max_items", "uniqueItems": "unique_items",
}

// unknownMember finds the name in kin-openapi's message; the error has it nowhere else.
var unknownMember = regexp.MustCompile(`^property ("(?:[^"\\]|\\.)*")`)

func violationOf(e *openapi3.SchemaError, parameter string) clinic.Violation {
	code, known := codes[e.SchemaField]
	if !known {
		code = "invalid"
	}
	v := clinic.Violation{Parameter: parameter, Code: code, Detail: detailOf(code, e.Schema)}
	if text, ok := e.Value.(string); ok && code == "pattern" && isTextPattern(e.Schema.Pattern) {
		switch {
		case clinic.IsBlank(text):
			v.Detail = clinic.DetailBlank
		case strings.ContainsFunc(text, clinic.Unreadable):
			v.Detail = clinic.DetailUnreadable
		}
	}
	if parameter == "If-Match" && (code == "pattern" || code == "min_length") {
		v.Detail = `must be entity tags as ETag has them, in double quotes and separated by commas, such as "1", or *`
	}
	if text, ok := e.Value.(string); ok && code == "max_length" && isTextPattern(e.Schema.Pattern) && len(strings.TrimSpace(text)) < len(text) {
		v.Detail += "; surrounding spaces count"
	}
	if parameter != "" {
		if text, ok := e.Value.(string); ok && lostPlus(code, e.Schema, text) {
			v.Detail += `; write + as %2B in a URL`
		}
		return v
	}
	segments := e.JSONPointer()
	if code == "unknown" {
		if m := unknownMember.FindStringSubmatch(e.Reason); m != nil {
			if name, err := strconv.Unquote(m[1]); err == nil {
				segments = append(slices.Clone(segments), name)
			}
		}
	}
	v.Pointer = pointer(segments)
	return v
}

// lostPlus reports whether a parameter would be a time if its + had not been read as a space.
func lostPlus(code string, s *openapi3.Schema, text string) bool {
	if code != "format" || s.Format != "date-time" {
		return false
	}
	_, ok := clinic.ParseInstant(strings.Replace(text, " ", "+", 1))
	return ok
}

// pointer formats a JSON Pointer as a URI fragment (RFC 6901 sections 3 and 6), truncated
// to the contract's limit, because clients choose member names freely.
func pointer(segments []string) string {
	const limit = 380
	var p strings.Builder
	p.WriteString("#")
	for _, s := range segments {
		p.WriteString("/")
		for _, r := range s {
			escaped := string(r)
			switch { // a Replacer would cost more than the rest of the refusal
			case r == '~':
				escaped = "~0"
			case r == '/':
				escaped = "~1"
			case r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z'):
				escaped = url.PathEscape(escaped)
			}
			if p.Len()+len(escaped) > limit {
				return p.String() + url.PathEscape("…")
			}
			p.WriteString(escaped)
		}
	}
	return p.String()
}

// printable truncates and cleans a name that a client chose.
func printable(s string) string {
	runes := []rune(strings.ToValidUTF8(s, "?"))
	if len(runes) > 80 {
		runes = append(runes[:80], '…')
	}
	return string(runes)
}

// detailOf returns what the contract requires, never what was sent.
func detailOf(code string, s *openapi3.Schema) string {
	switch code {
	case "required":
		return "is required"
	case "unknown":
		return "unknown property"
	case "not_null":
		return "must not be null"
	case "type":
		return "must be " + typeWords(s)
	case "format":
		return "must be " + formatWords(s.Format)
	case "pattern":
		if example, ok := s.Example.(string); ok {
			return fmt.Sprintf("must have the form that the contract describes, such as %q", example)
		}
		return "must have the form that the contract describes"
	case "enum":
		words := make([]string, len(s.Enum))
		for i, e := range s.Enum {
			words[i] = fmt.Sprint(e)
		}
		return "must be one of " + strings.Join(words, ", ")
	case "minimum", "maximum":
		return "must be " + boundsWords(s)
	case "min_length":
		return "must have at least " + clinic.Counted(s.MinLength, "character")
	case "max_length":
		if s.MaxLength != nil {
			return "must have at most " + clinic.Counted(*s.MaxLength, "character")
		}
	case "min_properties":
		return "must have at least one member"
	case "min_items":
		return "must have at least " + clinic.Counted(s.MinItems, "item")
	case "max_items":
		if s.MaxItems != nil {
			return "must have at most " + clinic.Counted(*s.MaxItems, "item")
		}
	case "unique_items":
		return "must not contain an item twice"
	}
	return "does not match the contract"
}

func typeWords(s *openapi3.Schema) string {
	switch {
	case s.Type.Is(openapi3.TypeInteger):
		if s.Min != nil && s.Max != nil {
			return "an integer " + strings.TrimPrefix(boundsWords(s), "at least ")
		}
		return "an integer"
	case s.Type.Is(openapi3.TypeBoolean):
		return "true or false"
	case s.Type.Is(openapi3.TypeObject):
		return "an object"
	case s.Type.Is(openapi3.TypeArray):
		return "an array"
	default:
		return "a string"
	}
}

func boundsWords(s *openapi3.Schema) string {
	number := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	switch {
	case s.Min != nil && s.Max != nil:
		return "from " + number(*s.Min) + " to " + number(*s.Max)
	case s.Min != nil:
		return "at least " + number(*s.Min)
	case s.Max != nil:
		return "at most " + number(*s.Max)
	default:
		return "within its bounds"
	}
}

func formatWords(format string) string {
	switch format {
	case "date-time":
		return "a date and time with an offset (RFC 3339), such as 2027-03-01T09:00:00+01:00, in the years 1900 to 9998"
	case "date":
		return "a day that exists, such as 2027-03-01, in the years 1900 to 9998"
	case "email":
		return "an e-mail address, such as ann.muster@example.org"
	default:
		return "of the format " + format
	}
}

// maxViolations is the maxItems of errors in the contract. A body of 64 KiB has room for
// ten thousand unknown members.
const maxViolations = 1000

// tidyViolations sorts violations, parameters first, removes duplicates and truncates the
// list to the contract's limit, keeping errors in known members before unknown names.
func tidyViolations(vs []clinic.Violation) []clinic.Violation {
	order := func(a, b clinic.Violation) int {
		return cmp.Or(cmp.Compare(a.Pointer, b.Pointer), cmp.Compare(a.Parameter, b.Parameter), cmp.Compare(a.Code, b.Code))
	}
	slices.SortFunc(vs, order)
	vs = slices.CompactFunc(vs, func(a, b clinic.Violation) bool { return order(a, b) == 0 })
	if len(vs) <= maxViolations {
		return vs
	}
	known := slices.DeleteFunc(slices.Clone(vs), func(v clinic.Violation) bool { return v.Code == "unknown" })
	unknown := slices.DeleteFunc(vs, func(v clinic.Violation) bool { return v.Code != "unknown" })
	vs = append(known, unknown...)[:maxViolations]
	slices.SortFunc(vs, order)
	return vs
}
