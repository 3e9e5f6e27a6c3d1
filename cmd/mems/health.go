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

// health is the command "mems health", for container images without a shell or curl.
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
	// The certificate is for the clinic's name, and this is the machine itself, to
	// which nothing secret is sent. No proxy of the environment is asked.
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
	}}
	response, err := client.Do(request)
	if err == nil && response.StatusCode == http.StatusBadRequest && request.URL.Scheme == "http" {
		// The settings do not say that it has TLS, as those of the package do not (tls.conf);
		// this is how Go answers plain HTTP then.
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
		_ = json.NewDecoder(io.LimitReader(response.Body, 64<<10)).Decode(&problem) // its words only add to the status
		if problem.Detail == "" {
			problem.Detail = "it is shutting down, or its database is unavailable"
		}
		return fmt.Errorf("%s answered %s: %s\n(See the server's log and \"mems migrate status\".)", url, response.Status, printable(problem.Detail))
	}
	p.say("ready")
	return nil
}

// readyURL returns the URL of /readyz of the server with this configuration.
func (p *program) readyURL() (string, error) {
	url, err := p.localURL()
	return url + "/readyz", err
}

// localURL is the server of this configuration, from its own machine.
func (p *program) localURL() (string, error) {
	host, port, err := net.SplitHostPort(p.HTTPAddr)
	if err != nil {
		return "", err
	}
	if port == "0" {
		return "", fmt.Errorf("MEMS_HTTP_ADDR=%s has no fixed port: use the one that \"mems serve\" printed", p.HTTPAddr)
	}
	// A server on all addresses is asked by loopback.
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

// printable returns a text of another program as one line.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
}
