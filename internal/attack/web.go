package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// openServer returns the server without authentication.
func (f *field) openServer(ctx context.Context) (*target, error) {
	return f.server(ctx, "open", "MEMS_AUTH=open")
}

// controlled returns an error unless the harmless request succeeds: otherwise a refusal of
// the hostile one would prove nothing.
func (t *target) controlled(ctx context.Context, r request) error {
	a, err := t.ask(ctx, r)
	return a.want(err, http.StatusOK)
}

func rebinding(ctx context.Context, f *field) (string, error) {
	s, err := f.openServer(ctx)
	if err != nil {
		return "", err
	}
	if err := s.controlled(ctx, request{method: "GET", path: "/patients"}); err != nil {
		return "", err
	}
	_, port, _ := strings.Cut(s.Address(), ":")
	tried := 0
	for _, host := range []string{
		"evil.example", "evil.example:" + port, "localhost.evil.example", "127.0.0.1.evil.example:" + port, "evil.example.", "192.0.2.1", "0x7f000001",
		"localhost@evil.example", "[::ffff:192.0.2.1]:" + port,
	} {
		for _, r := range []request{
			{method: "GET", path: "/patients"},
			{method: "GET", path: fmt.Sprintf("/fhir/Patient/%d", f.patient)},
			{method: "GET", path: "/audit"},
			{method: "GET", path: "/stream"},
			{method: "POST", path: "/api-keys", body: object{"name": f.unique("minted"), "role": "admin"}},
			{method: "GET", path: "/calendars/x.ics", header: http.Header{"X-Api-Key": {""}}},
		} {
			r.host = host
			tried++
			a, err := s.ask(ctx, r)
			if err != nil {
				return "", err
			}
			if a.status < 400 || strings.Contains(string(a.body), secretName) {
				return "", fmt.Errorf("%s %s as %s: %d %s", r.method, r.path, host, a.status, a.short())
			}
		}
	}
	return fmt.Sprintf("%d requests refused, none read or made anything", tried), nil
}

func openProxy(ctx context.Context, f *field) (string, error) {
	s, err := f.openServer(ctx)
	if err != nil {
		return "", err
	}
	if err := s.controlled(ctx, request{method: "GET", path: "/patients"}); err != nil {
		return "", err
	}
	names := []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Server", "X-Real-Ip", "Forwarded", "Via"}
	for _, name := range names {
		a, err := s.ask(ctx, request{method: "GET", path: "/patients", header: http.Header{name: {"127.0.0.1"}}})
		if err := a.want(err, http.StatusForbidden); err != nil {
			return "", fmt.Errorf("with %s: %w", name, err)
		}
		if !strings.Contains(string(a.body), "MEMS_AUTH") {
			return "", fmt.Errorf("with %s: the refusal does not say what to do: %s", name, a.short())
		}
	}
	return fmt.Sprintf("refused with what to do, by each of %d headers", len(names)), nil
}

