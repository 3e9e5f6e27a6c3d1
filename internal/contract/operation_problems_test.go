package contract

import (
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"mems/gen/api"
)

// A server does not start with x-problems that contradict the rest of the contract.
func TestWrongProblemsAreRefused(t *testing.T) {
	t.Parallel()
	doc := spec(t)
	health, book := doc.Paths.Value("/healthz").Get, doc.Paths.Value("/appointments").Post
	change, me := doc.Paths.Value("/rooms/{id}").Patch, doc.Paths.Value("/me").Get
	stated := func(op *openapi3.Operation) []any { return op.Extensions["x-problems"].([]any) }
	with := func(op *openapi3.Operation, slug any) []any { return append(slices.Clone(stated(op)), slug) }
	without := func(op *openapi3.Operation, slug string) []any {
		if !slices.Contains(stated(op), any(slug)) {
			t.Fatalf("%s does not list %s, want it listed", op.OperationID, slug)
		}
		return slices.DeleteFunc(slices.Clone(stated(op)), func(one any) bool { return one == slug })
	}
	cases := []struct {
		name  string
		op    *openapi3.Operation
		state any
	}{
		{"None", book, nil},
		{"NoList", book, "doctor-overlap"},
		{"Empty", health, []any{}},
		{"Misspelt", book, with(book, "doctor-overlaps")},
		{"NoWord", book, with(book, 409)},
		{"Twice", book, with(book, "doctor-overlap")},
		{"StatusWithoutResponse", health, with(health, "doctor-not-found")},
		{"ResponseWithoutProblem", change, without(change, "name-taken")},
		{"LacksUnauthenticated", book, without(book, "unauthenticated")},
		{"LacksCrossOrigin", book, without(book, "cross-origin")},
		{"LacksIdempotencyKeyInUse", book, without(book, "idempotency-key-in-use")},
		{"ChangeHasNoIdempotencyKey", change, with(change, "idempotency-key-reused")},
		{"EveryCallerMay", me, with(me, "forbidden")},
		{"ReadsChangeNothing", me, with(me, "cross-origin")},
	}
	for _, c := range cases {
		before := c.op.Extensions["x-problems"]
		if c.op.Extensions["x-problems"] = c.state; c.state == nil {
			delete(c.op.Extensions, "x-problems")
		}
		if _, err := OperationsOf(doc, 1000); err == nil {
			t.Errorf("%s: OperationsOf with %s stating %v = nil, want an error", c.name, c.op.OperationID, c.state)
		}
		c.op.Extensions["x-problems"] = before
	}
	if _, err := OperationsOf(doc, 1000); err != nil {
		t.Fatal(err)
	}
}

// The description of each error response names every problem of that status in x-problems,
// or refers to x-problems, and names no other.
func TestDescriptionsNameTheProblems(t *testing.T) {
	t.Parallel()
	all, err := OperationsOf(spec(t), 1000)
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile("`([a-z-]+)`")
	shared := map[string][]api.ProblemSlug{} // by $ref: the problems of the operations that use it
	words := map[string]string{}
	for _, op := range all {
		for status, response := range op.route.Operation.Responses.Map() {
			if status < "400" {
				continue
			}
			var listed []api.ProblemSlug
			for _, slug := range op.Problems {
				if strconv.Itoa(problemBySlug[slug].Status) == status {
					listed = append(listed, slug)
				}
			}
			named := map[string]bool{}
			for _, word := range quoted.FindAllStringSubmatch(*response.Value.Description, -1) {
				named[word[1]] = true
			}
			for _, slug := range listed {
				if !named[string(slug)] && !named["x-problems"] {
					t.Errorf("%s: the description of %s lacks %s", op.ID, status, slug)
				}
			}
			of := response.Ref
			if of == "" {
				of = op.ID + " " + status
			}
			shared[of], words[of] = append(shared[of], listed...), *response.Value.Description
		}
	}
	for of, listed := range shared {
		for _, word := range quoted.FindAllStringSubmatch(words[of], -1) {
			slug := api.ProblemSlug(word[1])
			if _, known := problemBySlug[slug]; known && !slices.Contains(listed, slug) {
				t.Errorf("%s: the description names %s, which x-problems does not list", of, slug)
			}
		}
	}
}
