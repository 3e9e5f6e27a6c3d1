package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"mems/internal/clinic"
	"mems/internal/conformance"
)

// runConformance runs "mems conformance".
func runConformance(ctx context.Context, p *program, args []string) error {
	flags := newFlags("conformance")
	target := flags.String("url", "", "")
	key := flags.String("key", "", "")
	doctor := flags.Int64("doctor", 0, "")
	junit := flags.String("junit", "", "")
	proxy := flags.String("proxy", "", "")
	upstream := flags.String("upstream", "", "")
	probe := flags.Bool("probe", false, "")
	if err := parse(flags, args); err != nil {
		return err
	}
	contract, err := conformance.NewContract()
	if err != nil {
		return err
	}
	switch {
	case *proxy != "" && *upstream != "" && *target == "":
		to, err := serverURL(*upstream)
		if err != nil {
			return err
		}
		return p.watchClient(ctx, *proxy, conformance.NewProxy(contract, to, *probe, time.Now))
	case *target != "" && *proxy == "" && *upstream == "":
		if _, err := serverURL(*target); err != nil {
			return err
		}
		report := conformance.Run(ctx, contract, conformance.Target{
			URL: *target, Key: *key, Doctor: *doctor, Now: time.Now(), HTTP: &http.Client{Timeout: 30 * time.Second},
		}, rand.Text()[:8])
		return p.tellReport(report, *junit)
	default:
		return usageError{"missing --url (the server to test), or --proxy and --upstream (to check a client)"}
	}
}

func serverURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, usageError{fmt.Sprintf("invalid URL %q (expected one such as https://staging.example.org)", text)}
	}
	return u, nil
}

// tellReport prints a report, and returns an error if a check failed.
func (p *program) tellReport(report conformance.Report, junit string) error {
	if err := report.Write(p.out); err != nil {
		return err
	}
	if junit != "" {
		file, err := os.Create(junit) //nolint:gosec // named by the operator
		if err != nil {
			return err
		}
		if err := errors.Join(report.WriteJUnit(file), file.Close()); err != nil {
			return err
		}
	}
	if n := report.Failed(); n > 0 {
		return fmt.Errorf("%s failed", clinic.Counted(n, "check"))
	}
	return nil
}

// watchClient serves the proxy until Ctrl-C, and then prints its findings.
func (p *program) watchClient(ctx context.Context, address string, proxy *conformance.Proxy) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	p.say("point your client at http://%s; Ctrl-C stops the proxy and prints the findings", listener.Addr())
	server := &http.Server{Handler: proxy, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		_ = server.Close()
	}
	findings, requests := proxy.Findings()
	faults := 0
	for _, f := range findings {
		_, _ = fmt.Fprintf(p.out, "%-6s  %s: %s (%s)\n", f.Severity, f.Operation, f.Text, clinic.Counted(f.Times, "time"))
		if f.Severity == "error" {
			faults++
		}
	}
	_, _ = fmt.Fprintf(p.out, "\n%s, %s, %s\n",
		clinic.Counted(requests, "request"), clinic.Counted(faults, "error"), clinic.Counted(len(findings)-faults, "recommendation"))
	switch {
	case requests == 0:
		return errors.New("no requests received: point the client at the proxy")
	case faults > 0:
		return errors.New(clinic.Counted(faults, "error"))
	}
	return nil
}
