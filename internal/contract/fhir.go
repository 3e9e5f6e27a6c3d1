package contract

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"mems/gen/api"
)

// FHIR's rules for HTTP that the rest of the contract does not have: formats, Prefer, and
// Parameters as a body (https://hl7.org/fhir/R4/http.html).

const fhirMediaType = "application/fhir+json"

// fhirFormats are the names of the only format: FHIR's media type, and generic ones that
// clients use instead.
var fhirFormats = []string{fhirMediaType, "application/json", "text/json"}

// checkFHIRFormat rejects requests for any other format. _format, whose plus sign may have
// been decoded to a space, takes precedence over Accept.
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
		return &Error{
			Slug:   api.ProblemSlugNotAcceptable,
			Detail: "The response is " + fhirMediaType + "; allow that or application/json in Accept or _format.",
		}
	}
	return nil
}

// forgetUnknown removes unknown parameters from the query, for clients that want to search
// without them (R4 section 3.1.1.4.4). The link "self" then lists the parameters used.
func (o *Operation) forgetUnknown(r *http.Request, query url.Values) {
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
		if !o.query[name] {
			delete(query, name)
		}
	}
	r.URL.RawQuery = query.Encode()
}

// readFHIRParameters reads an operation's x-fhir-parameters: the schema of the resource
// that the body may wrap in Parameters. The operation is then validated against what its
// handler gets, the resource alone: with alternatives in the schema, errors could not name
// the wrong member.
func readFHIRParameters(op *openapi3.Operation, doc *openapi3.T) (bool, error) {
	stated, ok := op.Extensions["x-fhir-parameters"]
	if !ok {
		return false, nil
	}
	name, _ := stated.(string)
	resource := doc.Components.Schemas[name]
	if resource == nil || op.RequestBody == nil {
		return false, fmt.Errorf("contract: the x-fhir-parameters of %s is no schema of a body: %v", op.OperationID, stated)
	}
	for _, media := range op.RequestBody.Value.Content {
		media.Schema = resource
	}
	return true, nil
}
