package server

import (
	"compress/gzip"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"
)

// compressFrom is the size from which text is compressed: less fits into one packet.
const compressFrom = 1 << 10

// compress compresses text with gzip for clients that accept it. It does not touch encoded
// responses, handlers that negotiate themselves (the desk's files), event streams, and JSON
// with a strong ETag: such a tag identifies exact bytes, and clients send it back in
// If-Match.
func compress(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		original := c.Response().Writer
		w := &compressor{ResponseWriter: original, gzip: acceptsGzip(c.Request())}
		c.Response().Writer = w
		defer func() { c.Response().Writer = original }()
		if err := next(c); err != nil {
			c.Error(err)
		}
		w.close()
		return nil
	}
}

// acceptsGzip reports whether Accept-Encoding (RFC 9110 section 12.5.3) allows gzip.
func acceptsGzip(r *http.Request) bool {
	named, other := -1.0, 0.0 // weights; of gzip: -1 for not named
	for element := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		coding, params, _ := strings.Cut(element, ";")
		weight := 1.0
		if _, q, ok := strings.Cut(strings.ReplaceAll(strings.ToLower(params), " ", ""), "q="); ok {
			if parsed, err := strconv.ParseFloat(q, 64); err == nil {
				weight = parsed
			}
		}
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip", "x-gzip":
			named = max(named, weight)
		case "*":
			other = weight
		}
	}
	return named > 0 || named < 0 && other > 0
}

var gzipWriters = sync.Pool{New: func() any {
	w, err := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	return w
}}

// compressor buffers a response until it is known to be long enough.
type compressor struct {
	http.ResponseWriter

	gzip    bool // the client accepts it
	status  int  // 0: none yet
	held    []byte
	decided bool
	writer  *gzip.Writer // nil: as it is
}

// WriteHeader defers the status until the first bytes are sent.
func (w *compressor) WriteHeader(status int) {
	if status < http.StatusOK { // informational: the final one follows
		w.ResponseWriter.WriteHeader(status)
		return
	}
	if w.status == 0 {
		w.status = status
	}
}

func (w *compressor) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	if !w.decided {
		w.held = append(w.held, p...)
		if len(w.held) < compressFrom && isCompressible(w.Header()) {
			return len(p), nil
		}
		return len(p), w.decide(len(w.held) >= compressFrom)
	}
	if w.writer != nil {
		return w.writer.Write(p)
	}
	return w.ResponseWriter.Write(p)
}

// decide sends the header and the buffer.
func (w *compressor) decide(long bool) error {
	w.decided = true
	h := w.Header()
	if isCompressible(h) && w.status != http.StatusNoContent && w.status != http.StatusPartialContent {
		if !slices.ContainsFunc(h.Values("Vary"), func(v string) bool { return strings.Contains(v, "Accept-Encoding") }) {
			h.Add("Vary", "Accept-Encoding")
		}
		if long && w.gzip {
			h.Set("Content-Encoding", "gzip")
			h.Del("Content-Length")
			h.Del("Accept-Ranges")
			if tag := h.Get("ETag"); strings.HasPrefix(tag, `"`) {
				h.Set("ETag", "W/"+tag) // the same content in other bytes (RFC 9110 section 8.8.1)
			}
			w.writer, _ = gzipWriters.Get().(*gzip.Writer)
			w.writer.Reset(w.ResponseWriter)
		}
	}
	w.ResponseWriter.WriteHeader(w.status)
	held := w.held
	w.held = nil
	if len(held) == 0 {
		return nil
	}
	var err error
	if w.writer != nil {
		_, err = w.writer.Write(held)
	} else {
		_, err = w.ResponseWriter.Write(held)
	}
	return err
}

// isCompressible reports whether a response with these headers is unencoded text.
func isCompressible(h http.Header) bool {
	if h.Get("Content-Encoding") != "" || strings.Contains(h.Get("Vary"), "Accept-Encoding") {
		return false
	}
	mediaType, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	switch {
	case err != nil, mediaType == "text/event-stream":
		return false
	case mediaType == "application/json" && strings.HasPrefix(h.Get("ETag"), `"`):
		return false
	}
	return strings.HasPrefix(mediaType, "text/") || strings.HasSuffix(mediaType, "json") || strings.HasSuffix(mediaType, "yaml") ||
		strings.HasSuffix(mediaType, "xml") || strings.HasSuffix(mediaType, "javascript")
}

// FlushError sends the buffer at once, for the events of a stream.
func (w *compressor) FlushError() error {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	if !w.decided {
		if err := w.decide(len(w.held) >= compressFrom); err != nil {
			return err
		}
	}
	if w.writer != nil {
		if err := w.writer.Flush(); err != nil {
			return err
		}
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap lets http.ResponseController set deadlines.
func (w *compressor) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// close ends the response. Errors only mean that the client is gone.
func (w *compressor) close() {
	if w.status != 0 && !w.decided {
		_ = w.decide(len(w.held) >= compressFrom)
	}
	if w.writer != nil {
		_ = w.writer.Close()
		w.writer.Reset(io.Discard)
		gzipWriters.Put(w.writer)
	}
}
