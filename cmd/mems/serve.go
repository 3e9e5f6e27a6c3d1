package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"mems/internal/clinic"
	"mems/internal/database"
	"mems/internal/delivery"
	"mems/internal/reception"
	"mems/internal/server"
	"mems/internal/store"
	"mems/internal/telemetry"
)

// serve runs "mems serve".
func serve(ctx context.Context, p *program, args []string) error {
	flags := newFlags("serve")
	migrateFirst := flags.Bool("migrate", false, "")
	if err := parse(flags, args); err != nil {
		return err
	}
	if err := errors.Join(p.checkOpen(), p.checkCertificate(), p.checkDatabase(), p.checkStatusDir()); err != nil {
		return err // reports all faults in one run
	}
	p.notify = takeNotifySocket()
	// Listen first: a port in use should be reported before a database is started.
	listener, err := listen(ctx, "MEMS_HTTP_ADDR", p.HTTPAddr)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	proxies, err := readNetworks(p.TrustedProxies)
	if err != nil {
		return err
	}
	inside, err := readNetworks(p.WebhookNetworks)
	if err != nil {
		return err
	}

	log := slog.New(telemetry.LogHandler(p.logger().Handler()))
	watch, stop, err := p.startTelemetry(ctx, log)
	if err != nil {
		return err
	}
	defer stop()
	var isCertified func(string) bool
	var certificateExpires func() time.Time
	if p.TLSCertFile != "" {
		certs, err := newCertificates(p.TLSCertFile, p.TLSKeyFile, log)
		if err != nil {
			return err
		}
		listener, isCertified, certificateExpires = tls.NewListener(listener, certs.config()), certs.names, certs.expires
	}
	d, err := p.openDatabase(ctx)
	if err != nil {
		return err
	}
	defer d.close()
	ctx, watched := d.keep(ctx)
	defer watched()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	if *migrateFirst || d.private != nil {
		if err := p.prepare(ctx, d); err != nil {
			return err
		}
	}
	st, err := store.Open(store.Config{
		DSN: d.dsn, MaxOpenConns: p.DatabaseConns, Now: now, Zone: p.zone, Log: log,
		Observe: watch.Store(), OpenDB: watch.OpenDB, MACKeys: p.macKeys(), Batches: p.BookingBatches,
		Partners: clinic.PartnerWindow{Lead: p.PartnerLeadTime, Horizon: p.PartnerHorizon},
	})
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	watch.Watch(telemetry.State{Store: st, CertificateExpires: certificateExpires, StatusDir: p.StatusDir, Now: now})
	desk, err := reception.Handler()
	if err != nil {
		return err
	}
	api, err := server.New(server.Config{
		Store: st, Zone: p.zone, Version: version, Commit: builtFrom(), Log: log,
		MaxBodyBytes: p.MaxBodyBytes, RequestTimeout: p.RequestTimeout, Observe: watch.Answered, Lines: watch.Lines(),
		Open: p.open(), Host: p.host(), PublicURL: p.PublicURL, IsCertified: isCertified, Tokens: p.tokens(), RateLimit: p.rateLimit(), MaxAtOnce: p.MaxAtOnce, CORSOrigins: p.corsOrigins(), TrustedProxies: proxies,
		WebhooksInside: len(inside) > 0, Desk: desk,
	})
	if err != nil {
		return err
	}
	ready, waiting := make(chan struct{}), false
	_, err = st.Ready(ctx)
	if _, otherZone := errors.AsType[*store.OtherZoneError](err); errors.Is(err, database.ErrRestoreUnfinished) {
		return err
	} else if err != nil && !otherZone {
		log.WarnContext(ctx, "database unavailable; /readyz returns 503 until it is available", "cause", err, "advice", store.AdviceFor(err))
		notifySystemd(ctx, p.notify, "STATUS=waiting for the database: "+firstLine(err.Error()))
		waiting = true
		go p.awaitDatabase(ctx, st, log, fail, ready)
	} else if err := p.checkZone(ctx, st, log); err != nil {
		return err
	} else if err := p.checkAuditKeys(ctx, st); err != nil {
		return err
	} else {
		if err := st.SealKeys(ctx, store.SystemRequest()); err != nil {
			log.WarnContext(ctx, "sealing API keys failed; none is accepted until it succeeds: was db/grants.sql run after migrating?", "cause", err)
		}
		close(ready)
		go watchZone(ctx, st, fail)
	}
	if len(proxies) > 0 && p.PublicURL == "" {
		log.InfoContext(ctx, "MEMS_PUBLIC_URL is not set: behind the proxy, links in FHIR responses are relative")
	}
	if most := newConnections(mostFiles(), p.DatabaseConns).most; most < fewConnections {
		log.WarnContext(ctx, "the open-file limit allows only a few clients; connections beyond it are closed. Raise it with ulimit -n 4096, or LimitNOFILE for systemd",
			"files", mostFiles(), "connections", most)
	}
	if d.private != nil {
		defer p.noteServing(p.servedURL(listener.Addr().String()))()
	}
	p.welcome(d, listener.Addr().String(), waiting)
	if !p.open() {
		p.adviseFirstKey(ctx, st)
	}
	go keepHouse(ctx, st, log)
	go indexTrail(ctx, st, log)
	sender := delivery.New(delivery.Config{
		Store: st, Message: server.WebhookMessage, Inside: inside, Version: version, Now: now, Log: log, Observe: watch.Delivered,
	})
	var sending sync.WaitGroup
	sending.Go(func() { sender.Run(ctx) })
	defer sending.Wait()
	err = p.serveHTTP(ctx, ready, listener, watch.Handler(api), api.SetDraining, log)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// keepHouse runs maintenance every few seconds: it expires waitlist offers, offers their
// times to the next patient, and deletes expired idempotency keys. Every process does; each
// offer is expired once. A delay is harmless: a freed time only waits longer for the next
// patient.
func keepHouse(ctx context.Context, st *store.Store, log *slog.Logger) {
	for tick := time.NewTicker(5 * time.Second); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		limit, cancel := context.WithTimeout(ctx, 5*time.Second)
		if _, err := st.ExpireOffers(limit, store.SystemRequest()); err != nil {
			log.DebugContext(ctx, "passing on expired waitlist offers failed; will retry", "cause", err)
		}
		if _, err := st.DeleteExpiredIdempotencyKeys(limit); err != nil {
			log.DebugContext(ctx, "deleting expired idempotency keys failed; will retry", "cause", err)
		}
		if _, err := st.RekeyPatients(limit); err != nil {
			log.DebugContext(ctx, "computing patient search keys failed; will retry", "cause", err)
		}
		if err := st.DeleteOldDeliveries(limit); err != nil {
			log.DebugContext(ctx, "deleting old webhook messages failed; will retry", "cause", err)
		}
		cancel()
	}
}

