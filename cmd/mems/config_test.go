package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestConfigRefusesBadValues(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"MEMS_CORS_ORIGINS=https://*", "MEMS_CORS_ORIGINS=https://a.example,https://*.example",
		"MEMS_CORS_ORIGINS=*", "MEMS_CORS_ORIGINS=null", "MEMS_CORS_ORIGINS=https://a.example/", "MEMS_CORS_ORIGINS=https://a.example/desk",
		"MEMS_CORS_ORIGINS=a.example", "MEMS_CORS_ORIGINS=https://a.example:*", "MEMS_CORS_ORIGINS=ftp://a.example", "MEMS_CORS_ORIGINS=https://u@a.example",
		"MEMS_CORS_ORIGINS=https://a.example?x", "MEMS_CORS_ORIGINS=https://", "MEMS_CORS_ORIGINS=https://A.example", "MEMS_CORS_ORIGINS=https://a.example:443",
		"MEMS_PUBLIC_URL=mems.example.org", "MEMS_PUBLIC_URL=https://mems.example.org/", "MEMS_PUBLIC_URL=https://mems.example.org/mems",
		"MEMS_PUBLIC_URL=https://*.example.org", "MEMS_PUBLIC_URL=javascript:alert(1)",
		"MEMS_HTTP_ADDR=8080", "MEMS_HTTP_ADDR=127.0.0.1:http", "MEMS_HTTP_ADDR=127.0.0.1:70000",
		"MEMS_ALLOW_OPEN=maybe", "MEMS_DATABASE_ENGINE=postgres",
		"MEMS_DATABASE_MAX_CONNS=0", "MEMS_DATABASE_MAX_CONNS=many", "MEMS_CLINIC_TIME_ZONE=Mars/Olympus",
		"MEMS_CLINIC_TIME_ZONE=Local", "MEMS_CLINIC_TIME_ZONE=right/Europe/Zurich", "MEMS_CLINIC_TIME_ZONE=Factory", "MEMS_REQUEST_TIMEOUT=10", "MEMS_REQUEST_TIMEOUT=0s",
		"MEMS_SHUTDOWN_TIMEOUT=-1s", "MEMS_SHUTDOWN_DELAY=2m", "MEMS_MAX_BODY_BYTES=1", "MEMS_LOG_LEVEL=loud", "MEMS_LOG_FORMAT=xml",
		"MEMS_METRICS_ADDR=9090", "MEMS_PROFILING=true", "MEMS_PROFILING=often",
	} {
		t.Run(bad, func(t *testing.T) {
			t.Parallel()
			var out, errOut bytes.Buffer
			code := run(t.Context(), []string{"version"}, []string{bad}, &out, &errOut)
			name, value, _ := strings.Cut(bad, "=")
			said := errOut.String()
			if code != exitConfig || !strings.Contains(said, name+": invalid value "+strconv.Quote(value)) || !strings.Contains(said, "for example "+name+"=") {
				t.Errorf("exit %d, want %d and what %s may be, with an example:\n%s", code, exitConfig, name, said)
			}
		})
	}
	t.Run("UnknownName", func(t *testing.T) {
		t.Parallel()
		_, err := readConfig([]string{"MEMS_HTTP_ADRR=127.0.0.1:1"})
		if err == nil || !strings.Contains(err.Error(), "MEMS_HTTP_ADRR") {
			t.Errorf("readConfig = %v, want an error that names MEMS_HTTP_ADRR", err)
		}
	})
}

// Names that our guides, clients and deployment files use do not stop the program.
func TestConfigKnowsTheNamesOfOthers(t *testing.T) {
	t.Parallel()
	files, err := exec.CommandContext(t.Context(), "git", "-C", "../..", "ls-files", "*.md", "*.mjs", "*.ts", "*.yml", "*.yaml",
		"Makefile", ".ci/*", ".deploy/*", ":!.deploy/lint/*").Output()
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`\bMEMS_[A-Z][A-Z_]*[A-Z]\b`)
	var environ []string
	for file := range strings.FieldsSeq(string(files)) {
		text, err := os.ReadFile("../../" + file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted, not yet committed
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names.FindAllString(string(text), -1) {
			environ = append(environ, name+"=http://127.0.0.1:8080")
		}
	}
	// MEMS_PORT is rejected: Kubernetes sets it for a Service named mems.
	if unknown := slices.Compact(unknownVariables(environ)); !slices.Equal(unknown, []string{"MEMS_PORT"}) || len(environ) < 50 {
		t.Errorf("unknown among %d uses of a name = %q, want MEMS_PORT alone, and at least 50 uses",
			len(environ), unknown)
	}
	for _, name := range []string{"MEMS_URL", "MEMS_API_KEY"} {
		if _, err := readConfig([]string{name + "=x"}); err != nil {
			t.Errorf("readConfig with %s = %v, want no error", name, err)
		}
	}
	for _, name := range []string{"MEMS_URLS", "MEMS_API_KEYS", "MEMS_PORT", "MEMS_KEY"} {
		if _, err := readConfig([]string{name + "=x"}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("readConfig with %s = %v, want an error that names it", name, err)
		}
	}
}

