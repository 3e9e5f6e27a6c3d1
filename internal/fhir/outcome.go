package fhir

import (
	"regexp"
	"strings"
	"unicode"

	"mems/gen/api"
)

// Outcome says a problem as an OperationOutcome: the slug of the problem type is
// the code in details; each violation of the contract is an issue of its own.
func Outcome(p api.Problem) api.FhirOperationOutcome {
	slug := strings.TrimPrefix(p.Type, "/problems/")
	issue := api.FhirIssue{
		Severity: "error", Code: issueCode(p),
		Details: api.FhirCodeableConcept{Coding: []api.FhirCoding{{System: SystemProblem, Code: slug}}, Text: &p.Title},
	}
	if p.Status == 500 {
		issue.Severity = "fatal"
	}
	if len(p.Errors) == 0 {
		if p.Detail != "" {
			issue.Diagnostics = &p.Detail
		}
		return api.FhirOperationOutcome{ResourceType: "OperationOutcome", Issue: []api.FhirIssue{issue}}
	}
	out := api.FhirOperationOutcome{ResourceType: "OperationOutcome"}
	for _, v := range p.Errors {
		one, place := issue, ""
		switch {
		case v.Parameter != nil:
			place = "http." + *v.Parameter
		case v.Pointer != nil:
			place = "Appointment" + element(*v.Pointer)
		}
		place = plain(place)
		detail := plain(place + " " + v.Detail)
		one.Code = "value"
		if v.Code == "required" {
			one.Code = "required"
		}
		one.Expression, one.Diagnostics = []string{place}, &detail
		out.Issue = append(out.Issue, one)
	}
	return out
}

// plain takes out what FHIR does not take for text: a client's parameter may be
// called anything.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.IsSpace(r) {
			return ' '
		}
		return r
	}, s)
}

var index = regexp.MustCompile(`/([0-9]+)`)

// element is the place that a JSON pointer leads to, as FHIRPath writes it.
func element(pointer string) string {
	path := index.ReplaceAllString(strings.TrimPrefix(pointer, "#"), "[$1]")
	return strings.ReplaceAll(path, "/", ".")
}

// issueCode is the kind of issue (https://hl7.org/fhir/R4/valueset-issue-type.html).
func issueCode(p api.Problem) api.FhirIssueCode {
	switch p.Status {
	case 400:
		return "structure"
	case 401:
		return "login"
	case 403:
		return "forbidden"
	case 404:
		return "not-found"
	case 405, 406, 415:
		return "not-supported"
	case 409:
		if p.Conflict != nil || strings.HasSuffix(p.Type, "-overlap") || strings.HasSuffix(p.Type, "/no-room-free") {
			return "conflict"
		}
		return "business-rule"
	case 413:
		return "too-long"
	case 422:
		return "business-rule"
	case 429:
		return "throttled"
	case 503:
		return "transient"
	}
	return "exception"
}
