package server

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/labstack/echo/v4"

	"mems/gen/api"
	"mems/internal/contract"
)

// A server without authentication serves only its own machine. But any website can make a
// browser on this machine send requests here under a name that it resolves to 127.0.0.1
// (DNS rebinding), and a reverse proxy on this machine forwards requests from anywhere.
// Host and the forwarding headers distinguish both from a local client.

// isForwardingHeader reports whether a header is set by proxies (RFC 7239 and common
// practice).
func isForwardingHeader(name string) bool {
	switch name {
	case "Forwarded", "Via", "X-Real-Ip":
		return true
	}
	return strings.HasPrefix(name, "X-Forwarded-")
}

// checkLocal rejects a request without credentials that does not come directly from a
// client on this machine. listening is the host that the server listens on.
func checkLocal(r *http.Request, listening string) error {
	for name := range r.Header {
		if isForwardingHeader(name) {
			return &contract.Error{Slug: api.ProblemSlugLocalOnly, Detail: fmt.Sprintf(
				"%s says that a proxy forwarded this request, and this server does not authenticate callers. %s", name, howToOpen)}
		}
	}
	if !isLocalHost(r.Host, listening) {
		return &contract.Error{Slug: api.ProblemSlugLocalOnly, Detail: "The Host header does not name this machine, and this server does not authenticate callers. " +
			"Use http://localhost or http://127.0.0.1 with the port. " + howToOpen}
	}
	return nil
}

const howToOpen = "To serve other machines, set MEMS_AUTH=required and create API keys with \"mems keys create\"."

// isLocalHost reports whether a Host header names this machine: localhost, a loopback
// address, or the host that the server listens on. A server on all addresses accepts any IP
// address: a website cannot make a browser send one as Host that it was not loaded from.
func isLocalHost(host, listening string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") || listening != "" && strings.EqualFold(host, listening) {
		return true
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	all, err := netip.ParseAddr(listening)
	return address.Unmap().IsLoopback() || err == nil && all.IsUnspecified()
}

// refuseForeignOrigins rejects requests that may change something from pages of other
// sites, because a browser would send them with the access of the user's machine or
// network. Programs send neither Origin nor Sec-Fetch-Site.
func (s *Server) refuseForeignOrigins(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := s.crossOrigin.Check(c.Request()); err != nil {
			return &contract.Error{Slug: api.ProblemSlugCrossOrigin, Cause: err}
		}
		return next(c)
	}
}

// crossOrigin returns the check of refuseForeignOrigins, which allows these origins and,
// where a proxy replaces Host, the server's own. Errors: an invalid origin.
func crossOrigin(origins []string, own string) (*http.CrossOriginProtection, error) {
	protection := http.NewCrossOriginProtection()
	for _, origin := range origins {
		if strings.Contains(origin, "*") {
			return nil, fmt.Errorf("origin %q: patterns are not supported", origin)
		}
		if err := protection.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("origin %q: %w", origin, err)
		}
	}
	if own != "" {
		if err := protection.AddTrustedOrigin(own); err != nil {
			return nil, fmt.Errorf("public URL %q: %w", own, err)
		}
	}
	return protection, nil
}
