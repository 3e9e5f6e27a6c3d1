package server

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"mems/gen/api"
	"mems/internal/clinic"
)

// The problems in the contract's examples have the title, status and detail that the
// server sends.
func TestExamplesOfProblemsAreTheServers(t *testing.T) {
	t.Parallel()
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	// These details are made from the error, not taken from the table.
	cancelled, _ := describe(&clinic.Error{Code: clinic.CodeInvalidTransition, Current: clinic.StatusCancelled})
	details := map[string]string{cancelled.Type: cancelled.Detail}
	compared := 0
	compare := func(where string, example any) {
		text, err := json.Marshal(example)
		if err != nil {
			t.Fatal(err)
		}
		var got api.Problem
		if err := json.Unmarshal(text, &got); err != nil || !strings.HasPrefix(got.Type, "/problems/") {
			return // of another kind
		}
		compared++
		want, _ := newProblem(api.ProblemSlug(strings.TrimPrefix(got.Type, "/problems/")), details[got.Type], nil)
		if got.Type != want.Type || got.Title != want.Title || got.Status != want.Status || got.Detail != want.Detail {
			t.Errorf("%s: the contract's example is\n%s %d %q %q, want what the server sends:\n%s %d %q %q",
				where, got.Type, got.Status, got.Title, got.Detail, want.Type, want.Status, want.Title, want.Detail)
		}
	}
	examples := func(where string, r *openapi3.ResponseRef) {
		for _, media := range r.Value.Content {
			if media.Example != nil {
				compare(where, media.Example)
			}
			for name, e := range media.Examples {
				compare(where+" "+name, e.Value.Value)
			}
		}
	}
	for name, r := range doc.Components.Responses {
		examples(name, r)
	}
	for _, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			for status, r := range op.Responses.Map() {
				if r.Ref == "" {
					examples(op.OperationID+" "+status, r)
				}
			}
		}
	}
	if compared < 5 {
		t.Errorf("%d examples of problems were compared, want at least 5", compared)
	}
}
