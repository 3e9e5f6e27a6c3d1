package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/coreos/go-oidc/v3/oidc"

	"mems/internal/clinic"
)

// TokenConfig describes the identity provider whose tokens are accepted.
type TokenConfig struct {
	Issuer   string // its URL, from which keys are discovered
	Audience string // the required audience of tokens
	// RolesClaim is the claim with roles, DoctorClaim the one with the doctor's id; dots
	// select members of objects, as in realm_access.roles.
	RolesClaim, DoctorClaim string
}

// algorithms lists the accepted signatures: only asymmetric ones, so that tokens cannot be
// signed with a public key (RFC 8725 section 3.1).
var algorithms = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA,
}

// skew is the allowed difference between the clocks of the provider and this server.
const skew = time.Minute

// maxSubject bounds a subject, which is stored in histories.
const maxSubject = 190

// tokens verifies tokens. Discovery runs when it is first needed, and again after failures,
// so that the server starts without the provider.
type tokens struct {
	cfg    TokenConfig
	now    func() time.Time
	client *http.Client

	mu       sync.Mutex
	verifier *oidc.IDTokenVerifier
	retry    time.Time
}

func newTokens(cfg TokenConfig, now func() time.Time) *tokens {
	pause := &pauseBetween{next: http.DefaultTransport, now: now, last: map[string]fetch{}}
	return &tokens{cfg: cfg, now: now, client: &http.Client{Timeout: 5 * time.Second, Transport: pause}}
}

// pauseBetween limits requests for the same URL to one per second. The library fetches the
// provider's keys for every token with an unknown signature, and any client can send such
// tokens.
type pauseBetween struct {
	next http.RoundTripper
	now  func() time.Time

	mu   sync.Mutex
	last map[string]fetch // by URL: few, all of them the provider's
}

type fetch struct {
	at     time.Time
	failed bool
}

var (
	// errFetched means that the provider's keys were fetched a moment ago: a token that they
	// do not verify is not the provider's.
	errFetched     = errors.New("fetched a moment ago")
	errFetchFailed = errors.New("could not be fetched a moment ago")
)

// RoundTrip implements http.RoundTripper.
func (p *pauseBetween) RoundTrip(r *http.Request) (*http.Response, error) {
	url, now := r.URL.String(), p.now()
	p.mu.Lock()
	last := p.last[url]
	p.mu.Unlock()
	if since := now.Sub(last.at); 0 <= since && since < time.Second {
		if last.failed {
			return nil, errFetchFailed
		}
		return nil, errFetched
	}
	answer, err := p.next.RoundTrip(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last[url] = fetch{at: now, failed: err != nil || answer.StatusCode != http.StatusOK}
	return answer, err
}

func (t *tokens) provider() (*oidc.IDTokenVerifier, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.verifier != nil {
		return t.verifier, nil
	}
	if t.now().Before(t.retry) {
		return nil, errors.New("the identity provider could not be reached a moment ago")
	}
	// Not the request's context: later key fetches use this one, too.
	ctx := oidc.ClientContext(context.Background(), t.client)
	provider, err := oidc.NewProvider(ctx, t.cfg.Issuer)
	if err != nil {
		t.retry = t.now().Add(2 * time.Second)
		return nil, fmt.Errorf("identity provider: %w", err)
	}
	t.verifier = provider.VerifierContext(ctx, &oidc.Config{
		ClientID: t.cfg.Audience, SupportedSigningAlgs: algorithms,
		Now: func() time.Time { return t.now().Add(-skew) }, // for the expiry; what is valid later is allowed five minutes
	})
	return t.verifier, nil
}

// verify returns the caller of a token. Errors: clinic.ErrUnauthenticated;
// clinic.ErrUnavailable if the provider's keys cannot be fetched.
func (t *tokens) verify(ctx context.Context, raw string) (clinic.Caller, error) {
	verifier, err := t.provider() //nolint:contextcheck // later requests use what it fetches, too
	if err != nil {
		return clinic.Caller{}, &clinic.Error{Code: clinic.CodeUnavailable, Cause: err}
	}
	token, err := verifier.Verify(ctx, raw)
	if err != nil {
		if text := err.Error(); strings.Contains(text, "fetching keys") && !strings.Contains(text, errFetched.Error()) { // the library has no type for it
			return clinic.Caller{}, &clinic.Error{Code: clinic.CodeUnavailable, Cause: err}
		}
		if _, expired := errors.AsType[*oidc.TokenExpiredError](err); expired {
			return clinic.Caller{}, refuseToken("The token has expired", err)
		}
		return clinic.Caller{}, refuseToken("The token is not one of this server's issuer and audience", err)
	}
	var claims map[string]any
	if err := token.Claims(&claims); err != nil {
		return clinic.Caller{}, refuseToken("The claims of the token cannot be read", err)
	}
	if token.Subject == "" || len(token.Subject) > maxSubject || clinic.Text(token.Subject) != token.Subject {
		return clinic.Caller{}, refuseToken("The subject of the token is empty or too long", nil)
	}
	if strings.ContainsFunc(token.Subject, clinic.Unreadable) {
		return clinic.Caller{}, refuseToken("The subject of the token has control characters", nil)
	}
	return t.caller(token.Subject, claims), nil
}

// tokenError is the reason for rejecting a token.
type tokenError struct {
	description string // for the client: printable ASCII without quotes, nothing of the token
	cause       error  // for the log; nil: the description is enough
}

func (e *tokenError) Error() string {
	if e.cause == nil {
		return "token refused: " + e.description
	}
	const enough = 300 // it may quote a claim of any length
	cause := []rune(strings.ToValidUTF8(e.cause.Error(), "?"))
	return "token refused: " + string(cause[:min(len(cause), enough)])
}

// refuseToken returns clinic.CodeUnauthenticated with a reason.
func refuseToken(description string, cause error) error {
	return &clinic.Error{Code: clinic.CodeUnauthenticated, Cause: &tokenError{description: description, cause: cause}}
}

// caller returns the caller with the roles that a token names. Unknown roles, and partner,
// which needs a key, are ignored.
func (t *tokens) caller(subject string, claims map[string]any) clinic.Caller {
	c := clinic.Caller{Subject: "user:" + subject}
	var names []string
	switch v := claim(claims, t.cfg.RolesClaim).(type) {
	case []any:
		for _, name := range v {
			role, _ := name.(string)
			names = append(names, role)
		}
	case string: // separated by spaces, like scopes, or by commas
		names = strings.FieldsFunc(v, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	}
	for _, role := range names {
		if r := clinic.Role(role); slices.Contains(clinic.Roles(), r) && r != clinic.RolePartner && !slices.Contains(c.Roles, r) {
			c.Roles = append(c.Roles, r)
		}
	}
	switch v := claim(claims, t.cfg.DoctorClaim).(type) {
	case float64:
		c.DoctorID = int64(v)
	case json.Number:
		c.DoctorID, _ = v.Int64()
	case string:
		c.DoctorID, _ = strconv.ParseInt(v, 10, 64)
	}
	return c
}

// claim returns a claim; dots select members of objects.
func claim(claims map[string]any, path string) any {
	if whole, ok := claims[path]; ok {
		return whole // a name that has dots, such as a URL
	}
	name, rest, deeper := strings.Cut(path, ".")
	inner, ok := claims[name].(map[string]any)
	if !deeper || !ok {
		return nil
	}
	return claim(inner, rest)
}
