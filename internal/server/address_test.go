package server

import (
	"net/http"
	"net/netip"
	"testing"
)

func TestOriginOf(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("127.0.0.1/32")}
	for name, c := range map[string]struct {
		peer   string
		hops   []string
		proto  string
		want   string
		secure bool
	}{
		"Direct":          {peer: "192.0.2.1:5", want: "192.0.2.1"},
		"DirectLies":      {peer: "192.0.2.1:5", hops: []string{"203.0.113.9"}, proto: "https", want: "192.0.2.1"},
		"Proxy":           {peer: "10.1.2.3:5", hops: []string{"203.0.113.9"}, proto: "https", want: "203.0.113.9", secure: true},
		"ProxyPlain":      {peer: "10.1.2.3:5", hops: []string{"203.0.113.9"}, proto: "http", want: "203.0.113.9"},
		"ClientLies":      {peer: "10.1.2.3:5", hops: []string{"1.1.1.1, 203.0.113.9"}, want: "203.0.113.9"},
		"TwoProxies":      {peer: "10.1.2.3:5", hops: []string{"1.1.1.1, 203.0.113.9, 10.9.9.9"}, want: "203.0.113.9"},
		"SeveralLines":    {peer: "10.1.2.3:5", hops: []string{"1.1.1.1", "203.0.113.9", "10.9.9.9"}, want: "203.0.113.9"},
		"Junk":            {peer: "10.1.2.3:5", hops: []string{"203.0.113.9, unknown"}, want: "10.1.2.3"},
		"JunkBehind":      {peer: "10.1.2.3:5", hops: []string{"unknown, 203.0.113.9"}, want: "203.0.113.9"},
		"NoHeader":        {peer: "10.1.2.3:5", want: "10.1.2.3"},
		"AllTrusted":      {peer: "10.1.2.3:5", hops: []string{"10.0.0.7"}, want: "10.0.0.7"},
		"WithPort":        {peer: "10.1.2.3:5", hops: []string{"203.0.113.9:4711"}, want: "203.0.113.9"},
		"V6":              {peer: "[2001:db8::1]:5", hops: []string{"[2001:dead::9]:4711"}, want: "2001:dead::9"},
		"V6Brackets":      {peer: "[2001:db8::1]:5", hops: []string{"[2001:dead::9]"}, want: "2001:dead::9"},
		"V6Bare":          {peer: "[2001:db8::1]:5", hops: []string{"2001:dead::9"}, want: "2001:dead::9"},
		"V6Zone":          {peer: "[fe80::1%eth0]:5", want: "fe80::1"},
		"MappedPeer":      {peer: "[::ffff:10.1.2.3]:5", hops: []string{"::ffff:203.0.113.9"}, want: "203.0.113.9"},
		"Loopback":        {peer: "127.0.0.1:5", hops: []string{"203.0.113.9"}, want: "203.0.113.9"},
		"NoAddressAtAll":  {peer: "@", hops: []string{"203.0.113.9"}, want: "invalid IP"},
		"EmptyElements":   {peer: "10.1.2.3:5", hops: []string{"203.0.113.9,,"}, want: "10.1.2.3"},
		"ProtoUpperSpace": {peer: "10.1.2.3:5", hops: []string{"203.0.113.9"}, proto: " HTTPS", want: "203.0.113.9", secure: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.hops, "X-Forwarded-Proto": {c.proto}}}
			if got := originOf(r, trusted); got.address.String() != c.want || got.secure != c.secure {
				t.Errorf("%+v, want %s %v", got, c.want, c.secure)
			}
		})
	}
}

// No header lets a client that is not a trusted proxy pass for another address.
func FuzzOriginOf(f *testing.F) {
	f.Add("203.0.113.9, 10.0.0.1", "https")
	f.Add("[::1]:80,,%", "")
	f.Fuzz(func(t *testing.T, hops, proto string) {
		r := &http.Request{RemoteAddr: "192.0.2.1:5", Header: http.Header{"X-Forwarded-For": {hops}, "X-Forwarded-Proto": {proto}}}
		if got := originOf(r, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}); got.address.String() != "192.0.2.1" || got.secure {
			t.Errorf("origin of an untrusted peer with X-Forwarded-For %q = %+v, want 192.0.2.1 and not secure", hops, got)
		}
		r.RemoteAddr = "10.0.0.1:5"
		if got := originOf(r, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}); !got.address.IsValid() {
			t.Errorf("origin of a trusted proxy with X-Forwarded-For %q = %+v, want a valid address", hops, got)
		}
	})
}
