package fhir

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"mems/gen/api"
)

// changed is the date of the facade's last change, for the CapabilityStatement.
var changed = time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)

// Security describes how callers authenticate at this installation.
type Security struct {
	Open   bool // without authentication
	Tokens bool // tokens of an identity provider are accepted
	CORS   bool // pages of other origins may use it
}

func (s Security) statement() api.FhirCapabilitySecurity {
	out := api.FhirCapabilitySecurity{Cors: s.CORS, Description: "An API key of MEMS in the header X-API-Key."}
	if s.Tokens {
		text := "A token of the clinic's identity provider"
		out.Service = []api.FhirCodeableConcept{{
			Coding: []api.FhirCoding{{System: "http://terminology.hl7.org/CodeSystem/restful-security-service", Code: "OAuth"}}, Text: &text,
		}}
		out.Description = "An API key of MEMS in the header X-API-Key, or a token of the clinic's identity provider in Authorization: Bearer."
	}
	if s.Open {
		out.Description = "This installation asks nobody for credentials. Those that are sent must be good. " + out.Description
	}
	return out
}

// Capabilities derives the CapabilityStatement from the contract: its paths are the
// resources, its query parameters with x-fhir-type the searches. It fails for a parameter
// without x-fhir-type.
func Capabilities(doc *openapi3.T, version string, security Security) (api.FhirCapabilityStatement, error) {
	resources := map[string]*api.FhirCapabilityResource{}
	for path, item := range doc.Paths.Map() {
		parts := strings.Split(strings.TrimPrefix(path, "/fhir/"), "/")
		if !strings.HasPrefix(path, "/fhir/") || parts[0] == "metadata" {
			continue
		}
		kind := parts[0]
		r := resources[kind]
		if r == nil {
			r = &api.FhirCapabilityResource{Type: api.FhirCapabilityResourceType(kind), Versioning: "no-version", SearchParam: []api.FhirSearchParam{}}
			resources[kind] = r
		}
		switch {
		case len(parts) == 1:
			r.Interaction = append(r.Interaction, api.FhirInteraction{Code: "search-type"})
			for _, p := range item.Get.Parameters {
				if !searches(p.Value) {
					continue
				}
				kind, ok := p.Value.Extensions["x-fhir-type"].(string)
				if !ok {
					return api.FhirCapabilityStatement{}, fmt.Errorf("%s: parameter %s has no x-fhir-type", path, p.Value.Name)
				}
				r.SearchParam = append(r.SearchParam, api.FhirSearchParam{
					Name: p.Value.Name, Type: api.FhirSearchParamType(kind), Documentation: p.Value.Description,
				})
			}
		case strings.HasPrefix(parts[1], "$"):
			name := parts[1][1:]
			r.Operation = append(r.Operation, api.FhirOperation{Name: name, Definition: "urn:mems:operation:" + kind + "-" + name})
		default:
			r.Interaction = append(r.Interaction, api.FhirInteraction{Code: "read"})
			if item.Get.Responses.Value("200").Value.Headers["ETag"] != nil {
				r.Versioning = "versioned"
			}
		}
	}
	rest := api.FhirCapabilityRest{
		Mode: "server", Security: security.statement(),
		Documentation: "Read, search, find a free time and book. Authentication, limits and idempotency keys as in the OpenAPI contract at /openapi.yaml; " +
			"unknown search parameters are refused, unless the request has Prefer: handling=lenient.",
	}
	for _, kind := range slices.Sorted(maps.Keys(resources)) {
		r := resources[kind]
		slices.SortFunc(r.Interaction, func(a, b api.FhirInteraction) int { return strings.Compare(string(a.Code), string(b.Code)) })
		slices.SortFunc(r.Operation, func(a, b api.FhirOperation) int { return strings.Compare(a.Name, b.Name) })
		rest.Resource = append(rest.Resource, *r)
	}
	return api.FhirCapabilityStatement{
		ResourceType: "CapabilityStatement", Status: "active", Kind: "instance", FhirVersion: "4.0.1", Date: changed,
		Format: []api.FhirCapabilityStatementFormat{"application/fhir+json", "json"}, Rest: []api.FhirCapabilityRest{rest},
		Software:       api.FhirSoftware{Name: "MEMS", Version: version},
		Implementation: api.FhirImplementation{Description: "The scheduling of an outpatient clinic"},
	}, nil
}

// searches reports whether a parameter selects resources, as opposed to controlling the
// response.
func searches(p *openapi3.Parameter) bool {
	return p.In == openapi3.ParameterInQuery && !slices.Contains([]string{"cursor", "_count", "_format", "_pretty"}, p.Name)
}
