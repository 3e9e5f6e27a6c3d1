package main

import (
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// A request that is answered "unavailable" changed nothing, but another one with its key,
// sent at the same time, may still do the same. So it is sent again, never given up.
func TestSharedKeysAreNeverGivenUp(t *testing.T) {
	t.Parallel()
	var keyless, tries int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Idempotency-Key") == "" {
			keyless++
		}
		if tries++; tries%2 == 1 {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"type":"/problems/unavailable"}`)
			return
		}
		w.Header().Set("ETag", `"1"`)
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"id":1,"status":"scheduled"}`)
	}))
	defer server.Close()
	h, err := newHistory(filepath.Join(t.TempDir(), "history.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.close() }()
	to := &target{address: strings.TrimPrefix(server.URL, "http://")}
	to.ready.Store(true)
	c := &client{
		f: &field{wire: newWire(), scene: newScene(), servers: []*target{to}}, h: h,
		random: rand.New(rand.NewPCG(1, 1)),
	}
	const requests = 12
	for range requests {
		o := h.invoke(0, 0, "book", input{})
		o.Key, o.shared = "shared", true
		c.send(t.Context(), o, request{method: http.MethodPost, path: "/appointments"}, nil)
		h.settle(o)
		if o.Outcome != ok || o.Key != "shared" {
			t.Errorf("outcome %s with key %q after %d tries, want ok with its key", o.Outcome, o.Key, o.Tries+1)
		}
	}
	if keyless > 0 || tries != 2*requests {
		t.Errorf("%d requests, %d without the key; want %d, all with it", tries, keyless, 2*requests)
	}
}

// A booking without a key whose outcome is unknown is not sent again: it could be made twice.
func TestBookingsWithoutKeyAreSentOnce(t *testing.T) {
	t.Parallel()
	h, err := newHistory(filepath.Join(t.TempDir(), "history.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.close() }()
	for name, fail := range map[string]func(w http.ResponseWriter){
		"OutcomeUnknown": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"type":"/problems/outcome-unknown"}`)
		},
		"ConnectionLost": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	} {
		tries := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			tries++
			fail(w)
		}))
		to := &target{address: strings.TrimPrefix(server.URL, "http://")}
		to.ready.Store(true)
		c := &client{f: &field{wire: newWire(), scene: newScene(), servers: []*target{to}}, h: h, random: rand.New(rand.NewPCG(1, 1))}
		o := h.invoke(0, 0, "book", input{})
		c.send(t.Context(), o, request{method: http.MethodPost, path: "/appointments"}, nil)
		h.settle(o)
		server.Close()
		if tries != 1 || o.Outcome != unknown || o.Code != "" {
			t.Errorf("%s: sent %d times, outcome %s %s; want once, unknown", name, tries, o.Outcome, o.Code)
		}
	}
}
