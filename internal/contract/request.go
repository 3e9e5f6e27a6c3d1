package contract

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3filter"

	"mems/gen/api"
	"mems/internal/clinic"
)

// Read reads a request at the client's pace and rejects what is wrong regardless of its
// meaning: media types, sizes, JSON and the query's encoding. It returns the query's
// parameters, for Check.
func (o *Operation) Read(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if o.fhir {
		if err := checkFHIRFormat(r, query); err != nil {
			return nil, err
		}
	} else if !accepts(r.Header.Values("Accept"), o.produces) {
		return nil, &Error{Slug: api.ProblemSlugNotAcceptable, Detail: "The response is " + strings.Join(o.produces, ", ") + "; allow that in Accept."}
	}
	if err != nil {
		return nil, &Error{Slug: api.ProblemSlugMalformedRequest, Detail: "The query string does not decode; percent-encode the values.", Cause: err}
	}
	if o.fhir {
		o.forgetUnknown(r, query)
	}
	return query, o.checkBody(w, r)
}

// Check validates a request that Read has read against the contract; param returns the
// value of a path parameter. Errors: clinic.CodeValidationFailed.
func (o *Operation) Check(r *http.Request, query url.Values, param func(name string) string) error {
	for _, name := range []string{"If-Match", "If-None-Match"} {
		if tags := r.Header.Values(name); len(tags) > 1 {
			r.Header.Set(name, strings.Join(tags, ", ")) // repeated header lines are one list (RFC 9110 section 5.3)
		}
	}
	more, err := o.checkContract(r, query, param)
	if err != nil {
		return err
	}
	if violations := tidyViolations(append(o.checkParameters(r, query, param), more...)); len(violations) > 0 {
		return &clinic.Error{Code: clinic.CodeValidationFailed, Violations: violations}
	}
	return nil
}

// checkParameters finds what kin-openapi does not check: query parameters that are unknown
// or repeated, and text that is not UTF-8, which must not reach the database.
func (o *Operation) checkParameters(r *http.Request, query url.Values, param func(string) string) []clinic.Violation {
	var vs []clinic.Violation
	add := func(name, code, detail string) {
		vs = append(vs, clinic.Violation{Parameter: printable(name), Code: code, Detail: detail})
	}
	for name, values := range query {
		switch {
		case !o.query[name]:
			add(name, "unknown", "is not a parameter of this operation")
		case len(values) > 1 && !o.repeats[name]:
			add(name, "repeated", "must be given once")
		case slices.ContainsFunc(values, func(value string) bool { return !isText(value) }):
			add(name, "format", "must be UTF-8 text")
		case slices.ContainsFunc(values, func(value string) bool { return !o.writesPlainly(name, value) }):
			add(name, "type", "must be "+typeWords(o.integers[name]))
		}
	}
	for _, name := range o.path {
		switch value := param(name); {
		case !isText(value):
			add(name, "format", "must be UTF-8 text")
		case !o.writesPlainly(name, value):
			add(name, "type", "must be "+typeWords(o.integers[name]))
		}
	}
	if len(r.Header.Values(HeaderIdempotencyKey)) > 1 {
		add(HeaderIdempotencyKey, "repeated", "must be given once")
	}
	if o.Method != http.MethodGet {
		for _, name := range []string{"If-Match", "If-None-Match"} {
			if r.Header.Get(name) != "" && !slices.Contains(o.headers, name) {
				add(name, "unknown", o.otherCondition())
			}
		}
	}
	for _, name := range o.headers {
		if slices.ContainsFunc(r.Header.Values(name), func(value string) bool { return !isText(value) }) {
			add(name, "format", "must be UTF-8 text")
		}
	}
	return vs
}

// otherCondition says what to send instead of a condition that the operation does not check.
// Ignored, it would let a change through that was to be prevented.
func (o *Operation) otherCondition() string {
	if slices.Contains(o.headers, "If-Match") {
		return "is not supported by this operation; send the ETag of the version that you changed as If-Match"
	}
	return "is not supported by this operation; leave it out"
}

// writesPlainly reports whether the value of an integer parameter, or of a list of them, is
// written in digits alone. Go's parsers also accept +1 and 01, which would give a record
// several addresses; what they reject is left to the validator.
func (o *Operation) writesPlainly(name, value string) bool {
	if o.integers[name] == nil {
		return true
	}
	for text := range strings.SplitSeq(value, ",") {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && strconv.FormatInt(n, 10) != text {
			return false
		}
	}
	return true
}

func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsRune(s, 0)
}

// checkContract runs kin-openapi and collects all violations.
func (o *Operation) checkContract(r *http.Request, query url.Values, param func(string) string) ([]clinic.Violation, error) {
	path := make(map[string]string, len(o.path))
	for _, name := range o.path {
		path[name] = param(name)
	}
	err := openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
		Request: r, PathParams: path, QueryParams: query, Route: o.route, Options: o.options,
	})
	if err == nil {
		if b, ok := r.Body.(interface{ ValidatedValue() any }); ok {
			writeIntegersPlainly(b.ValidatedValue())
		}
		return nil, nil
	}
	vs := violationsOf(err)
	if len(vs) == 0 {
		return nil, fmt.Errorf("the validator found something that it cannot name: %w", err)
	}
	return vs, nil
}
