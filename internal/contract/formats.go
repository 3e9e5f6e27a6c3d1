package contract

import (
	"errors"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"

	"mems/internal/clinic"
)

// FHIR's media type is decoded as JSON.
func init() { //nolint:gochecknoinits // kin-openapi keeps its decoders in a global
	openapi3filter.RegisterBodyDecoder("application/fhir+json", openapi3filter.JSONBodyDecoder)
}

var errFormat = errors.New("does not have the format")

// UseFormats defines the contract's string formats with the domain's parsers. By default
// kin-openapi does not check e-mail addresses, and accepts 1990-02-31 as a date.
func UseFormats(doc *openapi3.T) {
	set := func(name string, ok func(string) bool) {
		doc.SetStringFormatValidator(name, openapi3.NewCallbackValidator(func(s string) error {
			if !ok(s) {
				return errFormat
			}
			return nil
		}))
	}
	set("date-time", func(s string) bool { _, ok := clinic.ParseInstant(s); return ok })
	set("date", func(s string) bool { _, ok := clinic.ParseDate(s); return ok })
	set("email", func(s string) bool { _, ok := clinic.ParseEmail(s); return ok })
}
