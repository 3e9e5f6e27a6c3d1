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

// start returns the handler, and the desk's page as it is answered.
func start(t *testing.T) (h http.Handler, header http.Header, page string) {
	t.Helper()
	h, err := Handler()
	if err != nil {
		t.Fatal(err)
	}
	index := get(t, h, "/reception/")
	defer func() { _ = index.Body.Close() }()
	if index.StatusCode != http.StatusOK {
		t.Errorf("GET /reception/ = %s, want 200", index.Status)
	}
	return h, index.Header, body(t, index.Body)
}

// The page refers to existing files and keeps to its own policy, and cached files are not
// sent again.
func TestHandler(t *testing.T) {
	t.Parallel()
	h, header, page := start(t)
	if header.Get("Content-Security-Policy") != Policy || header.Get("Cache-Control") != "no-cache" {
		t.Errorf("headers of the page = %v, want its policy and no-cache", header)
	}
	if regexp.MustCompile(`<script[^>]*>[^<]|<style|style=| on[a-z]+=|https?://`).MatchString(page) {
		t.Errorf("the page has inline code or styles or a foreign address, want none:\n%s", page)
	}
	named := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(named) < 3 {
		t.Errorf("files of the page = %v, want at least 3", named)
	}
	for _, n := range named {
		plain := get(t, h, n[1])
		content := body(t, plain.Body)
		_ = plain.Body.Close()
		if plain.StatusCode != http.StatusOK || content == "" || plain.Header.Get("Content-Encoding") != "" {
			t.Errorf("GET %s = %s %v, want 200, not empty, not compressed", n[1], plain.Status, plain.Header)
		}
		if strings.Contains(n[1], "/assets/") != strings.Contains(plain.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("headers of %s = %v, want immutable exactly for assets", n[1], plain.Header)
		}
		small := get(t, h, n[1], "Accept-Encoding", "gzip")
		unpacked, err := gzip.NewReader(small.Body)
		if err != nil {
			t.Fatal(err)
		}
		if body(t, unpacked) != content || small.Header.Get("ETag") == plain.Header.Get("ETag") {
			t.Errorf("%s compressed has other text or the same ETag %s, want the same text and another",
				n[1], small.Header.Get("ETag"))
		}
		_ = small.Body.Close()
		again := get(t, h, n[1], "Accept-Encoding", "gzip", "If-None-Match", small.Header.Get("ETag"))
		_ = again.Body.Close()
		if again.StatusCode != http.StatusNotModified {
			t.Errorf("GET %s with its ETag = %s, want 304", n[1], again.Status)
		}
	}
}

// A view's address is the page; a browser at another one gets the page, too, as one that is
// not there; a missing file is missing.
func TestAddresses(t *testing.T) {
	t.Parallel()
	h, header, page := start(t)
	for address, want := range map[string]struct {
		status int
		isPage bool
	}{
		"/reception/day":                         {http.StatusOK, true},
		"/reception/day/":                        {http.StatusOK, true},
		"/reception/day/2026-11-27":              {http.StatusOK, true},
		"/reception/day/2026-11-27?doctors=1,2":  {http.StatusOK, true},
		"/reception/week/2026-11-27?doctor=1":    {http.StatusOK, true},
		"/reception/check-in/2026-11-27":         {http.StatusOK, true},
		"/reception/find?type=1&from=2026-11-27": {http.StatusOK, true},
		"/reception/day/2026-02-30":              {http.StatusNotFound, true},
		"/reception/day/9997-12-31":              {http.StatusOK, true},
		"/reception/day/9999-12-31":              {http.StatusNotFound, true},
		"/reception/day/2026-11-27/more":         {http.StatusNotFound, true},
		"/reception/find/2026-11-27":             {http.StatusNotFound, true},
		"/reception/settings":                    {http.StatusOK, true},
		"/reception/settings/doctors/12":         {http.StatusOK, true},
		"/reception/settings/rooms":              {http.StatusOK, true},
		"/reception/settings/rooms/1":            {http.StatusNotFound, true},
		"/reception/settings/doctors/0":          {http.StatusNotFound, true},
		"/reception/settings/secrets":            {http.StatusNotFound, true},
		"/reception/month":                       {http.StatusNotFound, true},
		"/reception/assets/none.js":              {http.StatusNotFound, false},
		"/reception/assets/index.css.map":        {http.StatusNotFound, false},
		"/reception/day/favicon.ico":             {http.StatusNotFound, false},
	} {
		r := get(t, h, address, "Accept", "text/html,application/xhtml+xml")
		content := body(t, r.Body)
		_ = r.Body.Close()
		if r.StatusCode != want.status || (content == page) != want.isPage {
			t.Errorf("GET %s = %s, %d bytes, want %d and the page: %t",
				address, r.Status, len(content), want.status, want.isPage)
		}
		if want.isPage && (r.Header.Get("Content-Security-Policy") != Policy || r.Header.Get("Cache-Control") != "no-cache") {
			t.Errorf("headers of %s = %v, want the page's policy and no-cache", address, r.Header)
		}
	}
	packed := get(t, h, "/reception/month", "Accept", "text/html", "Accept-Encoding", "gzip", "If-None-Match", header.Get("ETag"))
	unpacked, err := gzip.NewReader(packed.Body)
	if err != nil || packed.StatusCode != http.StatusNotFound {
		t.Fatalf("compressed page of an unknown address = %s, %v, want 404", packed.Status, err)
	}
	if body(t, unpacked) != page {
		t.Error("compressed page of an unknown address differs from the page, want the same")
	}
	_ = packed.Body.Close()
	program := get(t, h, "/reception/month", "Accept", "application/json")
	content := body(t, program.Body)
	_ = program.Body.Close()
	if program.StatusCode != http.StatusNotFound || content == page {
		t.Errorf("unknown address asked by a program = %s, want 404 without the page", program.Status)
	}
}
