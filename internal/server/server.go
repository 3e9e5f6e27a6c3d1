// Package server is the HTTP API: it validates each request against the contract (package
// contract), translates it for package store, and translates the result back.
//
// A request passes middleware (request id, log, limits), the operation's checks, the
// generated strict handler, and a handler of this package, which makes one call to the
// store. Errors of every layer, the router's included, become problem documents in one
// place (answer.go), by the table in package contract. The rules of booking are in package
// clinic; handlers only apply the defaults and bounds that the contract states for their
// parameters.
package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"

	"mems/gen/api"
	"mems/internal/fhir"
	"mems/internal/store"
)

// Defaults of a Config, and of the settings of mems serve: a test of cmd/mems compares
// them.
const (
	DefaultMaxBodyBytes   = 64 << 10
	DefaultRequestTimeout = 10 * time.Second
	DefaultMaxAtOnce      = 32
)

// Config configures a Server.
type Config struct {
	Store *store.Store
	// Zone is the clinic's time zone, in which dates are interpreted.
	Zone *time.Location
	// Version and Commit identify the program.
	Version, Commit string
	Log             *slog.Logger
	// MaxBodyBytes bounds a request's body; 0 means DefaultMaxBodyBytes.
	MaxBodyBytes int64
	// RequestTimeout bounds a request, which then gets 503. 0 means 10 s.
	RequestTimeout time.Duration
	// Open lets callers on this machine do everything without a key or a token.
	Open bool
	// Host is the host that the server listens on, which such callers may use besides
	// localhost; empty: none.
	Host string
	// PublicURL is the URL by which clients reach the server, such as
	// https://mems.example.org, for links in responses. Empty: links use the client's Host
	// if it is certainly this server's, and are relative otherwise.
	PublicURL string
	// IsCertified reports whether the server's TLS certificate names a host; nil: none.
	IsCertified func(host string) bool
	// Tokens configures the identity provider whose tokens are accepted; nil: none.
	Tokens *TokenConfig
	// RateLimit is the number of requests per minute of one caller, and of one address
	// without a good credential; 0: unlimited.
	RateLimit int
	// MaxAtOnce bounds the requests that run at once, as the database connections do; half
	// of them may be writes. 0 means 64.
	MaxAtOnce int
	// Lines observes waiting and running requests.
	Lines LineObserver
	// TrustedProxies are the proxies whose X-Forwarded-For and X-Forwarded-Proto are used.
	TrustedProxies []netip.Prefix
	// CORSOrigins are the origins whose pages may use the API from a browser.
	CORSOrigins []string
	// WebhooksInside accepts webhook URLs without https, for receivers in the clinic's own
	// network.
	WebhooksInside bool
	// Desk is the reception desk's web app, served under /reception/; nil: none.
	Desk http.Handler
	// Now is the clock of rate limits and tokens; nil is time.Now.
	Now func() time.Time
	// Observe is called after every response, for metrics and traces. It may be nil.
	Observe func(context.Context, Answered)
}

// Server is the HTTP handler of the whole API and its documentation.
type Server struct {
	cfg      Config
	echo     *echo.Echo
	contract string // version of the contract
	fhir     api.FhirCapabilityStatement
	draining atomic.Bool

	limits      *limits
	refusals    refusals
	failures    *failures
	operations  map[string]Answered // by method and the router's path
	crossOrigin *http.CrossOriginProtection
	admission   *admission
	tokens      *tokens // nil: none are taken
	feed        *changeFeed
	streams     streams
}

// New returns a Server. It fails if any operation of the contract would be served without
// the contract's checks.
func New(cfg Config) (*Server, error) {
	c, err := embeddedContract()
	if err != nil {
		return nil, err
	}
	return newPrepared(cfg, c)
}

// newWith is New with a given contract, which tests alter.
func newWith(cfg Config, doc *openapi3.T) (*Server, error) {
	c, err := prepareContract(doc)
	if err != nil {
		return nil, err
	}
	return newPrepared(cfg, c)
}

func newPrepared(cfg Config, c preparedContract) (*Server, error) {
	if cfg.Store == nil || cfg.Zone == nil || cfg.Log == nil {
		return nil, errors.New("server: Store, Zone and Log are required")
	}
	if cfg.MaxBodyBytes == 0 {
		cfg.MaxBodyBytes = DefaultMaxBodyBytes
	}
	if cfg.RequestTimeout == 0 {
		cfg.RequestTimeout = DefaultRequestTimeout
	}
	if cfg.MaxAtOnce == 0 {
		cfg.MaxAtOnce = DefaultMaxAtOnce
	}
	if cfg.Now == nil {
		cfg.Now = time.Now //nolint:forbidigo // the default of a process
	}
	operations := c.operations.WithMaxBody(cfg.MaxBodyBytes)
	s := &Server{cfg: cfg, echo: echo.New(), contract: c.doc.Info.Version, failures: newFailures(cfg.Log)}
	var err error
	if s.fhir, err = fhir.Capabilities(c.doc, cmp.Or(cfg.Version, "unknown"), fhir.Security{
		Open: cfg.Open, Tokens: cfg.Tokens != nil, CORS: len(cfg.CORSOrigins) > 0,
	}); err != nil {
		return nil, fmt.Errorf("contract: %w", err)
	}
	if s.crossOrigin, err = crossOrigin(cfg.CORSOrigins, cfg.PublicURL); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	s.limits = newLimits(cfg.RateLimit, cfg.Now)
	if places := placesFor(cfg.MaxAtOnce, cfg.Store.Connections()); places < cfg.MaxAtOnce && cfg.MaxAtOnce != DefaultMaxAtOnce {
		cfg.Log.Warn("MEMS_MAX_AT_ONCE is more than the database connections allow: raise MEMS_DATABASE_MAX_CONNS, or lower it",
			"set", cfg.MaxAtOnce, "used", places, "connections", cfg.Store.Connections())
	}
	s.admission = newAdmission(cfg.MaxAtOnce, cfg.Store.Connections(), cfg.RequestTimeout, cfg.Lines)
	s.feed = newChangeFeed(cfg.Store)
	s.streams.ending = make(chan struct{})
	if cfg.Tokens != nil {
		s.tokens = newTokens(*cfg.Tokens, cfg.Now)
	}
	s.operations = answeredByRoute(operations)
	s.echo.HTTPErrorHandler = s.answerError
	s.echo.Use(s.identify, compress, s.observe(s.operations), s.logAccess, s.recoverPanic, setSecurityHeaders, s.requireHTTPS, s.limitTime, keepPlace)
	if len(cfg.CORSOrigins) > 0 {
		s.echo.Use(allowOrigins(cfg.CORSOrigins))
	}
	s.echo.Use(s.refuseForeignOrigins)
	s.echo.Use(s.checkAddress(newAddresses(operations)))
	if err := s.register(operations, api.NewStrictHandler(s, []api.StrictMiddlewareFunc{withhold})); err != nil {
		return nil, err
	}
	s.registerAssets()
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	endAfterChunks(w, r)
	s.echo.ServeHTTP(w, decodePath(headAsGet(r)))
}

// SetDraining makes /readyz return 503, so that a load balancer sends new requests
// elsewhere while the last ones finish.
//
// Streams end; their clients reconnect to another server.
func (s *Server) SetDraining() {
	if !s.draining.Swap(true) {
		close(s.streams.ending)
	}
}
