package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/storetest"
)

func partnersGuide(t *testing.T) string {
	t.Helper()
	guide, err := os.ReadFile("../../internal/publish/guides/partner.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(guide)
}

// guideKey returns the arguments of the guide's command that creates its key.
func guideKey(t *testing.T, guide string) []string {
	t.Helper()
	block := regexp.MustCompile("(?s)<!-- guide: the key -->\n```text\nmems (.*?)```").FindStringSubmatch(guide)
	if block == nil {
		t.Fatal("the guide has no command that creates its key, want one")
	}
	args := regexp.MustCompile(`'[^']*'|[^\s\\]+`).FindAllString(block[1], -1)
	for i, arg := range args {
		args[i] = strings.Trim(arg, "'")
	}
	return args
}

// The partners' guide, pasted from top to bottom, shows the documented results.
func TestPartnersGuide(t *testing.T) {
	t.Parallel()
	t.Run("NewClinic", func(t *testing.T) {
		t.Parallel()
		env := guideEnv(storetest.New(t))
		p := startMEMS(t, env...)
		// The clinic has a doctor with working hours.
		manager := guideKeyOf(t, []string{"keys", "create", "--role", "manager", "Manager"}, env)
		send := func(method, path, body string) {
			t.Helper()
			out, err := exec.CommandContext(t.Context(), "curl", "-sSf", "-X", method, p.URL+path, "-H", "X-API-Key: "+manager,
				"-H", "Content-Type: application/json", "-d", body).CombinedOutput()
			if err != nil {
				t.Fatalf("%s %s: %v, want no error:\n%s", method, path, err, out)
			}
		}
		send("POST", "/doctors", `{"full_name": "Dr. Noor Haddad", "specialization": "Dermatology"}`)
		send("PUT", "/doctors/1/working-hours", `{"timetables": [{"effective_from": "2020-01-01", "blocks": [
			{"weekday": 2, "start": "08:00", "end": "18:00"}]}], "exceptions": []}`)
		pasteGuide(t, p, guideKeyOf(t, guideKey(t, partnersGuide(t)), env))
	})
	// Ids do not start at 1 there, and other appointments occupy the first times.
	t.Run("FullClinic", func(t *testing.T) {
		t.Parallel()
		d := storetest.New(t)
		if _, err := d.DB.Exec(`UPDATE installation SET disposable = 1`); err != nil {
			t.Fatal(err)
		}
		env := guideEnv(d)
		if code, output := runMEMS(t, []string{"demo", "--patients", "100", "--doctors", "6", "--weeks", "2"}, env...); code != exitOK {
			t.Fatalf("mems demo --patients 100 --doctors 6 --weeks 2: exit %d, want %d:\n%s", code, exitOK, output)
		}
		// The second time, the partner already has a patient and appointments.
		p, key := startMEMS(t, env...), guideKeyOf(t, guideKey(t, partnersGuide(t)), env)
		for range 2 {
			pasteGuide(t, p, key)
		}
	})
}

func guideEnv(d *storetest.Database) []string {
	return []string{"MEMS_DATABASE_URL=" + d.DSN, "MEMS_CLINIC_TIME_ZONE=Europe/Zurich", "MEMS_AUTH=required"}
}

// guideKeyOf runs a command that creates a key and returns the key.
func guideKeyOf(t *testing.T, args, env []string) string {
	t.Helper()
	code, output := runMEMS(t, args, env...)
	if code != exitOK {
		t.Fatalf("mems %q: exit %d, want %d:\n%s", args, code, exitOK, output)
	}
	return lastLine(output)
}

// pasteGuide runs the guide's blocks in one shell.
func pasteGuide(t *testing.T, p *process, key string) {
	t.Helper()
	guide := partnersGuide(t)
	// The guide's Tuesday is in the future, in winter.
	day := time.Date(time.Now().Year(), 3, 1, 12, 0, 0, 0, time.UTC)
	for day.Weekday() != time.Tuesday || day.Before(time.Now().AddDate(0, 0, 2)) {
		day = day.AddDate(0, 0, 1)
		if day.Day() > 14 || day.Month() != time.March {
			day = time.Date(day.Year()+1, 3, 1, 12, 0, 0, 0, time.UTC)
		}
	}
	text := strings.NewReplacer("2027-03-01", day.AddDate(0, 0, -1).Format(time.DateOnly), "2027-03-02", day.Format(time.DateOnly),
		"2027-03-03", day.AddDate(0, 0, 1).Format(time.DateOnly), "2027-03-09", day.AddDate(0, 0, 7).Format(time.DateOnly)).Replace(guide)
	parts := regexp.MustCompile("(?s)```sh\n(.*?)```\n(?:<!-- shows: (.*?) -->)?").FindAllStringSubmatch(text, -1)
	if len(parts) < 10 {
		t.Fatalf("the guide has %d blocks, want at least 10", len(parts))
	}
	var script strings.Builder
	for i, part := range parts {
		fmt.Fprintf(&script, "%s\necho; echo '=== %d'\n", part[1], i)
	}
	command := exec.CommandContext(t.Context(), "sh", "-u", "-c", script.String())
	command.Env = append(os.Environ(), "MEMS_URL="+p.URL, "KEY="+key)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("run the guide: %v, want no error:\n%s", err, out)
	}
	rest := string(out)
	for i, part := range parts {
		var shown string
		shown, rest, _ = strings.Cut(rest, fmt.Sprintf("=== %d\n", i))
		if part[2] == "" {
			continue
		}
		for want := range strings.SplitSeq(part[2], " | ") {
			if !strings.Contains(shown, want) {
				t.Errorf("block\n%s\nshowed\n%s\nwant %s in it", part[1], shown, want)
			}
		}
	}
}

