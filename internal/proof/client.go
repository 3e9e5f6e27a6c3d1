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

// patience bounds how long a client sends a request again.
const patience = 90 * time.Second

// client is one caller: one request at a time.
type client struct {
	f      *field
	h      *history
	number int
	seed   uint64
	n      int        // the next step of its plan
	random *rand.Rand // what is not in the plan: pauses, and which server
}

// act carries out the next step of the plan: a booking where there is nothing yet that
// the step could change.
func (c *client) act(ctx context.Context) {
	d := planned(c.seed, c.number, c.n)
	c.n++
	if !operations[d.kind](c, ctx, d) {
		c.book(ctx, d)
	}
}

// problem is what clients read of a problem document.
type problem struct {
	Type          string `json:"type"`
	Current       string `json:"current_status"`
	CurrentTicket string `json:"current_ticket_status"`
}

// ask sends a request until it is answered, as the contract tells: the same key after a
// 503 and after a lost connection, at any server. It returns the body of an answer of
// 2xx. read takes the answer over before the operation is written down.
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

// send sends until there is an answer.
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
	answer, err := c.f.wire.send(r)
	if err != nil {
		return nil, false
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, false
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
	case o.Code == "unavailable" && o.Kind != "repeat" && o.Tries == 0 && c.random.IntN(3) == 0:
		o.Key = "" // it takes the answer at its word: nothing was changed, nor the key bound
	case o.Code == "idempotency-key-in-use", answer.StatusCode == http.StatusServiceUnavailable && (o.Code == "unavailable" || o.Code == "outcome-unknown"):
		return nil, false
	case answer.StatusCode == http.StatusNotFound && what.method == http.MethodDelete && o.Tries > 0,
		answer.StatusCode == http.StatusConflict && what.method == http.MethodDelete && o.Tries > 0:
		return nil, true // it is gone, perhaps by an attempt whose answer was lost: unknown
	case o.Kind != "repeat" && !refusals[o.Kind][o.Code]: // a repeated one is to be answered like the first
		c.h.fault("op %d (%s): %d %s", o.ID, o.Kind, answer.StatusCode, text)
	}
	o.Outcome, o.Answer = refused, digest(answer.Status, text)
	return nil, true
}

// digest is a short name of a text. Of a problem document, what differs from one sending
// to the next is left out.
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
