// Package reception serves the reception desk, a web app for booking, check-in and the
// clinic's day. It consists of static files, built from web/ by "make desk" and committed
// in dist/, so that mems can be built with Go alone. It uses only the public API, through
// the generated client.
package reception

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"
)

//go:embed dist
var dist embed.FS

// Policy is the Content-Security-Policy of the desk's pages: only its own files and the API
// of the same origin.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

// file is one file of the desk.
type file struct {
	data      []byte
	packed    func() ([]byte, error) // compresses data once, for the first client that takes it so
	mediaType string
	etag      string
	hashed    bool // its name has a hash of its content
}

// Handler serves the desk under /reception/.
func Handler() (http.Handler, error) {
	files := map[string]file{}
	err := fs.WalkDir(dist, "dist", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := dist.ReadFile(name)
		if err != nil {
			return err
		}
		f := file{data: data, mediaType: mime.TypeByExtension(path.Ext(name)), hashed: strings.HasPrefix(name, "dist/assets/")}
		switch path.Ext(name) { // not from the machine's MIME table
		case ".js":
			f.mediaType = "text/javascript; charset=utf-8"
		case ".css":
			f.mediaType = "text/css; charset=utf-8"
		case ".html":
			f.mediaType = "text/html; charset=utf-8"
		case ".svg":
			f.mediaType = "image/svg+xml"
		}
		sum := sha256.Sum256(data)
		f.etag = `"` + hex.EncodeToString(sum[:8]) + `"`
		f.packed = sync.OnceValues(func() ([]byte, error) { return pack(data) })
		files[strings.TrimPrefix(name, "dist/")] = f
		return nil
	})
	if err != nil {
		return nil, err
	}
	if _, ok := files["index.html"]; !ok {
		return nil, fmt.Errorf(`reception: internal/reception/dist has no index.html; run "make desk"`)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/reception/")
		if f, ok := files[name]; ok {
			f.send(w, r)
			return
		}
		switch page := files["index.html"]; {
		case isView(name):
			page.send(w, r)
		case strings.Contains(path.Base(name), ".") || !strings.Contains(r.Header.Get("Accept"), "text/html"):
			http.NotFound(w, r)
		default:
			page.sendMissing(w, r) // the desk itself says that there is no such page, and leads on
		}
	}), nil
}

// settingsPage matches the pages of the settings: lists, and one doctor.
var settingsPage = regexp.MustCompile(`^(rooms|doctors(/[1-9][0-9]{0,14})?)$`)

// isView reports whether a name below /reception/ is the address of a view, as web/src/lib/address.ts
// writes it: a view, and a date that the calendar can show for those that have one.
func isView(name string) bool {
	view, date, dated := strings.Cut(strings.TrimSuffix(name, "/"), "/")
	switch view {
	case "settings":
		return !dated || settingsPage.MatchString(date)
	case "", "find":
		return !dated
	case "day", "week", "check-in":
		_, err := time.Parse(time.DateOnly, date)
		return !dated || err == nil && date >= "1901" && date < "9998"
	default:
		return false
	}
}

// send serves the file, or says that the client has it.
func (f file) send(w http.ResponseWriter, r *http.Request) {
	data, tag := f.describe(w, r)
	w.Header().Set("ETag", tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

// sendMissing serves the file with status 404.
func (f file) sendMissing(w http.ResponseWriter, r *http.Request) {
	data, _ := f.describe(w, r)
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write(data) // a client that is gone has nothing to read
}

// describe sets the headers of the file, and returns it as the client takes it, with its ETag.
func (f file) describe(w http.ResponseWriter, r *http.Request) (data []byte, tag string) {
	h := w.Header()
	h.Set("Content-Type", f.mediaType)
	h.Set("Content-Security-Policy", Policy)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache") // revalidate: a new version of MEMS has new files
	if f.hashed {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	data, tag = f.data, f.etag
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		if packed, err := f.packed(); err == nil { // else as it is
			data, tag = packed, strings.TrimSuffix(f.etag, `"`)+`-gz"`
			h.Set("Content-Encoding", "gzip")
		}
	}
	return data, tag
}

func pack(data []byte) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(data); err != nil {
		return nil, err
	}
	err = z.Close()
	return b.Bytes(), err
}
