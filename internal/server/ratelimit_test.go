package server_test

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/contracttest"
	"mems/internal/server"
	"mems/internal/store"
	"mems/internal/storetest"
)

// wrongKey returns a key that was never issued.
func wrongKey(id int) string { return fmt.Sprintf("mems_%d_%s", id, strings.Repeat("A", 43)) }

// Clients behind a clinic's address do not use up the others' limit: public reads, wrong keys and
// requests without a key are counted separately, and a valid key is never rejected because of them.
func TestAddressDoesNotLimitGoodKeys(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, func(c *server.Config) { c.RateLimit = 30 })
	good, _ := s.key("receptionist", nil)
	nobody := contracttest.New(t, s.url)
	for range 30 {
		nobody.Get("/version").Want(t, 200, "")
	}
	nobody.Get("/version").Want(t, 429, "rate-limited")
	good.Get("/patients").Want(t, 200, "")
	for i := range 30 {
		nobody.With("X-API-Key", wrongKey(i+1)).Get("/patients").Want(t, 401, "unauthenticated")
	}
	for range 3 {
		nobody.With("X-API-Key", wrongKey(1)).Get("/patients").Want(t, 429, "rate-limited")
		nobody.Get("/patients").Want(t, 429, "rate-limited")
		nobody.With("Authorization", "Bearer x").Get("/patients").Want(t, 429, "rate-limited")
	}
	if r := good.Get("/patients").Want(t, 200, ""); !strings.HasPrefix(r.Header.Get("RateLimit"), `"caller";r=28;`) {
		t.Errorf("headers of a known caller during the attack = %v, want 28 requests left", r.Header)
	}
	fresh, _ := s.key("receptionist", nil) // used for the first time, during the attack
	fresh.Get("/patients").Want(t, 200, "")
}

// Reading a calendar feed does not depend on other requests from its address, and unknown feed URLs
// count like wrong keys.
func TestAddressDoesNotLimitGoodFeeds(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, func(c *server.Config) { c.RateLimit = 10 })
	var feed api.CalendarFeedCreated
	s.Post("/calendar-feeds", object{"name": "all", "doctor_id": s.doctor()}).Want(t, 201, "").Decode(t, &feed)
	nobody := contracttest.New(t, s.url)
	for range 12 {
		nobody.Get("/version")
		nobody.Get("/patients")
		nobody.Get("/calendars/memscal_1_" + strings.Repeat("A", 43) + ".ics")
	}
	nobody.Get("/calendars/memscal_1_"+strings.Repeat("A", 43)+".ics").Want(t, 429, "rate-limited")
	for range 10 {
		nobody.Get(feed.URL).Want(t, 200, "")
	}
	nobody.Get(feed.URL).Want(t, 429, "rate-limited") // a feed has a limit of its own
}

// A key created in another process is known here within a second, even while its address is
// limited; a revoked one is rejected by every process at once, and then counts as wrong.
func TestKeysOfTwoProcesses(t *testing.T) {
	t.Parallel()
	db := storetest.New(t)
	c := &clock{}
	start := func() *contracttest.Client {
		s, err := server.New(server.Config{Store: db.Open(t, c.now, time.UTC), Zone: time.UTC, Log: slog.New(slog.DiscardHandler), Now: c.now, RateLimit: 10})
		if err != nil {
			t.Fatal(err)
		}
		h := httptest.NewServer(s)
		t.Cleanup(h.Close)
		return contracttest.New(t, h.URL)
	}
	one, two := start(), start()
	_, first, err := db.Open(t, c.now, time.UTC).CreateAPIKey(t.Context(), store.SystemRequest(), clinic.APIKey{Name: "admin", Role: clinic.RoleAdmin, ExpiresAt: now.AddDate(4, 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		two.With("X-API-Key", wrongKey(i+1)).Get("/patients")
	}
	two.With("X-API-Key", first).Get("/patients").Want(t, 200, "")
	var made api.APIKeyCreated
	one.With("X-API-Key", first).Post("/api-keys", object{"name": "new", "role": "receptionist"}).Want(t, 201, "").Decode(t, &made)
	c.passed.Add(int64(time.Second))
	for range 5 {
		two.With("X-API-Key", wrongKey(99)).Get("/patients") // takes what has come back
	}
	mine := two.With("X-API-Key", made.Key)
	c.passed.Add(int64(time.Second))
	mine.Get("/patients").Want(t, 200, "")
	one.With("X-API-Key", first).Post(fmt.Sprintf("/api-keys/%d/revoke", made.ID), nil).Want(t, 200, "")
	refused := 0
	for range 12 {
		if r := mine.Get("/patients"); r.Status == 429 {
			refused++
		} else if r.Status != 401 {
			t.Errorf("request with a revoked key = %d %s, want 401 or 429", r.Status, r.Body)
		}
	}
	if refused == 0 {
		t.Error("12 requests with a revoked key: none answered 429, want some")
	}
}

// Guesses beyond the limit do not reach the database.
func TestGuessesBeyondTheLimitAskNothing(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, func(c *server.Config) { c.RateLimit = 10 })
	nobody := contracttest.New(t, s.url)
	for i := range 12 {
		nobody.With("X-API-Key", wrongKey(i+1)).Get("/patients")
	}
	s.db.DB.MustExec(`RENAME TABLE api_keys TO gone`) // a look-up would be answered 500
	for i := range 50 {
		nobody.With("X-API-Key", wrongKey(i+1)).Get("/patients").Want(t, 429, "rate-limited")
	}
}

// Tokens of another issuer make the server fetch the provider's keys at most once a second, and do
// not lock out callers with a valid one.
func TestWrongTokensLockNobodyOut(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	s := setupSecured(t, func(c *server.Config) {
		c.RateLimit = 10
		c.Tokens = &server.TokenConfig{Issuer: p.URL, Audience: "mems", RolesClaim: "roles", DoctorClaim: "doctor"}
	})
	ours, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p.publish("one", ours.Public())
	token := func(key *rsa.PrivateKey, subject string) *contracttest.Client {
		return contracttest.New(t, s.url).With("Authorization", "Bearer "+sign(t, jose.RS256, key, "one", object{
			"iss": p.URL, "aud": "mems", "sub": subject, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "roles": "receptionist",
		}))
	}
	token(ours, "ann").Get("/patients").Want(t, 200, "")
	before := p.asked.Load()
	for i := range 20 {
		want := 401
		if i >= 10 {
			want = 429
		}
		if r := token(theirs, "eve").Get("/patients"); r.Status != want {
			t.Errorf("request %d with a token of another provider = %d %s, want %d", i, r.Status, r.Body, want)
		}
	}
	if asked := p.asked.Load() - before; asked > 1 {
		t.Errorf("the provider was asked for keys %d times, want at most once", asked)
	}
	token(ours, "ben").Get("/patients").Want(t, 200, "")
}

// Behind a trusted proxy each client is counted by its own address: IPv4 by address, IPv6 by its
// /64 network.
func TestAddressesAreCountedByNetwork(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, func(c *server.Config) {
		c.RateLimit = 3
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	})
	from := func(address string) int {
		return contracttest.New(t, s.url).With("X-Forwarded-For", address).Get("/version").Status
	}
	for _, address := range []string{"2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::3", "192.0.2.1", "192.0.2.1", "192.0.2.1"} {
		if got := from(address); got != 200 {
			t.Errorf("request from %s = %d, want 200", address, got)
		}
	}
	for address, want := range map[string]int{"2001:db8::9": 429, "2001:db8:0:1::1": 200, "192.0.2.1": 429, "192.0.2.2": 200, "::ffff:192.0.2.1": 429} {
		if got := from(address); got != want {
			t.Errorf("%s: %d, want %d", address, got, want)
		}
	}
}

