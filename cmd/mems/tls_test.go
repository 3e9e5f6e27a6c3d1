package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mems/internal/storetest"
)

// writePair writes a certificate for 127.0.0.1 and its key, and returns it.
func writePair(t *testing.T, certFile, keyFile string, serial int64) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "mems"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "EC PRIVATE KEY", Bytes: encoded}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// The server uses TLS, loads a renewed certificate without a restart, and keeps the old one
// while the new files do not match.
func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pool := x509.NewCertPool()
	pool.AddCert(writePair(t, cert, key, 1))
	p := startMEMS(t, "MEMS_DATABASE_URL="+storetest.New(t).DSN, "MEMS_TLS_CERT_FILE="+cert, "MEMS_TLS_KEY_FILE="+key)
	if !strings.HasPrefix(p.URL, "https://") {
		t.Fatalf("URL = %s, want https", p.URL)
	}
	ask := func() (serial int64, response *http.Response) {
		t.Helper()
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true, DisableKeepAlives: true}}
		response, err := client.Get(p.URL + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.TLS.PeerCertificates[0].SerialNumber.Int64(), response
	}
	serial, response := ask() //nolint:bodyclose // it is closed
	if serial != 1 || response.ProtoMajor != 2 || response.TLS.Version < tls.VersionTLS13 || !strings.HasPrefix(response.Header.Get("Strict-Transport-Security"), "max-age=63072000") {
		t.Errorf("certificate %d, %s, headers %v; want certificate 1, HTTP/2, TLS 1.3 and Strict-Transport-Security",
			serial, response.Proto, response.Header)
	}
	u, err := url.Parse(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tls.Dial("tcp", u.Host, &tls.Config{RootCAs: pool, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("connection with TLS 1.1 was accepted, want it refused")
	}
	if r, err := http.Get("http://" + u.Host + "/healthz"); err == nil { // plain HTTP: 400, or closed
		_ = r.Body.Close()
		if r.StatusCode < 400 {
			t.Errorf("plain HTTP = %d, want a refusal", r.StatusCode)
		}
	}
	// Only one of the two files is new, so they do not match.
	old, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(writePair(t, cert, filepath.Join(dir, "other.pem"), 2))
	time.Sleep(lookAgain)
	if serial, _ := ask(); serial != 1 { //nolint:bodyclose // it is closed
		t.Errorf("certificate = %d, want 1", serial)
	}
	fresh, err := os.ReadFile(filepath.Join(dir, "other.pem"))
	if err != nil || len(old) == 0 {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, fresh, 0o600); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		if serial, _ := ask(); serial == 2 { //nolint:bodyclose // it is closed
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the new certificate is not served in time, want it:\n%s", p.Output())
		}
	}
}

// An unusable certificate is reported before anything else is started.
func TestTLSFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePair(t, cert, key, 1)
	for name, env := range map[string][]string{
		"OnlyCert": {"MEMS_TLS_CERT_FILE=" + cert}, "OnlyKey": {"MEMS_TLS_KEY_FILE=" + key},
		"Missing": {"MEMS_TLS_CERT_FILE=" + cert, "MEMS_TLS_KEY_FILE=" + dir + "/none"},
		"Swapped": {"MEMS_TLS_CERT_FILE=" + key, "MEMS_TLS_KEY_FILE=" + cert},
	} {
		if code, output := runMEMS(t, []string{"serve"}, append(env, "MEMS_HTTP_ADDR=127.0.0.1:0", "MEMS_DATABASE_URL=nobody@tcp(127.0.0.1:1)/mems")...); code == exitOK || !strings.Contains(output, "MEMS_TLS_") {
			t.Errorf("%s: mems serve: exit %d, want a failure with MEMS_TLS_ in the output:\n%s", name, code, output)
		}
	}
}

// A key that every user can read causes a warning, and is used.
func TestTLSKeyThatOthersRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePair(t, cert, key, 1)
	for mode, warns := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o644: true} {
		if err := os.Chmod(key, mode); err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		if _, err := newCertificates(cert, key, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
			t.Fatal(err)
		}
		if said := strings.Contains(log.String(), "can read the TLS key"); said != warns {
			t.Errorf("mode %o: warned %t, want %t:\n%s", mode, said, warns, log.String())
		}
	}
}

// A connection that requires TLS is never made in plain text, nor to a server without a
// valid certificate.
func TestDatabaseTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	writePair(t, ca, filepath.Join(dir, "key.pem"), 1)
	separator := "?"
	dsn := storetest.New(t).DSN
	if strings.Contains(dsn, "?") {
		separator = "&"
	}
	for _, mode := range []string{"true", "mems"} {
		code, output := runMEMS(t, []string{"migrate", "status"}, "MEMS_DATABASE_URL="+dsn+separator+"tls="+mode, "MEMS_DATABASE_CA_FILE="+ca)
		if code != exitFailed || !contains(strings.ToLower(output), "tls") {
			t.Errorf("tls=%s: mems migrate status: exit %d, want %d and TLS in the output:\n%s",
				mode, code, exitFailed, output)
		}
	}
	if code, output := runMEMS(t, []string{"migrate", "status"}, "MEMS_DATABASE_URL="+dsn, "MEMS_DATABASE_CA_FILE="+filepath.Join(dir, "key.pem")); code != exitConfig || !strings.Contains(output, "MEMS_DATABASE_CA_FILE") {
		t.Errorf("no authority: mems migrate status: exit %d, want %d and \"MEMS_DATABASE_CA_FILE\" in the output:\n%s",
			code, exitConfig, output)
	}
}
