package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// smuggling sends requests whose end is ambiguous, followed by a second request. If the first
// is accepted and the second answered, a proxy in front could attribute that response to
// another client (RFC 9112, 11.2).
func smuggling(ctx context.Context, f *field) (string, error) {
	s, err := f.closed(ctx)
	if err != nil {
		return "", err
	}
	const hidden = "GET /problems/not-found HTTP/1.1\r\nHost: localhost\r\n\r\n"
	// Control: two plain requests on one connection have two responses.
	control, _, err := s.raw(ctx, strings.Repeat("GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n", 2), time.Second)
	if err != nil {
		return "", err
	}
	if strings.Count(control, "HTTP/1.1 200") != 2 {
		return "", fmt.Errorf("two plain requests: %.120q", control)
	}
	post := "POST /patients HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	cases := map[string]string{
		"CL and TE":            fmt.Sprintf("%sContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s", post, len(hidden)+5, hidden),
		"two CL":               post + "Content-Length: 0\r\nContent-Length: 5\r\n\r\n" + hidden,
		"a list of CL":         post + "Content-Length: 0, 5\r\n\r\n" + hidden,
		"CL with a sign":       post + "Content-Length: +0\r\n\r\n" + hidden,
		"negative CL":          post + "Content-Length: -1\r\n\r\n" + hidden,
		"hexadecimal CL":       post + "Content-Length: 0x0\r\n\r\n" + hidden,
		"space before colon":   post + "Content-Length : 0\r\n\r\n" + hidden,
		"TE with a space":      post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + hidden,
		"TE of two":            post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + hidden,
		"TE twice":             post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + hidden,
		"TE misspelt":          post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + hidden,
		"TE with a tab":        post + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + hidden,
		"TE in HTTP/1.0":       strings.Replace(post, "1.1", "1.0", 1) + "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
		"folded TE":            fmt.Sprintf("%sContent-Length: %d\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n%s", post, len(hidden)+5, hidden),
		"TE in capitals":       fmt.Sprintf("%sContent-Length: %d\r\nTRANSFER-ENCODING: Chunked\r\n\r\n0\r\n\r\n%s", post, len(hidden)+5, hidden),
		"TE by bare LF":        fmt.Sprintf("%sContent-Length: %d\r\nX-A: b\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s", post, len(hidden)+5, hidden),
		"chunk size overflows": post + "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n0\r\n\r\n" + hidden,
		"chunk size of minus":  post + "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n" + hidden,
		"bare LF in a chunk":   post + "Transfer-Encoding: chunked\r\n\r\n2\nxx\r\n0\r\n\r\n" + hidden,
		"two Hosts":            "GET /version HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n" + hidden,
		"no Host":              "GET /version HTTP/1.1\r\n\r\n" + hidden,
		"NUL in a header":      "GET /version HTTP/1.1\r\nHost: localhost\r\nX-A: a\x00b\r\n\r\n" + hidden,
		"bare CR":              "GET /version HTTP/1.1\r\nHost: localhost\r\nX-A: a\rContent-Length: 5\r\n\r\n" + hidden,
		"header without name":  "GET /version HTTP/1.1\r\nHost: localhost\r\n: x\r\n\r\n" + hidden,
		"16 KiB of headers":    "GET /version HTTP/1.1\r\nHost: localhost\r\nX-A: " + strings.Repeat("a", 64<<10) + "\r\n\r\n" + hidden,
	}
	type outcome struct {
		name string
		err  error
	}
	results := make(chan outcome, len(cases))
	for name, text := range cases {
		go func() {
			back, closed, err := s.raw(ctx, text, 3*time.Second)
			switch {
			case err != nil:
			case strings.Count(back, "HTTP/1.1 ") > 1 || strings.Contains(back, "/problems/not-found\""):
				err = fmt.Errorf("the second request was answered: %.120q", back)
			case !closed:
				err = fmt.Errorf("the connection stays open for more: %.120q", back)
			}
			results <- outcome{name, err}
		}()
	}
	var broken []string
	for range cases {
		if r := <-results; r.err != nil {
			broken = append(broken, r.name+": "+r.err.Error())
		}
	}
	if len(broken) > 0 {
		return "", fmt.Errorf("%d of %d: %s", len(broken), len(cases), strings.Join(broken, " | "))
	}
	return fmt.Sprintf("%d kinds, each ended with its connection", len(cases)), nil
}
