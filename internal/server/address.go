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

// origin is where a request comes from, behind the trusted proxies.
type origin struct {
	address netip.Addr
	secure  bool // sent over HTTPS
}

// originOf returns the origin of a request. X-Forwarded-For counts only from trusted
// proxies, because any client can send one. From the right, the first address that is not a
// trusted proxy's is the client's.
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
			return o // stop at an invalid, possibly forged, entry
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

// parseHop parses an address as proxies write it: bare, with a port, or in brackets.
func parseHop(hop string) (netip.Addr, bool) {
	if address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(hop, "["), "]")); err == nil {
		return plain(address), true
	}
	withPort, err := netip.ParseAddrPort(hop)
	return plain(withPort.Addr()), err == nil
}

// plain returns an address in the form in which it is counted and stored: mapped IPv4 as
// IPv4, without a zone.
func plain(address netip.Addr) netip.Addr { return address.Unmap().WithZone("") }

// called returns the URL by which the client addressed this server, from its Host header.
// Any client can forge it, so no response may repeat it.
func (s *Server) called(r *http.Request) string {
	scheme := "http"
	if originOf(r, s.cfg.TrustedProxies).secure {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// home returns this server's URL for links in responses, without a trailing slash: the
// configured one, otherwise the one that the client used if it is known to be this
// server's, otherwise "", which makes links relative. A link that repeated an unverified
// Host could send the credentials of the client that follows it anywhere (RFC 9110 section
// 17.1).
//
// The Host of a proxied request says nothing about this server's name: many proxies pass on
// any Host, or set an address of their own network.
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

// isOwnHost reports whether a Host header names this server: a name in its certificate, the
// host that it listens on, or the local address of the connection, with its own port if
// any.
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

// requireHTTPS sets Strict-Transport-Security for two years (RFC 6797) on responses over
// HTTPS.
func (s *Server) requireHTTPS(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if originOf(c.Request(), s.cfg.TrustedProxies).secure {
			c.Response().Header().Set("Strict-Transport-Security", "max-age=63072000; includeSubDomains")
		}
		return next(c)
	}
}
