package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"
)

// spoiled starts the proxy of -spoil in front of a server and returns its address. It removes
// each defence in some way, so that every attack on it must succeed: it hides Host, Origin and
// itself, repeats Host in responses, waits for slow clients without a limit, and uses spoiler.
func spoiled(ctx context.Context, address, admin string) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { // adds no forwarding headers
			r.SetURL(&url.URL{Scheme: "http", Host: address})
			r.Out.Host = "localhost"
			for name := range r.Out.Header {
				if name == "Origin" || strings.HasPrefix(name, "Sec-Fetch-") {
					r.Out.Header.Del(name)
				}
			}
		},
		Transport:     spoiler{admin},
		FlushInterval: -1,
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:gosec // G112: it is meant to be careless
		w.Header().Set("X-Asked", r.Host)
		proxy.ServeHTTP(w, r)
	})}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() { _ = server.Serve(listener) }() // ends with ctx
	return "http://" + listener.Addr().String(), nil
}

// spoiler repeats forbidden reads as administrator, reports refused writes as done, keeps
// streams open, and delays appointments and records.
type spoiler struct{ admin string }

// RoundTrip implements http.RoundTripper.
func (s spoiler) RoundTrip(r *http.Request) (*http.Response, error) {
	path := r.URL.Path
	if strings.HasPrefix(path, "/patients/") || path == "/appointments" || path == "/appointment-series" || strings.HasPrefix(path, "/fhir/") {
		time.Sleep(1100 * time.Millisecond)
	}
	again := r.Clone(r.Context())
	again.Header.Set("X-Api-Key", s.admin)
	if path == "/stream" {
		r = again
	}
	p, err := http.DefaultTransport.RoundTrip(r)
	switch {
	case err != nil || p.StatusCode < 400:
	case path == "/stream":
		_ = p.Body.Close()
		p.StatusCode, p.Body, p.ContentLength = http.StatusOK, io.NopCloser(strings.NewReader("event: hello\n")), -1
		p.Header.Del("Content-Length")
	case r.Method == http.MethodGet:
		_ = p.Body.Close()
		return http.DefaultTransport.RoundTrip(again)
	case path == "/patients" || path == "/holds" || path == "/waitlist":
		p.StatusCode = http.StatusCreated
	}
	return p, err
}
