package server

import (
	"context"

	"github.com/labstack/echo/v4"

	"mems/gen/api"
	"mems/internal/store"
)

// requestKey is the context key of the store.Request: handlers get nothing else from the
// middleware.
type requestKey struct{}

// setRequest passes on to the handler who asks.
func setRequest(c echo.Context, req store.Request) {
	r := c.Request()
	c.SetRequest(r.WithContext(context.WithValue(r.Context(), requestKey{}, req)))
}

// requestOf returns the store.Request that the middleware made. Before authorise it is the
// zero one, which has no caller, and which the store rejects.
func requestOf(ctx context.Context) store.Request {
	req, _ := ctx.Value(requestKey{}).(store.Request)
	return req
}

// acting is requestOf with the actor stated in MEMS-Actor.
func acting(ctx context.Context, actor *api.Actor) store.Request {
	req := requestOf(ctx)
	req.Actor = deref(actor)
	return req
}
