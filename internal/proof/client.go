package main

import (
	"bytes"
	"context"
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
	random *rand.Rand
	known  []appointment // its own, that stand
}

// act carries out one operation.
func (c *client) act(ctx context.Context) {
	in := input{
		Doctor: c.f.doctors[c.random.IntN(len(c.f.doctors))], Patient: c.f.patients[c.random.IntN(len(c.f.patients))],
		Start: c.f.day.AddDate(0, 0, c.random.IntN(4)).Add(8*time.Hour + time.Duration(c.random.IntN(32))*15*time.Minute), Minutes: 15 + 15*c.random.IntN(3),
	}
	if len(c.known) > 0 && c.random.IntN(5) < 3 {
		i := c.random.IntN(len(c.known))
		id := c.known[i].ID
		if c.random.IntN(3) > 0 {
			o := c.ask(ctx, "cancel", fmt.Sprintf("/appointments/%d/cancel", id), input{Appointment: id}, map[string]any{"reason": "patient_request"})
			if o.Outcome != refused {
				c.known = append(c.known[:i], c.known[i+1:]...)
			}
			return
		}
		in.Appointment, in.Patient = id, 0
		c.ask(ctx, "reschedule", fmt.Sprintf("/appointments/%d/reschedule", id), in,
			map[string]any{"doctor_id": in.Doctor, "start_time": in.Start, "duration_minutes": in.Minutes})
		return
	}
	o := c.ask(ctx, "book", "/appointments", in,
		map[string]any{"doctor_id": in.Doctor, "patient_id": in.Patient, "start_time": in.Start, "duration_minutes": in.Minutes})
	c.known = append(c.known, o.Out.Appointments...)
}

// ask sends a request until it is answered, as the contract tells: the same key after a
// 503 and after a lost connection, at any server.
func (c *client) ask(ctx context.Context, kind, path string, in input, body any) *op {
	o := c.h.invoke(c.number, kind, in)
	defer c.h.settle(o)
	o.Key = fmt.Sprintf("proof-%d", o.ID)
	text, err := json.Marshal(body)
	if err != nil {
		c.h.fault("op %d: %v", o.ID, err)
		return o
	}
	for began := time.Now(); time.Since(began) < patience && ctx.Err() == nil; o.Tries++ {
		if c.try(ctx, o, path, text) {
			return o
		}
		time.Sleep(time.Duration(20+c.random.IntN(100)) * time.Millisecond)
	}
	return o
}

// try sends a request once and reports whether its outcome is known.
func (c *client) try(ctx context.Context, o *op, path string, body []byte) bool {
	limit, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	address := c.f.pick(c.random).address
	r, err := http.NewRequestWithContext(limit, http.MethodPost, "http://"+address+path, bytes.NewReader(body))
	if err != nil {
		c.h.fault("op %d: %v", o.ID, err)
		return true
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", o.Key)
	r.Header.Set("MEMS-Actor", o.actor())
	answer, err := c.f.wire.send(r)
	if err != nil {
		return false
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return false
	}
	var problem struct {
		Type string `json:"type"`
	}
	o.Status = answer.StatusCode
	switch {
	case answer.StatusCode < 300:
		var a appointment
		if err := json.Unmarshal(text, &a); err != nil {
			c.h.fault("op %d: %v in %s", o.ID, err, text)
		}
		o.Outcome, o.Code, o.Out = ok, "", output{Appointments: []appointment{a}}
		_, _ = fmt.Sscanf(answer.Header.Get("ETag"), "\"%d\"", &o.Out.Version)
		return true
	case json.Unmarshal(text, &problem) != nil:
		c.h.fault("op %d: %d %s", o.ID, answer.StatusCode, text)
		return true
	}
	o.Code = strings.TrimPrefix(problem.Type, "/problems/")
	switch {
	case o.Code == "idempotency-key-in-use", answer.StatusCode == http.StatusServiceUnavailable && (o.Code == "unavailable" || o.Code == "outcome-unknown"):
		return false
	case answer.StatusCode == http.StatusConflict:
		o.Outcome = refused
	default:
		c.h.fault("op %d: %d %s", o.ID, answer.StatusCode, text)
	}
	return true
}
