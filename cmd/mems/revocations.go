package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"mems/internal/backup"
	"mems/internal/database"
	"mems/internal/store"
)

const revocationsName = "mems-revocations.gz"

// revocationsBeside returns the path of the list of revoked keys and erased patients in the
// directory of a backup.
func revocationsBeside(file string) string {
	return filepath.Join(filepath.Dir(file), revocationsName)
}

// runRevocations runs "mems revocations".
func runRevocations(ctx context.Context, p *program, args []string) error {
	if len(args) != 1 {
		return usageError{"missing argument: the list to update, mems-revocations.gz next to the backups"}
	}
	return p.withSchema(ctx, func(ctx context.Context, p *program, schema *database.Schema) error {
		if err := checkRestored(ctx, schema); err != nil {
			return err
		}
		return p.keepRevocations(ctx, schema, args[0])
	})
}

// keepRevocations adds the current revocations and erasures to a list, which it creates if
// necessary.
func (p *program) keepRevocations(ctx context.Context, schema *database.Schema, file string) error {
	list, err := store.ReadRevocations(ctx, schema.Pool(), time.Now())
	if err != nil {
		return fmt.Errorf("revocation list: %w", err)
	}
	// An unsigned list is from before MEMS_AUDIT_KEYS was set.
	switch before, err := p.readRevocations(file, true); {
	case err == nil:
		list = list.Union(before)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("revocation list: %w\nIt was not updated: move it away and run this again", err)
	}
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	head := backup.Head{At: list.At.UTC().Truncate(time.Second), Program: version, Kind: backup.KindRevocations}
	// Never encrypted: it holds only numbers and times, and the next run must read it.
	_, err = p.writeSigned(file, head, true, nil, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s\n", text)
		return err
	})
	if err != nil {
		return err
	}
	return p.copyElsewhere(file, true)
}

// readRevocations reads a list after verifying it like a backup.
func (p *program) readRevocations(file string, unsigned bool) (store.Revocations, error) {
	var list store.Revocations
	f, err := os.Open(file) //nolint:gosec // G304: named by the operator, or beside what is
	if err != nil {
		return list, err
	}
	defer func() { _ = f.Close() }() // read-only
	head, err := backup.Verify(f, p.backupKeys(), unsigned)
	if err == nil && head.Kind != backup.KindRevocations {
		err = errors.New("not a revocation list")
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	var body []byte
	if err == nil {
		body, err = backup.Body(f)
	}
	if err == nil {
		err = json.Unmarshal(body, &list)
	}
	if err != nil {
		return list, fmt.Errorf("%s: %w", file, err)
	}
	return list, nil
}
