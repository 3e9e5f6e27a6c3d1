package contract

import (
	"fmt"

	"github.com/getkin/kin-openapi/openapi3"
)

// xDefault is the extension with the default value of a request's member.
//
// The contract does not use `default` there: openapi-typescript would make such members
// required, so that clients would have to send all of them.
const xDefault = "x-default"

// useDefaults makes the validator fill in x-default as it does `default`, so that these
// members are always present in the body that handlers read.
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
