package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// serviceURLs names, by command, the file beside an installed service's settings with the
// database URL of that command's user; empty if the command needs only the settings.
var serviceURLs = map[string]string{
	"keys": "app-url", "audit": "app-url", "backup": "backup-url", "checksum": "backup-url", "revocations": "backup-url",
	"migrate": "migrate-url", "retain": "migrate-url", "restore": "migrate-url", "zone": "migrate-url", "replay": "migrate-url",
	"health": "", // uses the service, not the database
}

// serviceDir returns the directory of an installed service's settings; set overrides it.
func serviceDir(set string) string {
	if set != "" {
		return set
	}
	i := slices.IndexFunc(settings(), func(s setting) bool { return s.name == "MEMS_SERVICE_DIR" })
	return settings()[i].fallback
}

// withService adds the settings of the service installed on this machine for a command
// without a database, so that "mems keys create" creates a key for that service. Variables
// that are set take precedence. from is their directory, empty if nothing was added.
func withService(command string, environ []string) (all []string, from string, err error) {
	value := func(name string) string {
		for _, e := range slices.Backward(environ) {
			if v, found := strings.CutPrefix(e, name+"="); found {
				return v
			}
		}
		return ""
	}
	url, wants := serviceURLs[command]
	if !wants || value("MEMS_DATABASE_URL") != "" || value("MEMS_DATABASE_URL_FILE") != "" || value("MEMS_DATA_DIR") != "" ||
		url == "" && value("MEMS_HTTP_ADDR") != "" {
		return environ, "", nil
	}
	dir := serviceDir(value("MEMS_SERVICE_DIR"))
	content, err := os.ReadFile(filepath.Join(dir, "mems.env")) //nolint:gosec // G304: named by the operator
	if errors.Is(err, fs.ErrNotExist) {
		return environ, "", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("read the service's settings: %w", adviseRoot(err))
	}
	all, wrong := parseEnvFile(string(content))
	if wrong > 0 { // systemd would ignore it, and this command use another database
		return nil, "", fmt.Errorf("%s, line %d: not NAME=VALUE; correct the line, or begin it with #", filepath.Join(dir, "mems.env"), wrong)
	}
	for _, e := range environ {
		if name, value, _ := strings.Cut(e, "="); value != "" || !strings.HasPrefix(name, "MEMS_") { // empty counts as unset
			all = append(all, e)
		}
	}
	if url == "" {
		return all, dir, nil
	}
	names := func(name string) bool {
		return slices.ContainsFunc(all, func(e string) bool { return strings.HasPrefix(e, name+"=") })
	}
	for _, secret := range []struct{ name, file string }{{"MEMS_DATABASE_URL", url}, {"MEMS_AUDIT_KEYS", "audit-keys"}} {
		if names(secret.name) || names(secret.name+"_FILE") {
			continue
		}
		file := filepath.Join(dir, secret.file)
		f, err := os.Open(file) //nolint:gosec // G304: named by the operator
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, "", fmt.Errorf("read the service's settings: %w", adviseRoot(err))
		}
		_ = f.Close() // readable
		all = append(all, secret.name+"_FILE="+file)
	}
	return all, dir, nil
}

// isServiceSkipped reports whether a service is installed here whose settings this command
// would have used if it had not been given a database.
func (p *program) isServiceSkipped() bool {
	if serviceURLs[p.command] == "" || p.service != "" {
		return false
	}
	_, err := os.Stat(filepath.Join(p.ServiceDir, "mems.env"))
	return err == nil
}

func adviseRoot(err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return fmt.Errorf("%w\nRun this as root, or set MEMS_DATABASE_URL (for \"mems health\": MEMS_HTTP_ADDR)", err)
}

// parseEnvFile parses a file like systemd's EnvironmentFile=, as far as settings need it:
// lines of NAME=VALUE, comments, and quoted values. wrong is the number of the first other
// line, or 0.
func parseEnvFile(text string) (environ []string, wrong int) {
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		name, value, found := strings.Cut(line, "=")
		if !found || !variableName.MatchString(strings.TrimSpace(name)) {
			wrong = cmp.Or(wrong, number)
			continue
		}
		value = strings.TrimSpace(value)
		if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		environ = append(environ, strings.TrimSpace(name)+"="+value)
	}
	return environ, wrong
}

// variableName matches variable names of systemd and shells.
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// locateFaults adds file and line to faults of settings from the service's files, because
// the value alone does not show where it comes from.
func locateFaults(err error, service string) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || service == "" {
		return err
	}
	file := filepath.Join(service, "mems.env")
	content, unread := os.ReadFile(file) //nolint:gosec // G304: named by the operator
	if unread != nil {
		return err
	}
	faults := slices.Clone(joined.Unwrap())
	for i, fault := range faults {
		number := 0
		for line := range strings.Lines(string(content)) {
			number++
			environ, _ := parseEnvFile(line)
			for _, e := range environ {
				name, _, _ := strings.Cut(e, "=")
				if text := fault.Error(); strings.HasPrefix(text, name+": ") || strings.HasPrefix(text, "unknown variable "+name+";") {
					faults[i] = fmt.Errorf("%s, line %d: %w", file, number, fault)
				}
			}
		}
	}
	return errors.Join(faults...)
}
