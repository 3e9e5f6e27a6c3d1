package server

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"mems/internal/clinic"
	"mems/internal/contract"
	"mems/internal/store"
)

const headerAPIKey = "X-API-Key" //nolint:gosec // G101: the name of a header

// authorise authenticates the caller, counts the request against its rate limit, and
// rejects callers without the operation's x-permission. It runs before the rest of the
// request, its body included, is read. The cost beyond one token is charged once it is
// known.
func (s *Server) authorise(op *contract.Operation) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			address := originOf(r, s.cfg.TrustedProxies).address
			access := clinic.Access{Operation: op.ID, RequestID: requestID(c), Address: address}
			from, name := &s.limits.public, addressName(address)
			switch {
			case op.Permission != clinic.Public:
				caller, err := s.authenticateLimited(c, name)
				if err != nil {
					return err
				}
				access.Caller, access.Reach = caller, caller.Reach(op.Permission)
				from, name = &s.limits.callers, caller.Subject
			case op.RateLimit == contract.RateLimitByFeed:
				var err error
				if from, name, err = s.feedBucket(c, name); err != nil {
					return err
				}
			}
			if op.RateLimit != contract.RateLimitNone {
				if err := s.limits.take(c, from, name); err != nil {
					return err
				}
			}
			setRequest(c, store.Request{Access: access, Meter: s.limits.measure(c, from, name, op.Cost)})
			if !access.May(op.Permission) {
				return &clinic.Error{Code: clinic.CodeForbidden, Permission: op.Permission}
			}
			return next(c)
		}
	}
}

// authenticateLimited authenticates the caller. Requests with a wrong credential or none
// count against the address; a key that is not known to be good counts before the database
// is asked, so that guessing causes no queries beyond the limit. A good credential is never
// rejected because of other requests from its address. Errors: those of authenticate,
// api.ProblemSlugRateLimited.
func (s *Server) authenticateLimited(c echo.Context, address string) (clinic.Caller, error) {
	r := c.Request()
	counted := false
	if keys := credentials(r, headerAPIKey); len(keys) == 1 && s.limits.perMinute > 0 {
		known, err := s.cfg.Store.KnowsAPIKey(r.Context(), keys[0])
		if err != nil {
			return clinic.Caller{}, err
		}
		if !known {
			counted = true
			if err := s.limits.take(c, &s.limits.strangers, address); err != nil {
				return clinic.Caller{}, err
			}
		}
	}
	caller, err := s.authenticate(r)
	if !counted && errors.Is(err, clinic.ErrUnauthenticated) {
		if limited := s.limits.take(c, &s.limits.strangers, address); limited != nil {
			return clinic.Caller{}, limited
		}
	}
	return caller, err
}

// feedBucket returns the bucket of a calendar feed: its own, or, without a good token, that
// of wrong credentials from the address.
func (s *Server) feedBucket(c echo.Context, address string) (*buckets, string, error) {
	token, _ := strings.CutSuffix(c.Param("token"), feedSuffix)
	if s.limits.perMinute > 0 {
		known, err := s.cfg.Store.KnowsCalendarFeed(c.Request().Context(), token)
		if err != nil {
			return nil, "", err
		}
		if known {
			id, _, _ := clinic.ParseFeedToken(token) // it is one
			return &s.limits.callers, "feed:" + strconv.FormatInt(id, 10), nil
		}
	}
	return &s.limits.strangers, address, nil
}

// authenticate returns the caller of a request: by API key, by a token of the identity
// provider or, with authentication off, the open caller. Errors: clinic.ErrUnauthenticated,
// clinic.ErrUnavailable.
func (s *Server) authenticate(r *http.Request) (clinic.Caller, error) {
	keys, tokens := credentials(r, headerAPIKey), credentials(r, echo.HeaderAuthorization)
	switch {
	case len(keys)+len(tokens) == 0 && s.cfg.Open:
		return clinic.Open(), checkLocal(r, s.cfg.Host)
	case len(keys) == 1 && len(tokens) == 0:
		release, err := s.lookUpKey(r) // reads the database
		if err != nil {
			return clinic.Caller{}, err
		}
		defer release()
		return s.cfg.Store.Authenticate(r.Context(), keys[0])
	case len(tokens) == 1 && len(keys) == 0:
		scheme, token, _ := strings.Cut(tokens[0], " ")
		switch {
		case !strings.EqualFold(scheme, bearer):
		case s.tokens == nil:
			return clinic.Caller{}, refuseToken("This server takes API keys only, in X-API-Key", nil)
		default:
			return s.tokens.verify(r.Context(), strings.TrimSpace(token))
		}
	}
	return clinic.Caller{}, clinic.ErrUnauthenticated
}

const bearer = "Bearer"

// credentials returns the values of a header that hold a credential. Some tools send the
// header of an empty field, or "Bearer" alone.
func credentials(r *http.Request, header string) []string {
	return slices.DeleteFunc(slices.Clone(r.Header.Values(header)), func(value string) bool {
		value = strings.TrimSpace(value)
		return value == "" || strings.EqualFold(value, bearer)
	})
}
