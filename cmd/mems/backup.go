package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"mems/db"
	"mems/internal/backup"
	"mems/internal/localdb"
	"mems/internal/store"
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
	return p.withTools(ctx, func(t tools) error {
		applied, err := t.schema.Version(ctx)
		if err != nil {
			return fmt.Errorf("is this a MEMS database? %w", err)
		}
		file := flags.Arg(0)
		// Beside its place, and there only when it is whole.
		f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
		if err != nil {
			return err
		}
		defer func() { _ = os.Remove(f.Name()) }() // gone already, when it was renamed
		head := backup.Head{At: time.Now().UTC().Truncate(time.Second), Schema: applied, Program: version}
		if err := errors.Join(t.writeBackup(ctx, f, head, *position), f.Sync(), f.Close()); err != nil {
			return err
		}
		if err := os.Rename(f.Name(), file); err != nil {
			return err
		}
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		p.say("backup of schema version %d, as it was at %s, in %s (%.1f MB)", applied, head.At.Format(time.RFC3339), file, float64(info.Size())/1e6)
		return nil
	})
}

// tools is what both commands work with.
type tools struct {
	p      *program
	client localdb.Client
	target store.Connection
	schema *store.Schema
}

func (p *program) withTools(ctx context.Context, work func(tools) error) error {
	d, err := p.openDatabase(ctx)
	if err != nil {
		return err
	}
	defer d.close()
	client, err := localdb.FindClient(ctx, d.private != nil, p.say)
	if err != nil {
		return err
	}
	target, err := store.ConnectionOf(d.dsn)
	if err != nil {
		return err
	}
	schema, err := store.OpenSchema(d.dsn)
	if err != nil {
		return err
	}
	defer func() { _ = schema.Close() }()
	return work(tools{p, client, target, schema})
}

// definer is what a dump says about whom a trigger belongs to: on another server
// that user may not exist, so the one who restores owns them.
var definer = regexp.MustCompile("^(/\\*!50003 CREATE\\*/ )/\\*!50017 DEFINER=`[^`]*`@`[^`]*`\\*/ ")

func (t tools) writeBackup(ctx context.Context, w io.Writer, head backup.Head, position bool) error {
	var key *backup.Key
	if keys := t.p.backupKeys(); len(keys) > 0 {
		key = &keys[0]
	}
	out, err := backup.NewWriter(w, head, key)
	if err != nil {
		return err
	}
	err = t.run(ctx, t.client.Dump, t.dumpOptions(position), func(dump io.Reader) error {
		lines := bufio.NewReaderSize(dump, 1<<20)
		for begins := true; ; {
			line, err := lines.ReadSlice('\n')
			if begins {
				line = definer.ReplaceAll(line, []byte("$1"))
			}
			begins = !errors.Is(err, bufio.ErrBufferFull)
			if _, failed := out.Write(line); failed != nil {
				return failed
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil && begins {
				return err
			}
		}
	})
	if err != nil {
		return err
	}
	return out.Close()
}

// backupKeys are the keys of the audit trail: the first one signs, all verify.
func (p *program) backupKeys() []backup.Key {
	var keys []backup.Key
	for _, k := range p.macKeys() {
		keys = append(keys, backup.Key{ID: k.ID, Secret: k.Secret})
	}
	return keys
}

// dumpOptions: one snapshot while others write; everything in UTC and utf8mb4;
// tables with their triggers, and nothing of the server.
func (t tools) dumpOptions(position bool) []string {
	options := []string{
		"--single-transaction", "--skip-lock-tables", "--skip-add-drop-table", "--skip-add-locks", "--hex-blob", "--no-tablespaces",
		"--triggers", "--complete-insert", "--skip-comments", "--default-character-set=utf8mb4", "--tz-utc",
	}
	if !t.client.MariaDB {
		options = append(options, "--set-gtid-purged=OFF", "--column-statistics=0")
	}
	switch {
	case position && t.client.MariaDB:
		options = append(options, "--master-data=2", "--comments")
	case position:
		options = append(options, "--source-data=2", "--comments")
	}
	return append(options, t.target.Database)
}

// run runs a tool of the engine. The password goes through a file that only this
// user can read, for everybody can read command lines.
func (t tools) run(ctx context.Context, tool string, options []string, read func(io.Reader) error) error {
	secrets, err := os.CreateTemp("", "mems-client-*.cnf") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(secrets.Name()) }()
	if _, err := secrets.WriteString(t.clientConfig()); err != nil {
		return errors.Join(err, secrets.Close())
	}
	if err := secrets.Close(); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, tool, append([]string{"--defaults-file=" + secrets.Name()}, options...)...) //nolint:gosec // G204: the engine's tool, constants and a database name
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {                                             // secrets, and what would override the file
		return strings.HasPrefix(v, "MEMS_") || strings.HasPrefix(v, "MYSQL_") || strings.HasPrefix(v, "MARIADB_")
	})
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	failed := read(out)
	if failed != nil {
		_ = cmd.Process.Kill() // it would wait for ever to be read
	}
	if err := cmd.Wait(); err != nil && failed == nil {
		failed = fmt.Errorf("%s: %w\n%s", filepath.Base(tool), err, complaint(said.String()))
	}
	return failed
}

