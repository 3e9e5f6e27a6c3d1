package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"mems/internal/storetest"
)

// The partners' guide, pasted from top to bottom, shows what it says that it shows.
func TestPartnersGuide(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../internal/publish/guides/partner.md")
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"MEMS_DATABASE_URL=" + storetest.New(t).DSN, "MEMS_CLINIC_TIME_ZONE=Europe/Zurich", "MEMS_AUTH=required"}
	p := startMEMS(t, env...)
	key := func(args ...string) string {
		t.Helper()
		code, output := runMEMS(t, append([]string{"keys", "create"}, args...), env...)
		if code != exitOK {
			t.Fatalf("%d %s", code, output)
		}
		return lastLine(output)
	}
	// The clinic has a doctor, who works.
	manager := key("--role", "manager", "Manager")
	send := func(method, path, body string) {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "curl", "-sSf", "-X", method, p.URL+path, "-H", "X-API-Key: "+manager,
			"-H", "Content-Type: application/json", "-d", body).CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", method, path, err, out)
		}
	}
	send("POST", "/doctors", `{"full_name": "Dr. Noor Haddad", "specialization": "Dermatology"}`)
	send("PUT", "/doctors/1/working-hours", `{"timetables": [{"effective_from": "2020-01-01", "blocks": [
		{"weekday": 2, "start": "08:00", "end": "18:00"}]}], "exceptions": []}`)

	// Its Tuesday is one to come, in winter.
	day := time.Date(time.Now().Year(), 3, 1, 12, 0, 0, 0, time.UTC)
	for day.Weekday() != time.Tuesday || day.Before(time.Now().AddDate(0, 0, 2)) {
		day = day.AddDate(0, 0, 1)
		if day.Day() > 14 || day.Month() != time.March {
			day = time.Date(day.Year()+1, 3, 1, 12, 0, 0, 0, time.UTC)
		}
	}
	text := strings.NewReplacer("2027-03-01", day.AddDate(0, 0, -1).Format(time.DateOnly), "2027-03-02", day.Format(time.DateOnly),
		"2027-03-09", day.AddDate(0, 0, 7).Format(time.DateOnly)).Replace(string(guide))
	parts := regexp.MustCompile("(?s)```sh\n(.*?)```\n(?:<!-- shows: (.*?) -->)?").FindAllStringSubmatch(text, -1)
	if len(parts) < 10 {
		t.Fatalf("the guide has %d blocks", len(parts))
	}
	var script strings.Builder
	for i, part := range parts {
		fmt.Fprintf(&script, "%s\necho; echo '=== %d'\n", part[1], i)
	}
	command := exec.CommandContext(t.Context(), "sh", "-u", "-c", script.String())
	command.Env = append(os.Environ(), "MEMS_URL="+p.URL, "KEY="+key("--role", "partner",
		"--scope", "patients:write", "--scope", "appointments:read", "--scope", "appointments:write", "--scope", "changes:read", "Partner"))
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
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
				t.Errorf("no %s after\n%s\nbut\n%s", want, part[1], shown)
			}
		}
	}
}