// The guide's key has exactly the scopes that its calls need.
func TestPartnersGuideNamesItsScopes(t *testing.T) {
	t.Parallel()
	guide := partnersGuide(t)
	var named []string
	args := guideKey(t, guide)
	for i, arg := range args {
		if arg == "--scope" {
			named = append(named, args[i+1])
		}
	}
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	parameter := regexp.MustCompile(`\{\w+\}`)
	permission := func(method, path string) string {
		t.Helper()
		for template, item := range doc.Paths.Map() {
			op := item.Operations()[method]
			if op != nil && regexp.MustCompile("^"+parameter.ReplaceAllString(strings.ReplaceAll(template, "$", `\$`), "[^/]+")+"$").MatchString(path) {
				return op.Extensions["x-permission"].(string)
			}
		}
		t.Errorf("the guide calls %s %s, want an operation of the contract", method, path)
		return ""
	}
	partner := clinic.Caller{Roles: []clinic.Role{clinic.RolePartner}}
	needed := map[string]bool{}
	shell := strings.Join(regexp.MustCompile("(?s)```sh\n.*?```").FindAllString(guide, -1), "\n")
	calls := regexp.MustCompile(`(?:call (GET|POST|PATCH|PUT|DELETE) ["']?|curl [^\n]*"\$mems)(/[^"'?\s]*)`).FindAllStringSubmatch(shell, -1)
	if len(calls) < 15 {
		t.Fatalf("found %d calls, want at least 15", len(calls))
	}
	for _, call := range calls {
		method := call[1]
		if method == "" {
			method = "GET"
		}
		p := clinic.Permission(permission(method, call[2]))
		if p != "public" && p != "self" && !partner.May(p) {
			needed[string(p)] = true
		}
	}
	for scope := range needed {
		if !slices.Contains(named, scope) {
			t.Errorf("scopes of the guide's key = %q, want %s, which a call needs", named, scope)
		}
	}
	for _, scope := range named {
		if !needed[scope] {
			t.Errorf("scopes of the guide's key = %q, want them without %s, which no call needs", named, scope)
		}
	}
}
