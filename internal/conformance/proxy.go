package conformance

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
)

// Finding is a fault of a client, or a violation of the contract by the server.
type Finding struct {
	Operation string // "POST /appointments"
	Severity  string // "error": violates the contract; "advice": will fail some day
	Text      string
	Times     int
}

// Proxy is a reverse proxy between a partner's client and a server that records violations
// of the contract. It is safe for concurrent use.
type Proxy struct {
	contract *Contract
	forward  *httputil.ReverseProxy
	now      func() time.Time
	probe    bool

	mu       sync.Mutex
	requests int
	findings []Finding
	keys     map[string][32]byte  // hash of the first request of an Idempotency-Key
	notUntil map[string]time.Time // when an operation may be retried
}

// maxBody bounds the bodies that are read; the server accepts less.
const maxBody = 11 << 20

// NewProxy returns a Proxy for the server at upstream. With probe, every JSON object in a
// response gets an unknown member, as a later version of the contract may add: a client
// that fails on it would fail then.
func NewProxy(contract *Contract, upstream *url.URL, probe bool, now func() time.Time) *Proxy {
	p := &Proxy{contract: contract, now: now, probe: probe, keys: map[string][32]byte{}, notUntil: map[string]time.Time{}}
	p.forward = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(upstream)
			r.Out.Header.Del("Accept-Encoding") // responses are read here; the transport compresses by itself
		},
		ModifyResponse: p.answered,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			p.find(r.Method+" "+r.URL.Path, "error", "the server did not answer: "+err.Error())
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	return p
}

// ServeHTTP checks a request and forwards it.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "the request's body could not be read", http.StatusBadRequest)
		return
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	p.asked(r, body)
	p.forward.ServeHTTP(w, r)
}

// asked checks a request.
func (p *Proxy) asked(r *http.Request, body []byte) {
	p.mu.Lock()
	p.requests++
	p.mu.Unlock()
	route, parameters := p.contract.find(r)
	if route == nil {
		p.find(r.Method+" "+r.URL.Path, "error", "the contract has no such operation")
		return
	}
	name := route.Method + " " + route.Path
	for _, fault := range p.contract.checkRequest(r.Context(), route, parameters, r, body) {
		p.find(name, "error", fault)
	}
	if route.Operation.Deprecated {
		p.find(name, "advice", fmt.Sprintf("deprecated, to be removed after %v: the documentation names a replacement", route.Operation.Extensions["x-sunset"]))
	}
	p.habits(name, route, r, body)
}

// habits checks good practice that a schema cannot require.
func (p *Proxy) habits(name string, route *routers.Route, r *http.Request, body []byte) {
	key := r.Header.Get("Idempotency-Key")
	if key == "" && takes(route, "Idempotency-Key") {
		p.find(name, "advice", "no Idempotency-Key: it cannot be retried safely after a lost connection")
	}
	if r.Header.Get("If-Match") == "" && takes(route, "If-Match") {
		p.find(name, "advice", "no If-Match: it may overwrite a concurrent change; send the ETag that was read")
	}
	who := r.Header.Get("X-API-Key") + r.Header.Get("Authorization")
	p.mu.Lock()
	until, again := p.notUntil[who], false
	if key != "" {
		hash := sha256.Sum256([]byte(r.Method + " " + r.URL.RequestURI() + "\n" + string(body)))
		first, known := p.keys[who+"\n"+key]
		again = known && first != hash
		if !known {
			p.keys[who+"\n"+key] = hash
		}
	}
	p.mu.Unlock()
	if again {
		p.find(name, "error", "Idempotency-Key of a different request: use a new one for each operation")
	}
	if p.now().Before(until) {
		p.find(name, "error", "sent before the time in Retry-After had passed")
	}
}

// takes reports whether an operation has a header parameter.
func takes(route *routers.Route, header string) bool {
	return slices.ContainsFunc(slices.Concat(route.PathItem.Parameters, route.Operation.Parameters), func(p *openapi3.ParameterRef) bool {
		return p.Value.In == openapi3.ParameterInHeader && p.Value.Name == header
	})
}

// answered checks a response.
func (p *Proxy) answered(a *http.Response) error {
	if strings.HasPrefix(a.Header.Get("Content-Type"), "text/event-stream") {
		return nil // streams do not end
	}
	body, err := io.ReadAll(a.Body)
	if err != nil {
		return err
	}
	_ = a.Body.Close()
	request := a.Request
	name := request.Method + " " + request.URL.Path
	if route, _ := p.contract.find(request); route != nil {
		name = route.Method + " " + route.Path
	}
	for _, fault := range p.contract.CheckAnswer(request, Answer{Status: a.StatusCode, Header: a.Header, Body: body}) {
		p.find(name, "error", "the server's answer: "+fault)
	}
	if seconds, err := strconv.Atoi(a.Header.Get("Retry-After")); err == nil && seconds > 0 {
		p.mu.Lock()
		p.notUntil[request.Header.Get("X-API-Key")+request.Header.Get("Authorization")] = p.now().Add(time.Duration(seconds) * time.Second)
		p.mu.Unlock()
	}
	if p.probe {
		body = probed(a, body)
	}
	a.Body, a.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	a.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}

// probed adds an unknown member to a JSON object.
func probed(a *http.Response, body []byte) []byte {
	var content map[string]json.RawMessage
	if !strings.Contains(a.Header.Get("Content-Type"), "json") || json.Unmarshal(body, &content) != nil || content == nil {
		return body
	}
	content["conformance_probe"] = json.RawMessage(`"a later version may have this"`)
	more, err := json.Marshal(content)
	if err != nil {
		return body
	}
	return more
}

// find records a finding, or counts a repeated one.
func (p *Proxy) find(operation, severity, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, f := range p.findings {
		if f.Operation == operation && f.Severity == severity && f.Text == text {
			p.findings[i].Times++
			return
		}
	}
	p.findings = append(p.findings, Finding{operation, severity, text, 1})
}

// Findings returns the findings so far, and the number of requests.
func (p *Proxy) Findings() (findings []Finding, requests int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.findings), p.requests
}
