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

// saneRequestID matches the request ids that are accepted from clients and proxies; others
// could forge log lines.
var saneRequestID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// ownRequestIDKey is the context key of an id that identify generated.
const ownRequestIDKey = "ownRequestID"

// identify gives each request an id: the client's, if it matches saneRequestID, otherwise a
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

// logAccess logs one line per request, with the route's template instead of the URL,
// because queries hold names and phone numbers, and with the problem's slug, so that a
// refusal can be explained without reproducing it.
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

// recoverPanic turns a panic into an error, so that it ends one request and not the
// process. http.ErrAbortHandler is left to net/http.
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

// setSecurityHeaders forbids caching of responses, and lets the few pages load only their
// own scripts and styles. Scalar inserts styles into the page, so /docs gets a new nonce
// for them each time.
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

// limitTime gives each request's context a deadline, which applies to every database
// statement.
func (s *Server) limitTime(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		client := c.Request().Context()
		ctx, cancel := context.WithTimeout(context.WithValue(client, clientKey{}, c.Request()), s.cfg.RequestTimeout)
		defer cancel()
		c.SetRequest(c.Request().WithContext(ctx))
		return next(c)
	}
}

// headAsGet serves HEAD wherever GET is served (RFC 9110 section 9.1); net/http omits the
// body. It runs before the router, which knows only GET.
func headAsGet(r *http.Request) *http.Request {
	if r.Method != http.MethodHead {
		return r
	}
	get := r.WithContext(r.Context())
	get.Method = http.MethodGet
	return get
}

// endAfterChunks closes the connection after a request with a chunked body. It may also
// have had a Content-Length, which net/http removes, but which a proxy in front may have
// used; what it takes for the rest of the body would then be answered as another client's
// request (RFC 9112 section 6.1).
func endAfterChunks(w http.ResponseWriter, r *http.Request) {
	if len(r.TransferEncoding) > 0 {
		w.Header().Set("Connection", "close")
	}
}

// allowOrigins lets pages of these origins use the API from a browser, with a key or a
// token; cookies are never accepted.
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
