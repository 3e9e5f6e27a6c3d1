package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"
)

// outcome is the outcome of an operation for its client.
type outcome string

const (
	ok      outcome = "ok"
	refused outcome = "refused" // 4xx: nothing was changed
	unknown outcome = "unknown" // it may take effect until the end of the run, or never
)

// op is an operation: a client's request and the response. Times are since the start of the
// run, by the monotonic clock.
type op struct {
	ID      int           `json:"id"`
	Client  int           `json:"client"`
	N       int           `json:"n"` // in the client's plan
	Kind    string        `json:"op"`
	In      input         `json:"input"`
	Call    time.Duration `json:"call_ns"`
	Return  time.Duration `json:"return_ns"`
	Outcome outcome       `json:"outcome"`
	Code    string        `json:"code,omitempty"`    // of the problem
	Current string        `json:"current,omitempty"` // the status that a refused transition found
	Status  int           `json:"status,omitempty"`
	Tries   int           `json:"tries"`
	Out     output        `json:"output,omitzero"`
	Key     string        `json:"key,omitempty"`     // the Idempotency-Key
	Request string        `json:"request,omitempty"` // digest of the request
	Answer  string        `json:"answer,omitempty"`  // digest of status and body

	shared bool // another request is sent with the key at the same time
}

// actor returns the operation's name in the histories of appointments and, as the request
// id, in the audit trail. A repeated request has the name of the first.
func (o *op) actor() string {
	if o.Kind == "repeat" {
		return fmt.Sprintf("op-%d", o.In.Of)
	}
	return fmt.Sprintf("op-%d", o.ID)
}

// input is an operation's request; ids are 0 where it names none.
type input struct {
	Doctor      int64     `json:"doctor,omitempty"`
	Patient     int64     `json:"patient,omitempty"`
	Start       time.Time `json:"start,omitzero"`
	Minutes     int       `json:"minutes,omitempty"`
	Type        int64     `json:"type,omitempty"`
	Room        int64     `json:"room,omitempty"`
	Before      int       `json:"buffer_before,omitempty"` // of the type
	After       int       `json:"buffer_after,omitempty"`
	Override    bool      `json:"override,omitempty"`
	Appointment int64     `json:"appointment,omitempty"`
	Match       int64     `json:"if_match,omitempty"`
	Hold        int64     `json:"hold,omitempty"`
	Ticket      int64     `json:"ticket,omitempty"`
	Series      int64     `json:"series,omitempty"`
	Count       int       `json:"count,omitempty"` // of a series
	Entry       int64     `json:"entry,omitempty"`
	TimeOff     int64     `json:"time_off,omitempty"`
	Plan        int64     `json:"plan,omitempty"`
	Duplicate   int64     `json:"duplicate,omitempty"`
	Of          int       `json:"of,omitempty"` // the operation whose key is used again
}

// output is the response.
type output struct {
	Appointments []appointment `json:"appointments,omitempty"`
	Version      int64         `json:"version,omitempty"` // of the one record
	ID           int64         `json:"id,omitempty"`      // of a record that is not an appointment
	Ticket       *ticket       `json:"ticket,omitempty"`
	Expires      time.Time     `json:"expires,omitzero"` // of a hold
	Offered      bool          `json:"offered,omitempty"`
	Dates        int           `json:"dates,omitempty"` // of a series that were done
}

// appointment has the compared members of an appointment.
type appointment struct {
	ID      int64     `json:"id"`
	Doctor  int64     `json:"doctor_id"`
	Patient int64     `json:"patient_id"`
	Room    int64     `json:"room_id"` // 0: none
	Start   time.Time `json:"start_time"`
	End     time.Time `json:"end_time"`
	Before  int       `json:"buffer_before_minutes"`
	After   int       `json:"buffer_after_minutes"`
	Status  string    `json:"status"`
}

// occupies reports whether an appointment of a status occupies its time.
func occupies(status string) bool {
	return status != "cancelled" && status != "no_show" && status != "left_without_being_seen"
}

// ticket has the compared members of a ticket.
type ticket struct {
	ID          int64  `json:"id"`
	Doctor      int64  `json:"doctor_id"`
	Day         string `json:"date"`
	Number      int    `json:"number"`
	Patient     int64  `json:"patient_id"`
	Appointment int64  `json:"appointment_id"` // 0: a walk-in
	Status      string `json:"status"`
}

// history records operations in memory and as JSON lines. Each is written when it is
// called, so that an interrupted run shows it, and when it returns.
type history struct {
	began time.Time

	mu     sync.Mutex
	ops    []*op
	counts map[outcome]int
	file   *os.File
	text   *bufio.Writer
	faults []string // responses that are never allowed: 500s, violations of the contract
}

func newHistory(path string) (*history, error) {
	file, err := os.Create(path) //nolint:gosec // G304: where the caller wants it
	if err != nil {
		return nil, err
	}
	return &history{began: time.Now(), file: file, text: bufio.NewWriterSize(file, 1<<20), counts: map[outcome]int{}}, nil
}

func (h *history) write(event string, o *op) {
	line, err := json.Marshal(struct {
		Event string `json:"event"`
		*op
	}{event, o})
	if err == nil && h.file != nil {
		_, _ = h.text.Write(append(line, '\n')) // close reports the error
	}
}

// invoke records the call of an operation.
func (h *history) invoke(client, n int, kind string, in input) *op {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := &op{ID: len(h.ops) + 1, Client: client, N: n, Kind: kind, In: in, Call: time.Since(h.began), Outcome: unknown}
	h.ops = append(h.ops, o)
	h.write("invoke", o)
	return o
}

// settle records the return of an operation.
func (h *history) settle(o *op) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o.Return = time.Since(h.began)
	h.counts[o.Outcome]++
	h.write(string(o.Outcome), o)
}

// fault records a response that is never allowed.
func (h *history) fault(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = append(h.faults, fmt.Sprintf(format, args...))
}

func (h *history) close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.file == nil {
		return nil
	}
	err := h.text.Flush()
	if closed := h.file.Close(); err == nil {
		err = closed
	}
	h.file = nil
	return err
}

// summary counts outcomes.
func (h *history) summary() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return fmt.Sprintf("%d operations, %d ok, %d refused, %d unknown", len(h.ops), h.counts[ok], h.counts[refused], h.counts[unknown])
}
