package contract

import (
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"mems/gen/api"
)

// boundedOtherwise lists the operations whose work grows with more than one record but
// which cost one token, with the reason: each is for staff and rare, or bounded otherwise.
var boundedOtherwise = map[string]string{
	"createTimeOff":         "lists the appointments of one doctor",
	"createClosure":         "managers",
	"replaceWorkingHours":   "lists the appointments of one doctor",
	"mergePatients":         "managers, two patients",
	"previewMerge":          "managers, two patients",
	"erasePatient":          "administrators, one patient",
	"getSeries":             "100 appointments",
	"getPlan":               "200 visits",
	"getAppointmentHistory": "one appointment",
	"getWorkingHours":       "one doctor",
	"callNext":              "one doctor's queue of a day",
	"listProblemTypes":      "the contract's, no record",
}

// Every operation that pages, searches or writes many records has an x-cost.
func TestOperationsWithManyRecordsHaveACost(t *testing.T) {
	t.Parallel()
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			c, err := costOf(op)
			if err != nil {
				t.Fatal(err)
			}
			many := pageSizeOf(op) != ""
			for _, verb := range []string{"search", "find", "export", "list"} {
				many = many || strings.HasPrefix(op.OperationID, verb)
			}
			for _, subject := range []string{"/appointment-series", "/plans", "/queue", "/calendars/"} {
				many = many || strings.HasPrefix(path, subject)
			}
			many = many || method == http.MethodPost && path == "/waitlist"
			if _, known := boundedOtherwise[op.OperationID]; many && !known && c == nil {
				t.Errorf("%s has no x-cost", op.OperationID)
			} else if known && c != nil {
				t.Errorf("%s has an x-cost and an exemption", op.OperationID)
			}
		}
	}
}

// A server does not start with an invalid x-cost.
func TestCostOfRefusesUnknownUnits(t *testing.T) {
	t.Parallel()
	for _, wrong := range []any{
		"records",
		map[string]any{"unit": "records"},
		map[string]any{"unit": "rows", "per": 1},
		map[string]any{"unit": "records", "per": 0},
		map[string]any{"unit": "records", "per": 1, "most": 1},
	} {
		if c, err := costOf(&openapi3.Operation{OperationID: "x", Extensions: map[string]any{"x-cost": wrong}}); err == nil {
			t.Errorf("costOf(%v) = %+v, want an error", wrong, c)
		}
	}
}
