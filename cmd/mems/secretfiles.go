package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// readSecretFiles reads the secrets that are given as files, as systemd, Compose and
// Kubernetes provide them: a process's environment is more exposed than its files. An empty
// file is an error, because without a database URL a private server would be used.
func (c *config) readSecretFiles() []error {
	var faults []error
	for _, s := range []struct {
		name, file string
		value      *string
	}{
		{"MEMS_DATABASE_URL", c.DatabaseURLFile, &c.DatabaseURL},
		{"MEMS_AUDIT_KEYS", c.AuditKeysFile, &c.AuditKeys},
	} {
		if s.file == "" {
			continue
		}
		if *s.value != "" {
			faults = append(faults, fmt.Errorf("%s and %[1]s_FILE are both set: remove one of them", s.name))
			continue
		}
		content, err := os.ReadFile(s.file)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s_FILE: %w. It must name a readable file that contains %[1]s", s.name, err))
			continue
		}
		if *s.value = strings.TrimSpace(string(content)); *s.value == "" {
			faults = append(faults, fmt.Errorf("%s_FILE: %s is empty. Write %[1]s into it", s.name, s.file))
		}
	}
	return faults
}

// secretFiles returns the files of secrets, and of settings that may contain some, that
// were read.
func (p *program) secretFiles() []string {
	files := []string{p.DatabaseURLFile, p.AuditKeysFile}
	if p.service == "" {
		return files
	}
	file := filepath.Join(p.service, "mems.env") // has none in the package's version
	content, err := os.ReadFile(file)            //nolint:gosec // G304: named by the operator
	environ, _ := parseEnvFile(string(content))
	for _, e := range environ {
		if name, _, _ := strings.Cut(e, "="); err == nil && secrets[name] {
			return append(files, file)
		}
	}
	return files
}

// warnOfReaders warns about secret files that users other than their owner and group can
// read, as certificates.warnOfReaders does for the TLS key. A container's /run/secrets has
// no other users, and Compose and Kubernetes set their own modes.
func (p *program) warnOfReaders(files ...string) {
	for _, file := range files {
		if file == "" || strings.HasPrefix(file, "/run/secrets/") {
			continue
		}
		if folder, err := os.Stat(filepath.Dir(file)); err == nil && folder.Mode().Perm()&0o001 == 0 {
			continue // unreachable for others, like the package's /etc/mems
		}
		if info, err := os.Stat(file); err == nil && info.Mode().Perm()&0o007 != 0 {
			p.say("every user of this machine can read %s (%s): run chmod o= on it, and replace its secrets if anyone may have read them", file, info.Mode().Perm())
		}
	}
}