// complaint is what a tool says went wrong: its error's number and place, without
// the values that the server quotes, which may be a patient's.
func complaint(said string) string {
	var lines []string
	for line := range strings.Lines(said) {
		if toolError.MatchString(line) {
			lines = append(lines, quoted.ReplaceAllString(strings.TrimSpace(line), "'...'"))
		}
	}
	return strings.Join(lines, "\n")
}

var (
	toolError = regexp.MustCompile(`(?i)\berror\b`)
	quoted    = regexp.MustCompile(`'[^']*'`)
)

// clientConfig is how to reach the server, as the engines' tools read it.
func (t tools) clientConfig() string {
	var b strings.Builder
	b.WriteString("[client]\n")
	set := func(name, value string) {
		fmt.Fprintf(&b, "%s=\"%s\"\n", name, strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value))
	}
	set("user", t.target.User)
	set("password", t.target.Password)
	if t.target.Network == "unix" {
		set("socket", t.target.Address)
	} else if host, port, err := net.SplitHostPort(t.target.Address); err == nil {
		set("host", host)
		set("port", port)
		set("protocol", "tcp")
	}
	if t.target.TLS {
		if t.client.MariaDB {
			b.WriteString("ssl\nssl-verify-server-cert\n")
		} else {
			b.WriteString("ssl-mode=VERIFY_IDENTITY\n")
		}
		if t.p.DatabaseCAFile != "" {
			set("ssl-ca", t.p.DatabaseCAFile)
		}
	}
	return b.String()
}

// runRestore is the command "mems restore".
func runRestore(ctx context.Context, p *program, args []string) error {
	flags := newFlags("restore")
	unsigned := flags.Bool("unsigned", false, "")
	if err := flags.Parse(args); err != nil {
		return usageError{err.Error()}
	}
	if flags.NArg() != 1 {
		return usageError{"say the file to read"}
	}
	file := flags.Arg(0)
	f, err := os.Open(file) //nolint:gosec // G304: named by the operator
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	head, err := p.verifyBackup(f, *unsigned)
	if err != nil {
		return fmt.Errorf("%s is not restored: %w", file, err)
	}
	p.say("%s is whole: schema version %d, as it was at %s", file, head.Schema, head.At.Format(time.RFC3339))
	return p.withSchema(ctx, func(ctx context.Context, p *program, schema *store.Schema) error {
		p.say("restoring ...")
		err := schema.Restore(ctx, head.Schema, backup.Rows(f))
		if errors.Is(err, store.ErrNotEmpty) {
			return fmt.Errorf("%w: restore into an empty one, such as\n\n"+
				"    CREATE DATABASE mems_restored CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;\n\nNothing was changed", err)
		}
		if err != nil {
			return fmt.Errorf("%w\nThe database is empty again: mend the cause and run the same command", err)
		}
		return p.printSums(ctx, schema)
	})
}

// verifyBackup reads all of a backup before anything of it is used, and goes back
// to its beginning.
func (p *program) verifyBackup(f *os.File, unsigned bool) (backup.Head, error) {
	head, err := backup.Verify(f, p.backupKeys(), unsigned)
	switch {
	case errors.Is(err, backup.ErrUnsigned):
		return head, fmt.Errorf("%w: anybody may have written it. If you know where it comes from, add --unsigned", err)
	case err != nil:
		return head, err
	case head.Schema > db.Latest:
		return head, fmt.Errorf("it has schema version %d, and this program knows %d: use the version of MEMS that made it, or a later one", head.Schema, db.Latest)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return head, err
	}
	for _, err := range backup.Rows(f) {
		if err != nil {
			return head, err
		}
	}
	_, err = f.Seek(0, io.SeekStart)
	return head, err
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
