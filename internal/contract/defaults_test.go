package contract

import (
	"fmt"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"mems/gen/api"
)

// openapi-typescript makes a member with `default` required, so request schemas have
// x-default and mention it in the description.
func TestRequestsHaveNoDefault(t *testing.T) {
	t.Parallel()
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	eachBodySchema(doc, func(where string, s *openapi3.Schema) {
		if s.Default != nil {
			t.Errorf("%s: has default %v; make it x-default", where, s.Default)
		}
	})

	applied := 0
	for name, ref := range doc.Components.Schemas {
		for property, member := range ref.Value.Properties {
			value, ok := member.Value.Extensions[xDefault]
			if !ok {
				continue
			}
			applied++
			if strings.HasSuffix(name, "Patch") || strings.HasSuffix(name, "Update") || member.Ref != "" {
				t.Errorf("%s.%s: what is absent in a merge patch stays, it has no default", name, property)
			}
			if says := fmt.Sprintf("by default `%v`.", value); !strings.Contains(strings.Join(strings.Fields(member.Value.Description), " "), says) {
				t.Errorf("%s.%s: the description does not say %q", name, property, says)
			}
		}
	}
	if stated := strings.Count(string(api.SpecYAML), " x-default: "); applied != stated || applied == 0 {
		t.Errorf("%d of %d x-default are of a component's own members; the others are not filled in", applied, stated)
	}
}

// eachBodySchema visits each schema used in request bodies once, with the place where it is
// first used.
func eachBodySchema(doc *openapi3.T, visit func(where string, s *openapi3.Schema)) {
	seen := map[*openapi3.Schema]bool{}
	var walk func(where string, ref *openapi3.SchemaRef)
	walk = func(where string, ref *openapi3.SchemaRef) {
		if ref == nil || seen[ref.Value] {
			return
		}
		seen[ref.Value] = true
		visit(where, ref.Value)
		for name, member := range ref.Value.Properties {
			walk(where+"."+name, member)
		}
		for _, part := range [][]*openapi3.SchemaRef{ref.Value.AllOf, ref.Value.AnyOf, ref.Value.OneOf, {ref.Value.Items}} {
			for _, member := range part {
				walk(where, member)
			}
		}
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.RequestBody == nil {
				continue
			}
			for _, media := range op.RequestBody.Value.Content {
				walk(method+" "+path, media.Schema)
			}
		}
	}
}
