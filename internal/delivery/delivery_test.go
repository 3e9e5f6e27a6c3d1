package delivery_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	_ "time/tzdata"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"mems/internal/clinic"
	"mems/internal/delivery"
	"mems/internal/server"
	"mems/internal/store"
	"mems/internal/storetest"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// message is a received message.
type message struct {
	header http.Header
	body   []byte
	Type   string `json:"type"`
	Data   struct {
		ObjectID int64  `json:"object_id"`
		Cursor   string `json:"cursor"`
	} `json:"data"`
}

// receiver is a partner's server.
type receiver struct {
	*httptest.Server
	got    chan message
	answer atomic.Pointer[func(message) int]
	header atomic.Pointer[http.Header] // of each response
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{got: make(chan message, 1000)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		m := message{header: request.Header}
		m.body, _ = io.ReadAll(request.Body)
		if err := json.Unmarshal(m.body, &m); err != nil {
			t.Error(err)
		}
		status := 204
		if answer := r.answer.Load(); answer != nil {
			status = (*answer)(m)
		}
		if header := r.header.Load(); header != nil {
			maps.Copy(w.Header(), *header)
		}
		w.WriteHeader(status)
		r.got <- m
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answers(answer func(message) int) { r.answer.Store(&answer) }

func (r *receiver) next(t *testing.T) message {
	t.Helper()
	select {
	case m := <-r.got:
		return m
	case <-time.After(20 * time.Second):
		t.Fatal("no message within the time, want one")
	}
	return message{}
}

// fixture is a clinic whose clock the test controls.
type fixture struct {
	t      *testing.T
	db     *storetest.Database
	st     *store.Store
	passed atomic.Int64
	doctor clinic.Doctor
}

var start = time.Date(2027, 3, 1, 8, 0, 0, 0, time.UTC)

func (f *fixture) now() time.Time { return start.Add(time.Duration(f.passed.Load())) }

func setup(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, db: storetest.New(t)}
	f.st = f.db.Open(t, f.now, time.UTC)
	var err error
	if f.doctor, err = f.st.CreateDoctor(t.Context(), store.SystemRequest(), clinic.Doctor{FullName: "Dr. Noor Haddad", Specialization: "Dermatology", IsActive: true}); err != nil {
		t.Fatal(err)
	}
	return f
}

// send runs a sender, like another process, until the test ends or stop is called.
func (f *fixture) send(inside []netip.Prefix) (stop func()) {
	f.t.Helper()
	return f.run(f.sender(f.db.Open(f.t, f.now, time.UTC), inside))
}

// sender returns a sender in the process that owns the store.
func (f *fixture) sender(st *store.Store, inside []netip.Prefix) *delivery.Sender {
	return delivery.New(delivery.Config{
		Store: st, Message: server.WebhookMessage, Inside: inside, Version: "test", Now: f.now, Log: slog.New(slog.DiscardHandler),
	})
}

func (f *fixture) run(s *delivery.Sender) (stop func()) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(f.t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	stop = func() { cancel(); running.Wait() }
	f.t.Cleanup(stop)
	return stop
}

func (f *fixture) hook(url string, types ...string) (clinic.Webhook, string) {
	f.t.Helper()
	w, secret, err := f.st.CreateWebhook(f.t.Context(), store.SystemRequest(), clinic.Webhook{URL: url, Types: types}, store.WebhookRules{AllowHTTP: true})
	if err != nil {
		f.t.Fatal(err)
	}
	return w, secret
}

func (f *fixture) room(name string) clinic.Room {
	f.t.Helper()
	r, err := f.st.CreateRoom(f.t.Context(), store.SystemRequest(), clinic.Room{Name: name, IsActive: true})
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

// settled waits until n messages of a webhook have a status, and returns them.
func (f *fixture) settled(w clinic.Webhook, want clinic.DeliveryStatus, n int) []clinic.Delivery {
	f.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		p, err := f.st.ListWebhookDeliveries(f.t.Context(), w.ID, want, 0, 200)
		if err != nil {
			f.t.Fatal(err)
		}
		if len(p.Items) == n {
			return p.Items
		}
		if time.Now().After(deadline) {
			all, _ := f.st.ListWebhookDeliveries(f.t.Context(), w.ID, "", 0, 200)
			f.t.Fatalf("%d are %s, not %d; the first of all %d: %+v", len(p.Items), want, n, len(all.Items), all.Items[:min(3, len(all.Items))])
		}
	}
}

func verify(m message, secret string) error {
	w, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return err
	}
	return w.VerifyIgnoringTimestamp(m.body, m.header)
}

