package server

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"mems/internal/contract"
)

// Answered is a request that was answered, by names of the contract only: no
// part of it was written by a client.
type Answered struct {
	Operation string // operationId; "" at an address that is none of the contract
	Method    string // "" with Operation
	Route     string // such as /patients/{id}; "" with Operation
	Status    int
	Problem   string // slug of the problem, if the answer was one
	RequestID string // the id that the server gave the request; "" if the client chose it
	Took      time.Duration
	// Gone: the client had closed the connection before the answer.
	Gone bool
}

// problemKey is where answerError leaves the problem's type.
const problemKey = "problem"

// observe tells the configured observer of each request. It stands outside of
// logAccess, which turns errors into answers. A request that gives up by
// http.ErrAbortHandler has no answer and is not told of.
func (s *Server) observe(operations map[string]Answered) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		if s.cfg.Observe == nil {
			return next
		}
		return func(c echo.Context) error {
			ctx := c.Request().Context() // before limitTime: it ends early only if the client goes
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

// problemSlug returns the slug of the problem that the request was answered with,
// and "" if there was none.
func problemSlug(c echo.Context) string {
	problemType, _ := c.Get(problemKey).(string)
	return strings.TrimPrefix(problemType, "/problems/")
}

// answeredByRoute are the operations by method and the router's path.
func answeredByRoute(operations contract.Operations) map[string]Answered {
	m := map[string]Answered{}
	for id, op := range operations {
		m[op.Method+" "+echoPath(op.Path)] = Answered{Operation: id, Method: op.Method, Route: op.Path}
	}
	return m
}
