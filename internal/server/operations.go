package server

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"mems/gen/api"
	"mems/internal/contract"
	"mems/internal/store"
)

// register adds the contract's routes to e, which has none yet. It fails unless each route
// is an operation with its middlewares. The generated code looks middlewares up by
// operationId and ignores missing ones: a generator option that renames operations once
// silently disabled validation. So register checks what reaches the router.
func (s *Server) register(operations contract.Operations, handlers api.ServerInterface) error {
	e := s.echo
	router := &guardedRouter{Echo: e, guarded: map[string]bool{}}
	api.RegisterHandlersWithOptions(router, handlers, api.RegisterHandlersOptions{OperationMiddlewares: s.middlewares(operations)})
	known := map[string]bool{}
	for _, op := range operations {
		known[op.Method+" "+echoPath(op.Path)] = true
	}
	for _, r := range e.Routes() {
		if name := r.Method + " " + r.Path; !known[name] || !router.guarded[name] {
			return fmt.Errorf("contract: %s would be served without permission and validation", name)
		}
	}
	if len(e.Routes()) != len(known) {
		return fmt.Errorf("contract: %d operations, %d routes", len(known), len(e.Routes()))
	}
	return nil
}

// guardedRouter records which routes are registered with both of their middlewares. Routes
// by a method that it does not override count as unguarded.
type guardedRouter struct {
	*echo.Echo

	guarded map[string]bool // "METHOD path"
}

func (g *guardedRouter) add(method, path string, h echo.HandlerFunc, m []echo.MiddlewareFunc) *echo.Route {
	g.guarded[method+" "+path] = len(m) == 2 && m[0] != nil && m[1] != nil
	return g.Add(method, path, h, m...)
}

// DELETE, GET, PATCH, POST and PUT are the methods that the contract uses.
func (g *guardedRouter) DELETE(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	return g.add(http.MethodDelete, path, h, m)
}

// GET registers a route, as DELETE does.
func (g *guardedRouter) GET(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	return g.add(http.MethodGet, path, h, m)
}

// PATCH registers a route, as DELETE does.
func (g *guardedRouter) PATCH(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	return g.add(http.MethodPatch, path, h, m)
}

// POST registers a route, as DELETE does.
func (g *guardedRouter) POST(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	return g.add(http.MethodPost, path, h, m)
}

// PUT registers a route, as DELETE does.
func (g *guardedRouter) PUT(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	return g.add(http.MethodPut, path, h, m)
}

func echoPath(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}

// middlewares returns the middlewares of each operationId for the generated router.
func (s *Server) middlewares(operations contract.Operations) map[string][]echo.MiddlewareFunc {
	m := map[string][]echo.MiddlewareFunc{}
	for id, op := range operations {
		m[id] = []echo.MiddlewareFunc{announce(op.Deprecation, s.authorise(op)), s.check(op)}
	}
	return m
}

// announce adds an operation's deprecation headers to every response, errors included.
func announce(d *contract.Deprecation, then echo.MiddlewareFunc) echo.MiddlewareFunc {
	if d == nil {
		return then
	}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		handle := then(next)
		return func(c echo.Context) error {
			d.Announce(c.Response().Header())
			return handle(c)
		}
	}
}

// check rejects requests that do not match the contract. The request is read before it
// waits for admission, and validated afterwards.
func (s *Server) check(op *contract.Operation) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			query, err := op.Read(c.Response(), c.Request())
			if err != nil {
				return err
			}
			checked := func(c echo.Context) error {
				r := c.Request()
				if err := op.Check(r, query, c.Param); err != nil {
					return err
				}
				if op.Cost != nil {
					if records := op.Cost.Page(query); records > 0 {
						requestOf(r.Context()).CountWork(op.Cost.Unit, records)
					}
				}
				if op.Idempotent {
					addIdempotencyKey(c)
				}
				return next(c)
			}
			if !op.Waits {
				return checked(c)
			}
			return s.admit(c, op, func(c echo.Context) error {
				if err := checkPaid(c); err != nil {
					return err
				}
				return checked(c)
			})
		}
	}
}

// addIdempotencyKey passes a request's Idempotency-Key, if any, to the store, with a hash of the
// request: operation, record and content. The formatting of the content does not matter.
func addIdempotencyKey(c echo.Context) {
	r := c.Request()
	key := r.Header.Get(contract.HeaderIdempotencyKey)
	if key == "" {
		return
	}
	hash := sha256.New()
	_, _ = fmt.Fprintf(hash, "%s %s\n", r.Method, r.URL.RequestURI()) // a hash never fails
	if b, ok := r.Body.(interface{ ValidatedValue() any }); ok {
		_, _ = fmt.Fprintf(hash, "%#v", b.ValidatedValue()) // maps are printed in the order of their keys
	}
	req := requestOf(r.Context())
	req.Idempotency = &store.IdempotencyKey{Key: key, Request: [32]byte(hash.Sum(nil))}
	setRequest(c, req)
}
