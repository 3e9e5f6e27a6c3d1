package contract

import (
	"testing"

	"mems/gen/api"
)

// A server does not start with a deprecated operation that lacks a date.
func TestDeprecationNeedsItsDates(t *testing.T) {
	t.Parallel()
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	op := doc.Paths.Value("/doctors/{id}").Get
	op.Deprecated = true
	cases := []struct {
		at, sunset any
		fine       bool
	}{
		{"2027-03-01", "2027-12-31", true},
		{nil, "2027-12-31", false},
		{"2027-03-01", nil, false},
		{"2027-03-01", "soon", false},
		{20270301, "2027-12-31", false},
		{"2027-12-31", "2027-12-31", false},
	}
	for _, c := range cases {
		op.Extensions["x-deprecated-at"], op.Extensions["x-sunset"] = c.at, c.sunset
		if _, err := OperationsOf(doc, 1000); (err == nil) != c.fine {
			t.Errorf("deprecated at %v, sunset %v: %v, want no error: %t", c.at, c.sunset, err, c.fine)
		}
	}
}
