package contract

import (
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// A refusal says what would be right: an example of the form, and how a plus is sent.
func TestViolationsSayTheRemedy(t *testing.T) {
	t.Parallel()
	form := &openapi3.Schema{Pattern: `^[0-9]+$`, Example: "0171 5550123"}
	instant := &openapi3.Schema{Format: "date-time"}
	for _, test := range []struct {
		schema    *openapi3.Schema
		field     string
		parameter string
		sent      string
		says      string
		want      bool
	}{
		{form, "pattern", "", "x", `such as "0171 5550123"`, true},
		{instant, "format", "from", "2027-03-01T09:00:00 01:00", "%2B", true},
		{instant, "format", "from", "2027-03-01 09:00:00", "%2B", false},
		{instant, "format", "", "2027-03-01T09:00:00 01:00", "%2B", false}, // a body has no such rule
	} {
		v := violationOf(&openapi3.SchemaError{Schema: test.schema, SchemaField: test.field, Value: test.sent}, test.parameter)
		if strings.Contains(v.Detail, test.says) != test.want {
			t.Errorf("detail of %q for %q = %q, want %q in it: %t",
				test.sent, test.parameter, v.Detail, test.says, test.want)
		}
	}
}
