package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/contract"
	"mems/internal/fhir"
)

// retryAfter is the Retry-After of a 503, in seconds.
const retryAfter = 2

// answerError is the only place where an error becomes a response. An unknown error becomes
// internal-error; its text goes to the log and never to the client.
func (s *Server) answerError(err error, c echo.Context) {
	if c.Response().Committed {
		// Too late for a problem document; the client gets an incomplete response.
		s.cfg.Log.ErrorContext(c.Request().Context(), "answer failed half way", "request_id", requestID(c), "cause", err)
		return
	}
	p, header := describe(err)
	p = withheld(p, requestOf(c.Request().Context()).Access.Clearance())
	p.Instance = instance(c.Request().URL)
	p.RequestID = requestID(c)
	if errors.Is(err, clinic.ErrPreconditionFailed) && strings.HasPrefix(strings.TrimSpace(c.Request().Header.Get("If-Match")), "W/") {
		p.Detail = `A weak tag (W/"1") never matches in If-Match, which compares strongly: send the tag without W/.`
	}
	c.Set(problemKey, p.Type)
	s.recordRefusal(c, err, p)
	if p.Status >= 500 && !errors.Is(err, context.Canceled) {
		attributes := []any{"request_id", p.RequestID, "operation", c.Path(), "cause", err}
		if _, shed := errors.AsType[*shedError](err); shed { // counted by mems_line_shed_total
			s.cfg.Log.DebugContext(c.Request().Context(), "request failed", append(attributes, "type", p.Type)...)
		} else {
			s.failures.report(c.Request().Context(), p, attributes...)
		}
	}
	if rule, ok := errors.AsType[*clinic.Error](err); ok {
		switch access := requestOf(c.Request().Context()).Access; {
		case rule.Code == clinic.CodeUnauthenticated && rule.Cause != nil:
			s.cfg.Log.WarnContext(c.Request().Context(), "credentials refused",
				"request_id", p.RequestID, "operation", c.Path(), "cause", rule.Cause)
		case rule.Code == clinic.CodeForbidden && rule.Permission != "" && access.Kind() == "token":
			header = http.Header{headerChallenge: {fmt.Sprintf(`%s, error="insufficient_scope", scope="%s"`, challenge, rule.Permission)}}
		}
	}
	maps.Copy(c.Response().Header(), header)
	var said any = p
	mediaType := "application/problem+json"
	if isFHIR(c.Request()) {
		if p.Type == "/problems/"+string(api.ProblemSlugNotFound) {
			p.Detail = "Check the URL: GET /fhir/metadata lists the resource types, interactions and operations of this server."
		}
		said, mediaType = fhir.Outcome(p), "application/fhir+json"
	}
	body, err := json.Marshal(said)
	if err != nil { // our values cannot fail
		s.cfg.Log.ErrorContext(c.Request().Context(), "problem cannot be written", "cause", err)
		c.Response().WriteHeader(http.StatusInternalServerError)
		return
	}
	_ = c.Blob(int(p.Status), mediaType, body) // fails only if the client is gone
}

// isFHIR reports whether a request is to the FHIR facade: at or under /fhir.
func isFHIR(r *http.Request) bool {
	return r.URL.Path == "/fhir" || strings.HasPrefix(r.URL.Path, "/fhir/")
}

// challenge is the WWW-Authenticate header of a 401 (RFC 6750 section 3).
const (
	headerChallenge = "Www-Authenticate" // as net/http writes it
	challenge       = `Bearer realm="mems"`
)

// instance returns the path of a request as a URI reference, cut to the contract's maximum
// length.
func instance(u *url.URL) string {
	const limit = 2000
	path := u.EscapedPath()
	if len(path) <= limit {
		return path
	}
	path = path[:limit]
	if i := strings.LastIndexByte(path, '%'); i > limit-3 {
		path = path[:i] // do not split an escaped octet
	}
	return path
}

// describe returns the problem document and headers for an error.
func describe(err error) (api.Problem, http.Header) {
	var rule *clinic.Error
	var own *contract.Error
	var router *echo.HTTPError
	switch {
	case errors.As(err, &rule):
		return describeRule(rule)
	case errors.As(err, &own):
		return newProblem(own.Slug, own.Detail, own.Header)
	case errors.As(err, &router):
		switch router.Code {
		case http.StatusNotFound:
			return newProblem(api.ProblemSlugNotFound, "", nil)
		case http.StatusMethodNotAllowed:
			return newProblem(api.ProblemSlugMethodNotAllowed, "", nil)
		case http.StatusUnsupportedMediaType:
			return newProblem(api.ProblemSlugUnsupportedMediaType, "", nil)
		case http.StatusBadRequest: // from the generated binder, although the contract check passed
			return newProblem(api.ProblemSlugMalformedRequest, "A value could not be read.", nil)
		}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return newProblem(api.ProblemSlugUnavailable, "", nil)
	}
	return newProblem(api.ProblemSlugInternalError, "", nil)
}

