package server

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
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
			return o // a forged header is not trusted further
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

// called returns the address by which the client called this server, as its Host
// header has it: what anybody can write, and no answer may repeat.
func (s *Server) called(r *http.Request) string {
	scheme := "http"
	if originOf(r, s.cfg.TrustedProxies).secure {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// home returns this server's own address for links in answers, without a slash at
// the end: the one of the settings, else the one that the client called where that
// is known to be this server, else "", which makes links relative to the server that
// was called. A link that repeats the request's Host would send the credentials of the
// client that follows it anywhere (RFC 9110 section 17.1).
//
// What came through a proxy says nothing of how this server is called: many pass any
// Host on, or put an address of their own network there.
func (s *Server) home(r *http.Request) string {
	if s.cfg.PublicURL != "" {
		return s.cfg.PublicURL
	}
	for name := range r.Header {
		if isForwardingHeader(name) {
			return ""
		}
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok || !s.isOwnHost(r, local) {
		return ""
	}
	return s.called(r)
}

// isOwnHost reports whether a Host header names this server: a name of its
// certificate, the host that it listens on, or the address that the connection
// reached, with no port but its own.
func (s *Server) isOwnHost(r *http.Request, local net.Addr) bool {
	reached, err := netip.ParseAddrPort(local.String())
	if err != nil {
		return false
	}
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(r.Host, "["), "]")
	} else if port != strconv.Itoa(int(reached.Port())) {
		return false
	}
	if r.TLS != nil && s.cfg.IsCertified != nil && s.cfg.IsCertified(host) {
		return true
	}
	address, err := netip.ParseAddr(host)
	switch {
	case err == nil:
		return plain(address) == plain(reached.Addr())
	case strings.EqualFold(host, "localhost"):
		return plain(reached.Addr()).IsLoopback()
	}
	return s.cfg.Host != "" && strings.EqualFold(host, s.cfg.Host)
}

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
