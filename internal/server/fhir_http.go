package server

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"mems/gen/api"
)

// What FHIR says of HTTP and the rest of the contract does not: formats, Prefer,
// and Parameters as a body (https://hl7.org/fhir/R4/http.html).

const fhirMediaType = "application/fhir+json"

// fhirFormats are the names of the one format: FHIR's own media type, and those
// that mean it to clients which know no better.
var fhirFormats = []string{fhirMediaType, "application/json", "text/json"}

// checkFHIRFormat rejects a request for any other format. _format, which may have
// lost its plus sign to the query string, counts instead of Accept.
func checkFHIRFormat(r *http.Request, query url.Values) error {
	var acceptable bool
	if format := query.Get("_format"); format != "" {
		name, _, _ := strings.Cut(format, ";")
		name = strings.ReplaceAll(name, " ", "+")
		acceptable = name == "json" || slices.Contains(fhirFormats, name)
	} else {
		acceptable = accepts(r.Header.Values("Accept"), fhirFormats)
	}
	if !acceptable {
		return &problem{
			slug:   api.ProblemSlugNotAcceptable,
			detail: "The response is " + fhirMediaType + "; allow that or application/json in Accept or _format.",
		}
	}
	return nil
}

// forgetUnknown takes the parameters that the operation does not have out of the
// query, for a client that wants to search without them (R4 section 3.1.1.4.4).
// The link "self" then has those that count.
func (v *validator) forgetUnknown(r *http.Request, query url.Values) {
	lenient := slices.ContainsFunc(r.Header.Values("Prefer"), func(prefer string) bool {
		return slices.ContainsFunc(strings.FieldsFunc(prefer, func(c rune) bool { return c == ',' || c == ';' }), func(preference string) bool {
			name, value, _ := strings.Cut(preference, "=")
			return strings.EqualFold(strings.TrimSpace(name), "handling") && strings.EqualFold(strings.Trim(value, ` "`), "lenient")
		})
	})
	if !lenient {
		return
	}
	for name := range query {
		if !v.query[name] {
			delete(query, name)
		}
	}
	r.URL.RawQuery = query.Encode()
}

// readParameters lets an operation be validated as what its handler gets: the
// Appointment, also where the body was Parameters that hold it. A schema with
// alternatives could not say which member is wrong.
func (v *validator) readParameters(doc *openapi3.T) {
	resource := doc.Components.Schemas["FhirAppointmentRequest"]
	for _, media := range v.route.Operation.RequestBody.Value.Content {
		if media.Schema != resource { // else an earlier server's: several may share a contract
			media.Schema = resource
		}
	}
	v.parameters = true
}
