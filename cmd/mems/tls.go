package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificates serves a certificate from files and reloads it when they change, so that
// renewal needs no restart.
type certificates struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	looked  time.Time // last check of the files
	seen    [2]stamp
}

// stamp identifies a version of a file.
type stamp struct {
	at   time.Time
	size int64
}

// lookAgain is the minimum interval of checks of the files.
const lookAgain = 2 * time.Second

func newCertificates(certFile, keyFile string, log *slog.Logger) (*certificates, error) {
	c := &certificates{certFile: certFile, keyFile: keyFile, log: log}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if errors.Is(err, fs.ErrPermission) {
		return nil, settingError{fmt.Errorf("MEMS_TLS_CERT_FILE and MEMS_TLS_KEY_FILE: %w\nThe server's user cannot read it. Leave the key "+
			"to its owner, and let systemd pass it on: LoadCredential= (see tls.conf next to the units)", err)}
	}
	if err != nil {
		return nil, settingError{fmt.Errorf("MEMS_TLS_CERT_FILE and MEMS_TLS_KEY_FILE: %w", err)}
	}
	c.current, c.seen, c.looked = &pair, c.stamps(), time.Now()
	c.warnOfReaders()
	return c, nil
}

// checkCertificate checks the certificate's files before anything is started.
func (p *program) checkCertificate() error {
	if p.TLSCertFile == "" {
		return nil
	}
	_, err := newCertificates(p.TLSCertFile, p.TLSKeyFile, slog.New(slog.DiscardHandler))
	return err
}

// warnOfReaders warns about a key that users other than the server's can read. A group may:
// this is how proxies and renewal programs share keys, and how Kubernetes mounts secrets.
func (c *certificates) warnOfReaders() {
	if info, err := os.Stat(c.keyFile); err == nil && info.Mode().Perm()&0o007 != 0 {
		c.log.Warn("every user of this machine can read the TLS key: run chmod o= on it, and renew the certificate if anyone may have read it",
			"file", c.keyFile, "mode", info.Mode().Perm().String())
	}
}

// config returns the listener's configuration. TLS 1.2 is the minimum; Go chooses safe
// ciphers.
func (c *certificates) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: c.get}
}

// get returns the newest matching pair.
func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) < lookAgain {
		return c.current, nil
	}
	c.looked = time.Now()
	now := c.stamps()
	if now == c.seen {
		return c.current, nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		// Perhaps only one of the two files has been written so far: keep the old pair.
		c.log.Warn("the new TLS certificate is unusable; still serving the old one", "cause", err)
		return c.current, nil
	}
	c.current, c.seen = &pair, now
	c.warnOfReaders()
	c.log.Info("serving the new TLS certificate")
	return c.current, nil
}

// expires returns the expiry of the served certificate.
func (c *certificates) expires() time.Time {
	current, _ := c.get(nil) // never returns an error
	if current.Leaf == nil {
		return time.Time{}
	}
	return current.Leaf.NotAfter
}

// names reports whether the served certificate is valid for a host.
func (c *certificates) names(host string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current.Leaf != nil && c.current.Leaf.VerifyHostname(host) == nil
}

func (c *certificates) stamps() [2]stamp {
	var stamps [2]stamp
	for i, name := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(name); err == nil {
			stamps[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return stamps
}
