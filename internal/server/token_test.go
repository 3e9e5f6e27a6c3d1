package server_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"mems/gen/api"
	"mems/internal/contracttest"
	"mems/internal/server"
)

// provider is an identity provider.
type provider struct {
	*httptest.Server
	keys atomic.Pointer[jose.JSONWebKeySet]
	down atomic.Bool
	// asked counts the requests to the provider.
	asked atomic.Int64
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{}
	p.keys.Store(&jose.JSONWebKeySet{})
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		if p.down.Load() {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		var answer any = p.keys.Load()
		if r.URL.Path == "/.well-known/openid-configuration" {
			answer = object{
				"issuer": p.URL, "jwks_uri": p.URL + "/keys", "authorization_endpoint": p.URL + "/auth", "token_endpoint": p.URL + "/token",
				"id_token_signing_alg_values_supported": []string{"RS256", "ES256", "HS256", "none"},
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(p.Close)
	return p
}

// publish makes a key the provider's only one.
func (p *provider) publish(id string, public crypto.PublicKey) {
	p.keys.Store(&jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, KeyID: id, Use: "sig"}}})
}

func sign(t *testing.T, algorithm jose.SignatureAlgorithm, key any, id string, claims object) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", id))
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// A token is accepted only if everything about it is right.
func TestTokens(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	s := setupSecured(t, func(c *server.Config) {
		c.Tokens = &server.TokenConfig{Issuer: p.URL, Audience: "mems", RolesClaim: "realm_access.roles", DoctorClaim: "mems_doctor_id"}
	})
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	doctor := s.doctor()
	claims := func(change object) object {
		c := object{
			"iss": p.URL, "aud": "mems", "sub": "ann", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
			"realm_access": object{"roles": []string{"receptionist", "offline_access"}},
		}
		maps.Copy(c, change)
		return c
	}
	ask := func(token string) *contracttest.Response {
		return contracttest.New(t, s.url).With("Authorization", "Bearer "+token).Get("/patients")
	}
	good := func(change object) string { return sign(t, jose.RS256, rsaKey, "one", claims(change)) }

	p.down.Store(true)
	c := contracttest.New(t, s.url)
	c.Allow5xx = true
	c.With("Authorization", "Bearer "+good(nil)).Get("/patients").Want(t, 503, "unavailable")
	p.down.Store(false)
	p.publish("one", rsaKey.Public())
	s.pass(3 * time.Second) // it is asked again

	ask(good(nil)).Want(t, 200, "")
	var me api.Caller
	c.With("Authorization", "bearer "+good(object{
		"realm_access": object{"roles": []string{"doctor"}}, "mems_doctor_id": doctor,
	})).Get("/me").Want(t, 200, "").Decode(t, &me)
	if me.Subject != "user:ann" || me.Kind != "token" || len(me.Roles) != 1 || me.DoctorID.MustGet() != doctor {
		t.Errorf("GET /me = %+v, want user:ann by a token, with one role, as doctor %d", me, doctor)
	}
	for name, change := range map[string]object{
		"Audience": {"aud": "other"}, "NoAudience": {"aud": nil}, "Issuer": {"iss": "https://elsewhere.example.org"},
		"Expired": {"exp": now.Add(-2 * time.Minute).Unix()}, "NoExpiry": {"exp": nil}, "NotYet": {"nbf": now.Add(time.Hour).Unix()},
		"NoSubject": {"sub": ""}, "SubjectWithControls": {"sub": "ann\u0085"}, "LongSubject": {"sub": strings.Repeat("x", 200)},
	} {
		t.Run(name, func(t *testing.T) { ask(good(change)).Want(t, 401, "unauthenticated") })
	}
	ask(good(object{"exp": now.Add(-30 * time.Second).Unix()})).Want(t, 200, "") // the clocks differ a little
	ask(good(object{"aud": []string{"other", "mems"}})).Want(t, 200, "")
	for name, roles := range map[string]any{"NoRole": []string{}, "OtherRoles": []string{"root", "Receptionist"}, "Partner": []string{"partner"}, "NoList": 7} {
		t.Run(name, func(t *testing.T) {
			r := ask(good(object{"realm_access": object{"roles": roles}}))
			r.Want(t, 403, "forbidden")
		})
	}
	// The signature is missing, made with the public key as a secret, made by another key, or
	// altered.
	public := p.keys.Load().Keys[0]
	encoded, err := public.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(good(nil), ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + "."
	altered := parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(decode(t, parts[1]), "receptionist", "admin", 1))) + "." + parts[2]
	otherKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"None": none, "Altered": altered, "Symmetric": sign(t, jose.HS256, encoded, "one", claims(nil)),
		"OtherKey": sign(t, jose.RS256, otherKey, "one", claims(nil)), "UnknownKey": sign(t, jose.RS256, otherKey, "nine", claims(nil)),
		"NoToken": "", "Junk": "a.b.c", "Long": strings.Repeat("a", 8000),
	} {
		t.Run(name, func(t *testing.T) { ask(token).Want(t, 401, "unauthenticated") })
	}
	// The provider's keys change.
	p.publish("two", ecKey.Public())
	s.pass(time.Second) // they are fetched once a second at most
	ask(sign(t, jose.ES256, ecKey, "two", claims(nil))).Want(t, 200, "")
	// API keys still work beside tokens.
	s.Get("/patients").Want(t, 200, "")
	if who := s.trail("subject", "user:ann"); len(who) == 0 {
		t.Error("audit entries of user:ann = none, want some")
	}
}

func decode(t *testing.T, part string) string {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Requests beyond the limit per minute are rejected, and every response has what is left; other
// callers are not affected.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, func(c *server.Config) { c.RateLimit = 30 })
	a, _ := s.key("receptionist", nil)
	b, _ := s.key("receptionist", nil)
	for i := range 30 {
		r := a.Get("/patients").Want(t, 200, "")
		if want := fmt.Sprintf(`"caller";r=%d;`, 29-i); !strings.HasPrefix(r.Header.Get("RateLimit"), want) || r.Header.Get("RateLimit-Policy") != `"caller";q=30;w=60` {
			t.Fatalf("%v, want %s", r.Header, want)
		}
	}
	r := a.Get("/patients").Want(t, 429, "rate-limited")
	if r.Header.Get("Retry-After") != "2" || !strings.HasPrefix(r.Header.Get("RateLimit"), `"caller";r=0;t=60`) {
		t.Errorf("headers = %v, want Retry-After 2 and no request left", r.Header)
	}
	b.Get("/patients").Want(t, 200, "")
	s.pass(2 * time.Second)
	a.Get("/patients").Want(t, 200, "")
	a.Get("/patients").Want(t, 429, "rate-limited")
	contracttest.New(t, s.url).Get("/healthz").Want(t, 200, "")
}

// Pages of other origins are allowed if they are configured, and only then.
func TestCORS(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, func(c *server.Config) { c.CORSOrigins = []string{"https://desk.example.org"} })
	for origin, allowed := range map[string]string{"https://desk.example.org": "https://desk.example.org", "https://evil.example.org": ""} {
		r := s.With("Origin", origin).Get("/doctors").Want(t, 200, "")
		if got := r.Header.Get("Access-Control-Allow-Origin"); got != allowed || r.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("origin %s: Access-Control-Allow-Origin %q, want %q without credentials", origin, got, allowed)
		}
	}
	closed := setup(t, "UTC")
	if r := closed.With("Origin", "https://desk.example.org").Get("/doctors"); r.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("headers of a server without allowed origins = %v, want no Access-Control-Allow-Origin", r.Header)
	}
}
