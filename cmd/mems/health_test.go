package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"mems/internal/storetest"
)

// "mems health" reports the same as /readyz.
func TestHealthCommand(t *testing.T) {
	t.Parallel()
	var ready atomic.Bool
	ready.Store(true)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" || !ready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"detail":"The database \"refuses\"\u001b writes.","status":503}`))
		}
	}))
	address := "MEMS_HTTP_ADDR=" + strings.TrimPrefix(s.URL, "http://")
	if code, said := runMEMS(t, []string{"health"}, address); code != exitOK {
		t.Errorf("a ready server: mems health: exit %d, want %d:\n%s", code, exitOK, said)
	}
	ready.Store(false)
	if code, said := runMEMS(t, []string{"health"}, address); code != exitFailed || !contains(said, "503", `: The database "refuses"  writes.`, "mems migrate status") {
		t.Errorf("a server that is not ready: mems health: exit %d, want %d"+
			" and \"503\", \": The database \\\"refuses\\\"  writes.\", \"mems migrate status\" in the output:\n%s",
			code, exitFailed, said)
	}
	s.Close()
	if code, said := runMEMS(t, []string{"health"}, address); code != exitFailed || !contains(said, "MEMS_HTTP_ADDR") {
		t.Errorf("no server: mems health: exit %d, want %d and \"MEMS_HTTP_ADDR\" in the output:\n%s",
			code, exitFailed, said)
	}
	if code, said := runMEMS(t, []string{"health"}, "MEMS_HTTP_ADDR=127.0.0.1:0"); code != exitFailed || !contains(said, "port") {
		t.Errorf("no port: mems health: exit %d, want %d and \"port\" in the output:\n%s", code, exitFailed, said)
	}
}

// It queries the real server, also over TLS.
func TestHealthOfAServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePair(t, cert, key, 1)
	tls := []string{"MEMS_TLS_CERT_FILE=" + cert, "MEMS_TLS_KEY_FILE=" + key}
	p := startMEMS(t, append(tls, "MEMS_DATABASE_URL="+storetest.New(t).DSN)...)
	address := "MEMS_HTTP_ADDR=" + strings.TrimPrefix(p.URL, "https://")
	if code, said := runMEMS(t, []string{"health"}, append(tls, address)...); code != exitOK {
		t.Errorf("mems health: exit %d, want %d:\n%s", code, exitOK, said)
	}
	// Without the TLS settings, as beside the package, and with the service's settings,
	// whose secrets it does not need.
	service := t.TempDir()
	if err := os.WriteFile(filepath.Join(service, "mems.env"), []byte(address+"\nMEMS_AUTH=required\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(service, "audit-keys"), 0o700); err != nil { // unreadable
		t.Fatal(err)
	}
	for _, env := range []string{address, "MEMS_SERVICE_DIR=" + service} {
		if code, said := runMEMS(t, []string{"health"}, env); code != exitOK {
			t.Errorf("%s: mems health: exit %d, want %d:\n%s", env, code, exitOK, said)
		}
	}
}

// A server on all addresses is queried on loopback.
func TestReadyURL(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		":8080":               "http://127.0.0.1:8080/readyz",
		"0.0.0.0:8080":        "http://127.0.0.1:8080/readyz",
		"[::]:8080":           "http://[::1]:8080/readyz",
		"192.0.2.1:80":        "http://192.0.2.1:80/readyz",
		"mems.example.org:80": "http://mems.example.org:80/readyz",
	} {
		p := program{config: config{HTTPAddr: address}}
		if got, err := p.readyURL(); got != want || err != nil {
			t.Errorf("%s is asked at %s (%v), want %s", address, got, err, want)
		}
	}
}
