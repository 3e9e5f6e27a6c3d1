package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestConfigRefusesBadValues(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"MEMS_HTTP_ADDR=8080", "MEMS_HTTP_ADDR=127.0.0.1:http", "MEMS_HTTP_ADDR=127.0.0.1:70000",
		"MEMS_ALLOW_OPEN=maybe", "MEMS_DATA_DIR=", "MEMS_DATABASE_ENGINE=postgres",
		"MEMS_DATABASE_MAX_CONNS=0", "MEMS_DATABASE_MAX_CONNS=many", "MEMS_CLINIC_TIME_ZONE=Mars/Olympus",
		"MEMS_CLINIC_TIME_ZONE=Local", "MEMS_CLINIC_TIME_ZONE=", "MEMS_REQUEST_TIMEOUT=10", "MEMS_REQUEST_TIMEOUT=0s",
		"MEMS_SHUTDOWN_TIMEOUT=-1s", "MEMS_MAX_BODY_BYTES=1", "MEMS_LOG_LEVEL=loud", "MEMS_LOG_FORMAT=xml",
		"MEMS_HTTP_ADRR=127.0.0.1:1",
	} {
		t.Run(bad, func(t *testing.T) {
			t.Parallel()
			var out, errOut bytes.Buffer
			name, value, _ := strings.Cut(bad, "=")
			if value == "" && name != "MEMS_CLINIC_TIME_ZONE" && name != "MEMS_DATA_DIR" {
				t.Fatal("bad test")
			}
			code := run(t.Context(), []string{"version"}, []string{bad}, &out, &errOut)
			// An empty value is the default, as is usual for environment variables.
			if value == "" {
				if code != exitOK {
					t.Errorf("exit %d: %s", code, &errOut)
				}
				return
			}
			if code != exitUsage || !strings.Contains(errOut.String(), name) {
				t.Errorf("exit %d, message %q does not name %s", code, &errOut, name)
			}
		})
	}
}

func TestConfigReportsEveryBadValue(t *testing.T) {
	t.Parallel()
	_, err := readConfig([]string{"MEMS_LOG_LEVEL=loud", "MEMS_LOG_FORMAT=xml"})
	if err == nil || !strings.Contains(err.Error(), "MEMS_LOG_LEVEL") || !strings.Contains(err.Error(), "MEMS_LOG_FORMAT") {
		t.Errorf("error %v does not name both", err)
	}
}

// The README's table is the program's.
func TestReadmeHasTheSettings(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	want.WriteString("| variable | default | meaning |\n|---|---|---|\n")
	for _, s := range settings() {
		fallback := "empty"
		if s.fallback != "" {
			fallback = "`" + s.fallback + "`"
		}
		fmt.Fprintf(&want, "| `%s` | %s | %s |\n", s.name, fallback, s.meaning)
	}
	_, rest, _ := strings.Cut(string(readme), "<!-- settings: held to the program by a test in cmd/mems -->\n")
	table, _, _ := strings.Cut(rest, "<!-- /settings -->")
	if table != want.String() {
		t.Errorf("the README's table should be:\n%s", &want)
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"Nothing":             {nil, exitUsage, "Commands"},
		"Help":                {[]string{"help"}, exitOK, "MEMS_DATABASE_URL"},
		"HelpFlag":            {[]string{"--help"}, exitOK, "serve"},
		"HelpOfCommand":       {[]string{"help", "reset"}, exitOK, "disposable"},
		"CommandHelpFlag":     {[]string{"serve", "--help"}, exitOK, "SIGTERM"},
		"HelpOfUnknown":       {[]string{"help", "sevre"}, exitUsage, "no command"},
		"Unknown":             {[]string{"sevre"}, exitUsage, "mems help"},
		"Version":             {[]string{"version"}, exitOK, "mems "},
		"VersionFlag":         {[]string{"--version"}, exitOK, "go1."},
		"VersionTooMany":      {[]string{"version", "please"}, exitUsage, "please"},
		"MigrateWithoutStep":  {[]string{"migrate"}, exitUsage, "up, down or status"},
		"MigrateUnknownStep":  {[]string{"migrate", "sideways"}, exitUsage, "sideways"},
		"ResetWithoutYes":     {[]string{"reset"}, exitUsage, "--yes-destroy-all-data"},
		"ServeUnknownFlag":    {[]string{"serve", "--fast"}, exitUsage, "fast"},
		"DemoUnknownFlag":     {[]string{"demo", "--fast"}, exitUsage, "fast"},
		"ServeUnreachableURL": {[]string{"serve"}, exitFailed, "DSN"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, errOut bytes.Buffer
			code := run(t.Context(), test.args, []string{"MEMS_DATABASE_URL=nonsense-with-secret", "MEMS_HTTP_ADDR=127.0.0.1:0"}, &out, &errOut)
			said := out.String() + errOut.String()
			if code != test.code || !strings.Contains(said, test.says) {
				t.Errorf("exit %d, said %q; want %d and %q", code, said, test.code, test.says)
			}
			if strings.Contains(said, "secret") {
				t.Error("repeats the database URL")
			}
		})
	}
}