// A message is signed according to Standard Webhooks, identifies the record without its
// contents, and is sent only for requested events; secrets can be rotated without a gap.
func TestMessages(t *testing.T) {
	t.Parallel()
	f, r := setup(t), newReceiver(t)
	w, secret := f.hook(r.URL, "patient.*", "room.created")
	f.send(loopback)
	f.room("Room 1")
	m := r.next(t)
	if m.Type != "room.created" || m.Data.Cursor == "" || !strings.HasPrefix(m.header.Get("User-Agent"), "MEMS/") {
		t.Errorf("message = %s %v, want room.created with a cursor, sent by MEMS", m.body, m.header)
	}
	if err := verify(m, secret); err != nil {
		t.Error(err)
	}
	if m.header.Get("webhook-timestamp") != fmt.Sprint(start.Unix()) {
		t.Errorf("webhook-timestamp = %s, want %d", m.header.Get("webhook-timestamp"), start.Unix())
	}
	p, _, err := f.st.CreatePatient(t.Context(), store.SystemRequest(), store.NewPatient{Patient: clinic.Patient{FirstName: "Marker", LastName: "Person"}})
	if err != nil {
		t.Fatal(err)
	}
	if m = r.next(t); m.Type != "patient.created" || m.Data.ObjectID != p.ID || strings.Contains(string(m.body), "Marker") {
		t.Errorf("message = %s, want patient.created of %d without the name", m.body, p.ID)
	}
	_, fresh, err := f.st.RotateWebhookSecret(t.Context(), store.SystemRequest(), w.ID)
	if err != nil {
		t.Fatal(err)
	}
	f.room("Room 2")
	m = r.next(t)
	if verify(m, secret) != nil || verify(m, fresh) != nil || verify(m, clinic.WebhookSecret{1}.String()) == nil {
		t.Errorf("signatures = %v, want those of the old and the new secret and no other", m.header)
	}
	f.passed.Store(int64(clinic.SecretOverlap + time.Second))
	f.room("Room 3")
	if m = r.next(t); verify(m, secret) == nil || verify(m, fresh) != nil {
		t.Errorf("signatures after the overlap = %v, want that of the new secret alone", m.header)
	}
	if _, err := f.st.TestWebhook(t.Context(), store.SystemRequest(), w.ID); err != nil {
		t.Fatal(err)
	}
	if m = r.next(t); m.Type != clinic.TestMessage {
		t.Errorf("message = %s, want the type %s", m.body, clinic.TestMessage)
	}
	f.settled(w, clinic.DeliveryDelivered, 5)
}

// A message is not retried before the receiver's Retry-After.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	f := setup(t)
	r := newReceiver(t)
	r.answers(func(message) int { return 503 })
	w, _ := f.hook(r.URL, "room.*")
	for i, test := range []struct {
		value     string
		wait, max time.Duration
	}{
		{"600", 10 * time.Minute, 11 * time.Minute},
		{start.Add(time.Hour).Format(http.TimeFormat), time.Hour, 67 * time.Minute},
		{"1", 5 * time.Second, 6 * time.Second},                                           // our own delay is longer
		{start.Add(-time.Hour).Format(http.TimeFormat), 5 * time.Second, 6 * time.Second}, // in the past
		{"99999999999999999999", clinic.DeliveryLife, 27 * time.Hour},                     // one attempt before it expires
		{"soon", 5 * time.Second, 6 * time.Second},
		{"-5", 5 * time.Second, 6 * time.Second},
	} {
		r.header.Store(&http.Header{"Retry-After": {test.value}})
		f.room(fmt.Sprintf("Room %d", i))
		stop := f.send(loopback)
		r.next(t)
		f.awaitFailed(w, i+1)
		stop()
		page, err := f.st.ListWebhookDeliveries(t.Context(), w.ID, clinic.DeliveryPending, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		if wait := page.Items[0].NextAt.Sub(start); wait < test.wait || wait > test.max {
			t.Errorf("Retry-After %s: next attempt after %s, want %s to %s", test.value, wait, test.wait, test.max)
		}
	}
}

// awaitFailed waits until n messages were refused once.
func (f *fixture) awaitFailed(w clinic.Webhook, n int) {
	f.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); f.failed(w) != n; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("%d messages were refused, want %d", f.failed(w), n)
		}
	}
}

// failed returns the number of messages that were refused once.
func (f *fixture) failed(w clinic.Webhook) int {
	f.t.Helper()
	page, err := f.st.ListWebhookDeliveries(f.t.Context(), w.ID, clinic.DeliveryPending, 0, 100)
	if err != nil {
		f.t.Fatal(err)
	}
	n := 0
	for _, d := range page.Items {
		if d.LastStatus != nil {
			n++
		}
	}
	return n
}

