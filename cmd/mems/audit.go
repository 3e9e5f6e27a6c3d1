package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"mems/internal/auditchain"
	"mems/internal/clinic"
	"mems/internal/store"
	"mems/internal/telemetry"
)

// runAudit runs "mems audit".
func runAudit(ctx context.Context, p *program, args []string) error {
	if len(args) == 0 || args[0] != "verify" {
		return usageError{"missing subcommand: verify"}
	}
	flags := newFlags("audit verify")
	anchor := flags.String("anchor", "", "")
	if err := parse(flags, args[1:]); err != nil {
		return err
	}
	known, err := readAnchor(*anchor)
	if err != nil {
		return err
	}
	return p.withStore(ctx, time.Now, func(_ *clinicDatabase, st *store.Store) error {
		report, err := st.VerifyAudit(ctx, known, func(n int64) { p.say("%s ...", clinic.Counted(n, "entry")) })
		if err != nil {
			return err
		}
		p.noteStatus(telemetry.AuditStatus, map[string]float64{
			"mems_audit_verify_timestamp_seconds": float64(time.Now().Unix()), "mems_audit_verify_faults": float64(len(report.Faults)),
		})
		for _, fault := range report.Faults {
			_, _ = fmt.Fprintln(p.out, fault)
		}
		entries := clinic.Counted(report.Entries, "entry")
		if n := len(report.Faults); n > 0 && n == report.UnknownKeys {
			return fmt.Errorf("the audit trail could not be fully verified: %s; no other faults in %s.\n"+
				"Set MEMS_AUDIT_KEYS to every key ever used, the newest first", clinic.Counted(n, "unknown key"), entries)
		}
		if len(report.Faults) > 0 {
			return fmt.Errorf("the audit trail was tampered with: %s in %s.\n"+
				"Keep the database as it is, and compare it with a backup", clinic.Counted(len(report.Faults), "fault"), entries)
		}
		_, _ = fmt.Fprintf(p.out, "the audit trail is intact: %s in %s.\n", entries, clinic.Counted(report.Chains, "chain"))
		if *anchor == "" {
			return nil
		}
		if known == nil {
			p.say("there was no anchor %s: it begins with this run, and shows nothing of what was cut off before. "+
				"If it should have been there, find it and verify again", *anchor)
		}
		return writeAnchor(*anchor, report.Heads)
	})
}

// readAnchor returns the chain tips that the last run wrote, none before the first run.
func readAnchor(path string) ([]auditchain.Head, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path) //nolint:gosec // G304: named by the operator
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var heads []auditchain.Head
	if err := json.Unmarshal(text, &heads); err != nil {
		return nil, fmt.Errorf("%s is not an anchor: %w", path, err)
	}
	return heads, nil
}

// writeAnchor replaces the file atomically.
func writeAnchor(path string, heads []auditchain.Head) (err error) {
	defer func() { err = nameFile(err, path) }()
	text, err := json.MarshalIndent(heads, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".anchor-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // fails if it was renamed
	if _, err := f.Write(text); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
