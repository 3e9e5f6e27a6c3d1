package main

import (
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"mems/internal/contracttest"
	"mems/internal/storetest"
)

// The README's day can be pasted: every call returns the documented response, also from a
// server whose database user has only the privileges of db/grants.sql.
func TestReadmesDay(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(readme), "<!-- day:")
	text, _, found := strings.Cut(text, "<!-- /day -->")
	if !found {
		t.Fatal("the README has no day in the clinic, want one")
	}
	d := storetest.Grant(t, storetest.New(t))
	p := startMEMS(t, "MEMS_DATABASE_URL="+d.DSN, "MEMS_CLINIC_TIME_ZONE=Europe/Zurich")
	var script strings.Builder
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(text, -1) {
		script.WriteString(block[1])
	}
	commands := strings.ReplaceAll(script.String(), "http://127.0.0.1:8080", p.URL)
	out, err := exec.CommandContext(t.Context(), "sh", "-eu", "-c", commands).CombinedOutput()
	if err != nil {
		t.Fatalf("run the README's commands: %v, want no error:\n%s", err, out)
	}
	problems := regexp.MustCompile(`"type":"/problems/([a-z-]+)"`).FindAllStringSubmatch(string(out), -1)
	if len(problems) != 1 || problems[0][1] != "doctor-overlap" || !strings.Contains(string(out), `"alternatives":[{`) {
		t.Errorf("problems %v, want the one that the README shows:\n%s", problems, out)
	}
	for _, expected := range []string{`"status":"completed"`, `"status":"confirmed"`, `"affected_appointments":[{`, `"token":`, `"action":"undo"`, `"patient":{`, `"outcome":"moved"`} {
		if !strings.Contains(string(out), expected) {
			t.Errorf("output of the README's commands, want %s in it:\n%s", expected, out)
		}
	}
	contracttest.New(t, p.URL).Get("/healthz").Want(t, http.StatusOK, "")
}