func forms(ctx context.Context, f *field) (string, error) {
	open, err := f.openServer(ctx)
	if err != nil {
		return "", err
	}
	closed, err := f.closed(ctx)
	if err != nil {
		return "", err
	}
	tried := 0
	for _, s := range []*target{open, closed} {
		key := ""
		if s == closed {
			key = f.admin
		}
		for _, header := range []http.Header{
			{"Origin": {"https://evil.example"}, "Content-Type": {"text/plain"}},
			{"Origin": {"null"}},
			{"Sec-Fetch-Site": {"cross-site"}},
			{"Sec-Fetch-Site": {"same-site"}},
			{"Origin": {"http://localhost.evil.example"}, "Content-Type": {"application/x-www-form-urlencoded"}},
		} {
			for _, path := range []string{"confirm", "check-in", "start", "complete", "no-show", "leave", "undo", "cancel"} {
				tried++
				a, err := s.ask(ctx, request{method: "POST", path: fmt.Sprintf("/appointments/%d/%s", f.appointment, path), key: key, header: header, body: "{}"})
				if err := a.want(err, http.StatusForbidden); err != nil {
					return "", fmt.Errorf("%s with %v: %w", path, header, err)
				}
			}
			for _, path := range []string{"/api-keys/1/revoke", "/webhooks/1/rotate-secret", "/patients/1/erase", "/calendar-feeds/1/revoke"} {
				tried++
				a, err := s.ask(ctx, request{method: "POST", path: path, key: key, header: header})
				if err := a.want(err, http.StatusForbidden); err != nil {
					return "", fmt.Errorf("%s with %v: %w", path, header, err)
				}
			}
		}
	}
	a, err := closed.ask(ctx, request{method: "GET", path: fmt.Sprintf("/appointments/%d", f.appointment), key: f.admin})
	if err := a.want(err, http.StatusOK); err != nil {
		return "", err
	}
	if !strings.Contains(string(a.body), `"status":"scheduled"`) {
		return "", fmt.Errorf("the appointment was changed: %s", a.body)
	}
	return fmt.Sprintf("%d refused, on servers with and without authentication; nothing changed", tried), nil
}

func foreignLinks(ctx context.Context, f *field) (string, error) {
	s, err := f.closed(ctx)
	if err != nil {
		return "", err
	}
	paths := []string{
		"/fhir/metadata", "/fhir/Patient?_count=1", "/fhir/Slot?start=" + f.start.Format("2006-01-02") + "&_count=1", "/fhir/Practitioner",
		"/docs", "/openapi.json", "/openapi.yaml", "/problems", "/", "/reception/", "/nothing-here", "/patients?limit=1", "/version",
	}
	for _, path := range paths {
		a, err := s.ask(ctx, request{
			method: "GET", path: path, key: f.admin, host: "attacker.example", header: http.Header{"X-Forwarded-Host": {"attacker.example"}, "X-Forwarded-Proto": {"https"}},
		})
		if err != nil {
			return "", err
		}
		if strings.Contains(string(a.body)+fmt.Sprint(a.header), "attacker.example") {
			return "", fmt.Errorf("%s repeats the Host: %s %v", path, a.short(), a.header)
		}
	}
	feed, err := s.ask(ctx, request{method: "POST", path: "/calendar-feeds", key: f.admin, host: "attacker.example", body: object{
		"name": f.unique("feed"), "doctor_id": f.doctor,
	}})
	if err := feed.want(err, http.StatusCreated); err != nil {
		return "", err
	}
	if strings.Contains(string(feed.body)+fmt.Sprint(feed.header), "attacker.example") {
		return "", fmt.Errorf("a feed's address follows Host: %s", feed.short())
	}
	return fmt.Sprintf("no link, redirect or address in %d answers follows it", len(paths)+1), nil
}

func corsWildcard(ctx context.Context, f *field) (string, error) {
	values := []string{"*", "https://*", "https://*.example.org", "null", "https://a.example.org/", "https://a.example.org,*"}
	for _, value := range values {
		if f.spoil {
			value = "https://a.example.org" // valid: must be accepted
		}
		// With an unusable address a server that accepts the setting ends, too.
		out, err := f.mems(ctx, []string{"MEMS_CORS_ORIGINS=" + value, "MEMS_HTTP_ADDR=127.0.0.1:1", "MEMS_AUTH=required", "MEMS_DATABASE_URL=root@unix(/nowhere)/mems"}, "version")
		if err == nil {
			return "", fmt.Errorf("MEMS_CORS_ORIGINS=%s is taken", value)
		}
		if !strings.Contains(out, "MEMS_CORS_ORIGINS: invalid value") || !strings.Contains(out, "for example MEMS_CORS_ORIGINS=") {
			return "", errors.New("the refusal does not teach: " + out)
		}
	}
	return fmt.Sprintf("%d settings refused at the start, with an example", len(values)), nil
}
