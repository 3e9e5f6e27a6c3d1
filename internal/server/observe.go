package server

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"mems/internal/contract"
)

// Answered describes an answered request in the contract's terms only: nothing in it is a
// client's text.
type Answered struct {
	Operation string // operationId; "" if the path is not in the contract
	Method    string // "" with Operation
	Route     string // such as /patients/{id}; "" with Operation
	Status    int
	Problem   string // the problem's slug, if any
	RequestID string // the id that the server generated; "" if the client sent one
	Took      time.Duration
	// Gone reports that the client closed the connection before the response.
	Gone bool
}

// problemKey is the context key of the problem's slug, set by answerError.
const problemKey = "problem"

// observe calls the configured observer for each request. It wraps logAccess, which turns
// errors into responses. Requests aborted by http.ErrAbortHandler have no response and are
// not observed.
func (s *Server) observe(operations map[string]Answered) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		if s.cfg.Observe == nil {
			return next
		}
		return func(c echo.Context) error {
			ctx := c.Request().Context() // before limitTime: it ends early only if the client is gone
			start := time.Now()          //nolint:forbidigo // for a duration; no rule of the domain sees it
			err := next(c)
			a := operations[c.Request().Method+" "+c.Path()]
			a.Status, a.Took = c.Response().Status, time.Since(start) //nolint:forbidigo // the same
			a.Gone = ctx.Err() != nil && a.Status >= http.StatusInternalServerError
			a.Problem = problemSlug(c)
			a.RequestID, _ = c.Get(ownRequestIDKey).(string)
			s.cfg.Observe(ctx, a)
			return err
		}
	}
}

// problemSlug returns the slug of the response's problem, "" if there was none.
func problemSlug(c echo.Context) string {
	problemType, _ := c.Get(problemKey).(string)
	return strings.TrimPrefix(problemType, "/problems/")
}

// answeredByRoute returns the operations by method and the router's path.
func answeredByRoute(operations contract.Operations) map[string]Answered {
	m := map[string]Answered{}
	for id, op := range operations {
		m[op.Method+" "+echoPath(op.Path)] = Answered{Operation: id, Method: op.Method, Route: op.Path}
	}
	return m
}
