package contract

import (
	"fmt"

	"github.com/getkin/kin-openapi/openapi3"
)

// xDefault marks the value of a request's member that is absent.
//
// The contract does not use `default` there: openapi-typescript makes such a
// member required, so that its users would have to send every one of them.
const xDefault = "x-default"

// useDefaults makes the validator fill in what x-default states, as it does with
// `default`: handlers read a body in which these members are always present.
func useDefaults(doc *openapi3.T) error {
	for name, ref := range doc.Components.Schemas {
		for property, member := range ref.Value.Properties {
			value, ok := member.Value.Extensions[xDefault]
			if !ok {
				continue
			}
			if err := member.Value.VisitJSON(value); err != nil {
				return fmt.Errorf("contract: x-default of %s.%s: %w", name, property, err)
			}
			member.Value.Default = value
		}
	}
	return nil
}
