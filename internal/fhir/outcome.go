package fhir

import (
	"regexp"
	"strings"
	"time"
	"unicode"

	"mems/gen/api"
	"mems/internal/clinic"
)

// Outcome returns a problem as an OperationOutcome: the problem's slug is the code in
// details; each violation of the contract is an issue.
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
		explain(&issue, p)
		return api.FhirOperationOutcome{ResourceType: "OperationOutcome", Issue: []api.FhirIssue{issue}}
	}
	out := api.FhirOperationOutcome{ResourceType: "OperationOutcome"}
	for _, v := range p.Errors[:min(len(p.Errors), maxIssues)] {
		one, place := issue, ""
		switch {
		case v.Parameter != nil:
			place = "http." + *v.Parameter
		case v.Pointer != nil:
			place = "Appointment" + element(*v.Pointer)
			if strings.HasPrefix(*v.Pointer, "#/parameter") {
				place = "Parameters" + element(*v.Pointer)
			}
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

// maxIssues is the contract's maxItems of issue.
const maxIssues = 50

// explain adds the conflict and the alternatives: for programs in extensions, for people in
// diagnostics, which is all that many tools show.
func explain(issue *api.FhirIssue, p api.Problem) {
	words := p.Detail
	if p.Conflict != nil {
		issue.Extension = append(issue.Extension, api.FhirIssueExtension{
			URL: "urn:mems:conflict", ValuePeriod: &api.FhirPeriod{Start: p.Conflict.StartTime, End: p.Conflict.EndTime},
		})
		words += " In the way: " + p.Conflict.StartTime.Format(time.RFC3339) + " to " + p.Conflict.EndTime.Format(time.RFC3339) + "."
	}
	if p.EarliestStart != nil {
		words += " Earliest start: " + p.EarliestStart.Format(time.RFC3339) + "."
	}
	if p.LatestStart != nil {
		words += " Latest start: " + p.LatestStart.Format(time.RFC3339) + "."
	}
	var free []string
	for _, a := range p.Alternatives {
		slot := clinic.Slot{DoctorID: a.DoctorID, Time: clinic.Interval{Start: a.StartTime, End: a.EndTime}}
		if again, ok := ParseSlotID(SlotID(slot)); !ok || !again.Time.Start.Equal(slot.Time.Start) || !again.Time.End.Equal(slot.Time.End) {
			continue // it does not start on a whole minute, which a slot's id cannot express
		}
		reference := "Slot/" + SlotID(slot)
		free = append(free, reference)
		issue.Extension = append(issue.Extension, api.FhirIssueExtension{
			URL: "urn:mems:alternative", ValueReference: &api.FhirReference{Reference: reference},
		})
	}
	if len(free) > 0 {
		words += " Free instead: " + strings.Join(free, ", ") + "."
	}
	if p.MergedInto != nil {
		reference := "Patient/" + ID(*p.MergedInto)
		issue.Extension = append(issue.Extension, api.FhirIssueExtension{
			URL: "urn:mems:merged-into", ValueReference: &api.FhirReference{Reference: reference},
		})
		words += " It goes on as " + reference + "."
	}
	if words != "" {
		issue.Diagnostics = &words
	}
}

// plain removes characters that FHIR does not allow in text: a client's parameter may have
// any name.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.IsSpace(r) {
			return ' '
		}
		return r
	}, s)
}

var index = regexp.MustCompile(`/([0-9]+)`)

// element returns a JSON pointer as FHIRPath.
func element(pointer string) string {
	path := index.ReplaceAllString(strings.TrimPrefix(pointer, "#"), "[$1]")
	return strings.ReplaceAll(path, "/", ".")
}

// issueCode returns the issue type (https://hl7.org/fhir/R4/valueset-issue-type.html).
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
