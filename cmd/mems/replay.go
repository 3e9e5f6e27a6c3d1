package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"mems/internal/database"
	"mems/internal/localdb"
)

// runReplay runs "mems replay".
func runReplay(ctx context.Context, p *program, args []string) error {
	flags := newFlags("replay")
	folder := flags.String("log", "", "")
	until := flags.String("until", "", "")
	unsigned := flags.Bool("unsigned", false, "")
	identity := flags.String("identity", "", "")
	if err := parseWords(flags, args); err != nil {
		return err
	}
	if flags.NArg() != 1 || *folder == "" || *until == "" {
		return usageError{"missing --log, --until or the restored backup"}
	}
	end, err := time.Parse(time.RFC3339, *until)
	if err != nil {
		return usageError{fmt.Sprintf("--until: invalid value %q (expected a time with its offset, such as 2027-03-01T13:59:00+01:00)", *until)}
	}
	file := flags.Arg(0)
	f, err := os.Open(file) //nolint:gosec // G304: named by the operator
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // read-only
	identities, err := p.readIdentity(*identity)
	if err != nil {
		return err
	}
	head, err := p.verifyBackup(f, identities, *unsigned)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if head.LogFile == "" {
		return fmt.Errorf("%s has no binary log position", file)
	}
	if end.Before(head.At) {
		return fmt.Errorf("--until is before %s, when the backup was made: restore an older one", head.At.Format(time.RFC3339))
	}
	files, err := p.findLog(*folder, head, end)
	if err != nil {
		return fmt.Errorf("binary log in %s: %w", *folder, err)
	}
	return p.withSchema(ctx, func(ctx context.Context, p *program, schema *database.Schema) error {
		if err := schema.CheckReplay(ctx, head.Sum); err != nil {
			return p.otherBackup(err, file)
		}
		engine, err := schema.Engine(ctx)
		if err != nil {
			return err
		}
		reader, err := localdb.FindLogReader(localdb.Engine(engine))
		if err != nil {
			return err
		}
		l := logReplay{
			program: p, reader: reader, mysql: localdb.Engine(engine) == localdb.MySQL, files: files,
			from: head.Database, to: schema.DatabaseName(), start: head.LogPosition, until: end,
		}
		return l.write(ctx, schema)
	})
}

// otherBackup returns an error that names the backup from which the database was restored.
func (p *program) otherBackup(err error, file string) error {
	if errors.Is(err, database.ErrOtherBackup) {
		return fmt.Errorf("%w than %s: use that one. Nothing was changed", err, file)
	}
	return err
}
