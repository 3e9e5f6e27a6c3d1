package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
	"unicode"
)

// health runs "mems health", for container images without a shell or curl.
func health(ctx context.Context, p *program, args []string) error {
	if err := parse(newFlags("health"), args); err != nil {
		return err
	}
	url, err := p.readyURL()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	// The certificate is for the clinic's host name, and the connection to this machine
	// carries no secrets. No proxy from the environment is used.
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
	}}
	response, err := client.Do(request)
	if err == nil && response.StatusCode == http.StatusBadRequest && request.URL.Scheme == "http" {
		// The settings may not mention TLS (the package has it in tls.conf); this is Go's
		// response to plain HTTP then.
		_ = response.Body.Close()
		request.URL.Scheme = "https"
		url = request.URL.String()
		response, err = client.Do(request)
	}
	if err != nil {
		return fmt.Errorf("%w\nIs \"mems serve\" running, with the same MEMS_HTTP_ADDR?", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		var problem struct {
			Detail string `json:"detail"`
		}
		_ = json.NewDecoder(io.LimitReader(response.Body, 64<<10)).Decode(&problem) // its detail is optional
		if problem.Detail == "" {
			problem.Detail = "it is shutting down, or its database is unavailable"
		}
		return fmt.Errorf("%s answered %s: %s\n(See the server's log and \"mems migrate status\".)", url, response.Status, printable(problem.Detail))
	}
	p.say("ready")
	return nil
}

// readyURL returns the URL of /readyz of this configuration's server.
func (p *program) readyURL() (string, error) {
	url, err := p.localURL()
	return url + "/readyz", err
}

// localURL returns the URL of this configuration's server on this machine.
func (p *program) localURL() (string, error) {
	host, port, err := net.SplitHostPort(p.HTTPAddr)
	if err != nil {
		return "", err
	}
	if port == "0" {
		return "", fmt.Errorf("MEMS_HTTP_ADDR=%s has no fixed port: use the one that \"mems serve\" printed", p.HTTPAddr)
	}
	// A server on all addresses is reached by loopback.
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.Is6() {
			host = "::1"
		}
	}
	scheme := "http"
	if p.TLSCertFile != "" {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port), nil
}

// printable returns another program's text as one line.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
}
