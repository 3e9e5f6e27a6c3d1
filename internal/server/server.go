// Package server speaks HTTP for the clinic: it holds each request to the contract
// (package contract), translates it for package store, and translates the answer back.
//
// A request's way: middleware (request id, log, limits) -> the operation's
// checks -> the generated strict handler -> a handler of this
// package, which makes one call to the store. Errors of every layer, the
// router's included, become problem documents in one place (answer.go),
// by the contract's one table of them. Rules about what may be booked are package clinic's; a
// handler applies the defaults and bounds that the contract states for its parameters.
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

// Defaults of a Config, and of the settings of mems serve: a test of cmd/mems holds
// these equal.
const (
	DefaultMaxBodyBytes   = 64 << 10
	DefaultRequestTimeout = 10 * time.Second
	DefaultMaxAtOnce      = 32
)

// Config is what a Server needs.
type Config struct {
	Store *store.Store
	// Zone is the clinic's time zone: what "date" means.
	Zone *time.Location
	// Version and Commit identify the program.
	Version, Commit string
	Log             *slog.Logger
	// MaxBodyBytes bounds a request's body; 0 means DefaultMaxBodyBytes.
	MaxBodyBytes int64
	// RequestTimeout bounds how long a request may take; then it is answered
	// with 503. 0 means 10 s.
	RequestTimeout time.Duration
	// Open lets callers without a key or a token do everything, from this
	// machine.
	Open bool
	// Host is the host that the server listens on, which such callers may name
	// beside localhost; empty: none.
	Host string
	// PublicURL is the address by which clients reach the server, such as
	// https://mems.example.org: the one of links in answers. Empty: links have the
	// address that the client called when it is certainly this server's, and else
	// none (they are relative).
	PublicURL string
	// IsCertified reports whether the server's TLS certificate names a host; nil: none.
	IsCertified func(host string) bool
	// Tokens says whose tokens are taken; nil: nobody's.
	Tokens *TokenConfig
	// RateLimit is the requests a minute of one caller, and of one address without a
	// good credential; 0: any number.
	RateLimit int
	// MaxAtOnce bounds the requests that are worked on at once, as the connections to
	// the database do; half of them are writes. 0 means 64.
	MaxAtOnce int
	// Lines observes the requests that wait and work.
	Lines LineObserver
	// TrustedProxies are those whose X-Forwarded-For and X-Forwarded-Proto count.
	TrustedProxies []netip.Prefix
	// CORSOrigins are the origins whose pages may use the API from a browser.
	CORSOrigins []string
	// WebhooksInside takes webhooks whose address is not https: the settings allow
	// some within the clinic's own network.
	WebhooksInside bool
	// Desk is the reception desk's web app, served under /reception/; nil: none.
	Desk http.Handler
	// Now is the clock for limits and tokens; nil is the real one.
	Now func() time.Time
	// Observe is called after every request has been answered: for metrics and
	// traces, which this package knows nothing of. It may be nil.
	Observe func(context.Context, Answered)
}

// Server is the HTTP handler of the whole API and its documentation.
type Server struct {
	cfg      Config
	echo     *echo.Echo
	contract string // version of the contract
	json     []byte // the contract as JSON
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

// New builds a Server. It fails when any operation of the contract would be
// served without the contract's checks.
func New(cfg Config) (*Server, error) {
	c, err := embeddedContract()
	if err != nil {
		return nil, err
	}
	return newPrepared(cfg, c)
}

// newWith is New with a contract that a test may have altered.
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
	s := &Server{cfg: cfg, echo: echo.New(), contract: c.doc.Info.Version, json: c.json, failures: newFailures(cfg.Log)}
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

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	endAfterChunks(w, r)
	s.echo.ServeHTTP(w, decodePath(headAsGet(r)))
}

// SetDraining makes /readyz answer 503 from now on, so that a load balancer
// sends work elsewhere while the last requests are finished.
//
// Streams end: their clients find another server.
func (s *Server) SetDraining() {
	if !s.draining.Swap(true) {
		close(s.streams.ending)
	}
}
