package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// lines collects the output of a command.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A server that does not conform fails the command, which names the violations, in the
// JUnit file too.
func TestConformanceFails(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	junit := filepath.Join(t.TempDir(), "report.xml")
	var out, errOut strings.Builder
	code := run(t.Context(), []string{"conformance", "--url", s.URL, "--junit", junit}, nil, &out, &errOut)
	if code != exitFailed || !strings.Contains(out.String(), "FAIL  the caller is known") || !strings.Contains(out.String(), s.URL+"/docs#tag/access/GET/me") {
		t.Errorf("mems conformance: exit %d, want %d and the failed check with its operation:\n%s\n%s",
			code, exitFailed, &out, &errOut)
	}
	if report, err := os.ReadFile(junit); err != nil || !strings.Contains(string(report), "<testsuite name=\"MEMS conformance\"") {
		t.Errorf("JUnit report = %s (%v), want a testsuite", report, err)
	}
}

// An invalid command line is rejected with an explanation.
func TestConformanceUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{},
		{"--url", "staging"},
		{"--proxy", "127.0.0.1:0"},
		{"--url", "http://x", "--proxy", "127.0.0.1:0"},
		{"--proxy", "127.0.0.1:0", "--upstream", "ftp://x"},
		{"--colour"},
	} {
		var errOut strings.Builder
		if code := run(t.Context(), append([]string{"conformance"}, args...), nil, io.Discard, &errOut); code != exitUsage {
			t.Errorf("mems conformance %q: exit %d, want %d:\n%s", args, code, exitUsage, &errOut)
		}
	}
}

// At the end the proxy reports what the client did, and fails if it found errors.
func TestConformanceProxy(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.NotFoundHandler())
	defer upstream.Close()
	for path, want := range map[string]struct {
		code int
		says string
	}{
		"/patient": {exitFailed, "GET /patient: the contract has no such operation"},
		"":         {exitFailed, "0 requests"},
	} {
		ctx, stop := context.WithCancel(t.Context())
		out, errOut := &lines{}, &lines{}
		ended := make(chan int, 1)
		go func() {
			ended <- run(ctx, []string{"conformance", "--proxy", "127.0.0.1:0", "--upstream", upstream.URL}, nil, out, errOut)
		}()
		address := regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
		deadline := time.Now().Add(10 * time.Second)
		for !address.MatchString(errOut.String()+out.String()) && time.Now().Before(deadline) {
			time.Sleep(10 * time.Millisecond)
		}
		if path != "" {
			answer, err := http.Get(address.FindString(errOut.String()+out.String()) + path)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
		}
		stop()
		if code := <-ended; code != want.code || !strings.Contains(out.String(), want.says) {
			t.Errorf("proxy on %q: exit %d, want %d and %q in the output:\n%s\n%s",
				path, code, want.code, want.says, out, errOut)
		}
	}
}
