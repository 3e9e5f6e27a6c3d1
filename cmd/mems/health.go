package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"
)

// runHealth is the command "mems health": for machines that watch a container in
// which there is no other program.
func runHealth(ctx context.Context, p *program, args []string) error {
	if len(args) > 0 {
		return usageError{"health takes nothing more; it asks the server at MEMS_HTTP_ADDR"}
	}
	host, port, err := net.SplitHostPort(p.HTTPAddr)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost" // every address of this machine is also this one
	}
	scheme := "http"
	if p.TLSCertFile != "" {
		scheme = "https"
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		// The certificate is for the clinic's name, and this machine has another one;
		// nothing secret is sent.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, //nolint:gosec // G402: see above
	}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("no server answers at %s: %w", p.HTTPAddr, err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the server at %s is not ready: it answers %d", p.HTTPAddr, answer.StatusCode)
	}
	p.say("ready")
	return nil
}