// indexTrail keeps the audit trail's index of patients up to date. After an upgrade there
// may be years of entries, so it works in batches and pauses as long as each takes.
func indexTrail(ctx context.Context, st *store.Store, log *slog.Logger) {
	const idle = 5 * time.Second
	for pause := idle; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		limit, cancel := context.WithTimeout(ctx, 15*time.Second)
		began := time.Now()
		n, err := st.IndexAudit(limit)
		cancel()
		if pause = idle; err != nil {
			log.DebugContext(ctx, "indexing the audit trail failed; will retry", "cause", err)
		} else if n >= 1000 {
			pause = time.Since(began)
		}
	}
}

// serveHTTP serves until ctx ends, then says so by drain and finishes what is in
// flight. The service manager is notified when ready is closed.
func (p *program) serveHTTP(ctx context.Context, ready <-chan struct{}, listener net.Listener, api http.Handler, drain func(), log *slog.Logger) error {
	s := &http.Server{
		Handler: api,
		// A slow client must not hold a connection forever.
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      p.RequestTimeout + 20*time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // mostly broken connections
	}
	newConnections(mostFiles(), p.DatabaseConns).serve(s)
	p.serving = true
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(listener) }()
	for ended := false; !ended; {
		select {
		case <-ready:
			notifySystemd(ctx, p.notify, "READY=1\nSTATUS=serves")
			ready = nil
		case err := <-failed:
			return err
		case <-ctx.Done():
			ended = true
		}
	}
	notifySystemd(context.WithoutCancel(ctx), p.notify, "STOPPING=1")
	p.say("completing in-flight requests (a second signal stops immediately) ...")
	drain()
	// Closing the listener resets connections that the kernel has accepted but Go has not:
	// keep it open until the load balancer has seen /readyz.
	select {
	case err := <-failed:
		return err
	case <-time.After(p.shutdownDelay(ctx)):
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.ShutdownTimeout)
	defer cancel()
	if err := s.Shutdown(limit); err != nil {
		_ = s.Close()
		return fmt.Errorf("some requests did not complete within %s and were aborted", p.ShutdownTimeout)
	}
	p.say("stopped.")
	return nil
}

// shutdownDelay returns how long requests are still accepted after a signal: not at all if
// the clinic's time zone has changed.
func (p *program) shutdownDelay(ctx context.Context) time.Duration {
	if errors.As(context.Cause(ctx), &zoneChangedError{}) {
		return 0
	}
	return p.ShutdownDelay
}

// host returns the configured host of the server.
func (p *program) host() string {
	host, _, _ := net.SplitHostPort(p.HTTPAddr) // validated with the configuration
	if host == "" {
		return "0.0.0.0" // all addresses
	}
	return host
}

// checkOpen refuses to expose an API without authentication to a network.
func (p *program) checkOpen() error {
	host, _, err := net.SplitHostPort(p.HTTPAddr)
	if err != nil {
		return err
	}
	if !p.open() || p.AllowOpen || isLoopback(host) {
		return nil
	}
	return settingError{fmt.Errorf("MEMS_HTTP_ADDR=%s is not a loopback address, and authentication is off: "+
		"anyone who can reach it could read and change everything.\n"+
		"Set MEMS_AUTH=required, and create a key with \"mems keys create\" or set an identity provider in MEMS_OIDC_ISSUER; "+
		"or keep the address on 127.0.0.1; or set MEMS_ALLOW_OPEN=true if the network itself is trusted", p.HTTPAddr)}
}

