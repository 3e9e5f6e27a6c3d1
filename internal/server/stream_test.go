package server_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"mems/gen/api"
	"mems/internal/server"
	"mems/internal/storetest"
)

// event is an event of a stream; the zero value is its end.
type event struct{ name, id, data string }

// listen opens a stream and returns its events. It ends with the test, or when hang is called.
func listen(t *testing.T, url string, header http.Header) (events <-chan event, hang func()) {
	t.Helper()
	return listenTo(t, url+"/stream", header)
}

// listenTo is listen with a full URL.
func listenTo(t *testing.T, address string, header http.Header) (events <-chan event, hang func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		r.Header = header
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = response.Body.Close() })
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("GET /stream = %s %v, want 200 text/event-stream", response.Status, response.Header)
	}
	found := make(chan event, 100)
	go func() {
		defer close(found)
		var e event
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			switch name, value, _ := strings.Cut(lines.Text(), ": "); name {
			case "event":
				e.name = value
			case "id":
				e.id = value
			case "data":
				e.data = value
			case "":
				if e.name != "" {
					found <- e
				}
				e = event{}
			}
		}
	}()
	return found, cancel
}

// next waits for an event.
func next(t *testing.T, events <-chan event) event {
	t.Helper()
	select {
	case e := <-events:
		return e
	case <-time.After(20 * time.Second):
		t.Fatal("no event within 20 s, want one")
	}
	return event{}
}

// Changes committed through one server reach the streams of another, once and in order; a client
// that was away gets what it missed.
func TestStream(t *testing.T) {
	t.Parallel()
	one := setup(t, "UTC")
	two := setupOn(t, one.db, "UTC")
	patient, doctor := one.patient(), one.doctor()
	events, hang := listen(t, two.url, nil)
	hello := next(t, events)
	if hello.name != "hello" || hello.id == "" {
		t.Fatalf("first event = %+v, want hello with an id", hello)
	}
	var last event
	var delays []time.Duration
	for n := range 20 {
		since := time.Now()
		a := one.booked(patient, doctor, fmt.Sprintf("2027-03-%02dT09:00:00Z", n+2), 30)
		last = next(t, events)
		delays = append(delays, time.Since(since))
		var c api.Change
		if err := json.Unmarshal([]byte(last.data), &c); err != nil {
			t.Fatal(err)
		}
		if last.name != "change" || c.Type != "appointment.booked" || c.ObjectID != a.ID || c.Cursor != last.id || c.Appointment != nil {
			t.Errorf("event = %+v, want appointment.booked of %d, without the record", last, a.ID)
		}
	}
	slices.Sort(delays)
	t.Logf("from a booking's request at one server to the event at another: median %s, longest %s", delays[len(delays)/2], delays[len(delays)-1])
	hang()
	var missed []int64
	for n := range 5 {
		missed = append(missed, one.booked(patient, doctor, fmt.Sprintf("2027-04-%02dT09:00:00Z", n+2), 30).ID)
	}
	events, _ = listen(t, two.url, http.Header{"Last-Event-Id": {last.id}})
	if again := next(t, events); again.name != "hello" || again.id != last.id {
		t.Errorf("first event after Last-Event-ID = %+v, want hello with the id %s", again, last.id)
	}
	for _, id := range missed {
		var c api.Change
		if err := json.Unmarshal([]byte(next(t, events).data), &c); err != nil || c.ObjectID != id {
			t.Errorf("change = %+v (%v), want that of appointment %d", c, err, id)
		}
	}
	one.With("Last-Event-ID", "AAAA").Get("/stream").Want(t, 422, "validation-failed")
	one.Get("/stream", "objects", "nothing").Want(t, 422, "validation-failed")
}

// While bookings follow each other closely, their events still arrive soon, from this server and
// from another: within 150 ms on an idle machine; the log of -v has the delays. The bound leaves
// room for a busy one.
func TestStreamIsPrompt(t *testing.T) {
	t.Parallel()
	one := setup(t, "UTC")
	two := setupOn(t, one.db, "UTC")
	patient, doctor := one.patient(), one.doctor()
	const n = 40
	var committed [n]time.Time
	arrivals := map[string]chan time.Time{one.url: make(chan time.Time, n), two.url: make(chan time.Time, n)}
	for url, arrived := range arrivals {
		events, _ := listen(t, url, nil)
		next(t, events)
		go func() {
			for e := range events {
				if e.name == "change" {
					arrived <- time.Now()
				}
			}
		}()
	}
	for i := range n {
		one.booked(patient, doctor, now.AddDate(0, 0, i+1).Format(time.RFC3339), 30)
		committed[i] = time.Now()
	}
	for url, arrived := range arrivals {
		var delays []time.Duration
		for i := range n {
			select {
			case at := <-arrived:
				delays = append(delays, at.Sub(committed[i]))
			case <-time.After(20 * time.Second):
				t.Fatalf("event %d did not come within the time, want it", i)
			}
		}
		slices.Sort(delays)
		t.Logf("median %s, longest %s, the same server %t", delays[n/2], delays[n-1], url == one.url)
		if delays[n/2] > time.Second {
			t.Errorf("half of the events take %s or more, want at most 1s", delays[n/2])
		}
	}
}

