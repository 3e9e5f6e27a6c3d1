package reception

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, h http.Handler, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r io.Reader) string {
	t.Helper()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// The page refers to existing files and keeps to its own policy, and cached files are not
// sent again.
func TestHandler(t *testing.T) {
	t.Parallel()
	h, err := Handler()
	if err != nil {
		t.Fatal(err)
	}
	index := get(t, h, "/reception/")
	defer func() { _ = index.Body.Close() }()
	page := body(t, index.Body)
	if index.StatusCode != http.StatusOK || index.Header.Get("Content-Security-Policy") != Policy || index.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("%s %v", index.Status, index.Header)
	}
	if regexp.MustCompile(`<script[^>]*>[^<]|<style|style=| on[a-z]+=|https?://`).MatchString(page) {
		t.Errorf("the page has what its policy forbids:\n%s", page)
	}
	named := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(named) < 3 {
		t.Errorf("%v", named)
	}
	for _, n := range named {
		plain := get(t, h, n[1])
		content := body(t, plain.Body)
		_ = plain.Body.Close()
		if plain.StatusCode != http.StatusOK || content == "" || plain.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %s %v", n[1], plain.Status, plain.Header)
		}
		if strings.Contains(n[1], "/assets/") != strings.Contains(plain.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %v", n[1], plain.Header)
		}
		small := get(t, h, n[1], "Accept-Encoding", "gzip")
		unpacked, err := gzip.NewReader(small.Body)
		if err != nil {
			t.Fatal(err)
		}
		if body(t, unpacked) != content || small.Header.Get("ETag") == plain.Header.Get("ETag") {
			t.Errorf("%s differs when it is compressed", n[1])
		}
		_ = small.Body.Close()
		again := get(t, h, n[1], "Accept-Encoding", "gzip", "If-None-Match", small.Header.Get("ETag"))
		_ = again.Body.Close()
		if again.StatusCode != http.StatusNotModified {
			t.Errorf("%s is sent again: %s", n[1], again.Status)
		}
	}
	none := get(t, h, "/reception/assets/none.js")
	_ = none.Body.Close()
	if none.StatusCode != http.StatusNotFound {
		t.Errorf("%s", none.Status)
	}
}