// tokens returns the configuration of the identity provider, nil for none.
func (p *program) tokens() *server.TokenConfig {
	if p.OIDCIssuer == "" {
		return nil
	}
	return &server.TokenConfig{
		Issuer: p.OIDCIssuer, Audience: p.OIDCAudience, RolesClaim: p.OIDCRolesClaim, DoctorClaim: p.OIDCDoctorClaim,
	}
}

// rateLimit returns 0 with authentication off: all callers are on one machine.
func (p *program) rateLimit() int {
	if p.open() {
		return 0
	}
	return p.RateLimit
}

// adviseFirstKey explains how to create the first key if there is none.
func (p *program) adviseFirstKey(ctx context.Context, st *store.Store) {
	page, err := st.ListAPIKeys(ctx, 0, 1)
	if err == nil && len(page.Items) == 0 && p.OIDCIssuer == "" {
		p.say("no API key exists yet: create the first one with\n\n    %s keys create --role admin 'first administrator'\n", os.Args[0])
	}
}

// access returns the welcome's line about authentication.
func (p *program) access() string {
	switch {
	case p.open():
		return "OPEN: anyone who can reach this address has full access. Set MEMS_AUTH=required to change that"
	case p.OIDCIssuer != "":
		return "by API key or token from " + p.OIDCIssuer
	}
	return "by API key"
}

// servedURL returns the URL of a server that listens on address.
func (p *program) servedURL(address string) string {
	if host, port, err := net.SplitHostPort(address); err == nil && net.ParseIP(host).IsUnspecified() {
		address = net.JoinHostPort(p.host(), port) // as configured: Go listens on [::] for 0.0.0.0
	}
	if p.TLSCertFile != "" {
		return "https://" + address
	}
	return "http://" + address
}

// welcome prints what to do next; while the server waits for its database, only where to
// find the reason.
func (p *program) welcome(d *clinicDatabase, address string, waiting bool) {
	url := p.servedURL(address)
	if p.logsJSON() {
		p.logger().Info("MEMS is serving", "url", url, "database", d.where, "zone", p.ClinicTimeZone, "access", p.access(), "version", version)
		return
	}
	if waiting {
		_, _ = fmt.Fprintf(p.out, `
MEMS is serving %[1]s
The database cannot be used yet, and every request gets 503 until it can. It is tried again every second.
  health          %[1]s/readyz says why
  database        %[2]s
Stop: Ctrl-C.

`, url, d.where)
		return
	}
	tomorrow := time.Now().In(p.zone).AddDate(0, 0, 1)
	start := time.Date(tomorrow.Year(), tomorrow.Month(), tomorrow.Day(), 10, 0, 0, 0, p.zone).Format(time.RFC3339)
	header, withKey := "", ""
	if !p.open() {
		header, withKey = ` -H "X-API-Key: $KEY"`, "\nSet KEY to an API key (\"mems keys create\") first.\n"
	}
	_, _ = fmt.Fprintf(p.out, `
MEMS is serving %[1]s
  reception desk  %[1]s/reception/
  documentation   %[1]s/docs
  health          %[1]s/readyz
  database        %[2]s
  clinic's zone   %[3]s
  access          %[6]s
%[7]s
A first booking, to paste into another terminal:

  new() { curl -sS%[8]s -H 'Content-Type: application/json' -d "$2" %[1]s/$1 | tee /dev/stderr | grep -o '"id":[0-9]*' | cut -d: -f2; echo >&2; }
  patient=$(new patients '{"first_name":"Ann","last_name":"Muster"}')
  doctor=$(new doctors '{"full_name":"Dr. Noor Haddad","specialization":"Dermatology"}')
  new appointments "{\"patient_id\":$patient,\"doctor_id\":$doctor,\"start_time\":\"%[4]s\",\"duration_minutes\":30}"

Send the last line again to see that nobody is booked twice.
Instead of these, a whole clinic to look at: %[5]s demo
Stop: Ctrl-C.

`, url, d.where, p.ClinicTimeZone, start, os.Args[0], p.access(), withKey, header)
}

func newFlags(name string) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return flags
}

// parseWords parses flags. It rejects empty values, which unset variables produce: the
// command would do something else than intended, such as an unencrypted backup.
func parseWords(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		return usageError{err.Error()}
	}
	var err error
	flags.Visit(func(f *flag.Flag) {
		if g, ok := f.Value.(flag.Getter); ok && g.Get() == "" {
			err = usageError{fmt.Sprintf("--%s: empty value", f.Name)}
		}
	})
	return err
}

// parse parses flags and rejects arguments.
func parse(flags *flag.FlagSet, args []string) error {
	if err := parseWords(flags, args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return usageError{fmt.Sprintf("unexpected argument %q", flags.Arg(0))}
	}
	return nil
}
