package storetest

import (
	"net"
	"testing"
)

// FreeAddress returns a loopback address, "127.0.0.1:port", that nothing listened on a moment ago.
func FreeAddress(t testing.TB) string {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
