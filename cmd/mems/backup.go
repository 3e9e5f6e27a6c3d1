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

	"filippo.io/age"

	"mems/internal/backup"
	"mems/internal/database"
	"mems/internal/store"
	"mems/internal/telemetry"
)

// runBackup runs "mems backup".
func runBackup(ctx context.Context, p *program, args []string) error {
	flags := newFlags("backup")
	var position logWish
	flags.BoolFunc("binlog-position", "", position.set)
	replace := flags.Bool("replace", false, "")
	encryptTo := flags.String("encrypt-to", p.BackupEncryptTo, "")
	if err := parseWords(flags, args); err != nil {
		return err
	}
	if flags.NArg() != 1 || flags.Arg(0) == "" {
		return usageError{"expected one argument: the file to write"}
	}
	file := flags.Arg(0)
	to, err := backup.ParseRecipients(*encryptTo)
	if err != nil {
		return fmt.Errorf("public keys to encrypt to: %w\n(expected age1..., as printed by age-keygen, or @FILE with one per line)", err)
	}
	if err := p.checkTarget(file, *replace); err != nil { // before reading anything in vain
		return err
	}
	return p.withSchema(ctx, func(ctx context.Context, p *program, schema *database.Schema) error {
		if err := checkRestored(ctx, schema); err != nil {
			return err
		}
		if err := p.checkSigning(ctx, schema); err != nil {
			return err
		}
		snapshot, err := p.openSnapshot(ctx, schema, position)
		if err != nil {
			return err
		}
		defer func() { _ = snapshot.Close() }() // read-only
		head := backup.Head{
			At: time.Now().UTC().Truncate(time.Second), Schema: snapshot.Version, Program: version,
			Database: schema.DatabaseName(), LogFile: snapshot.Log.File, LogPosition: snapshot.Log.Position,
		}
		size, err := p.writeSigned(file, head, *replace, to, func(w io.Writer) error { return snapshot.Write(ctx, w) })
		if err != nil {
			return err
		}
		p.say("backup of schema version %d at %s, in %s (%.1f MB), %s", head.Schema, head.At.Format(time.RFC3339), file, float64(size)/1e6, backup.DescribeEncryption(to))
		if head.LogFile != "" {
			p.say("binary log position: %d of %s", head.LogPosition, head.LogFile)
		}
		if err := errors.Join(p.copyBackup(file, *replace), p.keepRevocations(ctx, schema, revocationsBeside(file))); err != nil {
			return err
		}
		p.noteStatus(telemetry.BackupStatus, map[string]float64{"mems_backup_timestamp_seconds": float64(head.At.Unix())})
		return nil
	})
}

// checkSigning warns about an unsigned backup. Beside an installed service, whose keys are
// in its directory, it refuses to back up without the key that last wrote to the audit
// trail. Elsewhere a backup that cannot be verified is better than none.
func (p *program) checkSigning(ctx context.Context, schema *database.Schema) error {
	unknown := errors.Is(store.CheckAuditKeys(ctx, schema.Pool(), p.macKeys()), store.ErrUnknownAuditKey) // other errors are left to the backup
	switch {
	case unknown && p.service != "":
		return settingError{fmt.Errorf("%w\nThe service's keys belong in %s", store.ErrUnknownAuditKey, filepath.Join(p.service, "audit-keys"))}
	case len(p.macKeys()) == 0:
		p.say("the backup is NOT signed because MEMS_AUDIT_KEYS is not set: anyone could have written it")
	case unknown:
		p.say("the backup is signed, but %v", store.ErrUnknownAuditKey)
	}
	return nil
}

// logWish says whether a backup records the position of the binary log.
type logWish int

const (
	logAsTold  logWish = iota // if the server reports it
	logIfThere                // otherwise the backup records that there is none
	logNeeded                 // otherwise the backup fails
)

// set parses the value of --binlog-position, "true" for none.
func (l *logWish) set(value string) error {
	switch value {
	case "true":
		*l = logNeeded
	case "auto":
		*l = logIfThere
	default:
		return errors.New(`expected no value or "auto"`)
	}
	return nil
}

func (p *program) openSnapshot(ctx context.Context, schema *database.Schema, position logWish) (*database.Snapshot, error) {
	snapshot, err := schema.OpenSnapshot(ctx, position != logAsTold)
	if errors.Is(err, database.ErrNoBinaryLog) && position == logIfThere {
		p.say("point-in-time recovery from this backup will not be possible: %v", err)
		snapshot, err = schema.OpenSnapshot(ctx, false)
	}
	if err != nil && !errors.Is(err, database.ErrNoBinaryLog) {
		return nil, fmt.Errorf("is this a MEMS database? %w", err)
	}
	return snapshot, err
}

// writeSigned writes a file of the backup format under a temporary name and renames it when
// it is complete. The first of MEMS_AUDIT_KEYS signs it; with recipients, it is encrypted
// to these.
func (p *program) writeSigned(file string, head backup.Head, replace bool, to []age.Recipient, body func(io.Writer) error) (size int64, err error) {
	defer func() { err = nameFile(err, file) }()
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*") // mode 0600
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.Remove(f.Name()) }() // fails if it was renamed
	write := func() error {
		var key *backup.Key
		if keys := p.backupKeys(); len(keys) > 0 {
			key = &keys[0]
		}
		sealed, err := backup.Encrypt(f, to)
		if err != nil {
			return err
		}
		out, err := backup.NewWriter(sealed, head, key)
		if err != nil {
			return err
		}
		if err := body(out); err != nil {
			return err
		}
		return errors.Join(out.Close(), sealed.Close())
	}
	if err := errors.Join(write(), f.Sync(), f.Close()); err != nil {
		return 0, err
	}
	if err := place(f.Name(), file, replace); err != nil {
		return 0, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// backupKeys returns the keys of the audit trail: the first one signs, all verify.
func (p *program) backupKeys() []backup.Key {
	var keys []backup.Key
	for _, k := range p.macKeys() {
		keys = append(keys, backup.Key{ID: k.ID, Secret: k.Secret})
	}
	return keys
}

// runChecksum runs "mems checksum".
func runChecksum(ctx context.Context, p *program, args []string) error {
	if len(args) > 0 {
		return usageError{"checksum takes no arguments"}
	}
	return p.withSchema(ctx, func(ctx context.Context, p *program, schema *database.Schema) error { return p.printSums(ctx, schema) })
}

func (p *program) printSums(ctx context.Context, schema *database.Schema) error {
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
