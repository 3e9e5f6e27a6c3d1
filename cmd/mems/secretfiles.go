package main

import (
	"fmt"
	"os"
	"strings"
)

// readSecretFiles fills the secrets that are given as files, which is how systemd,
// Compose and Kubernetes hand them over: the environment of a process can be read
// by more people than its files. An empty file is refused, since no database URL
// would mean a private server.
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
			faults = append(faults, fmt.Errorf("%s_FILE: %w. It names a file that holds %[1]s and that this process may read", s.name, err))
			continue
		}
		if *s.value = strings.TrimSpace(string(content)); *s.value == "" {
			faults = append(faults, fmt.Errorf("%s_FILE: %s is empty. Write %[1]s into it", s.name, s.file))
		}
	}
	return faults
}