// A partner can hold at most five times, however many it requests at once; reception is not
// limited.
func TestPartnerHoldsAreCapped(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, nil)
	partner, _ := s.key("partner", object{"scopes": []string{"appointments:write", "appointments:read"}})
	doctors := make([]int64, 12)
	for i := range doctors {
		doctors[i] = s.doctor()
	}
	hold := func(c *contracttest.Client, doctor int64) *contracttest.Response {
		return c.Post("/holds", object{"doctor_id": doctor, "start_time": "2027-06-01T12:00:00Z", "duration_minutes": 30, "seconds": 60})
	}
	var made, capped atomic.Int64
	together(len(doctors), func(i int) {
		switch r := hold(partner, doctors[i]); r.Status {
		case 201:
			made.Add(1)
		case 409:
			r.Want(t, 409, "too-many-holds")
			capped.Add(1)
		}
	})
	if made.Load() != 5 || capped.Load() != 7 {
		t.Errorf("%d made and %d capped, want 5 and 7", made.Load(), capped.Load())
	}
	s.pass(61 * time.Second)
	hold(partner, doctors[0]).Want(t, 201, "")
	desk, _ := s.key("receptionist", nil)
	for _, doctor := range doctors[1:] {
		hold(desk, doctor).Want(t, 201, "")
	}
}

// A partner can have at most 50 open waitlist entries.
func TestPartnerWaitlistIsCapped(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, nil)
	partner, _ := s.key("partner", object{"scopes": []string{"patients:write", "waitlist:write", "waitlist:read"}})
	var patient api.Patient
	partner.Post("/patients", object{"first_name": "Ann", "last_name": "Muster"}).Want(t, 201, "").Decode(t, &patient)
	entry := object{"patient_id": patient.ID, "from": "2027-05-01T00:00:00Z", "to": "2027-05-02T00:00:00Z", "duration_minutes": 30}
	var last api.WaitlistEntry
	for range 50 {
		partner.Post("/waitlist", entry).Want(t, 201, "").Decode(t, &last)
	}
	partner.Post("/waitlist", entry).Want(t, 409, "too-many-waitlist-entries")
	partner.Send(contracttest.Request{Method: "DELETE", Path: fmt.Sprintf("/waitlist/%d", last.ID)}).Want(t, 204, "")
	partner.Post("/waitlist", entry).Want(t, 201, "")
}

// A caller can have 20 streams, which does not limit other callers.
func TestStreamsOfOneCallerAreCapped(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, nil)
	greedy, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/stream", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	key := s.keyText()
	greedy.Header.Set("X-API-Key", key)
	for i := range 20 {
		answer, err := http.DefaultClient.Do(greedy)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }() // they are to stay open
		if answer.StatusCode != http.StatusOK {
			t.Fatalf("stream %d = %d, want 200", i+1, answer.StatusCode)
		}
	}
	s.With("X-API-Key", key).Get("/stream").Want(t, 429, "too-many-streams")
	greedy.Header.Set("X-API-Key", s.keyText())
	answer, err := http.DefaultClient.Do(greedy)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("stream of another caller = %d, want 200", answer.StatusCode)
	}
}

// keyText creates a receptionist's key and returns its text.
func (s *secured) keyText() string {
	s.t.Helper()
	var made api.APIKeyCreated
	s.Post("/api-keys", object{"name": "test", "role": "receptionist"}).Want(s.t, 201, "").Decode(s.t, &made)
	return made.Key
}
