package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// hookedTypes lists the changes that the run's webhook gets: of records that change several
// times, and few enough that the run need not wait for them.
var hookedTypes = []string{"appointment.cancelled", "appointment.rescheduled", "appointment.scheduled", "ticket.*"}

// message is a received message; taken if the response was 200.
type message struct {
	id       string
	cursor   string
	kind     string
	object   string
	objectID int64
	taken    bool
}

// receiver receives the messages of the run's webhook, and rejects some of them.
type receiver struct {
	listener net.Listener
	server   *http.Server

	mu       sync.Mutex
	verify   *standardwebhooks.Webhook
	arrived  int
	messages []message
	faults   []string
}

func newReceiver(ctx context.Context) (*receiver, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{listener: listener}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = r.server.Serve(listener) }() // ends with close
	return r, nil
}

func (r *receiver) url() string { return "http://" + r.listener.Addr().String() + "/" }

func (r *receiver) close() { _ = r.server.Close() }

// verifyWith sets the secret that messages must be signed with.
func (r *receiver) verifyWith(secret string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var err error
	r.verify, err = standardwebhooks.NewWebhook(secret)
	return err
}

// refuseEvery is the interval of rejected messages, which must be redelivered.
const refuseEvery = 97

// ServeHTTP accepts or rejects a message.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return // the sender was killed
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.verify.Verify(body, request.Header); err != nil {
		r.faults = append(r.faults, fmt.Sprintf("a message whose signature is wrong: %v", err))
	}
	var m struct {
		Data struct {
			Cursor   string `json:"cursor"`
			Type     string `json:"type"`
			Object   string `json:"object"`
			ObjectID int64  `json:"object_id"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		r.faults = append(r.faults, fmt.Sprintf("a message that cannot be read: %v", err))
	}
	r.arrived++
	taken := r.arrived%refuseEvery != 0
	r.messages = append(r.messages, message{request.Header.Get("Webhook-Id"), m.Data.Cursor, m.Data.Type, m.Data.Object, m.Data.ObjectID, taken})
	if !taken {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// snapshot returns the received messages, in order.
func (r *receiver) snapshot() ([]message, []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]message(nil), r.messages...), append([]string(nil), r.faults...)
}
