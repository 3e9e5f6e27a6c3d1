package clinic

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Webhook is a subscription: where changes are sent.
type Webhook struct {
	ID             int64
	URL            string
	Description    *string  // nil: none given
	Types          []string // "appointment.booked", "appointment.*"; none: all
	Enabled        bool
	DisabledReason *string // why the server disabled it; nil: it did not
	// Secrets sign messages: the newest first, then the previous one for SecretOverlap.
	Secrets   []WebhookSecret `json:"-"`
	CreatedBy string
	Version   int64 // counts changes; the record's ETag
	CreatedAt time.Time
	UpdatedAt time.Time
}

// WebhookSecret signs messages (Standard Webhooks 1.0: 24 to 64 random bytes).
type WebhookSecret [32]byte

// SecretOverlap is how long messages are also signed with the previous secret.
const SecretOverlap = 24 * time.Hour

// String returns the secret in the form that receivers' libraries expect.
func (s WebhookSecret) String() string { return "whsec_" + base64.StdEncoding.EncodeToString(s[:]) }

// Normalize puts the description into its stored form.
func (w *Webhook) Normalize() { w.Description = optionalText(w.Description) }

// Validate returns CodeValidationFailed for a URL to which messages cannot be sent, and for
// unknown types. Whether its host is public is checked at each delivery. w must be
// normalised.
func (w *Webhook) Validate(allowHTTP bool) error {
	vs := checkOptional(nil, "#/description", w.Description, 200)
	u, err := url.Parse(w.URL)
	switch {
	case err != nil, u.Hostname() == "", u.Opaque != "", u.Fragment != "", u.User != nil, strings.Contains(w.URL, "#"):
		vs = append(vs, Violation{Pointer: "#/url", Code: "format", Detail: "must be a URL with a host, without user information or a fragment"})
	case !isPort(u.Port()):
		vs = append(vs, Violation{Pointer: "#/url", Code: "format", Detail: "must have a port from 1 to 65535, or none"})
	case u.Scheme != "https" && !allowHTTP:
		vs = append(vs, Violation{Pointer: "#/url", Code: "pattern", Detail: "must begin with https://; http:// is accepted only by an installation that sets MEMS_WEBHOOK_NETWORKS"})
	}
	types := ChangeTypes()
	for i, t := range w.Types {
		object, verb, _ := strings.Cut(t, ".")
		if slices.Contains(types, t) || verb == "*" && KindNamed(object).InFeed() {
			continue
		}
		vs = append(vs, Violation{
			Pointer: "#/types/" + strconv.Itoa(i), Code: "enum",
			Detail: "must be a type of change, or a kind of record with .*: " + strings.Join(types, ", "),
		})
	}
	return invalid(vs)
}

// isPort reports whether the port of an address can be one; empty: the scheme's.
func isPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0
}

// Wants reports whether changes of a type are sent.
func (w *Webhook) Wants(changeType string) bool {
	object, _, _ := strings.Cut(changeType, ".")
	return len(w.Types) == 0 || slices.Contains(w.Types, changeType) || slices.Contains(w.Types, object+".*")
}

// TestMessage is the type of a test message, which reports no change.
const TestMessage = "webhook.test"

// DeliveryStatus is the state of a message.
type DeliveryStatus string

// The statuses; the contract and a CHECK constraint list the same.
const (
	DeliveryPending   DeliveryStatus = "pending"
	DeliveryDelivered DeliveryStatus = "delivered"
	DeliveryDead      DeliveryStatus = "dead"
)

// Delivery is one message to a webhook.
type Delivery struct {
	ID          int64
	WebhookID   int64
	Change      FeedChange // without a kind in a test
	Status      DeliveryStatus
	Attempts    int // of this round, including the current one
	Since       time.Time
	NextAt      *time.Time
	LastAt      *time.Time
	LastStatus  *int
	LastError   *string
	CreatedAt   time.Time
	Destination Webhook // where to send it
}

// DeliveryLife is how long delivery of a message is retried.
const DeliveryLife = 24 * time.Hour

// pauses follow the attempts of a message; the last one repeats until DeliveryLife is over.
var pauses = []time.Duration{
	5 * time.Second, 30 * time.Second, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 4 * time.Hour, 4 * time.Hour, 4 * time.Hour, 4 * time.Hour,
}

// Pause returns how long to wait after a failed attempt, counted from 1; false when
// DeliveryLife is over. A receiver may ask for a longer wait, until notBefore, but not
// beyond DeliveryLife.
func (d *Delivery) Pause(now, notBefore time.Time) (time.Duration, bool) {
	pause, left := pauses[min(max(d.Attempts, 1), len(pauses))-1], d.Since.Add(DeliveryLife).Sub(now)
	return max(pause, min(notBefore.Sub(now), left)), pause <= left
}