func describeRule(e *clinic.Error) (api.Problem, http.Header) {
	p, header := newProblem(api.ProblemSlug(e.Code), "", nil)
	switch e.Code {
	case clinic.CodeValidationFailed:
		p.Errors = contract.Violations(e.Violations)
	case clinic.CodeDoctorOverlap, clinic.CodePatientOverlap, clinic.CodeRoomOverlap, clinic.CodeNoRoomFree,
		clinic.CodeOutsideWorkingHours, clinic.CodeTimeOff:
		if !e.Conflict.Start.IsZero() {
			p.Conflict = &api.Interval{StartTime: e.Conflict.Start, EndTime: e.Conflict.End}
		}
		p.Alternatives = items(e.Alternatives, slotToAPI)
		if e.Held && (e.Code == clinic.CodeDoctorOverlap || e.Code == clinic.CodeRoomOverlap) {
			p.Held = new(true)
		}
		switch {
		case e.Held && e.Code == clinic.CodeDoctorOverlap:
			p.Detail = "The doctor's time is held for another booking. Choose a time that does not overlap conflict, or try again when the hold has expired."
		case e.Held && e.Code == clinic.CodeRoomOverlap:
			p.Detail = "The room is held for another booking. Choose another room or one of the alternatives, or try again when the hold has expired."
		}
	case clinic.CodeInvalidTicketTransition:
		current := api.TicketStatus(e.Ticket)
		p.CurrentTicketStatus = &current
		for _, status := range e.AllowedTicket {
			p.AllowedTicketStatuses = append(p.AllowedTicketStatuses, api.TicketStatus(status))
		}
	case clinic.CodeForbidden:
		switch {
		case e.Permission != "":
			permission := api.Permission(e.Permission)
			p.Permission = &permission
		case e.StaffOnly != "":
			p.Detail = "Leave " + e.StaffOnly + " out: only the clinic's staff may change it."
		default:
			p.Detail = "This concerns another doctor's calendar. Choose your own, or have someone who can access it make the request."
		}
	case clinic.CodeUnauthenticated:
		header = http.Header{headerChallenge: {challenge}}
		if refused, ok := errors.AsType[*tokenError](e.Cause); ok {
			header.Set(headerChallenge, fmt.Sprintf(`%s, error="invalid_token", error_description="%s"`, challenge, refused.description))
		}
	case clinic.CodeOutsideBookingWindow:
		if !e.EarliestStart.IsZero() {
			p.EarliestStart = &e.EarliestStart
		}
		if !e.LatestStart.IsZero() {
			p.LatestStart = &e.LatestStart
		}
	case clinic.CodePatientMerged:
		p.MergedInto = &e.MergedInto
	case clinic.CodePossibleDuplicate:
		p.Candidates = items(e.Candidates, candidateToAPI)
	case clinic.CodeMergeConflict:
		p.Appointments = items(e.Appointments, appointmentToAPI)
	case clinic.CodeSeriesConflict:
		p.Dates = items(e.Dates, seriesDateToAPI)
	case clinic.CodePlanNotApplied:
		p.Report = items(e.Report, planItemToAPI)
	case clinic.CodeTooEarly:
		p.Earliest = &e.Earliest
	case clinic.CodeInvalidTransition:
		current := api.AppointmentStatus(e.Current)
		p.CurrentStatus = &current
		var words []string
		for _, s := range e.Allowed {
			p.AllowedStatuses = append(p.AllowedStatuses, api.AppointmentStatus(s))
			words = append(words, string(s))
		}
		p.Detail = "The appointment is " + string(e.Current) + "; only undo can change it, for a limited time."
		if len(words) > 0 {
			p.Detail = "The appointment is " + string(e.Current) + "; it can become " + strings.Join(words, ", ") + "."
		}
		switch e.Undo {
		case clinic.UndoNothing:
			p.Detail = "Nothing to undo: the appointment was not changed since it was booked, or every change was undone."
		case clinic.UndoTooLate:
			p.Detail = fmt.Sprintf("The last change can no longer be undone: that is possible on the same day, and for %.0f hours past midnight.", clinic.UndoWindow.Hours())
		}
	default: // the code is enough
	}
	return p, header
}

// newProblem fills a problem document from the table, and the headers of its status.
func newProblem(slug api.ProblemSlug, detail string, header http.Header) (api.Problem, http.Header) {
	p := contract.Document(slug, detail)
	if p.Status == http.StatusServiceUnavailable && header.Get("Retry-After") == "" {
		header = http.Header{"Retry-After": {strconv.Itoa(retryAfter)}}
	}
	return p, header
}
