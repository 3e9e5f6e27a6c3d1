// Package delivery sends webhook messages: it claims due messages from the store, signs and
// posts them, and saves the result. Any number of processes may run it on one database;
// each message is sent by one at a time.
//
// Messages leave the clinic's network for addresses that callers chose, so the target is
// checked when the connection is made, by the resolved address: internal host names,
// redirects and repeated look-ups cannot bypass that.
package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"code.dny.dev/ssrf"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"mems/internal/clinic"
	"mems/internal/store"
)

// Config configures a Sender.
type Config struct {
	Store *store.Store
	// Message encodes the body of a message.
	Message func(clinic.Delivery) ([]byte, error)
	// Inside lists non-public networks to which messages may be sent nevertheless.
	Inside []netip.Prefix
	// Version is part of the User-Agent.
	Version string
	Now     func() time.Time
	Log     *slog.Logger
	// Observe is called with the result of each attempt; it may be nil.
	Observe func(taken bool)
}

const (
	// attemptLimit is the timeout of one attempt, including the connection.
	attemptLimit = 10 * time.Second
	// atOnce is the maximum number of concurrent messages per webhook in this process.
	atOnce = 8
	// interval is how often changes of other processes and due retries are polled. Commits
	// of this process wake it.
	interval = 500 * time.Millisecond
	// storeLimit is the timeout of one round's database work.
	storeLimit = 10 * time.Second
)

// Sender sends messages.
type Sender struct {
	cfg      Config
	client   *http.Client
	interval time.Duration
	finished chan struct{} // signalled by left

	mu       sync.Mutex
	underWay map[int64]int  // number of messages, by webhook
	limited  map[int64]bool // by webhook: the last claim was as large as atOnce allowed
}

