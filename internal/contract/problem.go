package contract

import (
	"net/http"

	"mems/gen/api"
	"mems/internal/clinic"
)

// An Error is a problem of the HTTP layer; a violated domain rule is a clinic.Error.
type Error struct {
	Slug   api.ProblemSlug
	Detail string      // "" for the table's
	Header http.Header // additional headers of the response
	Cause  error       // for the log only
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return string(e.Slug) + ": " + e.Cause.Error()
	}
	return string(e.Slug)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Document returns the problem document of a slug; an empty detail means the table's.
func Document(slug api.ProblemSlug, detail string) api.Problem {
	t := ProblemTypeOf(slug)
	if detail == "" {
		detail = t.Detail
	}
	return api.Problem{
		Type: "/problems/" + string(t.Slug), Title: t.Title, Status: int32(t.Status), Detail: detail, //nolint:gosec // G115: a status
	}
}

// Violations returns violations as the errors member of a problem document.
func Violations(vs []clinic.Violation) []api.Violation {
	var errors []api.Violation
	for _, v := range vs {
		violation := api.Violation{Code: api.ViolationCode(v.Code), Detail: v.Detail}
		if v.Parameter != "" {
			violation.Parameter = &v.Parameter
		} else {
			violation.Pointer = &v.Pointer
		}
		errors = append(errors, violation)
	}
	return errors
}