// Refused messages are retried with growing delays; messages about one record wait for each
// other, those about another do not. After a day a message is dead, and can be redelivered.
func TestRetries(t *testing.T) {
	t.Parallel()
	f, r := setup(t), newReceiver(t)
	w, _ := f.hook(r.URL, "room.*")
	room := f.room("Room 1")
	r.answers(func(m message) int {
		if m.Data.ObjectID == room.ID {
			return 500
		}
		return 200
	})
	if _, _, err := f.st.UpdateRoom(t.Context(), store.SystemRequest(), room.ID, clinic.RoomPatch{Name: clinic.ChangeTo("Renamed")}, nil); err != nil {
		t.Fatal(err)
	}
	f.room("Room 2")
	f.send(loopback)
	first, other := r.next(t), r.next(t)
	if first.Data.ObjectID != room.ID {
		first, other = other, first
	}
	if first.Type != "room.created" || other.Data.ObjectID == room.ID {
		t.Errorf("messages = %s and %s, want room.created of room %d, and one of another room",
			first.body, other.body, room.ID)
	}
	f.settled(w, clinic.DeliveryDelivered, 1)
	f.awaitFailed(w, 1) // before the clock goes on: the next attempt is due after that
	// Once the receiver is repaired, it gets the first message again unchanged, then the
	// second.
	r.answers(func(message) int { return 200 })
	f.passed.Add(int64(10 * time.Second))
	again, renamed := r.next(t), r.next(t)
	if again.header.Get("webhook-id") != first.header.Get("webhook-id") || string(again.body) != string(first.body) || renamed.Type != "room.updated" {
		t.Errorf("messages = %s, then %s; want the first again, unchanged, then room.updated",
			again.body, renamed.body)
	}
	f.settled(w, clinic.DeliveryDelivered, 3)

	r.answers(func(message) int { return 503 })
	f.room("Room 3")
	attempts := 0
	for range 30 {
		for more := true; more; {
			select {
			case <-r.got:
				attempts++
			case <-time.After(700 * time.Millisecond):
				more = false
			}
		}
		f.passed.Add(int64(time.Hour))
		if p, _ := f.st.ListWebhookDeliveries(t.Context(), w.ID, clinic.DeliveryDead, 0, 10); len(p.Items) == 1 {
			break
		}
	}
	dead := f.settled(w, clinic.DeliveryDead, 1)[0]
	attempts += len(r.got) // received last
	for len(r.got) > 0 {
		<-r.got
	}
	if attempts < 6 || dead.Attempts != attempts || dead.LastStatus == nil || *dead.LastStatus != 503 || dead.LastError == nil {
		t.Errorf("%d attempts, delivery %+v; want at least 6, all of them counted, and the last answer 503 with an error",
			attempts, dead)
	}
	r.answers(func(message) int { return 200 })
	if _, err := f.st.RedeliverWebhook(t.Context(), store.SystemRequest(), w.ID, dead.ID); err != nil {
		t.Fatal(err)
	}
	r.next(t)
	f.settled(w, clinic.DeliveryDelivered, 4)
	f.passed.Add(int64(8 * 24 * time.Hour))
	if err := f.st.DeleteOldDeliveries(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.settled(w, clinic.DeliveryDelivered, 0)
}

// No internal address is reached, under any name or by redirect.
func TestNothingInsideIsReached(t *testing.T) {
	t.Parallel()
	f, r := setup(t), newReceiver(t)
	f.send(nil)
	port := r.URL[strings.LastIndexByte(r.URL, ':'):]
	for _, url := range []string{
		r.URL, "http://localhost" + port, "http://[::1]" + port, "http://[::ffff:127.0.0.1]" + port, "http://0.0.0.0" + port,
		"http://10.0.0.1/", "http://192.168.1.1/", "http://172.16.0.1/", "http://100.64.0.1/", "http://169.254.169.254/latest/meta-data",
		"http://[fd00::1]/", "http://[fe80::1]/", "http://[64:ff9b::7f00:1]/", "http://2130706433" + port + "/",
	} {
		w, _ := f.hook(url)
		if _, err := f.st.TestWebhook(t.Context(), store.SystemRequest(), w.ID); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			if d := f.pending(w); len(d) == 1 && d[0].LastError != nil {
				if e := *d[0].LastError; !strings.Contains(e, "not a public one") && !strings.Contains(e, "cannot be resolved") {
					t.Errorf("error of %s = %q, want that the address is not public or cannot be resolved", url, e)
				}
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("no attempt at %s within 20 s, want one", url)
			}
		}
	}
	if len(r.got) > 0 {
		t.Errorf("receiver inside got %s, want nothing", (<-r.got).body)
	}
}

// Redirects are not followed, and 410 disables the webhook.
func TestRedirectsAndGone(t *testing.T) {
	t.Parallel()
	f, r := setup(t), newReceiver(t)
	onward := httptest.NewServer(http.RedirectHandler(r.URL, http.StatusTemporaryRedirect))
	t.Cleanup(onward.Close)
	f.send(loopback)
	away, _ := f.hook(onward.URL, "room.*")
	f.room("Room 1")
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if d := f.pending(away); len(d) == 1 && d[0].LastStatus != nil {
			if *d[0].LastStatus != 307 || len(r.got) > 0 {
				t.Errorf("delivery = %+v, want status 307 and nothing at the redirect's target", d[0])
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no attempt within 20 s, want one")
		}
	}
	w, _ := f.hook(r.URL, "room.*")
	r.answers(func(message) int { return 410 })
	f.room("Room 2")
	r.next(t)
	f.settled(w, clinic.DeliveryDead, 1)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		now, err := f.st.Webhook(t.Context(), w.ID)
		if err != nil {
			t.Fatal(err)
		}
		if !now.Enabled && now.DisabledReason != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("webhook after a 410 = %+v, want it disabled with a reason", now)
		}
	}
}