// New returns a Sender.
func New(cfg Config) *Sender {
	var v4, v6 []netip.Prefix
	for _, p := range cfg.Inside {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	guard := ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
	dialer := &net.Dialer{Timeout: 5 * time.Second, Control: guard.Safe}
	return &Sender{cfg: cfg, interval: interval, finished: make(chan struct{}, 1), underWay: map[int64]int{}, limited: map[int64]bool{}, client: &http.Client{
		Timeout: attemptLimit,
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: attemptLimit,
			MaxIdleConnsPerHost: atOnce, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 16 << 10,
			Proxy: nil, // a proxy could be asked for addresses that are forbidden to us
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Run assigns positions in the feed and sends due messages, until ctx ends.
func (s *Sender) Run(ctx context.Context) {
	tick := time.NewTicker(s.interval)
	defer tick.Stop()
	var sending sync.WaitGroup
	defer sending.Wait()
	for {
		changed := s.cfg.Store.Changed()
		more := s.assignPositions(ctx)
		s.sendDue(ctx, &sending)
		tick.Reset(s.interval)
		for wait := !more; wait; {
			select {
			case <-ctx.Done():
				return
			case <-s.finished:
				s.sendDue(ctx, &sending)
			case <-changed:
				wait = false
			case <-tick.C:
				wait = false
			}
		}
	}
}

// assignPositions assigns positions in the feed and reports whether there are more changes.
func (s *Sender) assignPositions(ctx context.Context) (more bool) {
	limit, cancel := context.WithTimeout(ctx, storeLimit)
	defer cancel()
	more, err := s.cfg.Store.AssignPositions(limit)
	if err != nil {
		s.cfg.Log.DebugContext(ctx, "assigning feed positions failed; will retry", "cause", err)
		return false
	}
	return more
}

// sendDue starts sending due messages, at most atOnce at a time.
func (s *Sender) sendDue(ctx context.Context, sending *sync.WaitGroup) {
	limit, cancel := context.WithTimeout(ctx, storeLimit)
	defer cancel()
	s.mu.Lock()
	underWay := maps.Clone(s.underWay)
	s.mu.Unlock()
	due, err := s.cfg.Store.ClaimDeliveries(limit, atOnce, underWay)
	if err != nil {
		s.cfg.Log.DebugContext(ctx, "claiming webhook messages failed; will retry", "cause", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	claimed := map[int64]int{}
	for _, d := range due {
		claimed[d.Destination.ID]++
	}
	for id, n := range underWay {
		s.limited[id] = n+claimed[id] >= atOnce
	}
	for id, n := range claimed {
		s.limited[id] = n+underWay[id] >= atOnce
	}
	for _, d := range due {
		s.underWay[d.Destination.ID]++
		sending.Go(func() {
			s.deliver(ctx, d)
			s.left(d.Destination.ID)
		})
	}
}

// left records that a message is no longer under way: if a claim was limited by atOnce,
// more messages may be waiting for that.
func (s *Sender) left(webhook int64) {
	s.mu.Lock()
	limited := s.limited[webhook]
	if s.underWay[webhook]--; s.underWay[webhook] == 0 {
		delete(s.underWay, webhook)
	}
	s.mu.Unlock()
	if !limited {
		return
	}
	select {
	case s.finished <- struct{}{}:
	default: // already signalled
	}
}

// deliver sends a message and saves the result, even if the process is stopping.
func (s *Sender) deliver(ctx context.Context, d clinic.Delivery) {
	o := s.send(ctx, d)
	if ctx.Err() != nil && !o.Taken {
		return // stopping, not refused: another process will send it
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeLimit)
	defer cancel()
	if err := s.cfg.Store.FinishDelivery(limit, d, o); err != nil {
		s.cfg.Log.WarnContext(ctx, "saving the delivery result failed; the message will be redelivered", "message", d.ID, "cause", err)
	}
	if s.cfg.Observe != nil {
		s.cfg.Observe(o.Taken)
	}
}

// send posts a message once.
func (s *Sender) send(ctx context.Context, d clinic.Delivery) store.DeliveryOutcome {
	body, err := s.cfg.Message(d)
	if err != nil {
		return store.DeliveryOutcome{Reason: "the message cannot be written"}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.Destination.URL, bytes.NewReader(body))
	if err != nil {
		return store.DeliveryOutcome{Reason: "the address cannot be used"}
	}
	if err := s.sign(r, d, body); err != nil {
		return store.DeliveryOutcome{Reason: "the message cannot be signed"}
	}
	response, err := s.client.Do(r)
	if err != nil {
		return store.DeliveryOutcome{Reason: reason(err)}
	}
	_, _ = io.CopyN(io.Discard, response.Body, 4<<10) // so that the connection can be reused
	_ = response.Body.Close()
	status := response.StatusCode
	o := store.DeliveryOutcome{Taken: status >= 200 && status < 300, Status: &status, Gone: status == http.StatusGone}
	if !o.Taken {
		o.Reason = fmt.Sprintf("the receiver answered %d", status)
		o.NotBefore = retryAfter(response.Header.Get("Retry-After"), s.cfg.Now())
	}
	return o
}

// retryAfter returns the time at which a receiver wants the message again (RFC 9110 section
// 10.2.3): after a number of seconds, or at a date; zero without one.
func retryAfter(value string, now time.Time) time.Time {
	if value = strings.TrimSpace(value); value == "" {
		return time.Time{}
	}
	if strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if longest := int64(clinic.DeliveryLife / time.Second); err != nil || seconds > longest {
			seconds = longest // a number with that many digits is later than any attempt
		}
		return now.Add(time.Duration(seconds) * time.Second)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return time.Time{}
	}
	return at
}

// sign sets the headers of Standard Webhooks 1.0.
func (s *Sender) sign(r *http.Request, d clinic.Delivery, body []byte) error {
	id, at := fmt.Sprintf("msg_%d_%d", d.WebhookID, d.ID), s.cfg.Now()
	var signatures []string
	for _, secret := range d.Destination.Secrets {
		signer, err := standardwebhooks.NewWebhookRaw(secret[:])
		if err != nil {
			return err
		}
		signature, err := signer.Sign(id, at, body)
		if err != nil {
			return err
		}
		signatures = append(signatures, signature)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "MEMS/"+s.cfg.Version)
	r.Header.Set(standardwebhooks.HeaderWebhookID, id)
	r.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	r.Header.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return nil
}

// reason describes a failure without revealing anything about the internal network.
func reason(err error) string {
	var dns *net.DNSError
	var operation *net.OpError
	switch {
	case errors.Is(err, ssrf.ErrProhibitedIP), errors.Is(err, ssrf.ErrProhibitedNetwork), errors.Is(err, ssrf.ErrInvalidHostPort):
		return "the address is not a public one; MEMS_WEBHOOK_NETWORKS allows others"
	case errors.As(err, &dns):
		return "the host name cannot be resolved"
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return "the receiver did not respond in time"
	case errors.As(err, &operation) && operation.Op == "dial":
		return "connecting to the receiver failed"
	}
	return "the connection to the receiver failed"
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
