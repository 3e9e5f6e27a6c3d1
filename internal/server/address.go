package server

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
)

// origin is where a request really comes from, past the proxies that are trusted.
type origin struct {
	address netip.Addr
	secure  bool // it came by HTTPS
}

// originOf finds where a request comes from. Only what a trusted proxy says
// counts: anybody can write an X-Forwarded-For. Going from the right, the first
// address that is no trusted proxy's is the client's.
func originOf(r *http.Request, trusted []netip.Prefix) origin {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr)
	o := origin{address: plain(peer.Addr()), secure: r.TLS != nil}
	if !isTrusted(o.address, trusted) {
		return o
	}
	o.secure = o.secure || strings.EqualFold(strings.TrimSpace(r.Header.Get("X-Forwarded-Proto")), "https")
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		address, ok := parseHop(strings.TrimSpace(hop))
		if !ok {
			return o // whoever wrote this is not to be believed further
		}
		o.address = address
		if !isTrusted(address, trusted) {
			return o
		}
	}
	return o
}

func isTrusted(address netip.Addr, trusted []netip.Prefix) bool {
	return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(address) })
}

// parseHop reads an address as proxies write it: bare, with a port, or in
// brackets.
func parseHop(hop string) (netip.Addr, bool) {
	if address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(hop, "["), "]")); err == nil {
		return plain(address), true
	}
	withPort, err := netip.ParseAddrPort(hop)
	return plain(withPort.Addr()), err == nil
}

// plain is an address as it is counted and kept: IPv4 as IPv4, without a zone.
func plain(address netip.Addr) netip.Addr { return address.Unmap().WithZone("") }

// requireHTTPS tells browsers that came by HTTPS to come by nothing else for two
// years (RFC 6797).
func (s *Server) requireHTTPS(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if originOf(c.Request(), s.cfg.TrustedProxies).secure {
			c.Response().Header().Set("Strict-Transport-Security", "max-age=63072000; includeSubDomains")
		}
		return next(c)
	}
}
