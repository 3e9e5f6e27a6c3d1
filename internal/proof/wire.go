package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// class is the outcome of one attempt of a request.
type class uint8

const (
	answered    class = iota // 2xx
	declined                 // 4xx
	unavailable              // 503: nothing was changed
	uncertain                // 503 outcome-unknown
	unanswered               // the connection failed or timed out
	broken                   // 500, or an invalid response
	lost                     // answered, but cut off by us before the client had read it
	classes
)

func (c class) String() string {
	return [classes]string{"answered", "refused", "unavailable", "outcome-unknown", "no answer", "500", "answer cut off"}[c]
}

// try is one attempt; an operation may need several.
type try struct {
	at, took time.Duration // since the beginning of the run
	class    class
	booking  bool // POST /appointments
}

// wire sends clients' requests to the servers and records the attempts. Like a load
// balancer it leaves out servers whose /readyz fails.
type wire struct {
	began  time.Time
	client *http.Client
	calm   atomic.Bool // clients slow down

	mu    sync.Mutex
	sent  int
	tries []try
	known map[int64]int64 // the highest version of each appointment in a response
	ids   []int64         // the keys of known, by first response
}

func newWire() *wire {
	transport := &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second, DisableCompression: true}
	return &wire{began: time.Now(), client: &http.Client{Transport: transport}, known: map[int64]int64{}}
}

// watch polls the servers' readiness until ctx ends.
func (w *wire) watch(ctx context.Context, targets []*target) {
	for _, t := range targets {
		go func() {
			for ctx.Err() == nil {
				t.ready.Store(w.isReady(ctx, t))
				time.Sleep(100 * time.Millisecond)
			}
		}()
	}
}

func (w *wire) isReady(ctx context.Context, t *target) bool {
	limit, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(limit, http.MethodGet, "http://"+t.address+"/readyz", nil)
	if err != nil {
		return false
	}
	answer, err := w.client.Do(r)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// pick returns a ready server; any if none is.
func (f *field) pick(random *rand.Rand) *target {
	from := random.IntN(len(f.servers))
	for i := range f.servers {
		if t := f.servers[(from+i)%len(f.servers)]; t.ready.Load() {
			return t
		}
	}
	return f.servers[from]
}

// cutEvery is the interval of changes whose response is cut off.
const cutEvery = 50

var errCutOff = errors.New("the answer was cut off")

// send sends a request to its server and returns the whole response. The response to one
// change in cutEvery is lost.
func (w *wire) send(r *http.Request) (*http.Response, error) {
	if w.calm.Load() {
		pause(r.Context(), 300*time.Millisecond)
	}
	at := time.Since(w.began)
	answer, text, err := w.exchange(r)
	kept := try{at: at, took: time.Since(w.began) - at, booking: r.Method == http.MethodPost && r.URL.Path == "/appointments"}
	kept.class = classify(answer, text, err)
	w.mu.Lock()
	defer w.mu.Unlock()
	if kept.class <= declined && r.Method != http.MethodGet {
		if w.sent++; w.sent%cutEvery == 0 {
			kept.class, answer, err = lost, nil, errCutOff
		}
	}
	w.tries = append(w.tries, kept)
	if kept.class == answered && r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/appointments") {
		w.learn(answer, text)
	}
	return answer, err
}

func (w *wire) exchange(r *http.Request) (*http.Response, []byte, error) {
	answer, err := w.client.Do(r)
	if err != nil {
		return nil, nil, err
	}
	text, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil {
		return nil, nil, err
	}
	answer.Body = io.NopCloser(bytes.NewReader(text))
	return answer, text, nil
}

func classify(answer *http.Response, text []byte, err error) class {
	switch {
	case err != nil:
		return unanswered
	case answer.StatusCode < 300:
		return answered
	case answer.StatusCode == http.StatusServiceUnavailable && bytes.Contains(text, []byte("/problems/outcome-unknown")):
		return uncertain
	case answer.StatusCode == http.StatusServiceUnavailable:
		return unavailable
	case answer.StatusCode >= 500:
		return broken
	}
	return declined
}

// learn stores an appointment's version for the witness. w.mu is held.
func (w *wire) learn(answer *http.Response, text []byte) {
	var made struct {
		ID int64 `json:"id"`
	}
	var version int64
	_, err := fmt.Sscanf(answer.Header.Get("ETag"), "\"%d\"", &version)
	if err != nil || json.Unmarshal(text, &made) != nil || made.ID == 0 {
		return
	}
	if _, found := w.known[made.ID]; !found {
		w.ids = append(w.ids, made.ID)
	}
	w.known[made.ID] = max(w.known[made.ID], version)
}

// recent returns an appointment from recent responses and the version that every read from
// now on must reach.
func (w *wire) recent(random *rand.Rand) (id, version int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.ids) == 0 {
		return 0, 0
	}
	last := min(len(w.ids), 50)
	id = w.ids[len(w.ids)-1-random.IntN(last)]
	return id, w.known[id]
}

// witness reads recently returned appointments from any server until ctx ends, and records
// stale reads. No server may read from a database that has fallen behind.
func (f *field) witness(ctx context.Context, random *rand.Rand) check {
	c := check{name: "no stale read of what was answered"}
	for ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
		id, version := f.wire.recent(random)
		if id == 0 {
			continue
		}
		t := f.servers[random.IntN(len(f.servers))] // also one that is not ready must not be stale
		status, found := f.read(ctx, t, id)
		switch {
		case status == http.StatusNotFound:
			c.fault("%.1f s: %s does not know appointment %d", time.Since(f.wire.began).Seconds(), t.address, id)
		case status == http.StatusOK && found < version:
			c.fault("%.1f s: %s showed version %d of appointment %d after version %d was answered", time.Since(f.wire.began).Seconds(), t.address, found, id, version)
		case status != http.StatusOK:
			continue
		}
		c.examined++
	}
	return c
}

// read returns the status, 0 for no response, and the version of an appointment.
func (f *field) read(ctx context.Context, t *target, id int64) (status int, version int64) {
	limit, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(limit, http.MethodGet, fmt.Sprintf("http://%s/appointments/%d", t.address, id), nil)
	if err != nil {
		return 0, 0
	}
	answer, _, err := f.wire.exchange(r)
	if err != nil {
		return 0, 0
	}
	_ = answer.Body.Close()
	_, _ = fmt.Sscanf(answer.Header.Get("ETag"), "\"%d\"", &version)
	return answer.StatusCode, version
}
