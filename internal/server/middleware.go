package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"mems/internal/clinic"
	"mems/internal/contract"
)

const headerRequestID = "X-Request-ID"

// saneRequestID is what is taken over from a client or proxy; anything else
// could forge lines in a log.
var saneRequestID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// ownRequestIDKey is where identify leaves an id that it chose itself.
const ownRequestIDKey = "ownRequestID"

// identify gives each request an id: the client's, if it is a sane one, or a
// new one.
func (s *Server) identify(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		id := c.Request().Header.Get(headerRequestID)
		if !saneRequestID.MatchString(id) {
			id = rand.Text()
			c.Set(ownRequestIDKey, id)
		}
		c.Response().Header().Set(headerRequestID, id)
		return next(c)
	}
}

func requestID(c echo.Context) string { return c.Response().Header().Get(headerRequestID) }

// logAccess writes one line for each request: the route's template, never the
// address itself, because queries hold names and phone numbers; and the problem's
// slug, so that a refusal can be explained without reproducing it.
func (s *Server) logAccess(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now() //nolint:forbidigo // for a duration; no rule of the domain sees it
		if err := next(c); err != nil {
			c.Error(err) // here, so that the status is known below
		}
		route := c.Path()
		if route == "" {
			route = "(none)"
		}
		attributes := []slog.Attr{
			slog.String("request_id", requestID(c)),
			slog.String("method", c.Request().Method),
			slog.String("route", route),
			slog.Int("status", c.Response().Status),
			slog.Int64("bytes", c.Response().Size),
			slog.Float64("took_seconds", time.Since(start).Seconds()), //nolint:forbidigo // the same
		}
		if slug := problemSlug(c); slug != "" {
			attributes = append(attributes, slog.String("problem", slug))
		}
		if who, refused := c.Get(refusedKey).(clinic.Access); refused {
			attributes = append(attributes, slog.String("subject", who.Subject), slog.String("address", who.Address.Unmap().WithZone("").String()))
		}
		s.cfg.Log.LogAttrs(c.Request().Context(), slog.LevelInfo, "request", attributes...)
		return nil
	}
}

// recoverPanic turns a panic into an error, so that one request fails and not
// the process. http.ErrAbortHandler is net/http's own way to give up.
func (s *Server) recoverPanic(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			switch r := recover(); r {
			case nil:
			case http.ErrAbortHandler:
				panic(r)
			default:
				err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
			}
		}()
		return next(c)
	}
}

// setSecurityHeaders: answers are data for programs, to be kept by nobody; the
// few pages may load their own scripts and styles and nothing else. Scalar writes
// styles into the page, so /docs gets a nonce for them, a fresh one each time.
func setSecurityHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		policy := "default-src 'none'; frame-ancestors 'none'"
		switch path := c.Request().URL.Path; {
		case path == "/docs":
			nonce := rand.Text()
			c.SetRequest(c.Request().WithContext(context.WithValue(c.Request().Context(), nonceKey{}, nonce)))
			policy = "default-src 'self'; style-src 'self' 'nonce-" + nonce + "'; img-src 'self' data:; font-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
		case strings.HasPrefix(path, "/problems"):
			policy = "default-src 'none'; style-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
		}
		h.Set("Content-Security-Policy", policy)
		return next(c)
	}
}

// nonceKey is the key of a page's nonce in the request's context.
type nonceKey struct{}

// limitTime gives each request a deadline, which reaches every statement of the
// database.
func (s *Server) limitTime(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		client := c.Request().Context()
		ctx, cancel := context.WithTimeout(context.WithValue(client, clientKey{}, c.Request()), s.cfg.RequestTimeout)
		defer cancel()
		c.SetRequest(c.Request().WithContext(ctx))
		return next(c)
	}
}

// headAsGet serves HEAD wherever GET is served (RFC 9110 section 9.1); net/http
// leaves the body out of the answer. It comes before the router, which knows
// GET only.
func headAsGet(r *http.Request) *http.Request {
	if r.Method != http.MethodHead {
		return r
	}
	get := r.WithContext(r.Context())
	get.Method = http.MethodGet
	return get
}

// endAfterChunks ends the connection after a request whose body comes in chunks. It
// may have had a Content-Length too, which net/http takes away and which a proxy
// before us may have believed; what it took for the rest of the body would be
// answered as a request of somebody else (RFC 9112 section 6.1).
func endAfterChunks(w http.ResponseWriter, r *http.Request) {
	if len(r.TransferEncoding) > 0 {
		w.Header().Set("Connection", "close")
	}
}

// allowOrigins lets pages of these origins use the API from a browser, with a key
// or a token; cookies are never taken.
func allowOrigins(origins []string) echo.MiddlewareFunc {
	return middleware.CORSWithConfig(middleware.CORSConfig{
		AllowOrigins: origins,
		AllowMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
		AllowHeaders: []string{
			echo.HeaderContentType, echo.HeaderAuthorization, headerAPIKey, contract.HeaderIdempotencyKey, "If-Match", headerRequestID, "MEMS-Actor",
		},
		ExposeHeaders: []string{"ETag", echo.HeaderLocation, headerRequestID, "Retry-After", "RateLimit", "RateLimit-Policy", "Deprecation", "Sunset", "Link"},
		MaxAge:        600,
	})
}
