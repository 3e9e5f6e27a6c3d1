package server_test

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/contracttest"
	"mems/internal/server"
	"mems/internal/storetest"
)

// wrongKey is one that nobody has.
func wrongKey(id int) string { return fmt.Sprintf("mems_%d_%s", id, strings.Repeat("A", 43)) }

// No client behind a clinic's address takes from the others: public reads, wrong keys
// and requests without any count apart, and a good key is never refused for them.
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
		t.Errorf("%v", r.Header)
	}
	fresh, _ := s.key("receptionist", nil) // used for the first time, during the attack
	fresh.Get("/patients").Want(t, 200, "")
}

// A calendar feed is read whatever else its address does, and wrong addresses of
// feeds count as wrong keys do.
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

// A key that was made in another process is known in this one a second later at the
// latest, though its address is refused; a revoked one is refused by every process at
// once, and then counts as wrong.
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
	_, first, err := db.Open(t, c.now, time.UTC).CreateKey(t.Context(), clinic.APIKey{Name: "admin", Role: clinic.RoleAdmin, ExpiresAt: now.AddDate(4, 0, 0)})
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
			t.Errorf("a revoked key: %d %s", r.Status, r.Body)
		}
	}
	if refused == 0 {
		t.Error("using a revoked key does not count")
	}
}

// Guesses beyond the limit cost the database nothing.
func TestGuessesBeyondTheLimitAskNothing(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, func(c *server.Config) { c.RateLimit = 10 })
	nobody := contracttest.New(t, s.url)
	for i := range 12 {
		nobody.With("X-API-Key", wrongKey(i+1)).Get("/patients")
	}
	s.db.DB.MustExec(`RENAME TABLE api_keys TO gone`) // whoever is looked up gets 500
	for i := range 50 {
		nobody.With("X-API-Key", wrongKey(i+1)).Get("/patients").Want(t, 429, "rate-limited")
	}
}

// Tokens that are not the provider's have its keys fetched once a second at most, and
// lock nobody out who has a good one.
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
			t.Errorf("%d: %d %s", i, r.Status, r.Body)
		}
	}
	if asked := p.asked.Load() - before; asked > 1 {
		t.Errorf("the provider was asked %d times", asked)
	}
	token(ours, "ben").Get("/patients").Want(t, 200, "")
}

// Behind a trusted proxy each client is counted by its own address: IPv4 by address,
// IPv6 by network of 64 bits.
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
			t.Errorf("%s: %d", address, got)
		}
	}
	for address, want := range map[string]int{"2001:db8::9": 429, "2001:db8:0:1::1": 200, "192.0.2.1": 429, "192.0.2.2": 200, "::ffff:192.0.2.1": 429} {
		if got := from(address); got != want {
			t.Errorf("%s: %d, want %d", address, got, want)
		}
	}
}
