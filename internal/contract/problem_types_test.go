package contract

import (
	"testing"

	"mems/gen/api"
)

// The table of problems has the same slugs as the contract.
func TestProblemTableIsTheContracts(t *testing.T) {
	t.Parallel()
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	enum := doc.Components.Schemas["ProblemSlug"].Value.Enum
	if len(enum) != len(problemTypes) || len(problemBySlug) != len(problemTypes) {
		t.Errorf("%d problem types in the contract, %d rows, %d different slugs; want as many of each",
			len(enum), len(problemTypes), len(problemBySlug))
	}
	for _, slug := range enum {
		row, ok := problemBySlug[api.ProblemSlug(slug.(string))]
		if !ok || row.Title == "" || row.Detail == "" || row.Explanation == "" || row.Status < 400 {
			t.Errorf("row of %s = %+v, want title, detail, explanation and a status from 400", slug, row)
		}
	}
}
