package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"mems/internal/backup"
	"mems/internal/store"
	"mems/internal/telemetry"
)

// runBackup is the command "mems backup".
func runBackup(ctx context.Context, p *program, args []string) error {
	flags := newFlags("backup")
	position := flags.Bool("binlog-position", false, "")
	if err := flags.Parse(args); err != nil {
		return usageError{err.Error()}
	}
	if flags.NArg() != 1 {
		return usageError{"say the file to write"}
	}
	file := flags.Arg(0)
	return p.withSchema(ctx, func(ctx context.Context, p *program, schema *store.Schema) error {
		snapshot, err := schema.OpenSnapshot(ctx, *position)
		if errors.Is(err, store.ErrNoBinaryLog) {
			return err
		}
		if err != nil {
			return fmt.Errorf("is this a MEMS database? %w", err)
		}
		defer func() { _ = snapshot.Close() }() // it only reads
		head := backup.Head{
			At: time.Now().UTC().Truncate(time.Second), Schema: snapshot.Version, Program: version,
			Database: schema.DatabaseName(), LogFile: snapshot.Log.File, LogPosition: snapshot.Log.Position,
		}
		size, err := p.writeSigned(file, head, func(w io.Writer) error { return snapshot.Write(ctx, w) })
		if err != nil {
			return err
		}
		p.say("backup of schema version %d, as it was at %s, in %s (%.1f MB)", head.Schema, head.At.Format(time.RFC3339), file, float64(size)/1e6)
		if head.LogFile != "" {
			p.say("the binary log stood at position %d of %s", head.LogPosition, head.LogFile)
		}
		if err := p.keepRevocations(ctx, schema, revocationsBeside(file)); err != nil {
			return err
		}
		p.noteStatus(telemetry.BackupStatus, map[string]float64{"mems_backup_timestamp_seconds": float64(head.At.Unix())})
		return nil
	})
}

// writeSigned writes a file of the backup format, beside its place first, and there
// only when it is whole. With MEMS_AUDIT_KEYS, the first key signs it.
func (p *program) writeSigned(file string, head backup.Head, body func(io.Writer) error) (size int64, err error) {
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*") // mode 0600
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already, when it was renamed
	write := func() error {
		var key *backup.Key
		if keys := p.backupKeys(); len(keys) > 0 {
			key = &keys[0]
		}
		out, err := backup.NewWriter(f, head, key)
		if err != nil {
			return err
		}
		if err := body(out); err != nil {
			return err
		}
		return out.Close()
	}
	if err := errors.Join(write(), f.Sync(), f.Close()); err != nil {
		return 0, err
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return 0, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// backupKeys are the keys of the audit trail: the first one signs, all verify.
func (p *program) backupKeys() []backup.Key {
	var keys []backup.Key
	for _, k := range p.macKeys() {
		keys = append(keys, backup.Key{ID: k.ID, Secret: k.Secret})
	}
	return keys
}

// runChecksum is the command "mems checksum".
func runChecksum(ctx context.Context, p *program, args []string) error {
	if len(args) > 0 {
		return usageError{"checksum takes nothing more"}
	}
	return p.withSchema(ctx, func(ctx context.Context, p *program, schema *store.Schema) error { return p.printSums(ctx, schema) })
}

func (p *program) printSums(ctx context.Context, schema *store.Schema) error {
	sums, err := schema.Checksums(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, s := range sums {
		_, _ = fmt.Fprintf(w, "%s\t%d rows\t%s\n", s.Table, s.Rows, s.Sum)
	}
	return w.Flush()
}
