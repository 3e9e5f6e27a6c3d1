package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"mems/internal/localdb"
	"mems/internal/store"
)

// runReplay is the command "mems replay".
func runReplay(ctx context.Context, p *program, args []string) error {
	flags := newFlags("replay")
	folder := flags.String("log", "", "")
	until := flags.String("until", "", "")
	unsigned := flags.Bool("unsigned", false, "")
	identity := flags.String("identity", "", "")
	if err := flags.Parse(args); err != nil {
		return usageError{err.Error()}
	}
	if flags.NArg() != 1 || *folder == "" || *until == "" {
		return usageError{"say --log, --until and the backup that was restored"}
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
	defer func() { _ = f.Close() }() // only read
	identities, err := readIdentity(*identity)
	if err != nil {
		return err
	}
	head, err := p.verifyBackup(f, identities, *unsigned)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if head.LogFile == "" {
		return fmt.Errorf("%s does not say where the binary log stood", file)
	}
	if end.Before(head.At) {
		return fmt.Errorf("--until is before %s, when the backup was made: restore an older one", head.At.Format(time.RFC3339))
	}
	entries, err := os.ReadDir(*folder)
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	files, err := logFiles(names, head.LogFile)
	if err != nil {
		return fmt.Errorf("binary log in %s: %w", *folder, err)
	}
	for i := range files {
		files[i] = filepath.Join(*folder, files[i])
	}
	return p.withSchema(ctx, func(ctx context.Context, p *program, schema *store.Schema) error {
		if unfinished, err := schema.Restoring(ctx); err != nil || !unfinished {
			return errors.Join(err, errors.New("this database was not restored with --log-follows, or somebody finished that"))
		}
		if err := schema.CheckFilled(ctx); err != nil {
			return err
		}
		engine, err := schema.Engine(ctx)
		if err != nil {
			return err
		}
		reader, err := localdb.FindLogReader(localdb.Engine(engine))
		if err != nil {
			return err
		}
		options := replayOptions(localdb.Engine(engine), head.Database, schema.DatabaseName(), head.LogPosition, end)
		return p.readLog(ctx, slices.Concat(reader, options, files))
	})
}

// replayOptions have the engine's tool write one database's part of the log, for
// the database that was restored.
func replayOptions(engine localdb.Engine, from, to string, position uint64, end time.Time) []string {
	// MariaDB's tool chooses by the name in the log, MySQL's by the new one.
	chosen := from
	if engine == localdb.MySQL {
		chosen = to
	}
	options := []string{
		"--start-position=" + strconv.FormatUint(position, 10),
		"--stop-datetime=" + end.UTC().Format(time.DateTime),
		"--database=" + chosen,
	}
	if from != to {
		options = append(options, "--rewrite-db="+from+"->"+to)
	}
	if engine == localdb.MySQL {
		// Each transaction gets a new one: the server has seen the old ones.
		options = append(options, "--skip-gtids")
	}
	return options
}

// readLog runs the tool, which writes SQL, to the output. Times are UTC to it.
func (p *program) readLog(ctx context.Context, command []string) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // G204: the engine's tool, on files that the operator names
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "MEMS_") || strings.HasPrefix(v, "TZ=")
	})
	cmd.Env = append(cmd.Env, "TZ=UTC")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = p.out, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(command[0]), err, said.String())
	}
	return nil
}
