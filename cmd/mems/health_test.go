package main

import (
	"net"
	"testing"

	"mems/internal/storetest"
)

// health tells a server that is ready from none.
func TestHealth(t *testing.T) {
	t.Parallel()
	p := startMEMS(t, "MEMS_DATABASE_URL="+storetest.New(t).DSN)
	if code, output := runMEMS(t, []string{"health"}, "MEMS_HTTP_ADDR="+p.URL[len("http://"):]); code != exitOK || !contains(output, "ready") {
		t.Errorf("%d %s", code, output)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().String()
	_ = l.Close()
	if code, output := runMEMS(t, []string{"health"}, "MEMS_HTTP_ADDR="+free); code != exitFailed || !contains(output, "no server answers") {
		t.Errorf("%d %s", code, output)
	}
	if code, _ := runMEMS(t, []string{"health", "now"}); code != exitUsage {
		t.Errorf("%d", code)
	}
}
