package r4_test

import (
	"testing"

	"mems/internal/fhir/r4"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		resource string
		valid    bool
	}{
		"Patient":        {`{"resourceType":"Patient","id":"1","active":true,"name":[{"family":"Muster"}]}`, true},
		"NoSuchMember":   {`{"resourceType":"Patient","id":"1","surname":"Muster"}`, false},
		"WrongKind":      {`{"resourceType":"Patient","id":"1","active":"yes"}`, false},
		"NoID":           {`{"resourceType":"Patient","id":"a b"}`, false},
		"NoSuchType":     {`{"resourceType":"Cat"}`, false},
		"MissingMember":  {`{"resourceType":"Appointment","status":"booked"}`, false},
		"InsideOfBundle": {`{"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"resourceType":"Patient","surname":"Muster"}}]}`, false},
		"NotJSON":        {`{`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := r4.Validate([]byte(test.resource)); (err == nil) != test.valid {
				t.Errorf("Validate(%s) = %v, want it valid: %t", test.resource, err, test.valid)
			}
		})
	}
}