// A stream ends when its key is revoked, its token has expired, or the server stops.
func TestStreamsEnd(t *testing.T) {
	t.Parallel()
	db := storetest.New(t)
	c := &clock{}
	st := db.Open(t, c.now, time.UTC)
	s, err := server.New(server.Config{Store: st, Zone: time.UTC, Open: true, Now: c.now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	open, _ := listen(t, h.URL, nil)
	next(t, open)
	p := newProvider(t)
	secure := setupSecured(t, func(c *server.Config) {
		c.Tokens = &server.TokenConfig{Issuer: p.URL, Audience: "mems", RolesClaim: "roles", DoctorClaim: "mems_doctor_id"}
	})
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p.publish("one", &key.PublicKey)
	token := sign(t, jose.ES256, key, "one", object{
		"iss": p.URL, "aud": "mems", "sub": "ann", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "roles": []string{"receptionist"},
	})
	short, _ := listen(t, secure.url, http.Header{"Authorization": {"Bearer " + token}})
	next(t, short)
	var made api.APIKeyCreated
	secure.Post("/api-keys", object{"name": "desk", "role": "receptionist"}).Want(t, 201, "").Decode(t, &made)
	bound, _ := listen(t, secure.url, http.Header{"X-Api-Key": {made.Key}})
	next(t, bound)
	secure.Post(fmt.Sprintf("/api-keys/%d/revoke", made.ID), nil).Want(t, 200, "")
	secure.pass(2 * time.Hour)
	if e := next(t, bound); e.name != "" {
		t.Errorf("stream of a revoked key sent %+v, want it closed", e)
	}
	if e := next(t, short); e.name != "" {
		t.Errorf("stream of an expired token sent %+v, want it closed", e)
	}
	s.SetDraining()
	if e := next(t, open); e.name != "" {
		t.Errorf("stream after the close of its server sent %+v, want it closed", e)
	}
}

// A stream has a doctor's own calendar only, as the feed does.
func TestStreamReach(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, nil)
	mine, theirs, patient := s.doctor(), s.doctor(), s.patient()
	var made api.APIKeyCreated
	s.Post("/api-keys", object{"name": "own", "role": "doctor", "doctor_id": mine}).Want(t, 201, "").Decode(t, &made)
	events, _ := listen(t, s.url, http.Header{"X-Api-Key": {made.Key}})
	next(t, events)
	s.booked(patient, theirs, "2027-03-02T09:00:00Z", 30)
	s.patient()
	room := s.room()
	own := s.booked(patient, mine, "2027-03-02T10:00:00Z", 30)
	for _, want := range []struct {
		kind string
		id   int64
	}{{"room.created", room}, {"appointment.booked", own.ID}} {
		var c api.Change
		if err := json.Unmarshal([]byte(next(t, events).data), &c); err != nil || c.Type != want.kind || c.ObjectID != want.id {
			t.Errorf("%+v (%v), want %v", c, err, want)
		}
	}
}

// A stream that always has events to send still ends when its key is revoked: changes do not
// postpone the check whether its caller may still read.
func TestBusyStreamEnds(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, nil)
	var made api.APIKeyCreated
	s.Post("/api-keys", object{"name": "desk", "role": "receptionist"}).Want(t, 201, "").Decode(t, &made)
	events, _ := listen(t, s.url, http.Header{"X-Api-Key": {made.Key}})
	next(t, events)
	s.Post(fmt.Sprintf("/api-keys/%d/revoke", made.ID), nil).Want(t, 200, "")
	revoked := time.Now()
	for told := 0; ; told++ {
		s.room()
		if e := next(t, events); e.name == "" {
			break
		}
		if waited := time.Since(revoked); waited > 25*time.Second {
			t.Fatalf("stream of a revoked key was open for %s and sent %d changes, want it closed within 25 s",
				waited, told)
		}
		select {
		case e := <-events: // nothing else is told meanwhile, so this is its end
			if e.name == "" {
				return
			}
		case <-time.After(time.Second):
		}
	}
}