// An empty value means the default, as is usual for environment variables.
func TestConfigEmptyIsDefault(t *testing.T) {
	t.Parallel()
	var empty []string
	for _, s := range settings() {
		empty = append(empty, s.name+"=")
	}
	got, err := readConfig(empty)
	if err != nil {
		t.Fatal(err)
	}
	want, err := readConfig(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Every setting except those with secrets can be given as a flag, and the flag takes
// precedence.
func TestConfigFlags(t *testing.T) {
	t.Parallel()
	rest, environ, err := takeFlags(
		[]string{"--http-addr", "127.0.0.1:9", "--migrate", "-log-level=debug", "--database-url=x", "up"},
		[]string{"MEMS_HTTP_ADDR=127.0.0.1:8", "MEMS_LOG_FORMAT=json"})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"--migrate", "--database-url=x", "up"}; !slices.Equal(rest, want) {
		t.Errorf("left for the command: %q, want %q", rest, want)
	}
	c, err := readConfig(environ)
	if err != nil {
		t.Fatal(err)
	}
	if c.HTTPAddr != "127.0.0.1:9" || c.LogLevel != "debug" || c.LogFormat != "json" || c.DatabaseURL != "" {
		t.Errorf("readConfig = %+v, want the values that were given", c)
	}
}

func TestConfigReportsEveryBadValue(t *testing.T) {
	t.Parallel()
	for _, pair := range [][]string{
		{"MEMS_LOG_LEVEL=loud", "MEMS_LOG_FORMAT=xml"},
		{"MEMS_DATABASE_MAX_CONNS=many", "MEMS_ALLOW_OPEN=maybe"}, // not even the right type
		{"MEMS_DATABASE_MAX_CONNS=many", "MEMS_LOG_LEVEL=loud", "MEMS_PROT=8080", "MEMS_AUDIT_KEYS_FILE=/nowhere/keys"},
	} {
		_, err := readConfig(pair)
		for _, bad := range pair {
			name, _, _ := strings.Cut(bad, "=")
			if err == nil || strings.Count(err.Error(), "unknown variable "+name)+strings.Count(err.Error(), name+": ") != 1 {
				t.Errorf("readConfig = %v, want an error that names %s once", err, name)
			}
		}
	}
}

// The README's table matches the program.
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
		"Nothing":            {nil, exitUsage, "Commands"},
		"Help":               {[]string{"help"}, exitOK, "MEMS_DATABASE_URL"},
		"HelpFlag":           {[]string{"--help"}, exitOK, "serve"},
		"HelpOfCommand":      {[]string{"help", "reset"}, exitOK, "disposable"},
		"CommandHelpFlag":    {[]string{"serve", "--help"}, exitOK, "SIGTERM"},
		"HelpOfUnknown":      {[]string{"help", "sevre"}, exitUsage, "unknown command"},
		"Unknown":            {[]string{"sevre"}, exitUsage, "mems help"},
		"Version":            {[]string{"version"}, exitOK, "mems "},
		"VersionFlag":        {[]string{"--version"}, exitOK, "go1."},
		"VersionTooMany":     {[]string{"version", "please"}, exitUsage, "please"},
		"MigrateWithoutStep": {[]string{"migrate"}, exitUsage, "up, down or status"},
		"MigrateUnknownStep": {[]string{"migrate", "sideways"}, exitUsage, "sideways"},
		"ResetWithoutYes":    {[]string{"reset"}, exitUsage, "--yes-destroy-all-data"},
		"ServeUnknownFlag":   {[]string{"serve", "--fast"}, exitUsage, "fast"},
		"DemoUnknownFlag":    {[]string{"demo", "--fast"}, exitUsage, "fast"},
		"DemoTooMany":        {[]string{"demo", "-patients", "0"}, exitUsage, "1 to 200000"},
		"FlagWithoutValue":   {[]string{"serve", "--http-addr"}, exitUsage, "--http-addr: missing value"},
		"FlagWithBadValue":   {[]string{"serve", "--http-addr=8080"}, exitConfig, "MEMS_HTTP_ADDR"},
		"ServeUnreadableURL": {[]string{"serve"}, exitConfig, "MEMS_DATABASE_URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, errOut bytes.Buffer
			code := run(t.Context(), test.args, []string{"MEMS_DATABASE_URL=nonsense-with-hush-hush", "MEMS_HTTP_ADDR=127.0.0.1:0"}, &out, &errOut)
			said := out.String() + errOut.String()
			if code != test.code || !strings.Contains(said, test.says) {
				t.Errorf("exit %d, said %q; want %d and %q", code, said, test.code, test.says)
			}
			if strings.Contains(said, "hush-hush") {
				t.Errorf("output repeats the database URL, want it without:\n%s", said)
			}
		})
	}
}

// A secret value appears in no message and is set by no flag.
func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	for name := range secrets {
		if flag := (setting{name: name}).flagName(); flag != "" {
			t.Errorf("flag of %s = %s, want none", name, flag)
		}
	}
	for keys, wrong := range map[string]string{
		"too-short-and-secret":             "key 1 is not base64",
		someKeys + ",dG9vLXNob3J0LWFuZC0=": "key 2 has 14 bytes",
	} {
		_, err := readConfig([]string{"MEMS_AUDIT_KEYS=" + keys})
		if err == nil || !contains(err.Error(), "MEMS_AUDIT_KEYS", wrong, "openssl rand -base64 32") || contains(err.Error(), "too-short") || contains(err.Error(), "dG9v") {
			t.Errorf("readConfig = %v, want an error that names MEMS_AUDIT_KEYS and how to make keys, without a key",
				err)
		}
	}
}
