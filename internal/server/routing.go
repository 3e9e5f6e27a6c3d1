package server

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"mems/gen/api"
	"mems/internal/contract"
)

// decodePath decodes percent-encoded characters for the router (RFC 3986 section 6.2.2.2),
// so that /patients/%31 is /patients/1. An encoded slash, which is data and not a
// separator, stays encoded, and checkAddress rejects it.
func decodePath(r *http.Request) *http.Request {
	if r.URL.RawPath == "" || hasEncodedSlash(r.URL) {
		return r
	}
	decoded, address := r.WithContext(r.Context()), *r.URL
	address.RawPath = ""
	decoded.URL = &address
	return decoded
}

func hasEncodedSlash(u *url.URL) bool {
	return strings.Contains(strings.ToLower(u.RawPath), "%2f")
}

// address is one path of the contract.
type address struct {
	template string   // in the router's syntax: /rooms/:id
	segments []string // "" for a parameter
	methods  []string
}

// addresses lists the contract's paths by precedence: of two that match, the one with a
// literal where the other has a parameter comes first.
type addresses []address

func newAddresses(operations contract.Operations) addresses {
	byTemplate := map[string]*address{}
	for _, op := range operations {
		template := echoPath(op.Path)
		a := byTemplate[template]
		if a == nil {
			a = &address{template: template}
			for segment := range strings.SplitSeq(template, "/") {
				if strings.HasPrefix(segment, ":") {
					segment = ""
				}
				a.segments = append(a.segments, segment)
			}
			byTemplate[template] = a
		}
		a.methods = append(a.methods, op.Method)
	}
	var all addresses
	for _, a := range byTemplate {
		all = append(all, *a)
	}
	slices.SortFunc(all, func(a, b address) int { return slices.Compare(b.segments, a.segments) })
	return all
}

// find returns the address that matches a path, nil for none.
func (as addresses) find(path string) *address {
	segments := strings.Split(path, "/")
	for i := range as {
		if as[i].matches(segments) {
			return &as[i]
		}
	}
	return nil
}

func (a *address) matches(segments []string) bool {
	if len(segments) != len(a.segments) {
		return false
	}
	for i, want := range a.segments {
		if i > 0 && segments[i] == "" || want != "" && want != segments[i] {
			return false
		}
	}
	return true
}

// namesInteraction reports whether path has an unsupported FHIR operation or interaction in
// place of an id: /fhir/Patient/$everything, /fhir/Patient/_history.
func (a *address) namesInteraction(path string) bool {
	if !strings.HasPrefix(a.template, "/fhir/") {
		return false
	}
	for i, segment := range strings.Split(path, "/") {
		if a.segments[i] == "" && (strings.HasPrefix(segment, "$") || strings.HasPrefix(segment, "_")) {
			return true
		}
	}
	return false
}

// allow returns the value of the Allow header.
func (a *address) allow() string {
	methods := append([]string{http.MethodOptions}, a.methods...)
	if slices.Contains(methods, http.MethodGet) {
		methods = append(methods, http.MethodHead)
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}

// allowHead adds HEAD to what the router allows, which knows GET only: headAsGet serves it.
func allowHead(h http.Header) {
	allowed := strings.Split(h.Get(echo.HeaderAllow), ", ")
	if slices.Contains(allowed, http.MethodGet) && !slices.Contains(allowed, http.MethodHead) {
		h.Set(echo.HeaderAllow, strings.Join(append(allowed, http.MethodHead), ", "))
	}
}

// checkAddress rejects paths that the router matches but the contract does not have. The
// router lets a last parameter match slashes (/rooms/1/nothing), and matches a parameter
// for a path that has only other methods (GET /fhir/Appointment/$book).
func (s *Server) checkAddress(all addresses) echo.MiddlewareFunc {
	templates := map[string]bool{}
	for _, a := range all {
		templates[a.template] = true
	}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			if hasEncodedSlash(r.URL) {
				c.SetPath("")
				return echo.ErrNotFound
			}
			switch found := all.find(r.URL.Path); {
			case found == nil && templates[c.Path()]:
				c.SetPath("")
				return echo.ErrNotFound
			case found == nil:
				c.Response().Before(func() { allowHead(c.Response().Header()) })
				return next(c)
			case r.Method == http.MethodOptions:
				c.SetPath(found.template)
				c.Response().Header().Set(echo.HeaderAllow, found.allow())
				return c.NoContent(http.StatusNoContent)
			case !slices.Contains(found.methods, r.Method):
				c.SetPath(found.template)
				return &contract.Error{Slug: api.ProblemSlugMethodNotAllowed, Header: http.Header{echo.HeaderAllow: {found.allow()}}}
			case found.namesInteraction(r.URL.Path):
				c.SetPath("")
				return echo.ErrNotFound
			}
			return next(c)
		}
	}
}
