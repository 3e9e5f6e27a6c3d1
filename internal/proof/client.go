package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// patience bounds how long a client retries a request.
const patience = 90 * time.Second

// client is one caller: one request at a time.
type client struct {
	f       *field
	h       *history
	number  int
	seed    uint64
	weights []weight
	n       int        // the next step of its plan
	random  *rand.Rand // for pauses and the choice of a server, which are not planned
}

// act executes the next step of the plan, or books if no record exists yet that the step
// could change.
func (c *client) act(ctx context.Context) {
	d := planned(c.seed, c.weights, c.number, c.n)
	c.n++
	if !operations[d.kind](c, ctx, d) {
		c.book(ctx, d)
	}
}

// problem has the members of a problem document that clients read.
type problem struct {
	Type          string `json:"type"`
	Current       string `json:"current_status"`
	CurrentTicket string `json:"current_ticket_status"`
}

// ask sends a request until it is answered, as the contract requires: with the same key
// after a 503 and after a lost connection, to any server. It returns the body of a 2xx
// response. read parses it before the operation is written to the history.
func (c *client) ask(ctx context.Context, kind string, in input, r request, read func(o *op, body []byte) error) *op {
	o := c.h.invoke(c.number, c.n-1, kind, in)
	defer c.h.settle(o)
	if r.method == "" {
		r.method = http.MethodPost
	}
	if r.method == http.MethodPost {
		o.Key = fmt.Sprintf("proof-%d", o.ID)
	}
	c.send(ctx, o, r, read)
	if o.Key != "" && o.Outcome != unknown && o.Status < 500 {
		c.f.scene.remember(o, r)
	}
	return o
}

// send retries until there is a response.
func (c *client) send(ctx context.Context, o *op, r request, read func(o *op, body []byte) error) {
	o.Request = digest(r.path, r.body)
	for began := time.Now(); ctx.Err() == nil; o.Tries++ {
		if body, answered := c.try(ctx, o, r); answered {
			if o.Outcome == ok && read != nil {
				if err := read(o, body); err != nil {
					c.h.fault("op %d: %v in %s", o.ID, err, body)
				}
			}
			return
		}
		if time.Since(began) > patience {
			c.h.fault("op %d (%s) had no answer in %s", o.ID, o.Kind, patience)
			return
		}
		time.Sleep(time.Duration(20+c.random.IntN(100)) * time.Millisecond)
	}
}

// try sends a request once and reports whether its outcome is known.
func (c *client) try(ctx context.Context, o *op, what request) (body []byte, answered bool) {
	limit, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	address := c.f.pick(c.random).address
	r, err := http.NewRequestWithContext(limit, what.method, "http://"+address+what.path, bytes.NewReader(what.body))
	if err != nil {
		c.h.fault("op %d: %v", o.ID, err)
		return nil, true
	}
	if len(what.body) > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	if o.Key != "" {
		r.Header.Set("Idempotency-Key", o.Key)
	}
	r.Header.Set("MEMS-Actor", o.actor())
	r.Header.Set("X-Request-ID", o.actor())
	if o.In.Match != 0 {
		r.Header.Set("If-Match", fmt.Sprintf("%q", fmt.Sprint(o.In.Match)))
	}
	// Without a key, a change that may have been made is not sent again: unknown.
	final := o.Key == "" && what.method == http.MethodPost
	answer, err := c.f.wire.send(r)
	if err != nil {
		return nil, final
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, final
	}
	o.Status = answer.StatusCode
	if answer.StatusCode < 300 {
		o.Outcome, o.Code, o.Answer = ok, "", digest(answer.Status, text)
		_, _ = fmt.Sscanf(answer.Header.Get("ETag"), "\"%d\"", &o.Out.Version)
		return text, true
	}
	var p problem
	if json.Unmarshal(text, &p) != nil {
		c.h.fault("op %d: %d %s", o.ID, answer.StatusCode, text)
		return nil, true
	}
	o.Code, o.Current = strings.TrimPrefix(p.Type, "/problems/"), p.Current+p.CurrentTicket
	switch {
	case o.Code == "outcome-unknown" && final:
		o.Code = ""
		return nil, true
	case o.Code == "unavailable" && !o.shared && o.Kind != "repeat" && o.Tries == 0 && c.random.IntN(3) == 0:
		o.Key = "" // given up: nothing was changed, and the key was not bound
	case o.Code == "idempotency-key-in-use", answer.StatusCode == http.StatusServiceUnavailable && (o.Code == "unavailable" || o.Code == "outcome-unknown"):
		return nil, false
	case answer.StatusCode == http.StatusNotFound && what.method == http.MethodDelete && o.Tries > 0,
		answer.StatusCode == http.StatusConflict && what.method == http.MethodDelete && o.Tries > 0:
		return nil, true // gone, perhaps by an attempt whose response was lost: unknown
	case o.Kind != "repeat" && !refusals[o.Kind][o.Code]: // a repeated one must be answered like the first
		c.h.fault("op %d (%s): %d %s", o.ID, o.Kind, answer.StatusCode, text)
	}
	o.Outcome, o.Answer = refused, digest(answer.Status, text)
	return nil, true
}

// digest returns a short hash of a response, without the members of a problem document that
// differ between attempts.
func digest(head string, body []byte) string {
	var members map[string]any
	if json.Unmarshal(body, &members) == nil {
		delete(members, "request_id")
		if plain, err := json.Marshal(members); err == nil {
			body = plain
		}
	}
	sum := sha256.Sum256(append([]byte(head+"\n"), body...))
	return hex.EncodeToString(sum[:8])
}
