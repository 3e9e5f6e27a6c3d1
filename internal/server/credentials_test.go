package server_test

import (
	"crypto/rand"
	"crypto/rsa"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"mems/gen/api"
	"mems/internal/contracttest"
	"mems/internal/server"
)

// An empty credential header counts as none: tools send the header of a field that was left empty.
func TestEmptyCredentials(t *testing.T) {
	t.Parallel()
	open, closed := setup(t, "UTC"), setupSecured(t, nil)
	for _, header := range []http.Header{
		{"X-Api-Key": {""}},
		{"X-Api-Key": {" \t "}},
		{"X-Api-Key": {"", ""}},
		{"Authorization": {""}},
		{"Authorization": {"Bearer"}},
		{"Authorization": {"bearer "}},
		{"Authorization": {"Bearer \t "}},
		{"Authorization": {"Bearer "}, "X-Api-Key": {""}},
	} {
		ask := func(c *contracttest.Client, path string) *contracttest.Response {
			return c.Send(contracttest.Request{Method: "GET", Path: path, Header: header})
		}
		ask(open.Client, "/patients").Want(t, 200, "")
		ask(open.Client, "/fhir/Patient").Want(t, 200, "")
		r := ask(contracttest.New(t, closed.url), "/patients").Want(t, 401, "unauthenticated")
		if got := r.Header.Get("WWW-Authenticate"); got != `Bearer realm="mems"` {
			t.Errorf("request with %v: WWW-Authenticate %q, want %q", header, got, `Bearer realm="mems"`)
		}
		if header.Get("X-Api-Key") == "" && header["X-Api-Key"] == nil { // beside a good key it does not count either
			ask(closed.Client, "/patients").Want(t, 200, "")
		}
	}
	// An invalid credential is not treated as none.
	open.With("X-API-Key", "x").Get("/patients").Want(t, 401, "unauthenticated")
	open.With("Authorization", "Bearer x").Get("/patients").Want(t, 401, "unauthenticated")
}

// A rejected token has its reason in the log, for the operator, and in the response as RFC 6750
// defines it. Neither contains the token.
func TestRefusedToken(t *testing.T) {
	t.Parallel()
	p, log := newProvider(t), &lines{}
	s := setupSecured(t, func(c *server.Config) {
		c.Tokens = &server.TokenConfig{Issuer: p.URL, Audience: "mems", RolesClaim: "roles", DoctorClaim: "doctor"}
		c.Log = jsonLog(log)
	})
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p.publish("one", key.Public())
	token := func(change object) string {
		claims := object{"iss": p.URL, "aud": "mems", "sub": "ann", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "roles": "receptionist"}
		maps.Copy(claims, change)
		return sign(t, jose.RS256, key, "one", claims)
	}
	ask := func(token, method, path string) *contracttest.Response {
		return contracttest.New(t, s.url).With("Authorization", "Bearer "+token).Send(contracttest.Request{Method: method, Path: path})
	}
	for name, test := range map[string]struct{ token, logged string }{
		"Expired":  {token(object{"exp": now.Add(-time.Hour).Unix()}), "expired"},
		"Audience": {token(object{"aud": "other"}), "audience"},
		"Issuer":   {token(object{"iss": "https://elsewhere.example.org"}), "issue"},
		"Junk":     {"a.b.c", "malformed"},
		"Subject":  {token(object{"sub": ""}), "subject"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/patients", "/fhir/Patient"} {
				r := ask(test.token, "GET", path).Want(t, 401, "unauthenticated")
				if got := r.Header.Get("WWW-Authenticate"); !strings.HasPrefix(got, `Bearer realm="mems", error="invalid_token", error_description="The `) {
					t.Errorf("WWW-Authenticate = %q, want error=\"invalid_token\" and a description", got)
				}
				written := log.String()
				if !strings.Contains(written, test.logged) || !strings.Contains(written, r.Header.Get("X-Request-ID")) {
					t.Errorf("log = %s, want %q and the request's id %s in it",
						written, test.logged, r.Header.Get("X-Request-ID"))
				}
				if strings.Contains(written, test.token) {
					t.Errorf("log = %s, want it without the token", written)
				}
			}
		})
	}
	r := ask(token(nil), "GET", "/audit").Want(t, 403, "forbidden")
	if got := r.Header.Get("WWW-Authenticate"); got != `Bearer realm="mems", error="insufficient_scope", scope="audit:read"` {
		t.Errorf("WWW-Authenticate = %q, want error=\"insufficient_scope\" with scope=\"audit:read\"", got)
	}
	for claim, want := range map[any][]string{
		"receptionist,manager":          {"receptionist", "manager"},
		" receptionist , manager,,":     {"receptionist", "manager"},
		"receptionist manager":          {"receptionist", "manager"},
		"receptionist;manager, auditor": {"auditor"},
	} {
		var me api.Caller
		ask(token(object{"roles": claim}), "GET", "/me").Want(t, 200, "").Decode(t, &me)
		var got []string
		for _, role := range me.Roles {
			got = append(got, string(role))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v: roles %v, want %v", claim, got, want)
		}
	}
	// A server that does not accept tokens says so.
	none := setupSecured(t, nil)
	if got := contracttest.New(t, none.url).With("Authorization", "Bearer x").Get("/patients").Want(t, 401, "unauthenticated").Header.Get("WWW-Authenticate"); !strings.Contains(got, `error="invalid_token"`) {
		t.Errorf("WWW-Authenticate = %q, want error=\"invalid_token\" in it", got)
	}
}
